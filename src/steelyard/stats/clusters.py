"""Means and rates whose rows come in clusters: tasks that share a passage, a repository, a family.

Does not find the clusters: name them yourself, as wide as the widest thing that rows share. Only clusters count
as independent, so one cluster gives no standard error and no interval (Unknown), however many rows it has.
Repeating rows inside their clusters does not narrow anything. Variance: see `robust`. Scores in 0..1: equal
clusters that each agree on 0 or 1 are counts and get Wilson's interval, others that of `bounded`. Other scores: t at
Satterthwaite's degrees of freedom, corrected for the skewness of the clusters' sums (`skewed`). Every row counts alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from steelyard.errors import DataError
from steelyard.stats.base import (
    Coded,
    Estimate,
    Figure,
    FloatArray,
    Interval,
    Labels,
    binary,
    codes,
    finite,
    fraction,
    nested,
    same_length,
    t_quantile,
    within,
    z_quantile,
)
from steelyard.stats.bounded import NO_SPREAD, beta_form, bounded_limits, wilson_form
from steelyard.stats.robust import Spread, exchangeable_variance, spread
from steelyard.stats.skewed import cluster_third_cumulant, skewed_limits
from steelyard.unknown import Unknown

Bounds = tuple[float, float]
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class ClusterSums:
    """What the mean of a table needs: per cluster the sum of its units' values and their number.

    `within` is the pooled variance of a unit inside its cluster (0 where a cluster is one unit). `n_trials` and
    `n_tasks` are carried into the Estimate. `sums` and `sizes` have shape (C,).
    """

    sums: FloatArray
    sizes: FloatArray
    within: float
    n_trials: int
    n_tasks: int


def clustered_mean(
    values: ArrayLike, clusters: Labels, *, level: float = 0.95, bounds: Bounds | None = None
) -> Estimate:
    """The mean over rows with a cluster-robust standard error and interval.

    `bounds` are the least and greatest score possible; with them the interval stays inside and holds near the
    ends, without them it is Student's t corrected for skew. Raises DataError on bad rows, or scores outside `bounds`.
    """
    column = finite(values) if bounds is None else within(values, bounds[0], bounds[1])
    same_length(column.size, [("clusters", len(clusters))])
    sums = cluster_sums(column, codes(clusters, "cluster"))
    return estimate_mean(sums, level=level, bounds=bounds, method="clustered mean")


def clustered_rate(
    values: ArrayLike, clusters: Labels, *, level: float = 0.95, form: str = "wilson"
) -> Estimate:
    """The rate of ones over rows with a cluster-robust interval that holds near 0 and 1.

    `form` is "wilson" (coverage near the level) or "beta" (Korn-Graubard, wider, for guarantees).
    """
    column = binary(values)
    same_length(column.size, [("clusters", len(clusters))])
    sums = cluster_sums(column, codes(clusters, "cluster"))
    return estimate_mean(sums, level=level, bounds=(0.0, 1.0), form=form, method="clustered rate")


def cluster_sums(
    column: FloatArray, clusters: Coded, *, n_trials: int | None = None, weights: FloatArray | None = None
) -> ClusterSums:
    """Sum a column of units by cluster; one unit a row, `n_trials` when a unit holds several trials. `weights` (of mean
    1) let a unit count for more or less than one."""
    weighted = column if weights is None else column * weights
    sums = np.bincount(clusters.index, weights=weighted, minlength=clusters.size).astype(np.float64)
    sizes = np.bincount(clusters.index, weights=weights, minlength=clusters.size).astype(np.float64)
    spare = column.size - clusters.size
    inside = 0.0
    if spare > 0:
        inside = float(np.sum((column - (sums / sizes)[clusters.index]) ** 2) / spare)
    return ClusterSums(sums, sizes, inside, column.size if n_trials is None else n_trials, column.size)


def clusters_of_tasks(task: Coded, clusters: Labels | None) -> Coded:
    """Each task's cluster, `index` of shape (tasks,); every task its own when `clusters` is None.

    `clusters` is a column of rows like `task`; a task in two clusters is refused.
    """
    if clusters is None:
        return Coded(np.arange(task.size), range(task.size))
    same_length(task.index.size, [("clusters", len(clusters))])
    cluster = codes(clusters, "cluster")
    return Coded(nested(task, cluster), cluster.labels)


def estimate_mean(
    table: ClusterSums, *, level: float, bounds: Bounds | None, method: str, form: str = "wilson"
) -> Estimate:
    """Mean, robust standard error and interval of a table of cluster sums; `form` "t" is for unbounded scores."""
    fraction(level, "level")
    if form not in (("wilson", "beta") if bounds is not None else ("wilson", "t")):
        raise DataError("form: unknown", wanted="wilson or beta, t without bounds", got=form)
    if bounds is not None and not bounds[0] < bounds[1]:
        raise DataError("bounds: the wrong way round", wanted="least, greatest", got=f"{bounds}")
    clusters = table.sums.size
    value = float(table.sums.sum() / table.sizes.sum())
    if clusters == 1:
        why = Unknown("one observation" if table.n_trials == 1 else "one cluster: nothing shows its spread")
        return Estimate(value, why, why, method, table.n_trials, table.n_tasks, 1, df=why)
    low, high = bounds if bounds is not None else (0.0, 1.0)
    # scores of 0..1, the usual case, are taken as they are: a copy of a million sums is 8 MB
    sums = table.sums if (low, high) == (0.0, 1.0) else (table.sums - low * table.sizes) / (high - low)
    measured = spread(sums, table.sizes)
    df, se = float(measured.df), float(np.sqrt(measured.variance)) * (high - low)
    # rounding leaves about 1e-16 of the scores' size where there is no spread at all
    means = table.sums / table.sizes
    size = max(float(means.max()), -float(means.min()))
    del means
    flat = se <= 1e-14 * (size if bounds is None else max(size, high - low))
    known: Figure = Unknown(f"all {clusters} clusters agree: no spread to measure") if flat else se
    interval: Interval | Unknown
    if bounds is not None:
        unit = replace(table, sums=sums, within=table.within / (high - low) ** 2)
        name, ends = _limits(measured, unit, level, form)
        interval = Interval(low + (high - low) * ends[0], low + (high - low) * ends[1], level, name)
    elif flat:
        interval = Unknown(f"all {clusters} clusters agree: no spread to measure, and no bounds were given")
    elif form == "t":
        half = t_quantile(level, df) * se
        interval = Interval(value - half, value + half, level, f"t({df:.1f})")
    else:
        influence = (table.sums - value * table.sizes) / table.sizes.sum()
        ends = skewed_limits(value, se, cluster_third_cumulant(influence) / se**3, df, level)
        interval = Interval(*ends, level, f"t({df:.1f}), corrected for skew")
    counts = (table.n_trials, table.n_tasks, clusters)
    return Estimate(value, known, interval, method, *counts, df=df, notes=_notes(table.sizes))


def _limits(measured: Spread, table: ClusterSums, level: float, form: str) -> tuple[str, tuple[float, float]]:
    """Name and limits of the bounded interval for a table of scores in 0..1."""
    off = table.sums / table.sizes  # a cluster's mean, then its distance from 1/2, then from the nearer end
    for middle in (0.5, 0.5):
        off -= middle
        np.abs(off, out=off)
    agree = bool(off.max() <= _ROUNDING)
    if agree and bool(np.all(table.sizes == table.sizes[0])):
        # every cluster is one 0/1 outcome: counts, whose variance is known, so no Student's t
        p, n = np.asarray(measured.mean), np.asarray(float(off.size))
        if form == "beta":
            low, high = beta_form(p, n, level)
            return "clopper-pearson", (float(low), float(high))
        low, high = wilson_form(p, n, np.asarray(z_quantile(level)))
        return "wilson", (float(low), float(high))
    low, high = bounded_limits(steadied(measured, table.sums, table.sizes, table.within), level, form=form)
    flat = float(measured.variance) <= NO_SPREAD
    name = "no-spread bound" if flat else f"{form} at effective clusters, t({float(measured.df):.1f})"
    return name, (float(low), float(high))


def steadied(measured: Spread, sums: FloatArray, sizes: FloatArray, inside: float | FloatArray) -> Spread:
    """The spread with its variance raised towards the exchangeable one where that is larger (scores in 0..1).

    The robust variance misses low where rare outcomes happened to fall into small clusters. The excess counts by
    `(1 - 2p)^2`, the skew of the outcome: nothing at 1/2, where the robust variance is right by itself.
    """
    steady = exchangeable_variance(sums, sizes, np.asarray(inside, dtype=np.float64))
    flat = measured.variance <= 1e-28
    excess = (1.0 - 2.0 * measured.mean) ** 2 * np.maximum(steady - measured.variance, 0.0)
    return replace(measured, variance=np.where(flat, 0.0, measured.variance + excess))


def _notes(sizes: FloatArray) -> tuple[str, ...]:
    share = float(sizes.max() / sizes.sum())
    if sizes.size > 2 and share > 0.5:
        return (f"one cluster holds {share:.0%} of the rows: the interval rests on it",)
    return ()
