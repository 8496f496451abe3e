"""Methods of `stats` on the whole of a table: a suite's life, its cells, peeking, where to spend trials.

Fits nothing itself. `cells` weighs tasks, not trials; `sequence` reads the tasks in the order of the table, which
must not depend on their scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from steelyard.decide.estimates import Mine, contestants
from steelyard.decide.lines import Line, line_of, plain_line
from steelyard.decide.matrix import Matrix, matrix
from steelyard.decide.results import Results
from steelyard.errors import DataError
from steelyard.stats.allocation import against_baseline, allocate, cell_noise
from steelyard.stats.base import Estimate, Figure, FloatArray, IntArray
from steelyard.stats.lifecycle import LifecycleOptions, TaskState, suite_state, task_states
from steelyard.stats.mixes import Key
from steelyard.stats.sequential import ConfidenceSequence, e_process, hedged_betting
from steelyard.stats.sequential_bounds import beta_binomial, empirical_bernstein, hoeffding
from steelyard.unknown import Unknown

Sequential = Literal["betting", "bernstein", "hoeffding", "beta-binomial"]
SEQUENTIAL: tuple[Sequential, ...] = ("betting", "bernstein", "hoeffding", "beta-binomial")


@dataclass(frozen=True, slots=True)
class Life:
    """`lines`: each suite's state and the scores that it stands on. `tasks`: the states of its tasks, by suite."""

    lines: tuple[Line, ...]
    tasks: tuple[tuple[str, TaskState], ...]


def life(results: Results, options: LifecycleOptions) -> Life:
    """Hard, live, saturating or to be retired, suite by suite; which tasks no longer tell contestants apart.

    Scores are put on 0..1 by their bounds. Raises DataError for unbounded ones.
    """
    if results.bounds is None:
        raise DataError("a suite's state needs bounded scores", wanted="--bounds LOW HIGH", got="--unbounded")
    low, high = results.bounds
    lines: list[Line] = []
    states: list[tuple[str, TaskState]] = []
    for name, rows in _suites(results):
        x = (results.score[rows] - low) / (high - low)
        task = [results.task.labels[i] for i in results.task.index[rows].tolist()]
        who = [results.names[i] for i in results.contestant.index[rows].tolist()]
        clusters = None if results.cluster is None else results.cluster.index[rows]
        found = suite_state(x, task, who, clusters=clusters, options=options)
        said = (
            found.state
            if found.certain
            else f"{found.state}? (or {', '.join(s for s in found.allowed if s != found.state)})"
        )
        for contestant, estimate in found.scores:
            mark = f"{name}: {said}, by its best" if contestant == found.best else name
            lines.append(line_of(mark, f"score of {contestant}", estimate))
        each = task_states(x, task, who, options=options)
        states += [(name, s) for s in each]
        flags = ("nobody solves", "everybody solves", "does not discriminate", "inverted", "flaky")
        how = f"lifecycle, interval beyond the mark at {options.level:g}"
        lines += [
            plain_line(name, f"tasks: {f}", float(sum(f in s.flags for s in each)), how, trials=rows.size)
            for f in flags
        ]
    return Life(tuple(lines), tuple(states))


def _suites(results: Results) -> list[tuple[str, IntArray]]:
    if results.suite is None or results.suite.size == 1:
        name = "suite" if results.suite is None else str(results.suite.labels[0])
        return [(name, np.flatnonzero(results.graded))]
    each = [(str(n), np.flatnonzero(results.graded & (results.suite.index == i)))
            for i, n in enumerate(results.suite.labels)]  # fmt: skip
    return [(name, rows) for name, rows in each if rows.size]


def cells(
    results: Results, by: Sequence[str], mix: Mapping[Key, float] | None, thin_below: int
) -> tuple[Matrix, tuple[Line, ...]]:
    """A score a cell of the conditions `by`, empty and thin cells named, and the score in another mix."""
    found = matrix(results, by, mix, thin_below=thin_below)
    lines: list[Line] = []
    for row in found.rows:
        for cell in row.cells:
            key = ", ".join(f"{n} {v}" for n, v in zip(found.names, cell.key, strict=True))
            lines.append(
                line_of(
                    row.contestant, key if cell.state == "enough" else f"{key} ({cell.state})", cell.estimate
                )
            )
        again = row.reweighted
        if again is not None:
            how = "reweighted to the mix"
            lines.append(line_of(row.contestant, "in the mix asked for", again.estimate))
            lines.append(
                plain_line(row.contestant, "as measured", again.unweighted, "mean over tasks and cells")
            )
            lines.append(
                plain_line(row.contestant, "share of the mix that was measured", again.measured, how)
            )
            if again.untested:
                lines.append(plain_line(row.contestant, "in the mix, at least", again.lowest, how))
                lines.append(plain_line(row.contestant, "in the mix, at most", again.highest, how))
    d = found.distance
    if d is not None:
        named = {
            "total variation from the mix": d.total_variation,
            "Jensen-Shannon, bits": d.jensen_shannon,
            "share of the mix without a task": d.untested,
            "share of the tasks outside the mix": d.unused,
            "efficiency after reweighting (Kish)": d.efficiency,
        }
        lines += [plain_line("mix of the tasks", k, v, "distance of mixes") for k, v in named.items()]
    return found, tuple(lines)


