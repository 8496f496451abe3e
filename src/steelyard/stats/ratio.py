"""A ratio of two means over the same tasks, such as cost over tasks solved, and the difference of two such ratios.

Does not average the tasks' own ratios: a task that was never solved has none, and the sums are what is paid and what is
got. Not covered: a bottom that is above 0 on fewer than three tasks (or clusters), which says too little of itself: the
interval is Unknown then.

Interval: linearised on the logarithm, Student's t corrected for skew over clusters (`clusters.estimate_mean`), so that
its ends stay above 0. Eight to 200 tasks with skewed costs that depend on success, a fifth to 95 % of them solved,
one or three trials: it covers 92.9 to 97.7 %, where Fieller's interval covers 85 to 98 % and often has no upper end;
below two tasks solved on average 87 %. Difference: MOVER (Zou and Donner 2008) of the two intervals, with
the correlation of the two ratios' influences, since both sides did the same tasks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from steelyard.stats.base import Coded, Estimate, FloatArray, Interval
from steelyard.stats.clusters import cluster_sums, estimate_mean
from steelyard.unknown import Unknown, is_known

LEAST = 3
"""Clusters in which the bottom must be above 0."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Top over bottom, both 0 or more with one value a task, shape (tasks,); `n_trials` are behind them."""

    top: FloatArray
    bottom: FloatArray
    n_trials: int

    @property
    def influence(self) -> FloatArray:
        """What each task adds to the error of the ratio's logarithm, shape (tasks,); top and bottom are not all 0."""
        a, b = self.top / self.top.mean(), self.bottom / self.bottom.mean()
        # what is rounding of equal shares is no spread
        out: FloatArray = np.where(np.abs(a - b) <= 1e-12 * np.maximum(a, b), 0.0, a - b)
        return out


def ratio_of_means(ratio: Ratio, clusters: Coded, *, level: float = 0.95, method: str = "ratio") -> Estimate:
    """The ratio with its interval; tasks of one cluster count as one observation."""
    top, bottom = float(ratio.top.sum()), float(ratio.bottom.sum())
    if not bottom > 0.0:
        none = Unknown("nothing to divide by: the bottom is 0 on every task")
        return Estimate(none, none, none, method, ratio.n_trials, ratio.top.size, clusters.size)
    value = top / bottom
    table = cluster_sums(ratio.influence if top > 0.0 else ratio.top, clusters, n_trials=ratio.n_trials)
    found = estimate_mean(table, level=level, bounds=None, method=method)
    interval, some = found.interval, _some(ratio, clusters)
    if not isinstance(interval, Unknown):
        ends = value * math.exp(interval.low), value * math.exp(interval.high)
        name = f"{interval.method}, on the logarithm"
        interval = Interval(*ends, level, name)
        if some < LEAST:
            interval = Unknown(
                f"only {some} of {clusters.size} are above 0 below the line, {LEAST} are needed"
            )
    se = found.se if isinstance(found.se, Unknown) else value * found.se
    return replace(found, value=value, se=se, interval=interval)


def ratio_difference(
    ratio: Ratio,
    baseline: Ratio,
    clusters: Coded,
    *,
    level: float = 0.95,
    method: str = "difference of ratios",
) -> Estimate:
    """`ratio` less `baseline`, whose rows are the same tasks."""
    sides = [ratio_of_means(r, clusters, level=level) for r in (ratio, baseline)]
    counts = (ratio.n_trials + baseline.n_trials, ratio.top.size, clusters.size)
    values = [s.value for s in sides if not isinstance(s.value, Unknown)]
    if len(values) < 2:
        none = next(s.value for s in sides if isinstance(s.value, Unknown))
        return Estimate(none, none, none, method, *counts)
    a, b = (v * r.influence if v > 0.0 else r.top for v, r in zip(values, (ratio, baseline), strict=True))
    apart = estimate_mean(cluster_sums(a - b, clusters), level=level, bounds=None, method=method)
    bands = [_band(s) for s in sides]
    missing = [x for x in (*bands, apart.interval) if isinstance(x, Unknown)]
    difference = values[0] - values[1]
    interval: Interval | Unknown
    if missing:
        interval = missing[0]
    else:
        (l1, u1), (l2, u2) = (x for x in bands if not isinstance(x, Unknown))
        r = _correlation(a, b, clusters)
        down, up = _joined(values[0] - l1, u2 - values[1], r), _joined(u1 - values[0], values[1] - l2, r)
        interval = Interval(difference - down, difference + up, level, "MOVER of paired ratios")
    return Estimate(difference, apart.se, interval, method, *counts, df=apart.df)


def _some(ratio: Ratio, clusters: Coded) -> int:
    return int(np.count_nonzero(np.bincount(clusters.index, weights=ratio.bottom) > 0.0))


def _band(side: Estimate) -> tuple[float, float] | Unknown:
    """A side's limits; the value itself where nothing varies (all tasks cost the same and are solved)."""
    if not isinstance(side.interval, Unknown):
        return side.interval.low, side.interval.high
    assert is_known(side.value)
    return (side.value, side.value) if is_known(side.df) and isinstance(side.se, Unknown) else side.interval


def _joined(a: float, b: float, r: float) -> float:
    return math.sqrt(max(0.0, a * a + b * b - 2.0 * r * a * b))


def _correlation(a: FloatArray, b: FloatArray, clusters: Coded) -> float:
    x, y = (np.bincount(clusters.index, weights=v, minlength=clusters.size) for v in (a, b))
    size = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / size if size > 0.0 else 0.0
