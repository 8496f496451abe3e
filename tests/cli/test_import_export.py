"""`steelyard import` and `steelyard export`, as a person calls them."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from steelyard.cli.main import main
from steelyard.errors import ExitCode
from steelyard.ledger import open_ledger
from steelyard.testing.ledger_rows import plan_of, sums, whole_trial


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "ledger")


def call(*args: str) -> Result:
    return CliRunner().invoke(main, args)


def test_a_table_comes_in_and_goes_out(tmp_path: Path, place: str) -> None:
    source = tmp_path / "answers.jsonl"
    rows = [
        {"question": f"q{i}", "model": m, "reply": f"{m}{i}", "correct": i % 2}
        for i in range(3)
        for m in "xy"
    ]
    source.write_text("\n".join(map(json.dumps, rows)))
    done = call("import", str(source), "--field", "output=reply", "--name", "first", "--ledger", place)
    assert done.exit_code == ExitCode.OK, done.output
    assert "6 trials of 3 tasks by 2 contestants" in done.output
    out = tmp_path / "out.jsonl"
    done = call("export", "first", "--format", "jsonl", "--out", str(out), "--ledger", place)
    assert done.exit_code == ExitCode.OK, done.output
    told = [json.loads(line) for line in out.read_text().splitlines()]
    assert {(r["task"], r["contestant"], r["output"], r["score"]) for r in told} == {
        (r["question"], r["model"], r["reply"], float(r["correct"])) for r in rows
    }
    done = call("export", "--no-content", "--ledger", place)
    assert done.stdout.splitlines()[0].startswith("suite,task,contestant,trial,score,outcome")


def test_an_import_that_was_cut_off_says_so_wherever_it_is_read(tmp_path: Path, place: str) -> None:
    with (
        closing(open_ledger(place, create=True)) as ledger,
        ledger.create_run(plan_of(), [sums(3)], name="half", source="import:table") as writer,
    ):
        writer.append(whole_trial(0, 1))
    shown = call("show", "half", "--ledger", place)
    assert shown.exit_code == ExitCode.OK
    assert "The import was cut off" in shown.stdout
    again = call("resume", "half", "--ledger", place)
    assert again.exit_code == ExitCode.BAD_INPUT
    assert "the files again: it was cut off" in again.stderr


def test_json_names_the_run(tmp_path: Path, place: str) -> None:
    source = tmp_path / "votes.csv"
    source.write_text("model_a,model_b,winner\nx,y,tie\n")
    done = call("import", str(source), "--json", "--ledger", place)
    assert json.loads(done.stdout) | {"contestants": []} == {
        "run": "", "votes": "votes", "format": "votes", "contestants": [], "n_tasks": 0, "n_trials": 1, "n_scored": 1, "notes": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["import"], ExitCode.USAGE, "FILES"),
        (["import", "none.json"], ExitCode.BAD_INPUT, "no such file"),
        (["import", "none.json", "--field", "task"], ExitCode.USAGE, "ROLE=COLUMN"),
        (["import", "none.json", "--format", "excel"], ExitCode.BAD_INPUT, "inspect, lm-eval"),
        (["export", "last"], ExitCode.BAD_INPUT, "no ledger is there"),
        (["export", "--format", "eee"], ExitCode.USAGE, "--out FOLDER"),
        (["export", "--format", "xls"], ExitCode.USAGE, "csv"),
    ],
)
def test_what_is_wrong_is_said(place: str, args: list[str], code: ExitCode, says: str) -> None:
    done = call(*args, "--ledger", place)
    assert done.exit_code == code
    assert says in done.output


def test_revealing_is_noted_for_good(tmp_path: Path, place: str) -> None:
    with closing(open_ledger(place)) as ledger:
        plan = plan_of()
        suite = sums(6)
        with ledger.create_run(plan, [suite]) as writer:
            for t in range(6):
                writer.append(whole_trial(0, t))
            writer.close("complete")
        hidden = "What is 4 + 16?"
        assert hidden not in call("export", "--format", "jsonl", "--ledger", place).stdout
        assert ledger.chains("exposed") == []
        assert hidden in call("export", "--format", "jsonl", "--reveal", "--ledger", place).stdout
        assert len(ledger.chains("exposed")) == 1


def test_an_imported_run_is_not_resumed_and_scores_without_answers_are_not_judged_again(
    tmp_path: Path, place: str
) -> None:
    rows = [{"contestant": c, "task": "x", "score": s} for c, s in (("a", 1), ("b", 0))]
    table = tmp_path / "t.jsonl"
    table.write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert call("import", str(table), "--ledger", place).exit_code == 0
    resumed = call("resume", "last", "--ledger", place)
    assert resumed.exit_code == ExitCode.BAD_INPUT
    assert "made elsewhere" in resumed.stderr
    unnamed = call("rescore", "last", "--ledger", place)
    assert unnamed.exit_code == ExitCode.BAD_INPUT
    assert "--scorer" in unnamed.stderr
    judged = json.loads(call("rescore", "last", "--scorer", "exact", "--json", "--ledger", place).stdout)
    assert (judged["judged"], judged["changed"]) == (0, 0), "an answer that was not kept is not a wrong one"