@dataclass(frozen=True, slots=True)
class SequenceOptions:
    """`null`: also the evidence (e-value) against a mean of it. `baseline`: differences from this contestant."""

    method: Sequential = "betting"
    level: float = 0.95
    null: float | None = None
    baseline: str = ""


def sequence(results: Results, o: SequenceOptions) -> tuple[Line, ...]:
    """Intervals that hold at every look, over tasks (or clusters) in the order of the table.

    A task's observation is the mean of its trials' scores: repeated trials are no new tasks. A cluster's is the mean of
    its tasks, weighted by their number as in `gate`; only betting takes weights. Beta-binomial is for scores of 0 or 1.
    Raises DataError for unbounded scores, or where a method does not fit the data.
    """
    if results.bounds is None:
        raise DataError(
            "confidence sequences need bounded scores", wanted="--bounds LOW HIGH", got="--unbounded"
        )
    every = {m.name: (m, _tasks(m)) for m in contestants(results)}
    if o.baseline and o.baseline not in every:
        raise DataError(
            f"contestant {o.baseline!r} is not in the results", wanted=", ".join(every), got=o.baseline
        )
    low, high = results.bounds
    if o.baseline:
        low, high = low - high, high - low
    if o.null is not None and not low < o.null < high:
        raise DataError(
            "--null: no mean that could be", wanted=f"between {low:g} and {high:g}", got=f"{o.null:g}"
        )
    out: list[Line] = []
    for name, (mine, own) in every.items():
        if name == o.baseline:
            continue
        seen, what = own, "score"
        if o.baseline:
            seen = own.less(every[o.baseline][1], (name, o.baseline))
            what = f"difference from {o.baseline}"
        out += mine.marked(_sequence((name, what), seen, mine.score.size, (low, high), o))
    return tuple(out)


@dataclass(frozen=True, slots=True)
class _Tasks:
    """A contestant's tasks, shape (tasks,): number, mean, cluster, and where each first stands in the table."""

    number: IntArray
    mean: FloatArray
    cluster: IntArray
    place: IntArray

    def less(self, base: _Tasks, names: tuple[str, str]) -> _Tasks:
        """Differences on the tasks that both have. Raises DataError without one."""
        shared, at, there = np.intersect1d(self.number, base.number, return_indices=True)
        if not shared.size:
            raise DataError(f"{names[0]} and {names[1]} have no task in common", wanted="paired tasks")
        gap = self.mean[at] - base.mean[there]
        return _Tasks(shared, gap, self.cluster[at], np.minimum(self.place[at], base.place[there]))

    def units(self) -> tuple[FloatArray, FloatArray]:
        """Mean and number of tasks of each cluster, in the order in which the clusters first stand in the table."""
        found, index = np.unique(self.cluster, return_inverse=True)
        sizes = np.bincount(index).astype(np.float64)
        place = np.full(found.size, self.place.max())
        np.minimum.at(place, index, self.place)
        order = np.argsort(place)
        return (np.bincount(index, weights=self.mean) / sizes)[order], sizes[order]


def _tasks(mine: Mine) -> _Tasks:
    number, first, index = np.unique(mine.task, return_index=True, return_inverse=True)
    mean = np.bincount(index, weights=mine.score) / np.bincount(index)
    cluster = number if mine.clusters is None else mine.clusters[first]
    return _Tasks(number, mean, cluster, mine.rows[first])


def _sequence(
    names: tuple[str, str], own: _Tasks, trials: int, bounds: tuple[float, float], o: SequenceOptions
) -> list[Line]:
    x, sizes = own.units()
    # means of scores within bounds may pass them by a rounding error
    x = np.clip(x, *bounds)
    alike = bool(np.all(sizes == sizes[0]))
    found = _of(o, x, None if alike else sizes / sizes.max(), bounds)
    mean = float(np.average(x, weights=sizes))
    none = Unknown("no standard error: the interval is not made of one")
    method = "mean over tasks" if x.size == own.number.size else "mean over tasks, by cluster"
    name, what = names
    estimate = Estimate(mean, none, found.around(mean), method, trials, own.number.size, x.size)
    lines = [line_of(name, what, estimate)]
    for side in ("greater", "less") if o.null is not None else ():
        value: Figure = Unknown("clusters differ in size, and the bets of an e-value are not weighted")
        if alike and o.null is not None:
            value = float(e_process(x, o.null, side=side, bounds=bounds, alpha=1.0 - o.level)[-1])
        figure = f"e-value that it is {side} than {o.null:g}"
        lines.append(plain_line(name, figure, value, "betting e-process"))
    return lines


