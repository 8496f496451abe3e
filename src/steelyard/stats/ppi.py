"""The score that people would have given, from many judge scores and few human ones.

Not covered: labels chosen because of the judge's score, and judged items from another population than the
labelled ones. Both break every method here without a trace in the numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from steelyard.errors import DataError
from steelyard.stats.base import (
    Estimate,
    FloatArray,
    Interval,
    Labels,
    binary,
    codes,
    finite,
    fraction,
    same_length,
    t_quantile,
    z_quantile,
)
from steelyard.stats.bounded import wilson_form
from steelyard.stats.robust import influence_variance
from steelyard.stats.skewed import skewed_limits, third_cumulant
from steelyard.unknown import Unknown

_PSEUDO = 0.15


@dataclass(frozen=True, slots=True)
class PpiOptions:
    """`tune`: "auto" weighs the judge by how well it predicts (PPI++), 1 is plain PPI, 0 ignores the judge.

    `small_sample`: for 0/1 scores Wilson's limits at the effective number of labels, for graded ones unbiased
    variances and Student's t corrected for skew; False gives the authors' large-sample interval (ppi-python).
    """

    tune: float | Literal["auto"] = "auto"
    level: float = 0.95
    small_sample: bool = True


@dataclass(frozen=True, slots=True)
class Clusters:
    """The cluster of every labelled and of every unlabelled item; one label may occur in both."""

    labelled: Labels
    unlabelled: Labels


def ppi_mean(
    human: ArrayLike,
    judged: ArrayLike,
    unlabelled: ArrayLike,
    options: PpiOptions | None = None,
    *,
    clusters: Clusters | None = None,
) -> Estimate:
    """Mean human score over the population that both samples were drawn from.

    `human` and `judged` have one entry a labelled item, `unlabelled` the judge's score of the other items.
    theta = lam mean(unlabelled) + mean(human - lam judged); its variance is lam^2 var(unlabelled) / N +
    var(human - lam judged) / n (Angelopoulos et al. 2023a); "auto" takes lam = cov(human, judged) / ((1 + n/N)
    var(judged)), kept in 0..1 (PPI++, 2023b). With `clusters` the variance is over clusters' summed
    influences. Raises `DataError` for fewer than two labelled or unlabelled items.
    """
    o = options or PpiOptions()
    fraction(o.level, "level")
    y, f, rest = finite(human, "human"), finite(judged, "judged"), finite(unlabelled, "unlabelled")
    same_length(len(y), [("judged", len(f))])
    if len(y) < 2 or len(rest) < 2:
        raise DataError(
            "too few items", wanted="two labelled and two unlabelled", got=f"{len(y)} and {len(rest)}"
        )
    lam = _lambda((y, f, rest), o)
    if not math.isfinite(lam):
        raise DataError("tune: not a number", wanted='"auto" or a finite number', got=f"{o.tune}")
    value = lam * float(rest.mean()) + float((y - lam * f).mean())
    name = "classical mean of the labels" if lam == 0 else f"prediction-powered mean, lambda {lam:.4f}"
    if clusters is not None:
        return _clustered(value, (y - lam * f, lam * rest), clusters, (o, name))
    return _independent(value, (y, f, rest), lam, (o, name))


def classical_mean(human: ArrayLike, *, level: float = 0.95, small_sample: bool = True) -> Estimate:
    """The mean of the labels alone, in the form of `ppi_mean`: the yardstick for what the judge adds."""
    y = finite(human, "human")
    two = np.zeros(2)
    found = ppi_mean(y, np.zeros(len(y)), two, PpiOptions(0.0, level, small_sample))
    return Estimate(
        found.value, found.se, found.interval, found.method, len(y), len(y), len(y), found.df, found.notes
    )


def tuned(y: FloatArray, f: FloatArray, rest: FloatArray) -> float:
    """The lambda of PPI++: it makes the variance smallest; 0 for a judge that says the same of everything."""
    pooled = np.concatenate([f, rest])
    spread = float(pooled.var(ddof=1))
    if spread == 0:
        return 0.0
    covariance = float(np.mean((y - y.mean()) * (f - f.mean())))  # 1/n as in the authors' software
    return min(1.0, max(0.0, covariance / ((1 + len(y) / len(rest)) * spread)))


def slope(y: FloatArray, f: FloatArray, rest: FloatArray) -> float:
    """Lambda for graded scores: the least-squares slope of people's score on the judge's, over 1 + n/N; not below 0.

    Both moments come from the same labels, so what is extreme in them cancels. With the judge's spread over all
    items, as in PPI++, a lambda is high just when the labelled items happen to be high: where scores are skewed
    that shifts the mean and widens the interval (by 8 to 140 % at 50 labels). The slope may exceed 1: a judge's
    scale need not be people's. 0, the labels alone, also when a line through the judge's scores meets every label:
    then nothing shows how far the judge errs.
    """
    gap, own = f - f.mean(), y - y.mean()
    squares = float(gap @ gap)
    if squares <= 1e-24 * float(f @ f):
        return 0.0
    steep = float(gap @ own) / squares
    if float(np.max(np.abs(own - steep * gap))) <= 1e-12 * float(np.max(np.abs(own))):
        return 0.0
    return max(0.0, steep / (1 + len(y) / len(rest)))


def _lambda(data: tuple[FloatArray, FloatArray, FloatArray], o: PpiOptions) -> float:
    if o.tune != "auto":
        return float(o.tune)
    return slope(*data) if o.small_sample and not _two_valued(data) else tuned(*data)


def _two_valued(data: tuple[FloatArray, FloatArray, FloatArray]) -> bool:
    return all(bool(np.all((x == 0.0) | (x == 1.0))) for x in data)


def _independent(
    value: float, data: tuple[FloatArray, FloatArray, FloatArray], lam: float, about: tuple[PpiOptions, str]
) -> Estimate:
    y, f, rest = data
    o, name = about
    n, big = len(y), len(rest)
    counts = (n + (big if lam else 0), n, n)
    judge_part = lam**2 * float(rest.var(ddof=int(o.small_sample))) / big
    own = float((y - lam * f).var(ddof=int(o.small_sample))) / n
    two_valued = _two_valued(data)
    if not o.small_sample:
        se = math.sqrt(own + judge_part)
        return _asymptotic(value, se, (o, name), counts)
    if two_valued:
        return _counted(value, data, lam, (name, judge_part, o.level))
    plain = own + judge_part
    if o.tune == "auto" and n > 2 and lam > 0:
        own = _tuned_variance(y, f, lam)
    if own + judge_part == 0:
        why = Unknown("every labelled item agrees exactly, so the labels show no spread")
        return Estimate(value, why, why, name, *counts)
    if own == 0:
        why = Unknown(f"the judge agrees with all {n} labels, so its errors cannot be bounded from them")
        return Estimate(value, why, why, name, *counts)
    se = math.sqrt(own + judge_part)
    df = (own + judge_part) ** 2 / (own**2 / (n - 1) + judge_part**2 / (big - 1))
    method = f"{name}, Student's t corrected for skew"
    # the third moment is of residuals without a leverage, so is the variance it is held against: with the larger one
    # 20 labels of a long tail look less skewed than they are (lognormal(1): 92.7 % for 93.5)
    skewness = (third_cumulant(y - lam * f) + lam**3 * third_cumulant(rest)) / plain**1.5
    low, high = skewed_limits(value, se, skewness, df, o.level)
    return Estimate(value, se, Interval(low, high, o.level, method), method, *counts, df)


def _counted(
    value: float,
    data: tuple[FloatArray, FloatArray, FloatArray],
    lam: float,
    about: tuple[str, float, float],
) -> Estimate:
    """Wilson's limits for 0/1 scores, at n* = p(1 - p) / variance labels; at lambda 0 nearly Wilson's own.

    p and the variance, not the estimate, are taken with 0.15 of a count more in each cell of human x judge, so
    that a judge without a seen error has room for some.
    """
    y, f, rest = data
    name, judge_part, level = about
    counts = (len(y) + (len(rest) if lam else 0), len(y), len(y))
    cells = np.bincount((2 * y + f).astype(np.int64), minlength=4) + _PSEUDO
    gain = np.array([0.0, -lam, 1.0, 1.0 - lam])
    total = float(cells.sum())
    mean = float(cells @ gain) / total
    variance = float(cells @ (gain - mean) ** 2) / total / (total - 1) + judge_part
    centre = min(1 - 1e-9, max(1e-9, mean + lam * float(rest.mean())))
    method = f"{name}, Wilson's limits at effective labels"
    ends = wilson_form(
        np.asarray(min(1.0, max(0.0, value))),
        np.asarray(centre * (1 - centre) / variance),
        np.asarray(z_quantile(level)),
    )
    interval = Interval(float(ends[0]), float(ends[1]), level, method)
    return Estimate(value, math.sqrt(variance), interval, method, *counts)


def _tuned_variance(y: FloatArray, f: FloatArray, lam: float) -> float:
    """Variance of the labelled part when lambda came from the same labels: residuals over (1 - leverage), HC3.

    A tuned lambda is a regression slope: it follows the labels it was fitted to, most of all far-off ones.
    """
    gap = f - f.mean()
    squares = float(gap @ gap)
    leverage = 1.0 / len(y) + (gap**2 / squares if squares > 0 else 0.0)
    residual = (y - y.mean()) - lam * gap
    return float(np.sum((residual / np.maximum(1e-6, 1.0 - leverage)) ** 2)) / len(y) ** 2


def _asymptotic(
    value: float, se: float, about: tuple[PpiOptions, str], counts: tuple[int, int, int]
) -> Estimate:
    o, name = about
    method = f"{name}, normal"
    if se == 0:
        why = Unknown("every labelled item agrees exactly, so the labels show no spread")
        return Estimate(value, why, why, method, *counts)
    half = z_quantile(o.level) * se
    return Estimate(value, se, Interval(value - half, value + half, o.level, method), method, *counts)


def _clustered(
    value: float, parts: tuple[FloatArray, FloatArray], clusters: Clusters, about: tuple[PpiOptions, str]
) -> Estimate:
    """The interval from influences summed over clusters that may hold items of both kinds."""
    o, name = about
    own, rest = parts
    same_length(len(own), [("clusters.labelled", len(clusters.labelled))])
    same_length(len(rest), [("clusters.unlabelled", len(clusters.unlabelled))])
    labelled = list(np.asarray(clusters.labelled).tolist())
    together = codes(labelled + list(np.asarray(clusters.unlabelled).tolist()), "cluster")
    influence = np.concatenate([(own - own.mean()) / len(own), (rest - rest.mean()) / len(rest)])
    sums = np.bincount(together.index, weights=influence, minlength=together.size).astype(np.float64)
    # the labelled items carry nearly all of the variance, so their spread over clusters sets the corrections
    size = np.bincount(together.index[: len(own)], minlength=together.size) / len(own)
    share = 0.5 * size + 0.5 * np.bincount(together.index[len(own) :], minlength=together.size) / len(rest)
    weight = size if not rest.any() else share
    used = int(np.sum(size > 0))
    method = f"{name}, cluster-robust"
    counts = (len(own) + len(rest), len(own), used)
    if used < 2:
        why = Unknown("the labelled items lie in one cluster, which shows no spread")
        return Estimate(value, why, why, method, *counts)
    variance, df = influence_variance(sums, weight / weight.sum())
    se = math.sqrt(float(variance))
    if se == 0:
        why = Unknown("the clusters show no spread")
        return Estimate(value, why, why, method, *counts)
    degrees = min(float(df), float(used - 1))
    half = t_quantile(o.level, degrees) * se
    return Estimate(
        value, se, Interval(value - half, value + half, o.level, method), method, *counts, degrees
    )


def rogan_gladen(
    human: ArrayLike, judged: ArrayLike, unlabelled: ArrayLike, *, level: float = 0.95
) -> Estimate:
    """Rate of human "yes" from a judge's yes/no, corrected by its sensitivity and specificity.

    pi = (q + sp - 1) / (se + sp - 1), q the judge's yes rate on the unlabelled items (Rogan & Gladen 1978).
    Unlike `ppi_mean` it stays right when labelled and unlabelled items differ in how often the answer is yes,
    as long as the judge errs alike in both. Interval: delta method on rates with a quarter of a success and of
    a failure more each (after Lang & Reiczigel 2014, who add one), cut at 0 and 1. Unknown when the judge does
    no better than chance, or the labels hold no yes or no no.
    """
    fraction(level, "level")
    y, f, rest = binary(human, "human"), binary(judged, "judged"), binary(unlabelled, "unlabelled")
    same_length(len(y), [("judged", len(f))])
    yes, no, n = float(y.sum()), float((1 - y).sum()), float(len(rest))
    method = "Rogan-Gladen, delta method on rates with added counts"
    counts = (len(y) + len(rest), len(y), len(y))
    if not yes or not no:
        why = Unknown(
            f"the labels hold no {'yes' if not yes else 'no'}, so the judge's errors there are unseen"
        )
        return Estimate(why, why, why, method, *counts)
    hits, rejected, positive = float((y * f).sum()), float(((1 - y) * (1 - f)).sum()), float(rest.sum())
    youden = hits / yes + rejected / no - 1
    if youden <= 0:
        why = Unknown("the judge does no better than chance on the labelled items")
        return Estimate(why, why, why, method, *counts)
    value = min(1.0, max(0.0, (positive / n + rejected / no - 1) / youden))
    rates = [(x + 0.25) / (m + 0.5) for x, m in ((hits, yes), (rejected, no), (positive, n))]
    se, sp, q = rates
    spread = se + sp - 1
    if spread <= 0:
        why = Unknown("the judge does hardly better than chance on the labelled items")
        return Estimate(value, why, why, method, *counts)
    centre = (q + sp - 1) / spread
    pi = min(1.0, max(0.0, centre))
    parts = (
        q * (1 - q) / (n + 0.5),
        pi**2 * se * (1 - se) / (yes + 0.5),
        (1 - pi) ** 2 * sp * (1 - sp) / (no + 0.5),
    )
    error = math.sqrt(sum(parts)) / spread
    half = z_quantile(level) * error
    interval = Interval(max(0.0, pi - half), min(1.0, pi + half), level, method)
    return Estimate(value, error, interval, method, *counts)
