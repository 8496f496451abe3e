"""Exact and resampled tests for few pairs: McNemar, and flipping signs.

Does not estimate a size, only how surprising the data are when there is no difference. Sign flipping assumes
that under no difference a cluster's sum is as likely to be x as -x (true when labels could be swapped a cluster).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from steelyard.errors import DataError
from steelyard.stats.base import FloatArray, count, finite, generator

# 2**16 sums are enumerated in a millisecond; every further cluster doubles that
_ENUMERATED = 16
_CHUNK = 8_000_000


@dataclass(frozen=True, slots=True)
class McNemar:
    """Two-sided p-values for `gained` against `lost` discordant pairs: exact, and mid-p (less conservative)."""

    gained: int
    lost: int
    exact: float
    mid: float


@dataclass(frozen=True, slots=True)
class SignFlip:
    """Two-sided p-value of a sign-flip test, and how it was found."""

    p_value: float
    method: str


def mcnemar(gained: int, lost: int) -> McNemar:
    """McNemar's (1947) test, exact: discordant pairs are Binomial(gained + lost, 1/2) under no difference.

    Mid-p (Fagerland, Lydersen and Laake 2013) counts the observed split half; it may exceed its level slightly.
    No discordant pair gives 1.
    """
    gained, lost = count(gained, "gained"), count(lost, "lost")
    n, few = gained + lost, min(gained, lost)
    if n == 0:
        return McNemar(0, 0, 1.0, 1.0)
    tail = float(special.bdtr(few, n, 0.5))
    point = tail - (float(special.bdtr(few - 1, n, 0.5)) if few > 0 else 0.0)
    exact = min(1.0, 2.0 * tail)
    mid = 1.0 if gained == lost else min(1.0, 2.0 * tail - point)
    return McNemar(gained, lost, exact, mid)


def sign_flip(sums: ArrayLike, *, seed: int = 0, draws: int = 100_000) -> SignFlip:
    """Test that `sums` (one a cluster of paired differences) are symmetric about 0.

    Up to 16 sums that are not 0, all sign patterns are enumerated: exact. Beyond that `draws` random patterns at
    `seed`, with the observed one counted in, so that p is never 0 and the test never exceeds its level (Phipson
    and Smyth 2010).
    """
    column = finite(sums, "sums")
    column = column[column != 0.0]
    if column.size == 0:
        return SignFlip(1.0, "no cluster differs")
    observed = abs(float(column.sum()))
    # rounding must not turn a tie with the observed sum into a miss
    bar = observed - 1e-9 * float(np.abs(column).sum())
    if column.size <= _ENUMERATED:
        totals = _all_signed_sums(np.abs(column))
        return SignFlip(float(np.mean(np.abs(totals) >= bar)), "sign flips, exact")
    draws = count(draws, "draws", least=1000)
    random, hits = generator(seed), 0
    rows = max(1, _CHUNK // column.size)
    for start in range(0, draws, rows):
        signs = random.integers(0, 2, (min(rows, draws - start), column.size), dtype=np.int8)
        totals = 2.0 * (signs @ column) - column.sum()
        hits += int(np.sum(np.abs(totals) >= bar))
    return SignFlip((hits + 1) / (draws + 1), f"sign flips, {draws} random")


def _all_signed_sums(sizes: FloatArray) -> FloatArray:
    """The sums of `sizes` under every pattern of signs, shape (2**n,)."""
    if sizes.size > _ENUMERATED:
        raise DataError("sums: too many to enumerate", wanted=f"at most {_ENUMERATED}", got=f"{sizes.size}")
    totals = np.zeros(1)
    for size in sizes:
        totals = np.concatenate([totals - size, totals + size])
    return totals
