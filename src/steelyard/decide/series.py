"""Methods of `stats` on the whole of a table: a suite's life, its cells, peeking, where to spend trials.

Fits nothing itself. `cells` weighs tasks, not trials; `sequence` reads the tasks in the order of the table, which
must not depend on their scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from steelyard.decide.estimates import Mine, contestants
from steelyard.decide.lines import Line, line_of, plain_line
from steelyard.decide.matrix import Matrix, matrix
from steelyard.decide.results import Results
from steelyard.errors import DataError
from steelyard.stats.allocation import Allocation, against_baseline, allocate, cell_noise
from steelyard.stats.base import Estimate, FloatArray, IntArray, codes
from steelyard.stats.clusters import clusters_of_tasks
from steelyard.stats.lifecycle import LifecycleOptions, TaskState, suite_state, task_states
from steelyard.stats.mixes import Key
from steelyard.stats.sequential import ConfidenceSequence, e_process, hedged_betting
from steelyard.stats.sequential_bounds import beta_binomial, empirical_bernstein, hoeffding
from steelyard.stats.twolevel import task_means
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

    A unit's observation is the mean of its trials' scores (a cluster's: of its tasks' means): repeated trials are no
    new tasks. Beta-binomial is for scores of 0 or 1. Raises DataError for unbounded scores.
    """
    if results.bounds is None:
        raise DataError(
            "confidence sequences need bounded scores", wanted="--bounds LOW HIGH", got="--unbounded"
        )
    named = {m.name: _units(m) for m in contestants(results)}
    trials = {m.name: m for m in contestants(results)}
    if o.baseline and o.baseline not in named:
        raise DataError(
            f"contestant {o.baseline!r} is not in the results", wanted=", ".join(named), got=o.baseline
        )
    out: list[Line] = []
    for name, own in named.items():
        if name == o.baseline:
            continue
        low, high = results.bounds
        x = np.array(list(own.values()))
        what = "score"
        if o.baseline:
            base = named[o.baseline]
            shared = [u for u in own if u in base]
            if not shared:
                raise DataError(f"{name} and {o.baseline} have no task in common", wanted="paired tasks")
            x, what = np.array([own[u] - base[u] for u in shared]), f"difference from {o.baseline}"
            low, high = low - high, high - low
        out += trials[name].marked(_sequence(name, what, x, (low, high), o))
    return tuple(out)


def _units(mine: Mine) -> dict[int, float]:
    """Observation by unit, in the order of first appearance."""
    task = codes(mine.task, "task")
    means, _ = task_means(mine.score, task)
    unit = clusters_of_tasks(task, mine.clusters)
    sums = np.bincount(unit.index, weights=means)
    sizes = np.bincount(unit.index)
    _, first = np.unique(mine.task if mine.clusters is None else mine.clusters, return_index=True)
    rows = {int((mine.task if mine.clusters is None else mine.clusters)[f]): int(f) for f in first}
    where = {int(label): i for i, label in enumerate(unit.labels)}  # type: ignore[call-overload] # codes of integers
    return {u: float(sums[where[u]] / sizes[where[u]]) for u in sorted(rows, key=rows.__getitem__)}


def _sequence(
    name: str, what: str, x: FloatArray, bounds: tuple[float, float], o: SequenceOptions
) -> list[Line]:
    found = _of(o, x, bounds)
    n, mean = x.size, float(x.mean())
    interval = found.around(mean)
    none = Unknown("its spread is not used")
    estimate = Estimate(mean, none, interval, found.method, n, n, n)
    lines = [line_of(name, what, replace(estimate, method="mean over units"))]
    if o.null is not None:
        for side in ("greater", "less"):
            value = float(e_process(x, o.null, side=side, bounds=bounds, alpha=1.0 - o.level)[-1])
            lines.append(
                plain_line(
                    name, f"e-value that it is {side} than {o.null:g}", value, "betting e-process", trials=n
                )
            )
    return lines


def _of(o: SequenceOptions, x: FloatArray, bounds: tuple[float, float]) -> ConfidenceSequence:
    if o.method == "betting":
        return hedged_betting(x, level=o.level, bounds=bounds)
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
    found: Allocation
    se_before: float
    se_after: float


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
    scale = high - low
    return Spending(out, found, scale * found.variance_before**0.5, scale * found.variance_after**0.5)
