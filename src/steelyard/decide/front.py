"""The Pareto front of quality against cost (or seconds), with the confidence that each point is on it.

Does not choose. A point is on the front when nobody is at least as good and at most as dear, and better in
one. Confidence: the share of bootstrap samples of tasks (whole clusters) in which it is; all contestants
see the same sample, so that what is common to them cancels. Few tasks make shares rough, and a bootstrap
share is not a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steelyard.decide.pilot import task_sums
from steelyard.decide.results import Results
from steelyard.stats.base import BoolArray, Estimate, FloatArray, generator, nested
from steelyard.stats.clusters import clustered_mean

MANY_UNITS = 2_000
"""Units from which on the bootstrap of means is replaced by its normal limit: the shares differ by less than the
bootstrap's own error of a percent, in a thousandth of the time."""


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """One contestant: means over the common tasks, whether these are on the front, and how surely."""

    contestant: str
    quality: float
    price: float
    on_front: bool
    confidence: float
    cheapest: float
    """Share of samples in which it has the lowest price of all."""


def front(
    results: Results, metric: str, *, draws: int = 2000, seed: int = 0, only: Sequence[str] = ()
) -> tuple[FrontPoint, ...]:
    """Points of all contestants whose `metric` (cost or seconds) is known on the tasks that all of them have.

    `only` these contestants (none named: all) stand against each other.
    Empty when fewer than two tasks are common or no price is known.
    """
    column = results.cost if metric == "cost" else results.seconds
    if column is None:
        return ()
    names = [n for n in results.names if not only or n in only]
    quality, priced = [_means(results, n) for n in names], [_means(results, n, column) for n in names]
    keep = [j for j, x in enumerate(priced) if np.isfinite(x).any()]
    if not keep:
        return ()
    both = np.all([np.isfinite(x[j]) for x in (quality, priced) for j in keep], axis=0)
    if int(both.sum()) < 2:
        return ()
    q, c = [quality[j][both] for j in keep], [priced[j][both] for j in keep]
    del quality, priced
    units = np.arange(q[0].size)
    if results.cluster is not None:
        units = np.unique(nested(results.task, results.cluster)[both], return_inverse=True)[1]
    means = np.array([[float(x.mean()) for x in side] for side in (q, c)])
    sampled_q, sampled_c = _sampled(q, c, units, draws, seed)
    members = on_front(sampled_q, sampled_c)
    lowest = sampled_c <= sampled_c.min(axis=1, keepdims=True)
    now = on_front(means[:1], means[1:])[0]
    return tuple(
        FrontPoint(
            names[j], float(means[0, k]), float(means[1, k]), bool(now[k]), float(members[:, k].mean()),
            float(lowest[:, k].mean()),
        )
        for k, j in enumerate(keep)
    )  # fmt: skip


def _means(results: Results, name: str, column: FloatArray | None = None) -> FloatArray:
    """Each task's mean, NaN where there is none."""
    return task_sums(results, name, column).means


def price_estimates(results: Results, metric: str, *, level: float = 0.95) -> dict[str, Estimate]:
    """Each contestant's mean price over the tasks of its own whose price is known, over clusters of tasks.

    `FrontPoint.price` is the mean over the tasks that all have; the two are equal when every task is common.
    """
    column = results.cost if metric == "cost" else results.seconds
    if column is None:
        return {}
    out = {}
    for name in results.names:
        sums = task_sums(results, name, column)
        known = np.flatnonzero(sums.counts > 0)
        if not len(known):
            continue
        unit = known if results.cluster is None else nested(results.task, results.cluster)[known]
        out[name] = clustered_mean(sums.means[known], unit, level=level)
    return out


def on_front(quality: FloatArray, price: FloatArray) -> BoolArray:
    """Membership for each row of (samples, contestants) arrays; equal points are all on it."""
    inside = np.ones(quality.shape, dtype=np.bool_)
    for j in range(quality.shape[1]):
        as_good = (quality >= quality[:, [j]]) & (price <= price[:, [j]])
        ahead = as_good & ((quality > quality[:, [j]]) | (price < price[:, [j]]))
        inside[:, j] = ~ahead.any(axis=1)
    return inside


def _sampled(
    q: Sequence[FloatArray], c: Sequence[FloatArray], units: np.ndarray, draws: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Means of quality and price in `draws` samples of units, shape (draws, contestants) each.

    From `MANY_UNITS` units on the means are drawn from the normal law that they then follow (same mean, covariance over
    units): 2,000 samples of a quarter of a million tasks would take gigabytes.
    """
    k = len(q)
    if int(units.max()) + 1 < MANY_UNITS:
        drawn = _resampled([*q, *c], units, draws, seed)
        return drawn[:, :k], drawn[:, k:]
    mean = np.array([x.mean() for x in (*q, *c)])
    sums = np.stack([np.bincount(units, x - m) for x, m in zip((*q, *c), mean, strict=True)])
    covariance = sums @ sums.T / len(units) ** 2
    drawn = generator(seed).multivariate_normal(mean, covariance, draws, method="eigh")
    return drawn[:, :k], drawn[:, k:]


def _resampled(columns: Sequence[FloatArray], units: np.ndarray, draws: int, seed: int) -> FloatArray:
    """Means (draws, columns) of samples in which whole units are drawn with replacement.

    A unit's tasks always come together, so its sums are all that is needed: draws x units, not draws x tasks.
    """
    size = int(units.max()) + 1
    counts = generator(seed).multinomial(size, np.full(size, 1.0 / size), draws).astype(np.float64)
    sums = np.stack([np.bincount(units, column, minlength=size) for column in columns], axis=1)
    tasks = counts @ np.bincount(units, minlength=size).astype(np.float64)
    means: FloatArray = (counts @ sums) / tasks[:, None]
    return means
