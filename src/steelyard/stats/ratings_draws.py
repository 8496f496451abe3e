"""Resampled counts of vote outcomes, a replicate a column: fast draws for the bootstrap of ratings.

Not covered: anything but counts; solving is in `ratings_bootstrap`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from steelyard.errors import DataError
from steelyard.stats.base import IntArray
from steelyard.stats.ratings_fit import Cells
from steelyard.stats.ratings_votes import Votes

Float32 = NDArray[np.float32]
_TABLED = 64  # means below this are drawn from their exact law; 16 random bits a draw
_RESOLUTION = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Votes and score of side a of every ordered pair, shape (pairs, replicates) each."""

    number: Float32
    score: Float32


Draw = Callable[[np.random.Generator, int], Drawn]


def draw_votes(cells: Cells) -> Draw:
    """Votes with replacement: every cell's count is Poisson with its own count as mean (Chamandy et al. 2012).

    Given their sum, independent Poisson counts are multinomial, which is drawing votes with replacement; the
    ratings do not depend on the sum. A tenth of the time of multinomial draws.
    """
    mean = np.ascontiguousarray(cells.counts.T).astype(np.int64).ravel()
    pairs = len(cells.a)
    poisson = Poisson(mean)

    def draw(rng: np.random.Generator, replicates: int) -> Drawn:
        lost, tied, won = poisson.draw(rng, replicates).reshape(3, pairs, replicates)
        return Drawn(lost + tied + won, won + np.float32(0.5) * tied)

    return draw


class Poisson:
    """Poisson draws for whole-number means.

    Means below 64 by inversion of the law rounded to 1/65,536; above by its normal limit with the skewness
    term of Cornish and Fisher, whose error in any probability is below 0.002.
    """

    def __init__(self, mean: IntArray) -> None:
        self.size = len(mean)
        small = np.unique(mean[(mean > 0) & (mean < _TABLED)]).tolist()
        self.tables = [(np.flatnonzero(mean == value), _table(value)) for value in small]
        self.rows = np.flatnonzero(mean >= _TABLED)
        self.centre = mean[self.rows, None].astype(np.float32)
        self.spread = np.sqrt(self.centre)

    def draw(self, rng: np.random.Generator, replicates: int) -> Float32:
        """Counts of shape (means, replicates)."""
        out = np.zeros((self.size, replicates), np.float32)
        for rows, table in self.tables:
            out[rows] = table[rng.integers(0, _RESOLUTION, size=(len(rows), replicates), dtype=np.uint16)]
        if len(self.rows):
            z = rng.standard_normal((len(self.rows), replicates), dtype=np.float32)
            large = self.spread * z
            large += self.centre
            z *= z
            z -= 1
            z /= 6
            large += z
            out[self.rows] = np.maximum(large, 0, out=large)
        return out


def _table(mean: int) -> Float32:
    """The quantile of every 16-bit number."""
    k = np.arange(6 * mean + 40)
    edges = np.rint(special.pdtr(k, mean) * _RESOLUTION).astype(np.int64)
    return np.repeat(k, np.diff(edges, prepend=0)).astype(np.float32)


def draw_clusters(table: Votes, cells: Cells, cluster: NDArray[np.integer]) -> Draw:
    """Whole clusters with replacement, as many as there are."""
    whole = np.asarray(cluster)
    if len(whole) != len(table) or whole.dtype.kind not in "iu" or (len(whole) and int(whole.min()) < 0):
        raise DataError(
            "cluster: one whole-number code of 0 or more a vote",
            wanted=f"{len(table)} codes",
            got=f"{len(whole)} of {whole.dtype}",
        )
    present = np.cumsum(np.bincount(whole) > 0) - 1
    codes = present[whole]
    groups, pairs = int(codes.max()) + 1, len(cells.a)
    place = np.full(cells.size * cells.size, -1)
    place[cells.a * cells.size + cells.b] = np.arange(pairs)
    column = place[table.a.astype(np.int64) * cells.size + table.b]
    shape = (pairs, groups)
    number = sparse.csr_array((np.ones(len(table)), (column, codes)), shape=shape)
    score = sparse.csr_array((table.outcome / 2.0, (column, codes)), shape=shape)

    def draw(rng: np.random.Generator, replicates: int) -> Drawn:
        times = rng.multinomial(groups, np.full(groups, 1 / groups), size=replicates).T
        return Drawn((number @ times).astype(np.float32), (score @ times).astype(np.float32))

    return draw
