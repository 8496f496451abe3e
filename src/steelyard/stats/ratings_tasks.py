"""Bradley-Terry ratings from results task by task, without a row a vote (ten contestants on 100,000 tasks make 4.5 M).

Not covered: sides (nobody was shown first), covariates, voters. On every task that two contestants have, the higher
mean wins and equal means tie; the figures are those of `rate` over these votes with one prompt a unit. Memory: a few
arrays of units x contestants; time grows with tasks x contestants^2.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, special

from steelyard.errors import DataError
from steelyard.stats.base import FloatArray, IntArray, fraction
from steelyard.stats.ratings import RatingOptions, assembled, checked_options, no_column
from steelyard.stats.ratings_checks import refuse_unrateable
from steelyard.stats.ratings_covariance import EXACT_PAIRS, Covariance, largest, sandwich, without
from steelyard.stats.ratings_fit import Cells, Design, centred, design_of_cells, newton
from steelyard.stats.ratings_result import Ratings
from steelyard.unknown import Unknown

EQUAL = 1e-12
"""Means that are closer are equal: those of the same trials in another order differ by rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class TaskTable:
    """`means` (contestants, tasks), NaN where there is none; `unit` (tasks,) is each task's independent unit."""

    means: FloatArray
    unit: IntArray
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """Where two contestants met: the tasks' units, and the first one's scores there (1, 1/2 or 0)."""

    i: int
    j: int
    unit: IntArray
    score: FloatArray


def rate_tasks(table: TaskTable, options: RatingOptions | None = None) -> Ratings:
    """Ratings of every contestant, best first. Raises DataError as `rate` does."""
    options = options or RatingOptions()
    fraction(options.level, "level")
    checked_options(options, len(table.names))
    if options.cluster in ("voter", "both"):
        raise no_column(options.cluster, "voter")
    cells = _tabulated(table)
    refuse_unrateable(cells, table.names, ridge=options.ridge)
    why = "which side was shown first is not known" if options.position else "switched off (position=False)"
    fit = newton(design_of_cells(cells, position=False), ridge=options.ridge)
    if options.cluster == "none":
        covariance = sandwich(design_of_cells(cells, position=False), cells, fit.params, fit.bread)
    else:
        covariance = _clustered(table, cells, fit.params, fit.bread)
    counted = cells.counts.sum(axis=1)
    k = len(table.names)
    met = np.bincount(cells.a, counted, k) + np.bincount(cells.b, counted, k)
    return assembled(table.names, met.astype(np.int64), (), options, (fit.params, covariance), Unknown(why))


def _met(table: TaskTable) -> Iterator[_Pair]:
    for i, j in itertools.combinations(range(len(table.names)), 2):
        gap = table.means[i] - table.means[j]
        both = np.isfinite(gap)
        gap = gap[both]
        if gap.size:
            score = np.where(gap > EQUAL, 1.0, np.where(gap < -EQUAL, 0.0, 0.5))
            yield _Pair(i, j, table.unit[both], score)


def _tabulated(table: TaskTable) -> Cells:
    a, b, counts = [], [], []
    for pair in _met(table):
        a.append(pair.i)
        b.append(pair.j)
        counts.append([np.count_nonzero(pair.score == s) for s in (0.0, 0.5, 1.0)])
    if not a:
        raise DataError(
            "no task has a score of two contestants", wanted="tasks in common",
            got=f"{', '.join(table.names[:8])}: each on tasks of its own",
            fix="check that all were run on the same suite and that task names agree",
        )  # fmt: skip
    cells = Cells(np.array(a), np.array(b), np.array(counts, np.float64), len(table.names))
    if len(table.names) > 1 and not cells.counts[:, [0, 2]].any():
        raise DataError(
            f"on each of the {int(cells.counts.sum()):,} tasks that two contestants share they have the same mean",
            wanted="at least one task on which one does better",
            fix="add tasks that tell them apart; how alike they are: steelyard compare",
        )
    return cells


