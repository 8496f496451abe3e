"""Agreement of any number of raters with missing ratings: Krippendorff's alpha.

Not covered: who is right; the ratio metric; continuous ratings with very many different values (round them).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from steelyard.errors import DataError
from steelyard.stats.agreement import fisher_interval
from steelyard.stats.base import (
    Coded,
    Estimate,
    FloatArray,
    IntArray,
    Labels,
    codes,
    finite,
    fraction,
    same_length,
    t_quantile,
)
from steelyard.unknown import Unknown

Metric = Literal["nominal", "ordinal", "interval"]


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
    "interval" for numbers. `clusters` names each row's group of units (default: the unit). Interval: delete
    one cluster (jackknife), on Fisher's z scale, with one more average unit that agrees by chance only, as
    for kappa.
    """
    fraction(level, "level")
    if metric not in ("nominal", "ordinal", "interval"):
        raise DataError("metric: unknown", wanted="nominal, ordinal or interval", got=str(metric))
    unit = codes(units, "unit")
    category, order = _categories(values, metric)
    same_length(len(unit.index), [("value", len(category.index))])
    group = unit if clusters is None else codes(clusters, "cluster")
    same_length(len(unit.index), [("cluster", len(group.index))])
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
    held = _coincidences(unit.index[keep], category.index[keep], place[group.index[keep]], category.size)
    value = _alpha(held.sum(axis=0), order, metric)
    if math.isnan(value):
        why = Unknown("all ratings are the same, so chance explains all agreement")
        return Estimate(why, why, why, method, *counts)
    if used.size < 2:
        why = Unknown("one unit shows no spread between units")
        return Estimate(value, why, why, method, *counts)
    return _jackknife(value, held, order, (metric, level, method, counts))


def _categories(values: Labels, metric: str) -> tuple[Coded, FloatArray]:
    """Ratings as codes, and the number that each code stands for (its rank order, when ordinal)."""
    if metric == "nominal":
        coded = codes(values, "value")
        return coded, np.arange(coded.size, dtype=np.float64)
    levels, place = np.unique(finite(np.asarray(values), "value"), return_inverse=True)
    return Coded(place.astype(np.int64), tuple(levels.tolist())), levels


def _coincidences(unit: IntArray, category: IntArray, group: IntArray, k: int) -> FloatArray:
    """Coincidence matrix of each group, shape (groups, k, k): pairs within units over (ratings - 1)."""
    units, place = np.unique(unit, return_inverse=True)
    groups = int(group.max()) + 1
    if max(units.size, groups) * k * k > 200_000_000:
        raise DataError(
            "too many different values for this many units",
            wanted="at most 200 million units x values^2",
            got=f"{units.size} units, {k} values",
            fix="round the values, or rate in fewer steps",
        )
    counts = np.zeros((units.size, k))
    np.add.at(counts, (place, category), 1.0)
    belongs = np.zeros(units.size, np.int64)
    belongs[place] = group
    scaled = counts / np.maximum(1.0, counts.sum(axis=1, keepdims=True) - 1)
    out = np.zeros((groups, k, k))
    for i in range(k):  # one row of all matrices at a time keeps memory at (units, k)
        part = scaled[:, i : i + 1] * counts
        part[:, i] = scaled[:, i] * (counts[:, i] - 1)
        np.add.at(out[:, i, :], belongs, part)
    return out


def _alpha(coincidence: FloatArray, order: FloatArray, metric: str) -> float:
    """Alpha of a coincidence matrix; NaN when the ratings do not vary."""
    margin = coincidence.sum(axis=1)
    if metric == "nominal":
        delta = 1.0 - np.eye(len(margin))
    elif metric == "interval":
        delta = (order[:, None] - order[None, :]) ** 2
    else:
        middle = np.cumsum(margin) - margin / 2
        delta = (middle[:, None] - middle[None, :]) ** 2
    expected = float(np.sum(margin * (delta @ margin)))
    if expected <= 0:
        return math.nan
    return 1.0 - float(margin.sum() - 1) * float(np.sum(coincidence * delta)) / expected


def _jackknife(
    value: float, held: FloatArray, order: FloatArray, about: tuple[str, float, str, tuple[int, int, int]]
) -> Estimate:
    metric, level, method, counts = about
    total = held.sum(axis=0)
    groups = len(held)
    margin = total.sum(axis=1)
    chance = np.outer(margin, margin) / margin.sum() / groups  # one more average cluster, by chance only
    centre = _alpha(total + chance, order, metric)
    left = np.array([_alpha(total + chance - own, order, metric) for own in held] + [value])
    if np.isnan(left).any():
        why = Unknown("without one of the clusters the ratings do not vary, so no error can be estimated")
        return Estimate(value, why, why, method, *counts)
    m = len(left)
    se = math.sqrt((m - 1) / m * float(np.sum((left - left.mean()) ** 2)))
    interval = fisher_interval(value, (centre, se), (t_quantile(level, groups - 1), level, method))
    return Estimate(value, se, interval, method, *counts, float(groups - 1))
