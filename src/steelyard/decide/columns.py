"""Columns of any tool's results, checked and made into `Results`.

Does not read files (`ledger.tables` does). Every refusal names the columns or the rows, and what to do.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from steelyard.decide.cells import Column, amounts, labels, numbers
from steelyard.decide.results import SUITE_NAMES, Bounds, Results, nearest
from steelyard.decide.wide import how_to_name, long_form
from steelyard.errors import DataError, RowsError
from steelyard.stats.base import BoolArray, Coded, FloatArray, IntArray, nested, no_repeats

MILLISECONDS = ("latency_ms", "duration_ms", "elapsed_ms", "time_ms")
"""Names under which seconds are given in thousandths."""

ALIASES: Mapping[str, tuple[str, ...]] = {
    "task": (
        "task_id", "sample", "sample_id", "id", "question_id", "item", "item_id", "doc_id", "case", "case_id",
        "example", "example_id", "test", "test_id", "test_case", "test_name", "problem", "problem_id",
        "instance_id", "prompt_id", "task_name", "question", "prompt", "input",
    ),
    "contestant": ("model", "model_name", "model_id", "llm", "system", "agent", "provider", "candidate"),
    "trial": ("epoch", "repeat", "k", "rollout", "repetition", "iteration", "seed", "run"),
    "score": (
        "correct", "is_correct", "passed", "pass", "value", "reward", "accuracy", "acc", "success", "resolved",
        "solved", "exact_match", "result", "grade",
    ),
    "cluster": ("group", "family", "passage", "repository"),
    "suite": SUITE_NAMES,
    "outcome": (),
    "cost": ("cost_usd", "usd", "price", "total_cost"),
    "seconds": ("latency", "latency_s", "duration", "duration_s", "elapsed", "time_s", *MILLISECONDS),
    "minutes": ("human_minutes",),
}  # fmt: skip
"""Column names that are read, and what other tools call them."""

_OUTCOMES = ("passed", "failed", "partial", "abstained", "ungraded")
_ALONE = ("no contestant column: all rows are one contestant's (else name it: --column contestant=NAME)",)
_MOST_LEVELS = 50


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a table.

    bounds: a score's least and greatest value, None for unbounded scores. rename: role to column name,
    where the name alone does not tell. conditions: columns that are conditions whatever they hold. ignore:
    columns to leave out; ignore_rest leaves out every column that is not known. wide: the columns that hold one
    contestant's scores each, for a table without a contestant column.
    """

    bounds: Bounds | None = (0.0, 1.0)
    rename: Mapping[str, str] = field(default_factory=dict)
    conditions: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    ignore_rest: bool = False
    wide: tuple[str, ...] = ()


DEFAULT = Reading()


def from_columns(columns: Mapping[str, Column], reading: Reading = DEFAULT, *, source: str = "") -> Results:
    """Check columns of equal length and make a `Results`; every refusal names columns or rows.

    Needed: `task` and `score` (or names in ALIASES). Without `contestant` all rows are one contestant;
    without `trial` rows of one task and contestant are numbered as they come. An empty score is ungraded;
    NaN and infinity are refused. Columns that are not known become conditions when they are constant within
    a task and have few values; others are refused unless left out by name.
    """
    given = long_form(columns, reading.wide, source) if reading.wide else columns
    try:
        return _from_columns(given, reading, source)
    except RowsError as e:
        rows = e.rows
        if reading.wide:
            height = len(columns[reading.wide[0]])
            rows = tuple(sorted({r % height for r in rows}))
        raise RowsError(_at(e.message, source), rows=rows, wanted=e.wanted, got=e.got, fix=e.fix) from e


def _at(message: str, source: str) -> str:
    message = message.split(" (row", 1)[0]
    return f"{source}: {message}" if source and not message.startswith(source) else message


def renamed(columns: Mapping[str, Column], reading: Reading, source: str = "") -> dict[str, Column]:
    """The columns under their roles' names; a column that stood under a role's name before is left out."""
    for role, name in reading.rename.items():
        if name not in columns:
            fix = nearest(name, list(columns))
            raise DataError(
                f"no column {name!r} for {role}", where=source, wanted=", ".join(columns), fix=fix
            )
    taken = set(reading.rename.values())
    kept = {
        n: c
        for n, c in columns.items()
        if n not in taken and n not in reading.rename and n not in reading.ignore
    }
    return {**{role: columns[name] for role, name in reading.rename.items()}, **kept}


