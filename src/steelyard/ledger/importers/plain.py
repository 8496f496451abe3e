"""Plain tables: a row a trial, in JSON lines, a JSON list, CSV or Parquet; and tables of votes.

Columns are found by name (`ROLES`); `ImportOptions.fields` says otherwise. A table without a score comes in unscored:
answers made elsewhere, to be judged here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from steelyard.decide.cells import Column
from steelyard.decide.columns import ALIASES
from steelyard.errors import DataError, EndedBy
from steelyard.ledger.exporters.table import FORMULA
from steelyard.ledger.importers.agents import stem
from steelyard.ledger.importers.base import (
    ImportOptions,
    TrialIn,
    a_count,
    a_list,
    a_text,
    an_object,
    nanoseconds,
    number,
    parse_json,
    picodollars,
    score_of,
    unix_ns,
)
from steelyard.ledger.importers.chat import message_of
from steelyard.ledger.importers.media import filled, parts_of
from steelyard.schema.message import Message, text_of
from steelyard.schema.reply import FinishReason, Reply, Timing, Usage
from steelyard.schema.score import Outcome, Score
from steelyard.schema.task import Task
from steelyard.schema.trace import Said, Trace
from steelyard.schema.vote import Vote, Winner

if TYPE_CHECKING:
    from steelyard.ledger.tables import Table

ROLES: Mapping[str, tuple[str, ...]] = {
    **{role: (role, *names) for role, names in ALIASES.items() if role != "minutes"},
    "input": ("input", "prompt", "instruction", "problem"),
    "target": ("target", "expected", "ideal", "reference", "ground_truth", "gold"),
    "output": ("output", "response", "completion", "prediction", "generation"),
    "contestant": ("contestant", "model_name", *ALIASES["contestant"]),
    "messages": ("messages", "conversation"),
    "input_tokens": ("input_tokens", "prompt_tokens"),
    "output_tokens": ("output_tokens", "completion_tokens"),
    "at": ("at", "timestamp", "created_at", "time"),
    "split": ("split",),
    "ended_by": ("ended_by",),
    "finish": ("finish",),
    "fault": ("fault",),
    "cause": ("cause",),
    "format_failure": ("format_failure",),
    "extracted": ("extracted",),
    "explanation": ("explanation",),
}
"""What a column may hold, and the names by which it is known, the likeliest first."""

CONDITION = "condition."
"""What columns with a condition of the task begin with, as in our exports."""
_ENDS = frozenset(e.value for e in EndedBy)
_FINISHES = frozenset(get_args(FinishReason))

_TIES: Mapping[str, Winner] = {
    "left": "left", "model_a": "left", "a": "left", "l": "left", "1": "left",
    "right": "right", "model_b": "right", "b": "right", "r": "right", "2": "right",
    "tie": "tie", "draw": "tie", "equal": "tie", "0": "tie",
    "both_bad": "both_bad", "tie (bothbad)": "both_bad", "bothbad": "both_bad", "neither": "both_bad",
}  # fmt: skip


def read(path: Path, options: ImportOptions) -> Iterator[TrialIn]:
    """The rows of a table as trials."""
    table = _table(path)
    columns = _choose(table.columns, options, str(path))
    if "withheld" in table.columns and path.name.lower().removesuffix(".gz").endswith(".csv"):
        columns = {role: _bare(column) if role in _TEXTS else column for role, column in columns.items()}
    for i in range(table.rows):
        where = f"{path}:{table.lines[i]}" if table.lines else f"{path}, row {i + 1}"
        yield _trial({role: column[i] for role, column in columns.items()}, options, where, path)


_TEXTS = ("input", "target", "output", "extracted", "explanation")


def _bare(column: Column) -> Column:
    """Texts of our own CSV without the apostrophe that keeps a spreadsheet from running them."""
    return [v[1:] if isinstance(v, str) and v[:1] == "'" and v[1:2] in FORMULA else v for v in column]


def _table(path: Path) -> Table:
    # lazy: tables bring NumPy, which other formats do not need
    from steelyard.ledger.tables import read_table

    table = read_table(path)
    # numbers as Python's own: an array's are of other types, which are no `int`
    columns = {n: c.tolist() if hasattr(c, "tolist") else c for n, c in table.columns.items()}
    return replace(table, columns=columns)


def _choose(columns: Mapping[str, Column], options: ImportOptions, where: str) -> dict[str, Column]:
    for role, name in options.fields.items():
        if role not in ROLES:
            raise DataError(f"no field is called {role!r}", wanted=", ".join(ROLES), where=where)
        if name not in columns:
            raise DataError(f"no column {name!r} for {role}", where=where, wanted=", ".join(columns))
    taken = set(options.fields.values())
    chosen = {role: columns[name] for role, name in options.fields.items()}
    for role, names in ROLES.items():
        found = next((n for n in names if n in columns and n not in taken), None)
        if role not in chosen and found is not None:
            chosen[role] = columns[found]
            taken.add(found)
    if not {"task", "input"} & set(chosen) or not {"output", "score", "outcome", "messages"} & set(chosen):
        raise DataError(
            "the table does not say which task a row is, or what came of it",
            where=where,
            wanted="a task (or input) and an output (or score)",
            got=", ".join(columns),
            fix="name the columns: --field task=NAME --field output=NAME",
        )
    chosen.update({n: c for n, c in columns.items() if n.startswith(CONDITION) and n not in taken})
    return chosen


def _trial(row: Mapping[str, object], options: ImportOptions, where: str, path: Path) -> TrialIn:
    given = row.get("input")
    messages = tuple(filled(m, path.parent, where) for m in _messages(row.get("messages")))
    asked, answered = (parts_of(row.get(role), path.parent, where) for role in ("input", "output"))
    spent = nanoseconds(number(_as_number(row.get("seconds"))))
    task_id = a_text(row.get("task") if row.get("task") is not None else given)
    if not task_id:
        raise DataError("a row without a task", where=where, wanted="a task's id (or its input)")
    usage = Usage(_count(row.get("input_tokens")), _count(row.get("output_tokens")))
    if answered:
        # an image or a sound is too large for the trial's row: it is kept with its trace
        said = messages or (Message("user", asked or a_text(given)),)
        messages = (*said, Message("assistant", answered))
    text = "" if answered else a_text(row.get("output"))
    if not text and messages:
        text = next((text_of(m) for m in reversed(messages) if m.role == "assistant"), "")
    return TrialIn(
        contestant=a_text(row.get("contestant")) or options.contestant or stem(path),
        suite=a_text(row.get("suite")) or options.suite or stem(path),
        task=Task(
            id=task_id,
            input=(Message("user", asked),) if asked else a_text(given),
            target=a_text(row.get("target")),
            cluster=a_text(row.get("cluster")),
            conditions=_conditions(row),
            split="held_out" if a_text(row.get("split")) in ("held_out", "held-out", "heldout") else "public",
        ),
        k=_count(row.get("trial")),
        reply=Reply(text, _finish(row), usage, timing=Timing(spent, spent) if spent is not None else None)
        if "output" in row or messages
        else None,
        trace=Trace(tuple(Said(m) for m in messages), source="table") if messages else None,
        scores=tuple(_scores(row)),
        ended_by=ended if (ended := a_text(row.get("ended_by"))) in _ENDS else "contestant",
        fault=a_text(row.get("fault")),
        cost_pusd=picodollars(number(_as_number(row.get("cost")))),
        at=unix_ns(row.get("at")),
        where=where,
    )


def _scores(row: Mapping[str, object]) -> Iterator[tuple[str, Score]]:
    outcome = a_text(row.get("outcome")).lower()
    if outcome in {o.name.lower() for o in Outcome}:
        kind, value = Outcome[outcome.upper()], number(_as_number(row.get("score")))
        known = {Outcome.PASSED: 1.0, Outcome.FAILED: 0.0}
        if kind == Outcome.ABSTAINED and (value is None or not 0 <= value <= 1):
            value = 0.0
        if kind == Outcome.PARTIAL and value is None:
            kind = Outcome.UNGRADED
        yield (
            "imported",
            Score(
                kind,
                None if kind == Outcome.UNGRADED else known.get(kind, value),
                cause=a_text(row.get("cause")) if kind == Outcome.UNGRADED else "",
                extracted=a_text(row.get("extracted")),
                explanation=a_text(row.get("explanation")),
                format_failure=a_text(row.get("format_failure")).lower() in ("true", "1"),
            ),
        )
    elif row.get("score") not in (None, ""):
        yield "imported", score_of(row["score"])


def _finish(row: Mapping[str, object]) -> FinishReason:
    """How the reply ended, when the table says so in our words."""
    said = a_text(row.get("finish"))
    return cast("FinishReason", said) if said in _FINISHES else "stop"


def _conditions(row: Mapping[str, object]) -> dict[str, str]:
    named = {n.removeprefix(CONDITION): a_text(v) for n, v in row.items() if n.startswith(CONDITION)}
    return {name: value for name, value in named.items() if value}


def _messages(raw: object) -> tuple[Message, ...]:
    if isinstance(raw, str) and raw.startswith("["):
        raw = parse_json(raw, "messages")
    return tuple(message_of(an_object(m)) for m in a_list(raw))


def _as_number(value: object) -> object:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return value


def _count(value: object) -> int | None:
    return a_count(_as_number(value))


def read_votes(path: Path, options: ImportOptions) -> Iterator[Vote]:
    """The rows of a table as votes. Raises DataError naming the line of a winner that means nothing."""
    # lazy: tables bring NumPy, which other formats do not need
    from steelyard.ledger.tables import votes_columns

    table = _table(path)
    columns = votes_columns(table, options.fields)
    chosen = [c for role, c in columns.items() if role in ("model_a", "model_b", "winner", "prompt", "voter")]
    rest = {n: c for n, c in table.columns.items() if not any(c is used for used in chosen)}
    for i in range(table.rows):
        where = f"{path}:{table.lines[i]}" if table.lines else f"{path}, row {i + 1}"
        left, right = a_text(columns["model_a"][i]), a_text(columns["model_b"][i])
        word = a_text(columns["winner"][i]).strip()
        winner = _TIES.get(word.lower()) or {left: "left", right: "right"}.get(word)
        if winner is None or not left or not right:
            raise DataError(
                "a vote without a winner",
                where=where,
                wanted="left, right, tie (or model_a, model_b, both_bad, or a contestant's name)",
                got=word or "nothing",
            )
        yield Vote(
            left,
            right,
            winner,  # type: ignore[arg-type] # both tables above hold winners only
            id=a_text(rest["id"][i]) if "id" in rest else str(i),
            prompt=a_text(columns["prompt"][i]) if "prompt" in columns else "",
            voter=a_text(columns["voter"][i]) if "voter" in columns else "",
            fields={n: c[i] for n, c in rest.items() if n != "id"},
        )
