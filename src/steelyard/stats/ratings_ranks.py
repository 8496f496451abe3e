"""Which ranks the data allow each contestant, and which contestants cannot be told apart.

Not covered: the chance of each rank (a posterior statement), and ranks under another way of scoring.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.stats.base import FloatArray, count, fraction, generator, t_quantile
from steelyard.stats.ratings_result import Ratings

_PAIRS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class Rank:
    """`rank` by point estimate; the true rank lies in `best`..`worst` at `level`; equal `group`s are ties.

    With `simultaneous` the statement holds for all contestants at once, otherwise for each by itself.
    """

    name: str
    rank: int
    best: int
    worst: int
    group: int
    level: float
    simultaneous: bool
    method: str


def rank_intervals(
    ratings: Ratings, *, simultaneous: bool = True, draws: int = 4000, seed: int = 0
) -> tuple[Rank, ...]:
    """Rank intervals and tie groups, best contestant first.

    Two contestants differ when the interval of their rating difference leaves out zero. A contestant's best
    rank is one more than the number that are surely better, its worst the number of all minus those surely
    worse (Klein, Wright & Wieczorek 2020; Mogstad et al. 2024). `simultaneous` takes the critical value from
    `draws` Gaussian draws of the largest standardised difference over all pairs (max-T), scaled to Student's t
    for few clusters, so that all rank intervals hold together at `level`; otherwise pairwise t intervals.

    Tie groups: going down, a contestant joins the current group while it does not differ from the group's
    first member; it opens the next group when it does. Our choice: one label each, though ties are not
    transitive. A contestant whose votes all lie in one cluster ties with everybody.
    """
    differs, method = surely_better(ratings, simultaneous=simultaneous, draws=draws, seed=seed)
    k = len(ratings.names)
    best = 1 + differs.sum(axis=0)
    worst = k - differs.sum(axis=1)
    groups, head = [], 0
    for i in range(k):
        if differs[head, i]:
            head = i
        groups.append(head)
    label = {h: g for g, h in enumerate(dict.fromkeys(groups), 1)}
    return tuple(
        Rank(
            name,
            i + 1,
            int(best[i]),
            int(worst[i]),
            label[groups[i]],
            ratings.basis.level,
            simultaneous,
            method,
        )
        for i, name in enumerate(ratings.names)
    )


def surely_better(
    ratings: Ratings, *, simultaneous: bool = True, draws: int = 4000, seed: int = 0
) -> tuple[NDArray[np.bool_], str]:
    """Matrix of "row is better than column" claims at the fit's level, and the method's name."""
    level = fraction(ratings.basis.level, "level")
    count(draws, "draws", least=200)
    variance = np.diag(ratings.covariance)
    spread = variance[:, None] + variance[None, :] - 2 * ratings.covariance
    error = np.sqrt(np.clip(spread, 0.0, None))
    gap = ratings.theta[:, None] - ratings.theta[None, :]
    df = np.minimum(ratings.df[:, None], ratings.df[None, :])
    critical = t_quantiles(level, df)
    method = "rank interval from pairwise t intervals, each by itself"
    if simultaneous:
        largest = _largest_difference(ratings.covariance, error, draws, seed)
        wide = float(np.quantile(largest, level))
        critical = critical * (wide / t_quantile(level, 1e9))
        method = f"simultaneous rank interval, max-T over all pairs, {draws} draws, seed {seed}"
    known = ~np.array(ratings.few)
    usable = (error > 0) & known[:, None] & known[None, :] & (ratings.basis.clusters > 1)
    return usable & (gap > critical * error), method


def t_quantiles(level: float, df: FloatArray) -> FloatArray:
    """`t_quantile` of every entry, computed once a distinct value."""
    values, place = np.unique(df, return_inverse=True)
    table = np.array([t_quantile(level, float(v)) for v in values])
    return np.asarray(table[place].reshape(df.shape), np.float64)


def _largest_difference(covariance: FloatArray, error: FloatArray, draws: int, seed: int) -> FloatArray:
    """Largest |z_i - z_j| / se_ij over all pairs, for each draw of z from N(0, covariance)."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    rng = generator(seed)
    k = len(covariance)
    upper = np.triu_indices(k, 1)
    usable = error[upper] > 0
    first, second = upper[0][usable], upper[1][usable]
    weight = 1.0 / error[first, second]
    out = np.zeros(draws)
    block = max(1, _PAIRS_AT_ONCE // max(1, len(first)))
    for i in range(0, draws, block):
        size = min(block, draws - i)
        z = (rng.standard_normal((size, k)) @ root.T).T
        gaps = np.abs(z[first] - z[second]) * weight[:, None]
        out[i : i + size] = gaps.max(axis=0, initial=0.0)
    return out
