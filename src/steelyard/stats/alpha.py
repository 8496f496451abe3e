"""Agreement of any number of raters with missing ratings: Krippendorff's alpha.

Not covered: who is right; the ratio metric; ordinal ratings with thousands of different values (round them). Ordinal
and interval ratings of three values or more get the jackknife, too narrow where few units differ from the rest.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import numpy as np

from steelyard.errors import DataError
from steelyard.stats.agreement import fisher_interval
from steelyard.stats.alpha_score import alpha_limits
from steelyard.stats.base import (
    Coded,
    Estimate,
    FloatArray,
    IntArray,
    Interval,
    Labels,
    codes,
    finite,
    fraction,
    nested,
    same_length,
    t_quantile,
)
from steelyard.unknown import Unknown, is_known

Metric = Literal["nominal", "ordinal", "interval"]
_MOST = 200_000_000


def krippendorff_alpha(
    values: Labels,
    units: Labels,
    *,
    metric: Metric = "nominal",
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate:
    """Krippendorff's alpha from ratings in long form: one row a rating, its value and the unit rated.

    alpha = 1 - observed / expected disagreement over pairs within units (Krippendorff 2011). A rating that
    is missing has no row; a unit with one rating is left out. `metric`: "nominal" for labels, "ordinal" and
    "interval" for numbers. `clusters` names each row's group of units (default: the unit). `se`: delete one
    cluster (jackknife), with one more average unit that agrees by chance only, as for kappa. Interval: score limits
    (`alpha_score`) for nominal ratings and for two values, whose variance clusters inflate by the ratio of the two
    jackknives; for others the jackknife's on Fisher's z scale.
    """
    fraction(level, "level")
    if metric not in ("nominal", "ordinal", "interval"):
        raise DataError("metric: unknown", wanted="nominal, ordinal or interval", got=str(metric))
    unit = codes(units, "unit")
    category, level_of = _categories(values, metric)
    same_length(len(unit.index), [("value", len(category.index))])
    group = unit if clusters is None else codes(clusters, "cluster")
    same_length(len(unit.index), [("cluster", len(group.index))])
    nested(unit, group, ("unit", "cluster"))
    keep = np.bincount(unit.index)[unit.index] > 1
    n, pairable = int(keep.sum()), int(np.unique(unit.index[keep]).size)
    method = f"Krippendorff's alpha, {metric}, jackknife over {'units' if clusters is None else 'clusters'}"
    used = np.unique(group.index[keep])
    counts = (n, pairable, int(used.size))
    if not n:
        why = Unknown("no unit was rated twice")
        return Estimate(why, why, why, method, *counts)
    place = np.zeros(group.size, np.int64)
    place[used] = np.arange(used.size)
    where = (unit.index[keep], place[group.index[keep]])
    if metric == "interval":
        held = _moments(*where, level_of[category.index[keep]])
    else:
        held = _coincidences(*where, category.index[keep])
    value = _alpha(held.sum(axis=0), metric)
    if math.isnan(value):
        why = Unknown("all ratings are the same, so chance explains all agreement")
        return Estimate(why, why, why, method, *counts)
    if used.size < 2:
        why = Unknown("one unit shows no spread between units")
        return Estimate(value, why, why, method, *counts)
    found = _jackknife(value, held, (metric, level, method, counts))
    used_values, ratings = np.unique(category.index[keep], return_counts=True)
    if metric != "nominal" and used_values.size > 2:
        return found
    sizes = np.bincount(unit.index[keep])
    inflation = 1.0
    if clusters is not None:
        if not is_known(found.se):
            return found
        each = np.unique(unit.index[keep], return_inverse=True)[1]
        alone = _jackknife(
            value, _coincidences(unit.index[keep], each, category.index[keep]), ("nominal", level, "", counts)
        )
        inflation = found.se**2 / alone.se**2 if is_known(alone.se) and alone.se > 0.0 else 1.0
    return _scored(found, sizes[sizes > 0], ratings, (inflation, level, f"Krippendorff's alpha, {metric}"))


def _categories(values: Labels, metric: str) -> tuple[Coded, FloatArray]:
    """Ratings as codes, and the number that each code stands for (its rank order, when ordinal)."""
    if metric == "nominal":
        coded = codes(values, "value")
        return coded, np.arange(coded.size, dtype=np.float64)
    levels, place = np.unique(finite(np.asarray(values), "value"), return_inverse=True)
    return Coded(place.astype(np.int64), tuple(levels.tolist())), levels


def _coincidences(unit: IntArray, group: IntArray, category: IntArray) -> FloatArray:
    """Coincidence matrix of each group, shape (groups, k, k): pairs within units over (ratings - 1)."""
    used, category = np.unique(category, return_inverse=True)
    units, place = np.unique(unit, return_inverse=True)
    groups, k = int(group.max()) + 1, used.size
    if max(units.size, groups) * k * k > _MOST:
        raise DataError(
            "too many different values for this many units",
            wanted=f"at most {_MOST:,} units x values^2",
            got=f"{units.size} units, {k} values",
            fix="round the values, or use metric='interval'",
        )
    counts = np.zeros((units.size, k))
    np.add.at(counts, (place, category), 1.0)
    belongs = np.zeros(units.size, np.int64)
    belongs[place] = group
    scaled = counts / (counts.sum(axis=1, keepdims=True) - 1)
    out = np.zeros((groups, k, k))
    for i in range(k):  # one row of all matrices at a time keeps memory at (units, k)
        part = scaled[:, i : i + 1] * counts
        part[:, i] = scaled[:, i] * (counts[:, i] - 1)
        np.add.at(out[:, i, :], belongs, part)
    return out


def _moments(unit: IntArray, group: IntArray, x: FloatArray) -> FloatArray:
    """For squared differences four sums a group say all that the matrix does: shape (groups, 4).

    Disagreement within units, ratings, sum and sum of squares of the centred ratings.
    """
    units, place = np.unique(unit, return_inverse=True)
    x = (x - x.mean()) / max(1e-300, float(np.abs(x - x.mean()).max()))
    m = np.bincount(place).astype(np.float64)
    sums, squares = np.bincount(place, x), np.bincount(place, x * x)
    belongs = np.zeros(units.size, np.int64)
    belongs[place] = group
    within = 2 * np.maximum(0.0, m * squares - sums**2) / (m - 1)
    return np.stack([np.bincount(belongs, v) for v in (within, m, sums, squares)], axis=1).astype(np.float64)


def _alpha(state: FloatArray, metric: str) -> float:
    """Alpha of a coincidence matrix, or of the four sums; NaN when the ratings do not vary."""
    if metric == "interval":
        observed, n, total, squares = (float(v) for v in state)
        expected = 2 * (n * squares - total**2)
        return 1.0 - (n - 1) * observed / expected if expected > 1e-12 * n * n else math.nan
    margin = state.sum(axis=1)
    if metric == "nominal":
        delta = 1.0 - np.eye(len(margin))
    else:
        middle = np.cumsum(margin) - margin / 2
        delta = (middle[:, None] - middle[None, :]) ** 2
    expected = float(np.sum(margin * (delta @ margin)))
    if expected <= 0:
        return math.nan
    return 1.0 - float(margin.sum() - 1) * float(np.sum(state * delta)) / expected


def _by_chance(state: FloatArray, metric: str) -> FloatArray:
    """The same ratings, paired at random instead of within units."""
    if metric == "interval":
        _, n, total, squares = state
        return np.array([2 * (n * squares - total**2) / n, n, total, squares])
    margin = state.sum(axis=1)
    return np.asarray(np.outer(margin, margin) / margin.sum(), np.float64)


def _jackknife(
    value: float, held: FloatArray, about: tuple[str, float, str, tuple[int, int, int]]
) -> Estimate:
    metric, level, method, counts = about
    groups = len(held)
    total = held.sum(axis=0)
    total = total + _by_chance(total, metric) / groups  # one more average cluster
    left = np.array([_alpha(total - own, metric) for own in held] + [value])
    if np.isnan(left).any():
        why = Unknown("without one of the clusters the ratings do not vary, so no error can be estimated")
        return Estimate(value, why, why, method, *counts)
    m = len(left)
    se = math.sqrt((m - 1) / m * float(np.sum((left - left.mean()) ** 2)))
    centre = _alpha(total, metric)
    interval = fisher_interval(value, (centre, se), (t_quantile(level, groups - 1), level, method))
    return Estimate(value, se, interval, method, *counts, float(groups - 1))


def _scored(found: Estimate, sizes: IntArray, ratings: IntArray, how: tuple[float, float, str]) -> Estimate:
    """The jackknife's estimate with score limits in place of its interval."""
    inflation, level, name = how
    quantile = t_quantile(level, found.n_clusters - 1)
    method = f"{name}, score limits"
    value = float(found.value)
    low, high = alpha_limits(value, sizes, ratings / ratings.sum(), quantile**2 * inflation)
    rare = int(ratings.min())
    notes = (f"the rarest category has {rare} ratings: the interval is rough",) if rare < 5 else ()
    interval = Interval(min(low, value), max(high, value), level, method)
    return replace(found, interval=interval, method=method, notes=notes, df=float(found.n_clusters - 1))
