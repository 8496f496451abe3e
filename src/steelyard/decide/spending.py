"""What a contestant and a baseline took on the same tasks: money and time for a trial, money for a task solved.

No verdict is called on them: choosing by price is `decide.select`. A trial counts whether it was solved or not. A task
whose cost (or time) is not known for a trial that was graded is left out of that figure, and counted; a price that is
not known anywhere is Unknown, never 0. Costs of judges and simulated users are not a contestant's.

For a task solved: the sum of costs over the sum of scores, so that what failed is paid by what was solved; a score
between 0 and 1 counts as that part of a task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from steelyard.decide.results import Results
from steelyard.stats.base import BoolArray, Coded, Estimate, FloatArray, codes, nested
from steelyard.stats.clusters import cluster_sums, estimate_mean
from steelyard.stats.paired import PairedOptions, TaskPairs, mean_difference
from steelyard.stats.ratio import LEAST, Ratio, ratio_difference, ratio_of_means
from steelyard.unknown import Unknown

A_TRIAL = "mean over the common tasks of the task's mean over its trials"
A_SOLVED = "sum over the common tasks of mean cost, over the sum of mean scores"


@dataclass(frozen=True, slots=True)
class Spent:
    """One figure of both sides, and contestant less baseline paired by task. `left_out` common tasks lack it."""

    baseline: Estimate
    contestant: Estimate
    difference: Estimate
    left_out: int


@dataclass(frozen=True, slots=True)
class Spending:
    """Dollars (or the table's money) a trial and a solved task, seconds a trial; each Unknown with its reason."""

    cost: Spent | Unknown
    cost_of_solved: Spent | Unknown
    seconds: Spent | Unknown

    @property
    def told(self) -> tuple[tuple[str, Spent | Unknown], ...]:
        """What is to be shown, with its name: not what the table has no column for."""
        every = (("cost a trial", self.cost), ("cost a solved task", self.cost_of_solved),
                 ("seconds a trial", self.seconds))  # fmt: skip
        return tuple((n, x) for n, x in every if not (isinstance(x, Unknown) and x in (NO_COST, NO_SECONDS)))


NO_COST, NO_SECONDS = Unknown("the table has no cost"), Unknown("the table has no seconds")
NOT_READ = Spending(NO_COST, NO_COST, NO_SECONDS)


@dataclass(frozen=True, slots=True)
class _Side:
    """One contestant by task, shape (tasks,): mean amount and mean score; `known` tasks count, `missing` do not."""

    amount: FloatArray
    score: FloatArray
    trials: FloatArray
    known: BoolArray
    solved: BoolArray
    missing: BoolArray


def spending(results: Results, names: tuple[str, str], *, level: float, shared: int = 1) -> Spending:
    """What `names` (baseline, contestant) took. The sides' intervals hold one by one at `level`; that of the difference
    for `shared` contestants together (Bonferroni)."""
    apart = 1.0 - (1.0 - level) / shared
    found: dict[str, Spent | Unknown] = {}
    columns: Mapping[str, FloatArray | None] = {"cost": results.cost, "seconds": results.seconds}
    for what, column in columns.items():
        if column is None:
            found[what] = NO_COST if what == "cost" else NO_SECONDS
            continue
        found[what] = _of(results, names, what, column, (level, apart))
        if what == "cost":
            found["cost_of_solved"] = _of_solved(results, names, column, (level, apart))
    none = found["cost"]
    solved = found.get("cost_of_solved", none)
    return Spending(none, solved, found["seconds"])


def _of(
    results: Results, names: tuple[str, str], what: str, column: FloatArray, levels: tuple[float, float]
) -> Spent | Unknown:
    base, other = sides = [_side(results, name, column) for name in names]
    both = base.known & other.known
    if not both.any():
        return _none(sides, names, what)
    task, cluster = _units(results, both)
    pairs = TaskPairs(
        task, base.amount[both], other.amount[both], cluster,
        n_trials=_count(base, both) + _count(other, both), single=False, dropped=0,
    )  # fmt: skip
    means = []
    for s in sides:
        table = cluster_sums(s.amount[both], cluster, n_trials=_count(s, both))
        means.append(_above_0(estimate_mean(table, level=levels[0], bounds=None, method=A_TRIAL)))
    difference = mean_difference(pairs, PairedOptions(level=levels[1], bounds=None))
    return Spent(means[0], means[1], replace(difference, method=f"{A_TRIAL}, paired"), _left_out(sides))


def _above_0(found: Estimate) -> Estimate:
    """Money and time are not negative, whatever an interval of unbounded values says."""
    if isinstance(found.interval, Unknown):
        return found
    return replace(found, interval=replace(found.interval, low=max(0.0, found.interval.low)))


def _of_solved(
    results: Results, names: tuple[str, str], column: FloatArray, levels: tuple[float, float]
) -> Spent | Unknown:
    if results.bounds != (0.0, 1.0):
        return Unknown("scores are not between 0 and 1: nothing says what is solved")
    base, other = sides = [_side(results, name, column) for name in names]
    both = base.known & other.known & base.solved & other.solved
    if not both.any():
        return _none(sides, names, "cost")
    _, cluster = _units(results, both)
    ratios = [Ratio(s.amount[both], s.score[both], _count(s, both)) for s in sides]
    each = [_named(ratio_of_means(r, cluster, level=levels[0], method=A_SOLVED)) for r in ratios]
    difference = _named(ratio_difference(ratios[1], ratios[0], cluster, level=levels[1], method=A_SOLVED))
    return Spent(each[0], each[1], difference, _left_out(sides))


def _named(found: Estimate) -> Estimate:
    """With the reasons in the words of the matter."""
    if isinstance(found.value, Unknown):
        none = Unknown("no task was solved")
        return replace(found, value=none, se=none, interval=none)
    if isinstance(found.interval, Unknown) and "below the line" in found.interval.reason:
        return replace(found, interval=Unknown(f"fewer than {LEAST} tasks were solved"))
    return found


def _side(results: Results, name: str, column: FloatArray) -> _Side:
    mine = results.contestant.index == results.names.index(name)
    there = np.isfinite(column)
    size, task = results.task.size, results.task.index

    def by_task(rows: BoolArray, weights: FloatArray | None = None) -> FloatArray:
        weighed = None if weights is None else weights[rows]
        return np.bincount(task[rows], weights=weighed, minlength=size).astype(np.float64)

    trials, graded = by_task(mine & there), by_task(mine & results.graded)
    missing = by_task(mine & results.graded & ~there) > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        amount = by_task(mine & there, column) / trials
        score = by_task(mine & results.graded, results.score) / graded
    return _Side(amount, score, trials, (trials > 0) & ~missing, graded > 0, missing)


def _count(side: _Side, tasks: BoolArray) -> int:
    return int(side.trials[tasks].sum())


def _left_out(sides: list[_Side]) -> int:
    """Tasks that both sides worked on and that are not counted."""
    some = [s.known | s.missing for s in sides]
    return int(np.sum(some[0] & some[1] & (sides[0].missing | sides[1].missing)))


def _none(sides: list[_Side], names: tuple[str, str], what: str) -> Unknown:
    lacking = [name for name, side in zip(names, sides, strict=True) if not side.known.any()]
    if lacking:
        return Unknown(f"the {what} of {' and '.join(lacking)} is not known")
    return Unknown(f"no task has a {what} of both")


def _units(results: Results, tasks: BoolArray) -> tuple[Coded, Coded]:
    at = np.flatnonzero(tasks)
    task = Coded(np.arange(at.size), range(at.size))  # nobody is told their names
    if results.cluster is None:
        return task, task
    return task, codes(nested(results.task, results.cluster)[at], "cluster")
