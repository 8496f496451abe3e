"""Intervals for the mean of scores in 0..1, from a cluster-robust spread; they hold near 0 and 1.

Does not need Bernoulli scores: `p(1 - p)` is the largest variance that scores in 0..1 with mean p can have
(Bhatia and Davis 2000), so the effective number of clusters `n* = p(1 - p) / V` is well defined for any of them.
The interval is Wilson's with `n*` in place of n and Student's quantile at the spread's degrees of freedom
(Dean and Pagano 2015), or Clopper-Pearson's with `n*` corrected by the quantiles (Korn and Graubard 1998).

Our deviation, where `n*` cannot be estimated because few clusters show the rarer outcome: V is blended with
its largest possible value, weight `exp(-m / 2)` for m such clusters. Without it one failure in 160 trials would
claim a lower ceiling than none. With no failure at all the number of clusters counts, not of trials.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from steelyard.stats.base import FloatArray, fraction
from steelyard.stats.robust import Spread

# below this share of the largest possible variance the spread is rounding error, not information
NO_SPREAD = 1e-20


def bounded_limits(spread: Spread, level: float, *, form: str = "wilson") -> tuple[FloatArray, FloatArray]:
    """Lower and upper limit for each mean in `spread` (scores in 0..1); `form` is "wilson" or "beta"."""
    p = np.clip(spread.mean, 0.0, 1.0)
    largest = p * (1.0 - p)
    flat = (spread.variance <= NO_SPREAD) | (largest <= NO_SPREAD)
    q = spread.concentration
    ceiling = largest * q / np.maximum(1.0 - q, 1e-12)
    weight = np.exp(-0.5 * spread.minority)
    variance = spread.variance + weight * np.maximum(ceiling - spread.variance, 0.0)
    effective = largest / np.where(flat, 1.0, variance)
    effective = np.where(flat, 1.0, np.maximum(effective, 1e-6))
    critical = np.asarray(special.stdtrit(spread.df, 0.5 + 0.5 * fraction(level, "level")), dtype=np.float64)
    if form == "wilson":
        low, high = wilson_form(p, effective, critical)
    else:
        normal = special.ndtri(0.5 + 0.5 * level)
        low, high = beta_form(p, np.maximum(effective * (normal / critical) ** 2, 1e-6), level)
    flat_low, flat_high = no_spread_form(p, spread.clusters, level)
    return np.where(flat, flat_low, low), np.where(flat, flat_high, high)


def wilson_form(p: FloatArray, n: FloatArray, critical: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Wilson's score limits at an observed mean `p` of `n` (effective) observations."""
    c2 = critical**2
    middle = (p + c2 / (2.0 * n)) / (1.0 + c2 / n)
    half = critical / (1.0 + c2 / n) * np.sqrt(p * (1.0 - p) / n + c2 / (4.0 * n * n))
    # exact ends at 0 and 1: the two terms cancel there only up to rounding
    low = np.where(p <= 0.0, 0.0, np.clip(middle - half, 0.0, p))
    high = np.where(p >= 1.0, 1.0, np.clip(middle + half, p, 1.0))
    return low, high


def beta_form(p: FloatArray, n: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """Clopper-Pearson limits at `p * n` successes of `n`, neither of them necessarily whole."""
    x, tail = p * n, 0.5 * (1.0 - level)
    low = np.where(x > 0.0, special.betaincinv(np.maximum(x, 1e-300), n - x + 1.0, tail), 0.0)
    high = np.where(x < n, special.betaincinv(x + 1.0, np.maximum(n - x, 1e-300), 1.0 - tail), 1.0)
    return low, high


def no_spread_form(p: FloatArray, clusters: int, level: float) -> tuple[FloatArray, FloatArray]:
    """Limits when all `clusters` have the same mean `p`: at most a share u of clusters can differ from it.

    `u = 1 - (alpha/2)^(1/C)` is Clopper-Pearson's limit for no event in C; what differs can be as far as 0 or 1.
    Exact for independent clusters of the same distribution.
    """
    share = -np.expm1(np.log(0.5 * (1.0 - level)) / clusters)
    return p * (1.0 - share), p + share * (1.0 - p)