def _of(
    o: SequenceOptions, x: FloatArray, weights: FloatArray | None, bounds: tuple[float, float]
) -> ConfidenceSequence:
    if o.method == "betting":
        return hedged_betting(x, level=o.level, bounds=bounds, weights=weights)
    if weights is not None:
        raise DataError(
            f"{o.method}: for clusters of one size", wanted="tasks, or clusters of as many tasks each",
            got="clusters that differ in size", fix="take --method betting",
        )  # fmt: skip
    if o.method == "bernstein":
        return empirical_bernstein(x, level=o.level, bounds=bounds)
    if o.method == "hoeffding":
        return hoeffding(x, level=o.level, bounds=bounds)
    if not np.isin(x, (0.0, 1.0)).all() or bounds != (0.0, 1.0):
        raise DataError(
            "beta-binomial: for rates", wanted="one trial a task, scores of 0 or 1, no baseline",
            got="other values", fix="take --method betting",
        )  # fmt: skip
    return beta_binomial([float(x.sum())], [float(x.size)], level=o.level)


@dataclass(frozen=True, slots=True)
class Spending:
    """Where further trials go: (contestant, task, trials) for the cells that get some, and what it buys."""

    cells: tuple[tuple[str, str, int], ...]
    se_before: Figure
    se_after: Figure
    cost: float
    method: str


def spend(
    results: Results, budget: float, *, baseline: str, costs: Mapping[str, float], most: int | None
) -> Spending:
    """Spend `budget` (trials, or money where `costs` gives a trial's) where the answer narrows most.

    The answer: each contestant's mean over these tasks, or with `baseline` each difference from it. Only noise between
    trials can be narrowed so: what the choice of tasks leaves open takes more tasks (see `plan`). Raises DataError.
    """
    if results.bounds is None:
        raise DataError(
            "the noise of a cell needs bounded scores", wanted="--bounds LOW HIGH", got="--unbounded"
        )
    if not (np.isfinite(budget) and budget > 0.0):
        raise DataError("--budget: nothing to spend", wanted="a finite number above 0", got=f"{budget:g}")
    for name, cost in costs.items():
        if not (np.isfinite(cost) and cost > 0.0):
            raise DataError(f"--price {name}", wanted="a finite number above 0", got=f"{cost:g}")
    low, high = results.bounds
    who, task = results.contestant, results.task
    shape = (who.size, task.size)
    rows = np.flatnonzero(results.graded)
    cell = who.index[rows] * task.size + task.index[rows]
    x = (results.score[rows] - low) / (high - low)
    n, s, q = (np.bincount(cell, weights=w, minlength=who.size * task.size).reshape(shape)
               for w in (np.ones(x.size), x, x * x))  # fmt: skip
    noise = np.stack([cell_noise(n[c], s[c], q[c]) for c in range(who.size)])
    weights = np.ones(task.size)
    if baseline:
        if baseline not in results.names:
            raise DataError(
                f"contestant {baseline!r} is not in the results",
                wanted=", ".join(results.names),
                got=baseline,
            )
        gains = against_baseline(weights, noise, results.names.index(baseline))
    else:
        gains = (weights / weights.sum()) ** 2 * noise
    strange = [c for c in costs if c not in results.names]
    if strange:
        raise DataError(
            f"contestant {strange[0]!r} is not in the results",
            wanted=", ".join(results.names),
            got=strange[0],
        )
    price = np.array([costs.get(name, 1.0) for name in results.names])[:, None] * np.ones(shape)
    found = allocate(
        gains, n, budget, costs=price, most=None if most is None else np.full(shape, float(most))
    )
    extra = found.extra.reshape(shape)
    named = sorted(zip(*np.nonzero(extra), strict=True), key=lambda ct: -int(extra[ct]))
    out = tuple((results.names[c], str(task.labels[t]), int(extra[c, t])) for c, t in named)

    def error(variance: float) -> Figure:
        untried = Unknown("a contestant has no graded trial of some task")
        return float((high - low) * variance**0.5) if np.isfinite(variance) else untried

    before, after = error(found.variance_before), error(found.variance_after)
    return Spending(out, before, after, found.cost, found.method)
