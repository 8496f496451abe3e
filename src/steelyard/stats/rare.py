"""Rare failures: how many nines may be claimed, how long between failures, what the next nine costs.

Does not extend to conditions that were not tried, and counts trials as independent unless clusters are given: a
thousand runs of ten prompts are ten. Bounds are one-sided at the level: "at most this failure rate, with 95 %
confidence". No failure in n trials is not a rate of 0: at 95 % it allows up to about 3 / n.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from steelyard.errors import DataError
from steelyard.stats.base import (
    Figure,
    FloatArray,
    Interval,
    Labels,
    binary,
    codes,
    count,
    fraction,
    numbers,
    same_length,
)
from steelyard.stats.bounded import bounded_limits
from steelyard.stats.clusters import cluster_sums, steadied
from steelyard.stats.robust import spread
from steelyard.unknown import Unknown, is_known

_MOST_TRIALS = 10**15


@dataclass(frozen=True, slots=True)
class FailureBound:
    """What trials with few failures allow to be said.

    `rate` is failures over trials, `at_most` the one-sided upper limit of the failure rate and `at_least` the lower
    one, each at `level`. `nines` is the whole number of nines of reliability that may be claimed
    (`at_most <= 10^-nines`), `nines_exact` is `-log10(at_most)`.
    """

    failures: float
    trials: int
    rate: Figure
    at_most: Figure
    at_least: Figure
    nines: Figure
    nines_exact: Figure
    level: float
    method: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NextNine:
    """Trials that the next nine takes: `more_clean_trials` beyond those done, all without a failure."""

    nines: int
    total_trials: int
    more_clean_trials: int
    level: float


@dataclass(frozen=True, slots=True)
class Mtbf:
    """Mean exposure (hours, trials, tokens) between failures.

    `value` is exposure over failures, Unknown without a failure; `at_least` the one-sided lower limit;
    `interval` two-sided, Unknown without a failure (its upper end would be infinite).
    """

    failures: int
    exposure: float
    value: Figure
    at_least: float
    interval: Interval | Unknown
    level: float
    method: str = "Poisson, exposure fixed beforehand"


def failure_bound(failures: int, trials: int, *, level: float = 0.95) -> FailureBound:
    """Exact one-sided bounds (Clopper-Pearson) from independent trials."""
    failures, trials = _counts(failures, trials)
    fraction(level, "level")
    if trials == 0:
        none = Unknown("no trial")
        return FailureBound(0, 0, none, none, none, none, none, level, "Clopper-Pearson, one-sided")
    at_most = _upper(failures, trials, level)
    at_least = float(special.betaincinv(failures, trials - failures + 1, 1.0 - level)) if failures else 0.0
    return _bound((failures, trials), at_most, at_least, level, "Clopper-Pearson, one-sided")


def clustered_failure_bound(failed: ArrayLike, clusters: Labels, *, level: float = 0.95) -> FailureBound:
    """Bounds from trials that come in clusters; `failed` is 1 for a failure, one row a trial.

    Clopper-Pearson at the effective number of clusters (see `bounded`): without any failure, as many as there
    are clusters. One cluster gives Unknown. `level` must exceed 1/2.
    """
    column = binary(failed, "failed")
    same_length(column.size, [("clusters", len(clusters))])
    table = cluster_sums(column, codes(clusters, "cluster"))
    failures, trials = float(column.sum()), column.size
    if table.sums.size == 1:
        why = Unknown("one cluster: nothing shows its spread")
        return FailureBound(failures, trials, failures / trials, why, why, why, why, level, "clusters")
    kept = steadied(spread(table.sums, table.sizes), table.sums, table.sizes, table.within)
    # the two-sided limits at 2 level - 1 are the one-sided ones at level
    low, high = bounded_limits(kept, fraction(2.0 * level - 1.0, "2 level - 1"), form="beta")
    name = f"Clopper-Pearson at effective clusters, {table.sums.size} clusters"
    return _bound((failures, trials), float(high), float(low), level, name)


def trials_for_nines(nines: int, *, failures: int = 0, trials: int = 0, level: float = 0.95) -> NextNine:
    """How many trials, all further ones clean, until `nines` nines may be claimed after `failures` in `trials`.

    Inverts the Clopper-Pearson bound; without failures this is `ln(1 - level) / ln(1 - 10^-nines)`.
    """
    nines = count(nines, "nines", least=1)
    failures, trials = _counts(failures, trials)
    fraction(level, "level")
    target = 10.0**-nines
    low, high = max(trials, failures) - 1, max(trials, failures, 1)
    while _upper(failures, high, level) > target:
        low, high = high, high * 2
        if high > _MOST_TRIALS:
            raise DataError(
                "nines: beyond what can be counted", wanted="at most about 14 nines", got=f"{nines}"
            )
    while high - low > 1:
        middle = (low + high) // 2
        if _upper(failures, middle, level) > target:
            low = middle
        else:
            high = middle
    return NextNine(nines, high, max(0, high - trials), level)


def next_nine(failures: int, trials: int, *, level: float = 0.95) -> NextNine:
    """What the nine after the ones that may be claimed now costs in further clean trials."""
    now = failure_bound(failures, trials, level=level).nines
    claimed = int(now) if is_known(now) else 0
    return trials_for_nines(claimed + 1, failures=failures, trials=trials, level=level)


def mtbf(failures: int, exposure: float, *, level: float = 0.95) -> Mtbf:
    """Mean exposure between failures when failures come at a constant rate (Poisson).

    `at_least = exposure / q` with q the Gamma(failures + 1) quantile at `level` (Garwood 1936). Right when the
    exposure was fixed beforehand, conservative when it ended with a failure.
    """
    failures = count(failures, "failures")
    fraction(level, "level")
    if not (exposure > 0.0 and math.isfinite(exposure)):
        raise DataError("exposure: not a span", wanted="a finite number above 0", got=f"{exposure}")
    at_least = exposure / float(special.gammaincinv(failures + 1, level))
    if failures == 0:
        return Mtbf(0, exposure, Unknown("no failure yet"), at_least, Unknown("no failure yet"), level)
    tail = 0.5 * (1.0 - level)
    low = exposure / float(special.gammaincinv(failures + 1, 1.0 - tail))
    high = exposure / float(special.gammaincinv(failures, tail))
    interval = Interval(low, high, level, "Garwood")
    return Mtbf(failures, exposure, exposure / failures, at_least, interval, level)


def pooled_failure_bound(
    failures: Sequence[int],
    trials: Sequence[int],
    weights: ArrayLike,
    *,
    names: Sequence[str] = (),
    level: float = 0.95,
) -> FailureBound:
    """The failure rate over conditions, each with its declared share of use (`weights`, adding to 1).

    Fay and Feuer's (1997) gamma bound for a weighted sum of Poisson counts, conservative for trials that fail or
    not. A condition with weight and no trial counts as if it always failed, and is named in a note: testing the
    easy conditions more does not make the pool reliable.
    """
    shares = _weights(weights)
    same_length(shares.size, [("failures", len(failures)), ("trials", len(trials))])
    fraction(level, "level")
    labels = tuple(names) if names else tuple(f"condition {i}" for i in range(shares.size))
    same_length(shares.size, [("names", len(labels))])
    pairs = [_counts(f, n) for f, n in zip(failures, trials, strict=True)]
    x = np.array([p[0] for p in pairs], dtype=np.float64)
    n = np.array([p[1] for p in pairs], dtype=np.float64)
    tried = n > 0
    untried = float(shares[~tried].sum())
    notes = tuple(
        f"{label} has a weight of {w:.3g} and no trial: counted as always failing"
        for label, w, t in zip(labels, shares, tried, strict=True)
        if w > 0 and not t
    )
    scale = np.where(tried, shares / np.maximum(n, 1.0), 0.0)
    rate, variance, largest = float(scale @ x), float(scale**2 @ x), float(scale.max())
    at_most = 1.0
    if largest > 0.0:
        shape = (rate + largest) ** 2 / (variance + largest**2)
        gamma = (variance + largest**2) / (rate + largest) * float(special.gammaincinv(shape, level))
        at_most = min(1.0, untried + gamma)
    at_least = 0.0
    if rate > 0.0:
        shape = rate**2 / variance
        at_least = variance / rate * float(special.gammaincinv(shape, 1.0 - level))
    total = (float(x.sum()), int(n.sum()))
    bound = _bound(total, at_most, at_least, level, "Fay-Feuer gamma, declared weights")
    value: Figure = rate if untried == 0.0 else Unknown("a condition with weight has no trial")
    return replace(bound, rate=value, notes=notes)


def _bound(
    counts: tuple[float, int], at_most: float, at_least: float, level: float, method: str
) -> FailureBound:
    exact = -math.log10(at_most)
    # a bound that equals 10^-k in exact arithmetic must count as k nines
    return FailureBound(
        counts[0],
        counts[1],
        counts[0] / counts[1] if counts[1] else Unknown("no trial"),
        at_most,
        at_least,
        math.floor(exact + 1e-12),
        max(0.0, exact),
        level,
        method,
    )


def _upper(failures: int, trials: int, level: float) -> float:
    if failures >= trials:
        return 1.0
    if failures == 0:
        return -math.expm1(math.log1p(-level) / trials)
    return float(special.betaincinv(failures + 1, trials - failures, level))


def _counts(failures: int, trials: int) -> tuple[int, int]:
    failures, trials = count(failures, "failures"), count(trials, "trials")
    if failures > trials:
        raise DataError("failures: more than trials", wanted=f"0 to {trials}", got=f"{failures}")
    return failures, trials


def _weights(weights: ArrayLike) -> FloatArray:
    shares = numbers(weights, "weights")
    if shares.ndim != 1 or shares.size == 0 or not np.all(np.isfinite(shares)) or np.any(shares < 0):
        raise DataError(
            "weights: not shares", wanted="one number of at least 0 a condition", got=str(shares.tolist())
        )
    if abs(float(shares.sum()) - 1.0) > 1e-6:
        raise DataError(
            "weights: do not add to 1",
            wanted="the share of use of each condition",
            got=f"a sum of {shares.sum():g}",
            fix="divide each by the sum, if they are counts",
        )
    return shares
