"""Tables as people and programs export them: other encodings, line ends, a column a model, votes as numbers."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from steelyard.cli.main import main
from steelyard.errors import ExitCode

LONG = "task,contestant,score\n" + "".join(
    f"t{i},{who},{(i * 7 + len(who)) % 3 % 2}\n" for i in range(30) for who in ("a", "bb")
)
WIDE = "question,gpt-4,claude\n" + "".join(f'"what, {i}?",{i % 2},{i % 3 % 2}\n' for i in range(30))


def steelyard(*args: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in args])


def put(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "r.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (LONG.replace("\n", "\r"), "utf-8"),
        (LONG.replace("\n", "\r\n"), "utf-8-sig"),
        (LONG.replace(",", "\t"), "utf-16"),
        (LONG.replace(",", ";"), "utf-16"),
        ("," + LONG.replace("\n", "\n0,").removesuffix("0,"), "utf-8"),
    ],
)
def test_a_table_is_the_same_however_a_spreadsheet_or_data_frame_wrote_it(
    tmp_path: Path, text: str, encoding: str
) -> None:
    plain = steelyard("compare", put(tmp_path, LONG))
    assert plain.exit_code == ExitCode.OK, plain.output
    got = steelyard("compare", put(tmp_path, text, encoding))
    assert got.exit_code == ExitCode.OK, got.output
    assert [line for line in got.output.splitlines() if "no name" not in line] == plain.output.splitlines()


def test_a_column_a_model_is_one_option_a_model_away_from_a_verdict(tmp_path: Path) -> None:
    path = put(tmp_path, WIDE)
    refused = steelyard("doctor", path)
    assert refused.exit_code == ExitCode.BAD_INPUT
    assert "--column score=gpt-4 --column score=claude" in refused.output
    got = steelyard(
        "compare", path, "--column", "score=gpt-4", "--column", "score=claude", "--baseline", "claude"
    )
    assert got.exit_code == ExitCode.OK, got.output
    assert "McNemar" in got.output


@pytest.mark.parametrize("command", ["compare", "doctor", "plan", "rank", "horizon"])
@pytest.mark.parametrize(
    "text", ["", "\n\n", "\x00\x01\x02", "task,score\n", 'task,score\rb,"\rc', "no table"]
)
def test_what_is_no_table_is_refused_with_what_to_do(tmp_path: Path, command: str, text: str) -> None:
    extra = ("--half-width", "0.1") if command == "plan" else ()
    got = steelyard(command, put(tmp_path, text), *extra)
    assert got.exit_code == ExitCode.BAD_INPUT, got.output
    assert "fix:" in got.output


def test_votes_whose_winner_is_a_number_rate_as_votes_in_words(tmp_path: Path) -> None:
    draw = random.Random(1)
    rows = [(*draw.sample("xyz", 2), draw.choice(("1", "0", "0.5"))) for _ in range(60)]
    words = {"1": "model_a", "0": "model_b", "0.5": "tie"}
    numbers = put(tmp_path, "Model_A,Model_B,Winner\n" + "".join(f"{a},{b},{w}\n" for a, b, w in rows))
    first = steelyard("rank", numbers)
    assert "model_a's score" in first.stderr
    second = steelyard(
        "rank",
        put(tmp_path, "model_a,model_b,winner\n" + "".join(f"{a},{b},{words[w]}\n" for a, b, w in rows)),
    )
    assert first.exit_code == second.exit_code == ExitCode.OK, first.output
    assert first.stdout == second.stdout


@pytest.mark.parametrize("command", ["rank", "doctor"])
def test_votes_without_a_winner_column_are_told_to_name_it(tmp_path: Path, command: str) -> None:
    got = steelyard(command, put(tmp_path, "model_a,model_b,outcome\nx,y,tie\n"))
    assert got.exit_code == ExitCode.BAD_INPUT
    assert "--column winner=NAME" in got.output


def test_a_gate_where_all_agree_says_how_many_tasks_would_settle_it(tmp_path: Path) -> None:
    rules = tmp_path / "gate.yaml"
    rules.write_text("gate: regression\nbaseline: a\nmargin: 0.02\n")
    rows = "".join(f"t{i},{who},1\n" for i in range(30) for who in "ab")
    got = steelyard("gate", rules, put(tmp_path, "task,contestant,score\n" + rows))
    assert got.exit_code == ExitCode.UNDECIDED
    assert "about 150 tasks with 1 trial each" in got.output


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("compare", "--level", "95"), "write 95 % as 0.95"),
        (("compare", "--bounds", "1", "0"), "wrong way round"),
        (("compare", "--column", "taks=task"), "no such role"),
        (("plan", "--difference", "0.05", "--power", "80"), "write 80 % as 0.8"),
    ],
)
def test_options_out_of_range_are_named_as_the_user_wrote_them(
    tmp_path: Path, args: tuple[str, ...], says: str
) -> None:
    got = steelyard(args[0], put(tmp_path, LONG), *args[1:])
    assert got.exit_code in (ExitCode.USAGE, ExitCode.BAD_INPUT)
    assert says in got.output


def test_a_task_with_two_lengths_has_no_horizon(tmp_path: Path) -> None:
    rows = "".join(f"t{i // 2},{i % 2},{i % 2},{i + 1}\n" for i in range(20))
    got = steelyard("horizon", put(tmp_path, "task,trial,score,minutes\n" + rows))
    assert got.exit_code == ExitCode.BAD_INPUT
    assert "t0: 1 and 2" in got.output
