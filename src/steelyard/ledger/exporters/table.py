"""Tables of trials, CSV and JSON lines, whose columns `steelyard compare` and every spreadsheet read.

In CSV, a text that begins like a formula (`=`, `+`, `-`, `@`, tab, return) gets an apostrophe before it: spreadsheets
would run it, and a model may have written it. JSON lines hold every text exactly.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from typing import TextIO

from steelyard.ledger.exporters.base import TrialOut
from steelyard.schema.price import dollars

COLUMNS = (
    "suite", "task", "contestant", "trial", "score", "outcome", "cause", "format_failure", "scorer", "ended_by",
    "fault", "attempts", "cost", "seconds", "input_tokens", "output_tokens", "finish", "cluster", "split", "seed",
    "at", "withheld",
)  # fmt: skip
CONTENT = ("input", "target", "output", "extracted", "explanation", "trace")
"""Columns that hold texts; left out with `content=False`."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet runs when a cell begins with it."""


def flat(trial: TrialOut, *, content: bool = True) -> dict[str, object]:
    """A trial as one flat object; None where a figure is not known. Conditions are columns `condition.<name>`.

    A task that belongs to no cluster is its own.
    """
    row, score, usage = trial.row, trial.row.score, trial.row.reply.usage if trial.row.reply else None
    timing = trial.row.reply.timing if trial.row.reply else None
    made: dict[str, object] = {
        "suite": trial.suite,
        "task": trial.task.id,
        "contestant": trial.contestant,
        "trial": row.k,
        "score": trial.value,
        "outcome": trial.outcome,
        "cause": score.cause if score else "unscored",
        "format_failure": bool(score and score.format_failure),
        "scorer": row.scorer,
        "ended_by": row.ended_by,
        "fault": row.fault,
        "attempts": row.attempts,
        "cost": None if row.cost_pusd is None else dollars(row.cost_pusd),
        "seconds": None if timing is None else timing.done_ns / 1e9,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "finish": row.reply.finish if row.reply else "",
        "cluster": trial.task.cluster or trial.task.id,
        "split": trial.task.split,
        "seed": row.seed,
        "at": row.at,
        "withheld": trial.withheld,
    }
    made.update({f"condition.{name}": value for name, value in trial.task.conditions.items()})
    if content:
        made["input"] = trial.asked
        made["target"] = trial.targets[0] if len(trial.targets) == 1 else list(trial.targets) or ""
        made["output"] = trial.reply.text
        made["extracted"] = trial.extracted
        made["explanation"] = trial.explanation
        made["trace"] = "" if trial.withheld else row.trace
    return made


def export_jsonl(trials: Iterable[TrialOut], out: TextIO, *, content: bool = True) -> int:
    """One JSON object a line; returns how many."""
    n = 0
    for trial in trials:
        out.write(json.dumps(flat(trial, content=content), ensure_ascii=False, allow_nan=False) + "\n")
        n += 1
    return n


def export_csv(
    trials: Iterable[TrialOut], out: TextIO, *, conditions: Sequence[str] = (), content: bool = True
) -> int:
    """A header and one line a trial; returns how many. An unknown figure is an empty field.

    `conditions` names the conditions that get a column each (`condition_names` lists a run's).
    """
    header = [*COLUMNS, *(f"condition.{name}" for name in conditions), *(CONTENT if content else ())]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    n = 0
    for trial in trials:
        row = flat(trial, content=content)
        writer.writerow([_cell(row.get(name)) for name in header])
        n += 1
    return n


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return "'" + value if isinstance(value, str) and value.startswith(FORMULA) else value
