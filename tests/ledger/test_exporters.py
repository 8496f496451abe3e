"""Exports: names in place of numbers, held-out content withheld, nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from steelyard.decide.columns import Reading, from_columns
from steelyard.errors import DataError
from steelyard.ledger import Ledger, open_ledger
from steelyard.ledger.exporters import (
    About,
    Total,
    condition_names,
    export_csv,
    export_eee,
    export_jsonl,
    export_lm_eval,
    trials_out,
)
from steelyard.ledger.exporters.lm_eval import safe
from steelyard.ledger.importers import ImportOptions, import_results
from steelyard.ledger.tables import read_table
from steelyard.schema.record import Record, Result, Scored
from steelyard.schema.reply import Reply
from steelyard.schema.score import FAILED, PASSED, Outcome, Score, ungraded
from steelyard.stats.base import Estimate, Interval
from steelyard.testing.ledger_rows import intent, plan_of, result, sums, whole_trial
from steelyard.unknown import Unknown

SECRET = "the held out answer"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[tuple[Ledger, str]]:
    """Two contestants, ten sums (4 and 9 held out), two suites, faults, hostile text."""
    with closing(open_ledger(str(tmp_path / "ledger"))) as ledger:
        plan = plan_of("org/a", "=b", suites=("sums", "more"))
        with ledger.create_run(plan, [sums(10), sums(2, "more")]) as writer:
            for c in range(2):
                for t in range(12):
                    records: list[Record] = whole_trial(c, t, score=PASSED if t % 3 else FAILED)
                    if t in (4, 9):
                        ended = result(c, t)
                        assert ended.reply is not None
                        reply = msgspec.structs.replace(ended.reply, text=SECRET)
                        records[1] = msgspec.structs.replace(ended, reply=reply)
                        score = Score(Outcome.PASSED, 1.0, extracted=SECRET, explanation=SECRET)
                        records[2] = Scored(c, t, 0, 0, "exact@1", score)
                    writer.append(records)
            writer.append(whole_trial(0, 0, 1, ungraded("provider")))
            hostile = Reply(text='=HYPERLINK("http://x")\n\x1b[31m"quoted"')
            writer.append([intent(0, 1, 1), Result(0, 1, 1, 0, 5, "contestant", True, None, hostile)])
            writer.append([Scored(0, 1, 1, 0, "exact@1", Score(Outcome.PARTIAL, 0.5))])
            writer.append([intent(1, 0, 1), result(1, 0, 1)])
            writer.close("complete")
        yield ledger, writer.run


def test_json_lines_say_everything_but_what_is_held_out(made: tuple[Ledger, str]) -> None:
    ledger, run = made
    out = io.StringIO()
    assert export_jsonl(trials_out(ledger, run), out) == 27
    assert SECRET not in out.getvalue()
    assert "What is 4 + 16?" not in out.getvalue()
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    held_out = [r for r in rows if r["split"] == "held_out"]
    assert len(held_out) == 4
    assert all(
        r["withheld"] and r["output"] == r["target"] == r["input"] == "" and r["score"] == 1.0
        for r in held_out
    )
    first = rows[0]
    assert (first["suite"], first["task"], first["contestant"], first["input"]) == (
        "sums",
        "sums-0",
        "org/a",
        "What is 0 + 0?",
    )
    assert (first["outcome"], first["score"], first["condition.size"]) == ("failed", 0.0, "small")
    assert [r["outcome"] for r in rows if r["trial"] == 1] == ["ungraded", "partial", "ungraded"]
    assert [r["cause"] for r in rows if r["trial"] == 1] == ["provider", "", "unscored"]
    assert [r["score"] for r in rows if r["trial"] == 1] == [None, 0.5, None]
    assert [r["cost"] for r in rows if r["trial"] == 1] == [1e-11, None, 1e-11]


def test_held_out_content_leaves_only_when_revealed(made: tuple[Ledger, str]) -> None:
    ledger, run = made
    out = io.StringIO()
    export_jsonl(trials_out(ledger, run, reveal=True), out)
    assert out.getvalue().count(SECRET) == 4 * 3


def test_no_content_leaves_without_content(made: tuple[Ledger, str]) -> None:
    ledger, run = made
    for export in (export_jsonl, export_csv):
        out = io.StringIO()
        export(trials_out(ledger, run, reveal=True), out, content=False)  # type: ignore[operator] # both take it
        assert "What is" not in out.getvalue()
        assert SECRET not in out.getvalue()


def test_csv_is_read_back_and_no_spreadsheet_runs_it(made: tuple[Ledger, str], tmp_path: Path) -> None:
    ledger, run = made
    path = tmp_path / "out.csv"
    names = condition_names(ledger, run)
    assert names == ("size",)
    with path.open("w", encoding="utf-8", newline="") as out:
        assert export_csv(trials_out(ledger, run), out, conditions=names) == 27
    with path.open(encoding="utf-8", newline="") as back:
        rows = list(csv.DictReader(back))
    assert {r["contestant"] for r in rows} == {"org/a", "'=b"}
    assert next(r["output"] for r in rows if "HYPERLINK" in r["output"]).startswith("'=")
    assert SECRET not in path.read_text(encoding="utf-8")
    found = from_columns(read_table(path).columns, Reading(ignore_rest=True))
    assert len(found.score) == 27
    assert int((~found.graded).sum()) == 2


def test_lm_eval_samples_come_back(made: tuple[Ledger, str], tmp_path: Path) -> None:
    ledger, run = made
    written, left_out = export_lm_eval(trials_out(ledger, run), tmp_path / "out", stamp="2026-01-02T03-04-05")
    assert (written, left_out) == (25, 2)
    path = tmp_path / "out" / "org__a" / "samples_more_2026-01-02T03-04-05.jsonl"
    with closing(open_ledger(str(tmp_path / "again"))) as again:
        done = import_results(again, [path])
        assert (done.contestants, done.n_trials) == (("org/a",), 2)
        assert again.suites(done.run)[0].task(1).input == "What is 1 + 1?"
        repeated = tmp_path / "out" / "org__a" / "samples_sums_2026-01-02T03-04-05.jsonl"
        rows = [json.loads(line) for line in repeated.read_text().splitlines()]
        assert len(rows) > len({r["doc_id"] for r in rows}), "this suite has repeats"
        done = import_results(again, [repeated])
        assert done.n_trials == len(rows), "each repeat is a trial"
        values = [r.score.value for r in again.trials(done.run) if r.score is not None]
        assert sorted(map(str, values)) == sorted(str(r["score"]) for r in rows)
    assert SECRET not in "".join(p.read_text() for p in (tmp_path / "out").rglob("*.jsonl"))


def totals(value: float | Unknown) -> dict[tuple[str, str], Total]:
    nothing = Unknown("one observation")
    interval = nothing if isinstance(value, Unknown) else Interval(0.4, 0.8, 0.95, "t")
    estimate = Estimate(value, nothing, interval, "mean", 25, 10, 10)
    return {(c, s): Total(estimate, 1) for c in ("org/a", "=b") for s in ("sums", "more")}


def test_every_eval_ever(made: tuple[Ledger, str], tmp_path: Path) -> None:
    ledger, run = made
    about = About("1767000000", "our team", "0.1.0")
    paths = export_eee(ledger, run, trials_out(ledger, run), tmp_path / "eee", about, totals(0.6))
    assert len(paths) == 4
    document = json.loads(next(p for p in paths if p.suffix == ".json" and p.parent.name == "a").read_text())
    assert (document["schema_version"], document["model_info"]["id"]) == ("0.3.0", "org/a")
    assert document["evaluation_results"][0]["score_details"]["score"] == 0.6
    uncertainty = document["evaluation_results"][0]["score_details"]["uncertainty"]
    assert "standard_error" not in uncertainty  # unknown is absent, not 0
    assert uncertainty["confidence_interval"] == {
        "lower": 0.4,
        "upper": 0.8,
        "confidence_level": 0.95,
        "method": "t",
    }
    detail = document["detailed_evaluation_results"]
    lines = (tmp_path / "eee" / detail["file_path"]).read_text().splitlines()
    assert detail["total_rows"] == len(lines) == 13  # the ungraded trial is no instance
    rows = [json.loads(line) for line in lines]
    assert {r["evaluation_id"] for r in rows} == {document["evaluation_id"]}
    assert sum(r["metadata"]["withheld"] == "true" and r["sample_hash"] is None for r in rows) == 2
    assert SECRET not in "".join(p.read_text() for p in paths)


def test_nothing_is_exported_where_nothing_is_known(made: tuple[Ledger, str], tmp_path: Path) -> None:
    ledger, run = made
    with pytest.raises(DataError, match="no score"):
        export_eee(
            ledger,
            run,
            trials_out(ledger, run),
            tmp_path / "e",
            About("1", "o", "v"),
            totals(Unknown("no trial")),
        )


def test_file_names_are_safe_and_distinct() -> None:
    names = ["org/model", "org__model", "../../etc/passwd", "a b", "a_b", ".hidden", "", "ü" * 300, "con\n"]
    made = [safe(n) for n in names]
    assert made[0] == "org__model"
    assert all("/" not in m and not m.startswith(".") and 0 < len(m) < 100 for m in made)
    assert len(set(made[1:])) == len(names) - 1


def test_an_export_can_be_imported(made: tuple[Ledger, str], tmp_path: Path) -> None:
    """Round trip through JSON lines: the same trials, outcomes and costs."""
    ledger, run = made
    path = tmp_path / "out.jsonl"
    with path.open("w", encoding="utf-8") as out:
        export_jsonl(trials_out(ledger, run, reveal=True), out)
    with closing(open_ledger(str(tmp_path / "again"))) as again:
        done = import_results(again, [path], ImportOptions(name="back"))
        assert (done.contestants, done.n_tasks, done.n_trials) == (("org/a", "=b"), 12, 27)

        def told(kept: Ledger, name: str) -> list[tuple[object, ...]]:
            return [
                (
                    o.contestant,
                    o.suite,
                    o.task.id,
                    o.row.k,
                    o.value,
                    o.row.cost_pusd,
                    o.reply.text,
                    o.task.split,
                )
                for o in trials_out(kept, name, reveal=True)
            ]

        assert told(again, done.run) == told(ledger, run)
