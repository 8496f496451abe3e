"""The score of every contestant in every cell of chosen conditions, and reweighted to another mix.

`suite` counts as a condition. Only contestants and tasks of the table; cells without a task are there, as empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from steelyard.decide.results import Results, nearest
from steelyard.errors import DataError
from steelyard.stats.base import Coded, Estimate, IntArray
from steelyard.stats.conditions import Cell, ConditionOptions, Reweighted, condition_matrix, reweight
from steelyard.stats.mixes import Key, MixDistance, mix_distance, mix_of
from steelyard.unknown import Unknown


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One contestant: its cells in the order of `Matrix.keys`, and its score in the mix asked for (None: none was)."""

    contestant: str
    cells: tuple[Cell, ...]
    reweighted: Reweighted | None


@dataclass(frozen=True, slots=True)
class Matrix:
    """`values[i]` are the values of condition `names[i]`; `keys` all their combinations. `distance` is from the table's
    mix of tasks to the mix asked for."""

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    keys: tuple[Key, ...]
    rows: tuple[MatrixRow, ...]
    thin_below: int
    distance: MixDistance | None


def conditions_of(results: Results) -> tuple[str, ...]:
    """What a matrix can be made by."""
    named = tuple(results.conditions or {})
    several = results.suite is not None and results.suite.size > 1
    return (*(("suite",) if several else ()), *named)


def matrix(
    results: Results, by: Sequence[str], mix: Mapping[Key, float] | None = None, *, thin_below: int = 10
) -> Matrix:
    """Cells by the conditions `by`. Raises DataError for one that the results do not have, or none."""
    if not by:
        raise DataError("no condition", wanted=", ".join(conditions_of(results)) or "results with conditions")
    columns = {name: _column(results, name) for name in by}
    options = ConditionOptions(bounds=results.bounds, thin_below=thin_below)
    keys = _keys(columns)
    rows = []
    for number, name in enumerate(results.names):
        at = np.flatnonzero((results.contestant.index == number) & results.graded)
        if not at.size:
            continue
        part = {k: _part(c, at) for k, c in columns.items()}
        tasks = results.task.index[at]
        clusters = None if results.cluster is None else results.cluster.index[at]
        found = condition_matrix(results.score[at], tasks, part, clusters=clusters, options=options)
        by_key = {c.key: c for c in found.cells}
        again = (
            reweight(results.score[at], tasks, part, mix, clusters=clusters, options=options) if mix else None
        )
        rows.append(MatrixRow(name, tuple(by_key.get(k) or _empty(k) for k in keys), again))
    return Matrix(
        tuple(by),
        tuple(tuple(map(str, c.labels)) for c in columns.values()),
        keys,
        tuple(rows),
        thin_below,
        mix_distance(_tasks_mix(results, columns), mix) if mix else None,
    )


def _part(column: Coded, at: IntArray) -> Coded:
    """Some rows of a column, its labels in the order in which they come there."""
    index = column.index[at]
    first = np.full(column.size, at.size)
    first[index[::-1]] = np.arange(at.size - 1, -1, -1)
    order = [i for i in np.argsort(first, kind="stable").tolist() if first[i] < at.size]
    place = np.zeros(column.size, dtype=np.int64)
    place[order] = np.arange(len(order))
    return Coded(place[index], tuple(column.labels[i] for i in order))


def _column(results: Results, name: str) -> Coded:
    column = results.suite if name == "suite" else (results.conditions or {}).get(name)
    if column is None:
        known = conditions_of(results)
        raise DataError(
            f"condition {name!r} is not in the results",
            wanted=", ".join(known) or "none: these tasks have no conditions",
            got=name,
            fix=nearest(name, known) if known else "give the data a `conditions` column",
        )
    return column


def _keys(columns: Mapping[str, Coded]) -> tuple[Key, ...]:
    keys: list[Key] = [()]
    for c in columns.values():
        keys = [(*k, label) for k in keys for label in c.labels]
    if len(keys) > 10_000:
        raise DataError("too many cells", wanted="at most 10000", got=str(len(keys)), fix="fewer conditions")
    return tuple(keys)


def _tasks_mix(results: Results, columns: Mapping[str, Coded]) -> dict[Key, float]:
    """The shares of cells among tasks (a task counts once, however many trials it has)."""
    _, first = np.unique(results.task.index, return_index=True)
    return mix_of({k: [c.labels[i] for i in c.index[first]] for k, c in columns.items()})


def _empty(key: Key) -> Cell:
    none = Unknown("no graded trial in this cell")
    return Cell(key, "empty", Estimate(none, none, none, "mean over tasks", 0, 0, 0, df=none))
