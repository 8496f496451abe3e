"""`steelyard import` and `steelyard export`, as a person calls them."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from steelyard.cli.main import main
from steelyard.errors import ExitCode
from steelyard.ledger import open_ledger
from steelyard.ledger.runs import counts_of_cells, results_of_run
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


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_exported_table_comes_back_as_the_same_leaderboard(tmp_path: Path, place: str, form: str) -> None:
    rows = [
        {
            "task": "t1",
            "score": 1,
            "output": "-5",
            "finish": "length",
            "seconds": 0.25,
            "output_tokens": 5,
            "cost": 0.5,
        },
        {
            "task": "t2",
            "score": 0,
            "output": "no",
            "ended_by": "refusal",
            "seconds": 0.5,
            "output_tokens": 3,
            "cost": 0.5,
        },
        {
            "task": "t3",
            "outcome": "failed",
            "output": "?",
            "format_failure": True,
            "seconds": 0.5,
            "output_tokens": 1,
            "cost": 0.1,
        },
        {
            "task": "t4",
            "score": 0.25,
            "outcome": "abstained",
            "output": "who knows",
            "seconds": 0.1,
            "cost": 0.1,
        },
        {
            "task": "t5",
            "outcome": "ungraded",
            "cause": "provider:server_error",
            "ended_by": "provider",
            "cost": 0,
        },
    ]
    source = tmp_path / "first.jsonl"
    common = {"contestant": "x", "suite": "s", "target": "-5", "condition.level": "hard"}
    source.write_text("".join(json.dumps({**row, **common}) + "\n" for row in rows))
    assert call("import", str(source), "--name", "first", "--ledger", place).exit_code == ExitCode.OK
    out = str(tmp_path / f"again.{form}")
    assert call("export", "first", "--format", form, "--out", out, "--ledger", place).exit_code == ExitCode.OK
    done = call("import", out, "--name", "second", "--ledger", place)
    assert done.exit_code == ExitCode.OK, done.output
    first, second = (
        json.loads(call("show", name, "--json", "--ledger", place).stdout)["overall"]
        for name in ("first", "second")
    )
    assert first == second
    assert [first[0][k] for k in ("refused", "truncated", "format_failures", "abstained", "n_ungraded")] == [
        1
    ] * 5
    assert first[0]["estimate"]["value"] == 0.3125
    by = call("show", "second", "--by", "level", "--json", "--ledger", place)
    assert "hard" in by.stdout
    judged = call("rescore", "second", "--scorer", "exact", "--json", "--ledger", place)
    assert judged.exit_code == ExitCode.OK, judged.output
    trial = json.loads(call("show", "second", "--task", "t1", "--json", "--ledger", place).stdout)[0]
    assert (trial["answer"], trial["outcome"]) == ("-5", "passed")


def test_what_an_import_holds_is_what_was_planned(tmp_path: Path, place: str) -> None:
    rows = [("x", "t1", 0, 1), ("x", "t1", 3, 0), ("x", "t2", 0, 1), ("y", "t1", 0, 1)]
    source = tmp_path / "uneven.csv"
    source.write_text("contestant,task,trial,score\n" + "".join("{},{},{},{}\n".format(*r) for r in rows))
    assert call("import", str(source), "--ledger", place).exit_code == ExitCode.OK
    shown = call("show", "last", "--json", "--ledger", place)
    lines = {line["contestant"]: line for line in json.loads(shown.stdout)["overall"]}
    assert [lines["x"][k] for k in ("n_planned", "n_graded", "coverage")] == [3, 3, 1.0]
    assert [lines["y"][k] for k in ("n_planned", "n_graded", "coverage", "n_waiting")] == [2, 1, 0.5, 1]
    assert (
        "1 trial is missing: not every contestant did every task"
        in call("show", "last", "--ledger", place).stdout
    )
    listed = json.loads(call("show", "--json", "--ledger", place).stdout)
    assert listed[0]["unpriced"] == ["x", "y"], "an import without costs does not claim to have cost nothing"
    with closing(open_ledger(place)) as ledger:
        run = ledger.find("last").run
        found = results_of_run(ledger, run)
        names = [found.contestant.labels[i] for i in found.contestant.index]
        judged = sorted(zip(names, found.graded.tolist(), strict=True))
        assert judged == [("x", True)] * 3 + [("y", False), ("y", True)]
        counts = {c.contestant: (c.trials, c.graded) for c in counts_of_cells(ledger, run)}
    assert counts == {"x": (3, 3), "y": (2, 1)}


def on_a_terminal(*args: str, columns: str = "80") -> str:
    """What a command prints on a terminal without colour."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "COLUMNS": columns, "NO_COLOR": "1"}
    with subprocess.Popen([sys.executable, "-m", "steelyard", *args], stdout=theirs, env=env) as process:
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # a terminal whose other end is closed cannot be read
            while piece := os.read(ours, 65536):
                said += piece
    os.close(ours)
    assert process.returncode == 0
    return said.decode()


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_table_on_a_terminal_obeys_no_control_character(tmp_path: Path, place: str, form: str) -> None:
    source = tmp_path / "answers.jsonl"
    hostile = "\x1b]0;title\x07 \x9b2J \u202e\r over"
    source.write_text(
        json.dumps({"contestant": "x\x1b[31m", "task": "t", "output": hostile, "score": 1}) + "\n"
    )
    assert call("import", str(source), "--ledger", place).exit_code == ExitCode.OK
    text = on_a_terminal("export", "last", "--format", form, "--ledger", place)
    assert not set(text) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert "\r" not in text.replace("\r\n", "\n")
    assert "title" in text


@pytest.mark.parametrize("columns", ["40", "60", "80"])
def test_no_figure_of_a_leaderboard_is_cut_on_a_narrow_terminal(
    tmp_path: Path, place: str, columns: str
) -> None:
    source = tmp_path / "answers.csv"
    who = ["a contestant with a name that is rather long", "b"]
    rows = "".join(f"{c},t{i},{i % 2},0.0123\n" for c in who for i in range(30))
    source.write_text("contestant,task,score,cost\n" + rows + f"{who[0]},t30,,\n")
    assert call("import", str(source), "--ledger", place).exit_code == ExitCode.OK
    text = on_a_terminal("show", "last", "--ledger", place, columns=columns)
    assert "\x1b" not in text
    assert "…" not in text
    assert max(map(len, text.split("\r\n\r\n")[0].splitlines())) <= int(columns)
    piped = call("show", "last", "--ledger", place).stdout
    figures = set(re.findall(r"[$\d.]+%?", piped.split("\n\n")[0].split("\n", 1)[1]))
    assert {"50.0", "33.2", "66.8", "96.8%", "$0.0123"} <= figures
    assert all(figure in text for figure in figures)


def test_an_error_about_a_held_out_task_repeats_nothing_of_it(tmp_path: Path, place: str) -> None:
    source = tmp_path / "answers.csv"
    source.write_text("task,score,input,split\na,1,SECRET one,held_out\na,1,SECRET two,held_out\n")
    done = call("import", str(source), "--ledger", place)
    assert done.exit_code == ExitCode.BAD_INPUT
    assert "answers.csv:3: task 'a' has two different inputs" in done.stderr
    assert "--field task=COLUMN" in done.stderr
    assert "SECRET" not in done.output


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