def _from_columns(given: Mapping[str, Column], reading: Reading, source: str) -> Results:
    columns = renamed(given, reading, source)
    bounds, conditions = reading.bounds, reading.conditions
    chosen, notes = _roles(list(columns), reading, source)
    for needed in ("task", "score"):
        if needed not in chosen.values():
            raise _lacking(needed, columns, chosen, source)
    by_role = {role: columns[name] for name, role in chosen.items() if role != "?"}
    rows = len(by_role["task"])
    if rows == 0:
        raise DataError(
            "the table has no rows", where=source, wanted="at least one row", fix="check the file"
        )
    for name in chosen:
        if len(columns[name]) != rows:
            raise DataError(
                f"column {name}", where=source, wanted=f"{rows} rows", got=str(len(columns[name]))
            )
    task = labels(by_role["task"], "task")
    who = labels(by_role["contestant"], "contestant") if "contestant" in by_role else _one(rows)
    trial, trial_notes = _trials(by_role.get("trial"), task, who)
    score, graded, abstained = _scores(by_role["score"], by_role.get("outcome"), bounds)
    cluster = labels(by_role["cluster"], "cluster") if "cluster" in by_role else None
    if cluster is not None:
        nested(task, cluster)
    extra = {name: columns[name] for name, role in chosen.items() if role == "?"}
    found = _conditions(extra, task, conditions, source)
    if found:
        notes.append("read as conditions: " + ", ".join(found))
    return Results(
        task,
        who,
        trial,
        score,
        graded,
        abstained,
        cluster=cluster,
        suite=labels(by_role["suite"], "suite") if "suite" in by_role else None,
        conditions=found,
        cost=amounts(by_role.get("cost"), "cost"),
        seconds=amounts(by_role.get("seconds"), "seconds", _scale(chosen, reading)),
        minutes=amounts(by_role.get("minutes"), "minutes"),
        bounds=bounds,
        source=source,
        notes=(*notes, *trial_notes, *(_ALONE if trial_notes and "contestant" not in by_role else ())),
    )


def _lacking(needed: str, columns: Mapping[str, Column], chosen: Mapping[str, str], source: str) -> DataError:
    free = {name: column for name, column in columns.items() if chosen.get(name, "?") == "?"}
    fix = how_to_name(needed, free, contestants="contestant" in chosen.values())
    if {"model_a", "model_b"} <= {plain_name(name) for name in columns}:
        fix = f"these look like votes: use steelyard rank (votes need a winner column); or {fix}"
    return DataError(
        f"no {needed} column",
        where=source,
        wanted=f"{needed} (or {', '.join(ALIASES[needed][:4])})",
        got=", ".join(columns) or "no columns",
        fix=fix,
    )


def plain_name(name: str) -> str:
    """A column's name as it is looked up: "Latency (ms)" is latency_ms."""
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_")


def _roles(names: Sequence[str], reading: Reading, source: str) -> tuple[dict[str, str], list[str]]:
    """Column name to role; "?" for a possible condition."""
    conditions = reading.conditions
    chosen: dict[str, str] = {}
    notes: list[str] = []
    lowered = {name: plain_name(name) for name in names}
    for name in names:
        if lowered[name] in ALIASES and name not in conditions:
            if lowered[name] in chosen.values():
                fix = f"leave one out with --ignore {name}"
                raise DataError(
                    "column names", where=source, wanted=f"one {lowered[name]} column", got=name, fix=fix
                )
            chosen[name] = lowered[name]
    for role, others in ALIASES.items():
        if role in chosen.values():
            continue
        for alias in others:
            match = next(
                (n for n in names if lowered[n] == alias and n not in chosen and n not in conditions), None
            )
            if match is not None:
                chosen[match] = role
                unit = " (thousandths)" if alias in MILLISECONDS else ""
                notes.append(f"column {match} is read as {role}{unit}")
                break
    for name in names:
        if name in chosen or (reading.ignore_rest and name not in conditions):
            continue
        near = difflib.get_close_matches(
            lowered[name], [r for r in ALIASES if r not in chosen.values()], 1, 0.8
        )
        if near and name not in conditions:
            raise DataError(
                f"unknown column {name!r}",
                where=source,
                wanted=", ".join(ALIASES),
                got=name,
                fix=f"rename it to {near[0]}, or leave it out with --ignore {name}",
            )
        chosen[name] = "?"
    for name in conditions:
        if name not in names:
            raise DataError(
                f"no column {name!r}", where=source, wanted=", ".join(names), fix=nearest(name, names)
            )
    return chosen, notes


