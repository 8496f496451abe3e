"""The GitHub Action's own shell steps, run as GitHub would run them, with our command on PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.cli.test_verdict_commands import table, write

ROOT = Path(__file__).resolve().parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def step(name: str) -> str:
    return next(s["run"] for s in ACTION["runs"]["steps"] if s["id"] == name)


def run(script: str, tmp_path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    found = shutil.which("bash")
    if found is None:
        pytest.skip("no bash")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    files = {"GITHUB_OUTPUT": str(tmp_path / "out"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    return subprocess.run(
        [found, "-c", script],
        env={"PATH": path, **files, **env},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("shift", "n", "ungraded", "verdict"),
    [
        (0.15, 300, 0.0, "pass"),
        (-0.3, 300, 0.0, "regression"),
        (0.0, 20, 0.0, "undecided"),
        (0.15, 300, 0.4, "below-coverage"),
    ],
)
def test_the_gate_step_tells_verdicts_apart(
    tmp_path: Path, shift: float, n: int, ungraded: float, verdict: str
) -> None:
    (tmp_path / "rules.yaml").write_text("gate: regression\nbaseline: old\nmargin: 0.03\n")
    write(tmp_path / "my results.csv", table(shift, n, ungraded={"new": ungraded}))
    got = run(step("gate"), tmp_path, RULES="rules.yaml", RESULTS="my results.csv", LEDGER="", FOLDER="r",
              OPTIONS="--ignore-rest\n--bounds\n0\n1\n")  # fmt: skip
    assert got.returncode == 0, got.stderr
    assert f"verdict={verdict}" in (tmp_path / "out").read_text()
    assert "Steelyard gate" in (tmp_path / "summary").read_text()
    assert (tmp_path / "r" / "junit.xml").is_file()
    assert (tmp_path / "r" / "report.json").is_file()


def test_a_bad_file_is_an_error_not_a_verdict(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("gate: nonsense\n")
    run(step("gate"), tmp_path, RULES="rules.yaml", RESULTS="none.csv", LEDGER="", FOLDER="r", OPTIONS="")
    assert (tmp_path / "out").read_text().splitlines() == ["verdict=error", "exit-code=3"]


@pytest.mark.parametrize(
    ("verdict", "code", "ends"),
    [("pass", 0, 0), ("undecided", 11, 11), ("regression", 10, 0), ("error", 1, 1)],
)
def test_the_last_step_fails_on_the_words_asked_for(
    tmp_path: Path, verdict: str, code: int, ends: int
) -> None:
    got = run(step("verdict"), tmp_path, FAIL_ON="undecided infrastructure", VERDICT=verdict, CODE=str(code))
    assert got.returncode == ends


def test_no_input_reaches_a_shell_as_text() -> None:
    assert all("${{" not in s["run"] for s in ACTION["runs"]["steps"])
