"""A gate's word is its exit code: whatever becomes of its output, its reports, or the order of its rows."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from steelyard.cli.main import main
from steelyard.errors import ExitCode


def steelyard(*args: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in args])


@pytest.fixture
def worse(tmp_path: Path) -> Path:
    """Two stages, one after the other: `new` is alike in the first and far behind in the second."""
    draw = random.Random(3)
    rows = []
    for stage, falls in (("easy", 0.02), ("hard", 0.4)):
        for task in range(300):
            rows.append(f"{stage}-{task},old,{stage},1\n")
            rows.append(f"{stage}-{task},new,{stage},{int(draw.random() >= falls)}\n")
    path = tmp_path / "r.csv"
    path.write_text("task,contestant,stage,score\n" + "".join(rows))
    return path


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "gate.yaml"
    path.write_text("gate: regression\nbaseline: old\nmargin: 0.03\n")
    return path


@pytest.mark.parametrize("option", ["--junit", "--markdown"])
def test_a_report_that_cannot_be_written_is_said_without_a_traceback(
    worse: Path, rules: Path, tmp_path: Path, option: str
) -> None:
    got = steelyard("gate", rules, worse, option, tmp_path / "none" / "report")
    assert got.exit_code == ExitCode.USAGE, got.output
    assert "fix:" in got.output


@pytest.mark.parametrize("command", ["gate", "compare"])
def test_a_reader_that_has_gone_does_not_turn_a_regression_into_a_pass(
    worse: Path, rules: Path, command: str
) -> None:
    args = ["gate", str(rules), str(worse)] if command == "gate" else ["compare", str(worse), "--exit-code"]
    code = "import sys; from steelyard.cli.main import main; main(sys.argv[1:])"
    with subprocess.Popen([sys.executable, "-c", code, *args], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == ExitCode.REGRESSION


def test_rows_sorted_by_stage_give_no_sequential_verdict_but_a_reason(worse: Path, tmp_path: Path) -> None:
    rules = tmp_path / "sequential.yaml"
    rules.write_text("gate: regression\nbaseline: old\nmargin: 0.03\nlooks: sequential\n")
    got = steelyard("gate", rules, worse)
    assert got.exit_code == ExitCode.UNDECIDED, got.output
    assert "drift along the table" in got.output
    compared = steelyard("compare", worse, "--sequential")
    assert "undecided" in compared.output
    assert "drift along the table" in compared.output


def test_a_launch_gate_takes_the_stages_by_the_name_of_their_column(worse: Path, tmp_path: Path) -> None:
    rules = tmp_path / "launch.yaml"
    rules.write_text("gate: launch\ncontestant: new\nfloor: 0.8\nby: stage\n")
    got = steelyard("gate", rules, worse)
    assert got.exit_code == ExitCode.REGRESSION, got.output
    assert "easy (at least 0.8)" in got.output
    assert "hard (at least 0.8)" in got.output
