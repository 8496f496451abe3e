"""Score limits for nominal alpha: every value that the ratings do not refute, judged by the variance under that value.

Does not cover ordinal and interval ratings of three values or more, whose spread a value of alpha does not determine.

A value a is kept while (alpha - a)^2 <= q^2 V(a), as Wilson's interval takes the variance of a rate at the rate under
trial. V(a) belongs to the law in which all raters of a unit give one and the same draw from the observed margin with
probability a, and independent draws otherwise (our choice: for two raters and two categories it is the only law with
these margins; for more it is near other laws, see docs). Negative values have the variance of 0. The variance at the
observed table, as in textbooks and in the jackknife, is far too small when a rare category was by chance never named
twice in one unit: 50 units with a category of a tenth covered 59 % at alpha 0.

With m ratings in a unit, d their share of disagreeing pairs and g the mean of 1 - p over their categories, the unit's
influence on alpha is proportional to m (d - 2 (1 - a) g); moments of d are those of a U-statistic (Hoeffding 1948).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from steelyard.stats.base import FloatArray, IntArray
from steelyard.stats.kappa_score import outermost


def alpha_variance(alpha: FloatArray, ratings: IntArray, shares: FloatArray) -> FloatArray:
    """V(a) for values of alpha, (n,); `ratings` a unit, (units,), two or more; `shares` of the categories, (k,)."""
    m, units = np.unique(ratings, return_counts=True)
    a = np.clip(alpha, 0.0, 1.0)[:, None]
    apart = 1.0 - float(np.sum(shares**2))
    once = float(np.sum(shares * (1.0 - shares) ** 2))
    one, two = once - apart**2, apart - apart**2
    lean = 2.0 * (1.0 - a)
    pairs = 2.0 * (2.0 * (m - 2) * one + two) / (m * (m - 1.0))
    free = m**2 * (pairs + lean**2 * one / m - 4.0 * lean * one / m)
    mean = m * apart * (1.0 - lean)
    first = (1.0 - a) * mean - a * m * lean * apart
    second = (1.0 - a) * (free + mean**2) + a * (m * lean) ** 2 * once
    total = float(np.sum(units * m)) * apart
    out: FloatArray = np.sum(units * (second - first**2), axis=1) / total**2
    return out


def alpha_limits(value: float, ratings: IntArray, shares: FloatArray, error: float) -> tuple[float, float]:
    """Least and greatest alpha not refuted; `error` is the quantile squared, times the inflation by clusters."""

    def kept(grid: FloatArray) -> NDArray[np.bool_]:
        return np.asarray((grid - value) ** 2 <= error * alpha_variance(grid, ratings, shares), np.bool_)

    return outermost(value, kept)