def _scale(chosen: Mapping[str, str], reading: Reading) -> float:
    """Seconds of one unit of the column of seconds."""
    name = next((n for n, role in chosen.items() if role == "seconds"), "")
    return 1e-3 if plain_name(reading.rename.get("seconds", name)) in MILLISECONDS else 1.0


def _one(rows: int) -> Coded:
    return Coded(np.zeros(rows, dtype=np.int64), ("contestant",))


def _trials(column: Column | None, task: Coded, who: Coded) -> tuple[IntArray, tuple[str, ...]]:
    if column is None:
        cell = task.index * who.size + who.index
        order = np.argsort(cell, kind="stable")
        starts = np.r_[True, cell[order][1:] != cell[order][:-1]]
        at = np.arange(cell.size)
        first = np.maximum.accumulate(np.where(starts, at, 0))
        trial = np.empty(cell.size, dtype=np.int64)
        trial[order] = at - first
        if trial.any():
            note = "no trial column: rows of the same task and contestant are counted as repeated trials"
            return trial, (note,)
        return trial, ()
    coded = labels(column, "trial")
    no_repeats([("task", task), ("contestant", who), ("trial", coded)])
    return coded.index, ()


def _scores(
    column: Column,
    outcome: Column | None,
    bounds: Bounds | None,
) -> tuple[FloatArray, BoolArray, BoolArray]:
    score, graded = numbers(column, "score", "an empty score means ungraded; leave it empty, or mend the row")
    abstained = np.zeros(score.size, dtype=np.bool_)
    if outcome is not None:
        words = [str(x).strip().lower() if x is not None else "" for x in outcome]
        bad = [i for i, w in enumerate(words) if w not in _OUTCOMES and w != ""]
        if bad:
            raise RowsError("outcome", rows=tuple(bad), wanted=", ".join(_OUTCOMES), got=words[bad[0]])
        abstained = np.array([w == "abstained" for w in words])
        graded = (graded | abstained) & np.array([w != "ungraded" for w in words])
    score = np.where(graded, score, 0.0)
    if bounds is not None:
        outside = np.flatnonzero(graded & ((score < bounds[0]) | (score > bounds[1])))
        if outside.size:
            raise RowsError(
                "score outside its bounds",
                rows=tuple(outside.tolist()),
                wanted=f"{bounds[0]:g} to {bounds[1]:g}",
                got=", ".join(f"{v:g}" for v in score[outside[:5]]),
                fix="give the scores' bounds (--bounds 0 100), or --unbounded",
            )
    return score, graded, abstained


def _conditions(
    extra: Mapping[str, Column],
    task: Coded,
    named: Sequence[str],
    source: str,
) -> dict[str, Coded]:
    found: dict[str, Coded] = {}
    for name, column in extra.items():
        key = name.removeprefix("condition_").removeprefix("condition.").removeprefix("condition:")
        try:
            coded = labels([("(empty)" if x is None or x == "" else x) for x in column], name)
        except DataError:
            raise _not_a_condition(name, "its values are not labels", source) from None
        if name not in named and key == name:
            if coded.size > _MOST_LEVELS:
                raise _not_a_condition(name, f"it has {coded.size} different values", source)
            try:
                nested(task, coded, ("task", name))
            except DataError:
                raise _not_a_condition(name, "it differs within a task", source) from None
        found[key] = coded
    return found


def _not_a_condition(name: str, why: str, source: str) -> DataError:
    return DataError(
        f"unknown column {name!r}: not a condition, because {why}",
        where=source,
        wanted=", ".join(ALIASES) + ", or conditions with few values that do not differ within a task",
        fix=f"leave it out with --ignore {name} (all such with --ignore-rest), or use it with --condition {name}",
    )
