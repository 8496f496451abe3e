"""Where a suite stands in its life, and which of its tasks still tell contestants apart.

Does not say why: a task that nobody solves may be hard or broken, one that flips may be flaky or merely of middling
difficulty. Judges by the contestants at hand; a stronger one changes the answer, which is the point of asking
again. A state is claimed only when the interval allows no other; else the states that it allows are listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from steelyard.errors import DataError
from steelyard.stats.base import (
    Estimate,
    Figure,
    FloatArray,
    Interval,
    Labels,
    codes,
    fraction,
    same_length,
    within,
)
from steelyard.stats.rates import rate_limits
from steelyard.stats.twolevel import two_level
from steelyard.unknown import Unknown, is_known

State = Literal["hard", "live", "saturating", "retire"]
Flag = Literal["nobody solves", "everybody solves", "does not discriminate", "inverted", "flaky"]
STATES: tuple[State, ...] = ("hard", "live", "saturating", "retire")


@dataclass(frozen=True, slots=True)
class LifecycleOptions:
    """Where the states part, on the best contestant's score, and when a task is flagged.

    hard below `hard`, live up to `saturating`, retire above `retire`. A task is flaky when two trials of one
    contestant disagree with a chance whose lower limit exceeds `flaky`; it does not discriminate when its
    correlation with the rest of the suite has an upper limit below `discriminates`.
    """

    level: float = 0.95
    hard: float = 0.1
    saturating: float = 0.8
    retire: float = 0.95
    flaky: float = 0.2
    discriminates: float = 0.2


DEFAULT = LifecycleOptions()


@dataclass(frozen=True, slots=True)
class SuiteState:
    """`state` by the best contestant's score; `allowed` are all states that its interval allows, in order.

    `certain` when only one is. The best of m contestants is chosen by looking, so its interval (like the others')
    is at level `1 - alpha / m` (Bonferroni).
    """

    state: State
    certain: bool
    allowed: tuple[State, ...]
    best: object
    scores: tuple[tuple[object, Estimate], ...]


@dataclass(frozen=True, slots=True)
class TaskState:
    """One task. `solved` is the mean over contestants of their mean score on it.

    `solved_interval` is Clopper-Pearson's over all its trials as if they were one contestant's. `discrimination`
    is the correlation, over contestants, of the task's score with the rest of the suite (at least 4 contestants,
    Fisher's z interval). `flips` is the chance that two trials of one contestant disagree (Unknown without repeats).
    """

    task: object
    trials: int
    solved: float
    solved_interval: Interval
    discrimination: Figure
    discrimination_interval: Interval | Unknown
    flips: Figure
    flips_interval: Interval | Unknown
    flags: tuple[Flag, ...]


def suite_state(
    values: ArrayLike,
    tasks: Labels,
    contestants: Labels,
    *,
    clusters: Labels | None = None,
    options: LifecycleOptions = DEFAULT,
) -> SuiteState:
    """The state of a suite from scores in 0..1; one row a graded trial."""
    column = _checked(values, tasks, contestants, options)
    who = codes(contestants, "contestant")
    if clusters is not None:
        same_length(column.size, [("clusters", len(clusters))])
    task, cluster = codes(tasks, "task"), None if clusters is None else codes(clusters, "cluster")
    level = 1.0 - (1.0 - options.level) / who.size
    scores = []
    for number, name in enumerate(who.labels):
        rows = np.flatnonzero(who.index == number)
        group = None if cluster is None else cluster.index[rows]
        scores.append((name, two_level(column[rows], task.index[rows], clusters=group, level=level).estimate))
    known = [(name, e, e.value) for name, e in scores if is_known(e.value)]
    best, estimate, value = max(known, key=lambda s: s[2])
    allowed = STATES
    if not isinstance(estimate.interval, Unknown):
        first, last = (_state(x, options) for x in (estimate.interval.low, estimate.interval.high))
        allowed = STATES[STATES.index(first) : STATES.index(last) + 1]
    return SuiteState(_state(value, options), len(allowed) == 1, allowed, best, tuple(scores))


def task_states(
    values: ArrayLike, tasks: Labels, contestants: Labels, *, options: LifecycleOptions = DEFAULT
) -> tuple[TaskState, ...]:
    """Every task's state, in order of first appearance; one row a graded trial, scores in 0..1.

    A trial counts as solved from a score of 1/2 for the flips, which compare trials pairwise:
    `2 c (K - c) / (K (K - 1))` a contestant, unbiased, averaged over contestants with at least two trials. The
    interval of `flips` is Clopper-Pearson's at half as many trials as there are in repeated cells (a pair is two).
    """
    column = _checked(values, tasks, contestants, options)
    task, who = codes(tasks, "task"), codes(contestants, "contestant")
    shape = (task.size, who.size)
    cell = task.index * who.size + who.index
    cells = task.size * who.size
    trials = np.bincount(cell, minlength=cells).reshape(shape).astype(np.float64)
    sums = np.bincount(cell, weights=column, minlength=cells).reshape(shape)
    above = (column >= 0.5).astype(np.float64)
    passed = np.bincount(cell, weights=above, minlength=cells).reshape(shape).astype(np.float64)
    present = trials > 0
    means = np.where(present, sums / np.maximum(trials, 1.0), 0.0)
    solved = means.sum(axis=1) / present.sum(axis=1)
    total = trials.sum(axis=1)
    low, high = rate_limits(sums.sum(axis=1), total, level=options.level, method="clopper-pearson")
    discrimination = _discrimination(means, present, options.level)
    flips = _flips(trials, passed, options.level)
    out = []
    for i, label in enumerate(task.labels):
        d, d_interval = discrimination[i]
        f, f_interval = flips[i]
        flags: list[Flag] = []
        if means[i][present[i]].max() <= 0.0:
            flags.append("nobody solves")
        elif means[i][present[i]].min() >= 1.0:
            flags.append("everybody solves")
        if is_known(d_interval) and d_interval.high < 0.0:
            flags.append("inverted")
        elif is_known(d_interval) and d_interval.high < options.discriminates:
            flags.append("does not discriminate")
        if is_known(f_interval) and f_interval.low > options.flaky:
            flags.append("flaky")
        interval = Interval(float(low[i]), float(high[i]), options.level, "clopper-pearson")
        out.append(
            TaskState(
                label, int(total[i]), float(solved[i]), interval, d, d_interval, f, f_interval, tuple(flags)
            )
        )
    return tuple(out)


def _checked(values: ArrayLike, tasks: Labels, contestants: Labels, options: LifecycleOptions) -> FloatArray:
    column = within(values, 0.0, 1.0)
    same_length(column.size, [("tasks", len(tasks)), ("contestants", len(contestants))])
    fraction(options.level, "level")
    if not 0.0 <= options.hard < options.saturating < options.retire <= 1.0:
        raise DataError(
            "options: the states overlap",
            wanted="0 <= hard < saturating < retire <= 1",
            got=f"{options.hard}, {options.saturating}, {options.retire}",
        )
    return column


def _state(score: float, options: LifecycleOptions) -> State:
    if score < options.hard:
        return "hard"
    if score <= options.saturating:
        return "live"
    return "saturating" if score <= options.retire else "retire"


def _discrimination(
    means: FloatArray, present: np.ndarray, level: float
) -> list[tuple[Figure, Interval | Unknown]]:
    """Correlation of each task with the contestants' mean over the other tasks that they have."""
    counts = present.sum(axis=0, keepdims=True) - present
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = (means.sum(axis=0, keepdims=True) - means) / counts
    usable = present & (counts > 0)
    n = usable.sum(axis=1)
    weight = usable / np.maximum(n, 1)[:, None]
    x = np.where(usable, means, 0.0)
    y = np.where(usable, rest, 0.0)
    dx = np.where(usable, x - (weight * x).sum(axis=1, keepdims=True), 0.0)
    dy = np.where(usable, y - (weight * y).sum(axis=1, keepdims=True), 0.0)
    xx, yy, xy = (dx * dx).sum(axis=1), (dy * dy).sum(axis=1), (dx * dy).sum(axis=1)
    z = float(special.ndtri(0.5 + 0.5 * level))
    out: list[tuple[Figure, Interval | Unknown]] = []
    for i in range(means.shape[0]):
        if n[i] < 4:
            why = Unknown(f"{n[i]} contestants; 4 are needed")
            out.append((why, why))
        elif xx[i] <= 1e-24 or yy[i] <= 1e-24:
            why = Unknown("every contestant scores the same on it, or on the rest")
            out.append((why, why))
        else:
            r = float(np.clip(xy[i] / np.sqrt(xx[i] * yy[i]), -1.0, 1.0))
            middle = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))
            half = z / np.sqrt(n[i] - 3.0)
            ends = np.tanh([middle - half, middle + half])
            out.append((r, Interval(float(ends[0]), float(ends[1]), level, "Fisher z")))
    return out


def _flips(trials: FloatArray, passed: FloatArray, level: float) -> list[tuple[Figure, Interval | Unknown]]:
    repeated = trials > 1
    pairs = np.where(repeated, trials * (trials - 1.0) / 2.0, 1.0)
    apart = np.where(repeated, passed * (trials - passed) / pairs, 0.0)
    cells = repeated.sum(axis=1)
    chance = apart.sum(axis=1) / np.maximum(cells, 1)
    independent = np.floor(np.where(repeated, trials, 0.0).sum(axis=1) / 2.0)
    low, high = rate_limits(
        chance * np.maximum(independent, 1.0),
        np.maximum(independent, 1.0),
        level=level,
        method="clopper-pearson",
    )
    out: list[tuple[Figure, Interval | Unknown]] = []
    for i in range(trials.shape[0]):
        if cells[i] == 0:
            why = Unknown("no contestant has two trials of it")
            out.append((why, why))
        else:
            out.append(
                (float(chance[i]), Interval(float(low[i]), float(high[i]), level, "clopper-pearson, pairs"))
            )
    return out
