"""The time horizon of every contestant in a table, for print. The method is `stats.horizon`; nothing is fitted here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steelyard.decide.results import Results
from steelyard.errors import DataError
from steelyard.stats.base import Estimate, FloatArray
from steelyard.stats.horizon import HorizonOptions, horizon
from steelyard.unknown import Unknown


@dataclass(frozen=True, slots=True)
class AgentHorizon:
    """Minutes at each quantile (label such as "p50"), the average success, and what must be shown with them."""

    contestant: str
    minutes: dict[str, Estimate]
    average: float
    runs: int
    tasks: int
    slope: float | Unknown
    notes: tuple[str, ...]


def horizons(results: Results, options: HorizonOptions | None = None) -> tuple[AgentHorizon, ...]:
    """One `AgentHorizon` a contestant. Families are the table's clusters (without clusters every task is its own).

    Ungraded runs and runs of tasks without minutes are left out and counted in the notes. Raises DataError without a
    minutes column, and for scores that are not 0 or 1.
    """
    options = options or HorizonOptions()
    if results.minutes is None:
        raise DataError(
            "no minutes column", where=results.source, wanted="the minutes that a skilled person takes for each task",
            fix="add minutes (or human_minutes), or name it with --column minutes=NAME",
        )  # fmt: skip
    _refuse_partial(results)
    _refuse_two_lengths(results, results.minutes)
    family = results.task if results.cluster is None else results.cluster
    found = []
    for place, name in enumerate(results.names):
        mine = results.contestant.index == place
        used = mine & results.graded & np.isfinite(results.minutes)
        if not used.any():
            raise DataError(f"no graded run of {name} has minutes", where=results.source)
        fitted = horizon(
            results.score[used], results.minutes[used], results.task.index[used], family.index[used], options
        )
        notes = fitted.notes
        lost = int(mine.sum() - used.sum())
        if lost:
            notes = (*notes, f"{lost} runs without a grade or minutes are left out")
        found.append(
            AgentHorizon(
                name,
                {f"p{100 * q:g}": estimate for q, estimate in fitted.at.items()},
                fitted.average,
                int(used.sum()),
                int(np.unique(results.task.index[used]).size),
                fitted.slope,
                notes,
            )
        )
    return tuple(found)


def _refuse_two_lengths(results: Results, minutes: FloatArray) -> None:
    """A task whose rows name different minutes: one of them is wrong, or the column is not what a person takes."""
    known = np.isfinite(minutes)
    low, high = np.full(results.task.size, np.inf), np.zeros(results.task.size)
    np.minimum.at(low, results.task.index[known], minutes[known])
    np.maximum.at(high, results.task.index[known], minutes[known])
    bad = np.flatnonzero(high > low * (1.0 + 1e-9))
    if bad.size:
        named = [f"{results.task.labels[i]}: {low[i]:g} and {high[i]:g}" for i in bad[:3].tolist()]
        more = f" and {bad.size - 3} more" if bad.size > 3 else ""
        raise DataError(
            "a task has several lengths", where=results.source, wanted="one number of minutes a task",
            got="; ".join(named) + more, fix="give the minutes of a skilled person, not those of the run",
        )  # fmt: skip


def _refuse_partial(results: Results) -> None:
    """Scores between 0 and 1, named by task and trial: filters have moved the rows away from the file's lines."""
    bad = np.flatnonzero(results.graded & (results.score != 0.0) & (results.score != 1.0))
    if not bad.size:
        return
    named = [
        f"{results.names[results.contestant.index[i]]} on {results.task.labels[results.task.index[i]]}, "
        f"trial {results.trial[i]}: {results.score[i]:g}"
        for i in bad[:3].tolist()
    ]
    more = f" and {bad.size - 3} more" if bad.size > 3 else ""
    raise DataError(
        "a horizon needs runs that passed or failed", where=results.source, wanted="scores of 0 or 1",
        got="; ".join(named) + more, fix="score each run as 0 or 1 first, by a pass mark",
    )  # fmt: skip