def _clustered(table: TaskTable, cells: Cells, params: FloatArray, bread: FloatArray) -> Covariance:
    """`ratings_covariance.clustered` with the votes made pair by pair and summed by unit."""
    k = len(table.names)
    unit = _used(table)
    places = int(unit.max()) + 1
    scores, touched = np.zeros((places, k)), np.zeros((places, k), np.int32)
    p = special.expit(params[cells.a] - params[cells.b])
    # exact shares need a vector a vote; beyond that `_effective` of single votes takes M as diagonal, and so do we
    exact = float(cells.counts.sum()) * k <= EXACT_PAIRS
    shares = np.zeros((places, k))
    for chance, pair in zip(p.tolist(), _met(TaskTable(table.means, unit, table.names)), strict=True):
        residual = np.bincount(pair.unit, pair.score - chance, places)
        number = np.bincount(pair.unit, minlength=places)
        scores[:, pair.i] += residual
        scores[:, pair.j] -= residual
        touched[:, pair.i] += number
        touched[:, pair.j] += number
        weight = chance * (1 - chance)
        if exact:
            shares += np.outer(number, weight * (bread[pair.i] - bread[pair.j]) ** 2)
        else:
            shares[:, pair.i] += weight * number
            shares[:, pair.j] += weight * number
    size = touched.sum(axis=1) // 2
    total, squares = shares.sum(axis=0), (shares**2).sum(axis=0)
    df = np.maximum(1.0, total**2 / np.maximum(squares, 1e-300))
    matrix = _meat(table, unit, (scores, size), cells, (p, bread))
    few = (touched > 0).sum(axis=0) < 2
    return Covariance(centred(matrix * (places - 1) / places, k), df, places, few, "cluster-robust (CR3)")


def _used(table: TaskTable) -> IntArray:
    """Units numbered anew, without those in which nobody met anybody (their tasks get any number: nobody reads it)."""
    voted = np.isfinite(table.means).sum(axis=0) > 1
    codes = np.bincount(table.unit[voted], minlength=int(table.unit.max()) + 1) > 0
    place = np.cumsum(codes) - 1
    used: IntArray = np.maximum(place, 0)[table.unit]
    return used


def _meat(
    table: TaskTable,
    unit: IntArray,
    by_unit: tuple[FloatArray, IntArray],
    cells: Cells,
    fitted: tuple[FloatArray, FloatArray],
) -> FloatArray:
    """Sum over units of the outer product of their shifts; the leverage of the largest units is removed exactly."""
    scores, size = by_unit
    p, bread = fitted
    k = len(table.names)
    chosen = largest(size, k)
    rest = np.ones(len(size), np.bool_)
    rest[chosen] = False
    total = _information(cells, cells.counts.sum(axis=1) * p * (1 - p), k)
    total[:k, :k] += np.trace(total) / k / k
    try:
        pivots = np.diag(linalg.cholesky(total))
    except linalg.LinAlgError:  # links so weak that they round to none: no leverage can be told
        chosen, rest = chosen[:0], np.ones(len(size), np.bool_)
    part = scores if rest.all() else scores[rest]
    matrix: FloatArray = bread @ (part.T @ part) @ bread
    if not chosen.size:
        return matrix
    order = np.argsort(unit, kind="stable")
    ends = np.cumsum(np.bincount(unit, minlength=len(size)))
    starts = np.concatenate([[0], ends])
    for g in chosen.tolist():
        here = np.isfinite(table.means[:, order[starts[g] : ends[g]]]).astype(np.float64)
        number = (here @ here.T)[cells.a, cells.b]
        own = _information(cells, number * p * (1 - p), k)
        shift = without(total - own, pivots, scores[g], bread)
        matrix += np.outer(shift, shift)
    return matrix


def _information(cells: Cells, values: FloatArray, k: int) -> FloatArray:
    none = np.zeros((len(cells.a), 0))
    return Design(cells.a, cells.b, values, values, none, k).information(values)


def table_of_means(means: Sequence[FloatArray], unit: IntArray, names: Sequence[str]) -> TaskTable:
    """Tasks that at least two contestants have, as a table."""
    every = np.stack(means)
    used = np.isfinite(every).sum(axis=0) > 1
    return TaskTable(every[:, used], unit[used], tuple(names))
