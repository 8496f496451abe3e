"""Intervals for a rate from independent trials: Wilson, Clopper-Pearson, Jeffreys.

Does not cover repeated trials of one task or tasks that share a source: use `two_level` or `clustered_rate`.
One trial gives no interval and no trial gives nothing: Unknown. A rate of exactly 0 or 1 has an interval, but
no standard error: the usual formula would print 0. For "how rare at most", see `rare`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from steelyard.errors import DataError
from steelyard.stats.base import Estimate, FloatArray, Interval, binary, count, fraction, numbers, z_quantile
from steelyard.stats.bounded import beta_form, wilson_form
from steelyard.unknown import Unknown

METHODS = ("wilson", "clopper-pearson", "jeffreys")


def rate(values: ArrayLike, *, level: float = 0.95, method: str = "wilson") -> Estimate:
    """The rate of ones in a column of 0 and 1, one row an independent trial of its own task."""
    column = binary(values)
    return rate_of(int(column.sum()), column.size, level=level, method=method)


def wilson(successes: int, n: int, *, level: float = 0.95) -> Estimate:
    """Wilson's (1927) score interval: on average at the level, not below it for every rate (approximate)."""
    return rate_of(successes, n, level=level, method="wilson")


def clopper_pearson(successes: int, n: int, *, level: float = 0.95) -> Estimate:
    """Clopper and Pearson's (1934) exact interval: never below the level, for any rate and n."""
    return rate_of(successes, n, level=level, method="clopper-pearson")


def jeffreys(successes: int, n: int, *, level: float = 0.95) -> Estimate:
    """Jeffreys' interval (Brown, Cai and DasGupta 2001): quantiles of Beta(x + 1/2, n - x + 1/2).

    The lower end is 0 without a success and the upper end 1 without a failure, as they recommend.
    """
    return rate_of(successes, n, level=level, method="jeffreys")


def rate_of(successes: int, n: int, *, level: float = 0.95, method: str = "wilson") -> Estimate:
    """`successes` of `n` independent trials as an Estimate; `method` is one of `METHODS`."""
    n, successes = count(n, "trials"), count(successes, "successes")
    fraction(level, "level")
    if successes > n:
        raise DataError("successes: more than trials", wanted=f"0 to {n}", got=f"{successes}")
    if n == 0:
        none = Unknown("no trial")
        return Estimate(none, none, none, method, 0, 0, 0)
    p = successes / n
    if n == 1:
        one = Unknown("one trial says nothing about spread")
        return Estimate(p, one, one, method, 1, 1, 1)
    se: float | Unknown = math.sqrt(p * (1.0 - p) / n)
    if successes in (0, n):
        se = Unknown(f"all {n} trials agree; read the interval")
    low, high = rate_limits(successes, n, level=level, method=method)
    interval = Interval(float(low), float(high), level, method)
    return Estimate(p, se, interval, method, n, n, n)


def rate_limits(
    successes: ArrayLike, n: ArrayLike, *, level: float = 0.95, method: str = "wilson"
) -> tuple[FloatArray, FloatArray]:
    """Limits for arrays of counts, broadcast together; no check of the counts but `n >= 1`."""
    x, m = numbers(successes, "successes"), numbers(n, "trials")
    if np.any(m < 1):
        raise DataError("trials: no trial", wanted="at least 1 in every cell", got=f"{m.min():g}")
    p = x / m
    if method == "wilson":
        return wilson_form(p, m, np.asarray(z_quantile(level)))
    if method == "clopper-pearson":
        return beta_form(p, m, fraction(level, "level"))
    if method == "jeffreys":
        tail = 0.5 * (1.0 - fraction(level, "level"))
        low = np.where(x > 0, special.betaincinv(x + 0.5, m - x + 0.5, tail), 0.0)
        return low, np.where(x < m, special.betaincinv(x + 0.5, m - x + 0.5, 1.0 - tail), 1.0)
    raise DataError("method: unknown", wanted=" or ".join(METHODS), got=method)
