"""Score limits for kappa: every value that the data do not refute, judged by the variance under that value.

Does not handle a rater who used one category throughout: the margins then allow no kappa but 0.

A kappa k is kept while (kappa - k)^2 <= q^2 V(k) / n * inflation. V(k) is the large-sample variance of kappa
(Fleiss, Cohen and Everitt 1969) at a table with the observed margins and with kappa k, as Wilson's interval takes the
variance of a rate at the rate under trial. For two categories that table is the only one with those margins; for more
it is a mixture of the observed table, the table of chance and the table that agrees as much as the margins allow (our
choice). With the variance at the observed table, as in textbooks, a category of a tenth of 50 items is covered 59 to
88 % of the time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from steelyard.stats.base import FloatArray

_STEPS = 41
_ROUNDS = 6


def kappa_of(table: FloatArray, score: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Kappa of tables of shares, shape (..., k, k), and the influence of one item in each cell.

    NaN where both raters used one and the same category throughout.
    """
    row, column = table.sum(axis=-1), table.sum(axis=-2)
    observed = np.sum(table * score, axis=(-1, -2))
    by_row, by_column = column @ score.T, row @ score
    expected = np.sum(row * by_row, axis=-1)
    room = np.where(1.0 - expected < 1e-12, np.nan, 1.0 - expected)
    change = by_row[..., :, None] + by_column[..., None, :] - 2 * expected[..., None, None]
    lost = ((1 - observed) / room**2)[..., None, None]
    influence = (score - observed[..., None, None]) / room[..., None, None] - lost * change
    return (observed - expected) / room, influence


def score_limits(table: FloatArray, score: FloatArray, error: float) -> tuple[float, float]:
    """Least and greatest kappa not refuted; `error` is the quantile squared times the inflation over n.

    `table` (k, k) holds shares and every rater has used two categories at least.
    """
    value = float(kappa_of(table, score)[0])
    family = _Family(table, score, value)

    def kept(grid: FloatArray) -> NDArray[np.bool_]:
        trial = family.at(grid)
        influence = kappa_of(trial, score)[1]
        mean = np.sum(trial * influence, axis=(-1, -2))
        variance = np.sum(trial * influence**2, axis=(-1, -2)) - mean**2
        return np.asarray((grid - value) ** 2 <= error * variance, np.bool_)

    return outermost(value, kept)


def outermost(value: float, kept: Callable[[FloatArray], NDArray[np.bool_]]) -> tuple[float, float]:
    """The ends of -1..1 that `kept` keeps, looked for from `value` outwards on ever finer grids."""
    ends = []
    for far in (-1.0, 1.0):
        inside, outside = value, far
        for _ in range(_ROUNDS):  # the outermost kept value of a grid, then a finer grid beyond it
            grid = np.linspace(inside, outside, _STEPS)
            held = np.flatnonzero(kept(grid))
            last = int(held[-1]) if held.size else 0
            if last == _STEPS - 1:
                inside = outside
                break
            inside, outside = float(grid[last]), float(grid[last + 1])
        ends.append(inside)
    return ends[0], ends[1]


class _Family:
    """Tables with the observed margins, one for each kappa."""

    def __init__(self, table: FloatArray, score: FloatArray, value: float) -> None:
        row, column = table.sum(axis=1), table.sum(axis=0)
        self.table, self.value = table, value if abs(value) > 1e-9 else 0.0
        self.chance = np.outer(row, column)
        self.most = _most_agreement(row, column, nominal=bool(np.all(score == np.eye(len(row)))))
        self.top = float(kappa_of(self.most, score)[0])

    def at(self, grid: FloatArray) -> FloatArray:
        """Tables of shape (len(grid), k, k); cells that would be negative are 0."""
        k = grid[:, None, None]
        if self.value > 0:
            beyond = max(self.top - self.value, 1e-12)
            up = self.table + np.clip((k - self.value) / beyond, 0, 1) * (self.most - self.table)
            middle = self.chance + k / self.value * (self.table - self.chance)
            trial = np.where(k >= self.value, up, np.where(k >= 0, middle, self._straight(k)))
        elif self.value < 0:
            below = self.chance + k / self.value * (self.table - self.chance)
            trial = np.where(k <= 0, below, self._straight(k))
        else:
            trial = self._straight(k)
        trial = np.maximum(trial, 0.0)
        out: FloatArray = trial / trial.sum(axis=(-1, -2), keepdims=True)
        return out

    def _straight(self, k: FloatArray) -> FloatArray:
        """The line through the table of chance and the one of most agreement."""
        out: FloatArray = self.chance + np.minimum(k / max(self.top, 1e-12), 1.0) * (self.most - self.chance)
        return out


def _most_agreement(row: FloatArray, column: FloatArray, *, nominal: bool) -> FloatArray:
    """The table with these margins that agrees most: on the diagonal, or for ordered scores in order."""
    if nominal:
        diagonal = np.minimum(row, column)
        left = 1.0 - diagonal.sum()
        rest = np.outer(row - diagonal, column - diagonal) / left if left > 1e-12 else 0.0
        return np.asarray(np.diag(diagonal) + rest, np.float64)
    above, before = np.cumsum(row), np.cumsum(column)
    together = np.minimum(above[:, None], before[None, :])
    return np.diff(np.diff(together, axis=0, prepend=0.0), axis=1, prepend=0.0)
