"""Votes from a known Bradley-Terry law with ties, a first-shown bonus and skewed sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steelyard.stats.ratings_votes import Votes


@dataclass(frozen=True)
class Law:
    contestants: int
    votes: int
    bonus: float = 0.2
    ties: float = 0.25
    skewed: bool = True
    spread: float = 0.8


def plant(rng: np.random.Generator, law: Law) -> tuple[np.ndarray, Votes]:
    """True logits (sum zero) and votes whose mean score follows the logistic curve exactly, ties as half."""
    k, n = law.contestants, law.votes
    truth = rng.normal(0, law.spread, k)
    truth -= truth.mean()
    popularity = rng.lognormal(0, 0.5, k)
    popularity /= popularity.sum()
    a, b = rng.choice(k, n, p=popularity), rng.choice(k, n, p=popularity)
    while (same := a == b).any():
        b[same] = rng.choice(k, int(same.sum()), p=popularity)
    if law.skewed:  # a tenth of the contestants is shown first nine times of ten
        pushed = np.arange(k) < max(1, k // 10)
        swap = pushed[b] & ~pushed[a] & (rng.random(n) < 0.8)
        a[swap], b[swap] = b[swap], a[swap]
    outcome = outcomes(truth[a] - truth[b] + law.bonus, rng.random(n), law.ties)
    names = tuple(f"m{i:03d}" for i in range(k))
    return truth, Votes(a.astype(np.int32), b.astype(np.int32), outcome, names)


def outcomes(eta: np.ndarray, uniform: np.ndarray, ties: float) -> np.ndarray:
    """Outcome codes 2, 1, 0 whose mean score is expit(eta); the tie share is at most `ties`, at most a half."""
    if not 0 <= ties <= 0.5:  # more would leave no room for a mean score far from one half
        raise ValueError(f"ties must lie in 0..0.5, not {ties}")
    p = 1 / (1 + np.exp(-eta))
    tie = ties * 4 * p * (1 - p)
    win = p - tie / 2
    return np.where(uniform < win, 2, np.where(uniform < win + tie, 1, 0)).astype(np.int8)
