"""Anytime-valid inference by betting: confidence sequences and e-processes for bounded means and differences.

Not covered: unbounded scores; observations whose conditional mean drifts (the interval is then about a weighted
running mean, not about "now"); tasks with unequal numbers of trials (`stats.stratified`).

*Hedged betting* (Waudby-Smith & Ramdas 2023, "Estimating means of bounded random variables by betting", section
4.3): for every candidate mean m two bettors play against "the mean is m", one that it is higher and one that it
is lower, each with half of the money:

    K+(m) = prod_t (1 + min(b_t, c/m) (x_t - m)),   K-(m) = prod_t (1 - min(b_t, c/(1-m)) (x_t - m)),   c = 1/2

with predictable bets b_t = sqrt(2 log(2/alpha) / (s2_{t-1} t log(1+t))), s2 the running variance started by one
imaginary observation of mean 1/2 and variance 1/4. Keep every m with max(K+, K-)/2 <= 1/alpha. By Ville's
inequality the true mean is kept at every t at once with probability at least 1 - alpha.

Deviations: the running intersection is on by default; scores of any known bounds are mapped to [0, 1]; the interval
is rounded outwards to a grid (1/1000 of the range). Each observation may carry a weight known before it
(`weights`, above 0 and at most 1: divide by the largest that can occur): the bet is multiplied by it, and the
estimand is ``E[w x] / E[w]``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from steelyard.errors import DataError
from steelyard.stats.base import BoolArray, FloatArray, Interval, fraction, numbers, same_length, within
from steelyard.unknown import Unknown

HEDGED = "hedged betting confidence sequence"
_CHUNK = 512  # observations x grid at once: 4 MB


@dataclass(frozen=True, slots=True)
class ConfidenceSequence:
    """`low[t]`, `high[t]` after observation t + 1; all hold at once with probability `level`."""

    low: FloatArray
    high: FloatArray
    level: float
    method: str

    def at(self, n: int) -> Interval:
        """The interval after `n` observations, n >= 1."""
        if not 1 <= n <= self.low.size:
            raise DataError("confidence sequence", wanted=f"1 to {self.low.size} observations", got=str(n))
        return Interval(float(self.low[n - 1]), float(self.high[n - 1]), self.level, self.method)

    @property
    def final(self) -> Interval:
        """The interval after the last observation."""
        return self.at(self.low.size)

    def around(self, mean: float) -> Interval | Unknown:
        """The last interval, or Unknown when the observations' own `mean` lies outside it.

        The sequence holds for one mean in the order given. Tasks sorted by difficulty or by suite have another mean at
        the end than at the start; the intersection of all intervals then closes round nothing.
        """
        final = self.final
        slack = 1e-9 * max(1.0, abs(mean))
        if final.low - slack <= mean <= final.high + slack:
            return final
        return Unknown(
            f"scores drift along the table: their mean {mean:.4g} lies outside the confidence sequence"
            f" [{final.low:.4g}, {final.high:.4g}], which holds for tasks in random order (shuffle them, or look once)"
        )


class HedgedBetting:
    """Streaming form: a fixed amount of memory (2 x grid numbers), whatever the number of observations.

    `update` takes observations in their order; `interval` may be read at any time and as often as wanted.
    """

    def __init__(
        self,
        *,
        level: float = 0.95,
        bounds: tuple[float, float] = (0.0, 1.0),
        grid: int = 1000,
        running: bool = True,
    ) -> None:
        self.level, self.bounds, self.running = fraction(level, "level"), score_bounds(bounds), running
        self.grid = np.arange(grid + 1) / grid
        with np.errstate(divide="ignore"):
            self._cap_up, self._cap_down = 0.5 / self.grid, 0.5 / (1.0 - self.grid)
        self._log_up, self._log_down = np.zeros(grid + 1), np.zeros(grid + 1)
        self._moments = Moments()
        self._ends = (0.0, 1.0)

    @property
    def n(self) -> int:
        """Observations so far."""
        return self._moments.n

    def update(self, values: ArrayLike, weights: ArrayLike | None = None) -> ConfidenceSequence:
        """Take a number or an array of observations; returns the intervals after each of them."""
        x = to_unit(values, self.bounds)
        w = _sizes(weights, x.size)
        bets = self._moments.bets(x, 1.0 - self.level)
        low, high = np.empty(x.size), np.empty(x.size)
        for start in range(0, x.size, _CHUNK):
            part = slice(start, start + _CHUNK)
            low[part], high[part] = self._chunk(x[part], bets[part], w[part])
        a, b = self.bounds
        return ConfidenceSequence(a + (b - a) * low, a + (b - a) * high, self.level, HEDGED)

    def _chunk(self, x: FloatArray, bets: FloatArray, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        # the weight multiplies the capped bet: a cap that looked at the weight would change the estimand
        gap = (x[:, None] - self.grid) * w[:, None]
        up = self._log_up + np.cumsum(np.log1p(np.minimum(bets[:, None], self._cap_up) * gap), axis=0)
        down = self._log_down + np.cumsum(np.log1p(-np.minimum(bets[:, None], self._cap_down) * gap), axis=0)
        self._log_up, self._log_down = up[-1], down[-1]
        kept = np.maximum(up, down) <= np.log(2.0 / (1.0 - self.level))
        low, high = self._ends_of(kept)
        if self.running:
            low = np.maximum.accumulate(np.maximum(low, self._ends[0]))
            high = np.minimum.accumulate(np.minimum(high, self._ends[1]))
            low, high = stay_put(low, high, self._ends)
        self._ends = (float(low[-1]), float(high[-1]))
        return low, high

    def _ends_of(self, kept: BoolArray) -> tuple[FloatArray, FloatArray]:
        step = 1.0 / (self.grid.size - 1)
        any_kept = kept.any(axis=1)
        first = self.grid[kept.argmax(axis=1)]
        last = self.grid[self.grid.size - 1 - kept[:, ::-1].argmax(axis=1)]
        # one grid step outwards: the true end lies between a kept candidate and its dropped neighbour
        low = np.where(any_kept, np.maximum(first - step, 0.0), 0.0)
        high = np.where(any_kept, np.minimum(last + step, 1.0), 1.0)
        return low, high

    @property
    def interval(self) -> Interval:
        """The interval now; the whole range before the first observation."""
        a, b = self.bounds
        return Interval(a + (b - a) * self._ends[0], a + (b - a) * self._ends[1], self.level, HEDGED)


class BettingTest:
    """E-process against "the mean is at most (or at least) `null`"; streaming, a dozen numbers of memory.

    `e` is the evidence now: under the null its expectation is at most 1 at any stopping time, so that rejecting when
    it ever reaches 1/alpha errs with probability at most alpha. The null is one-sided: `side="greater"` gains when the
    mean is above `null`. Paired differences: pass them with bounds (-1, 1).
    """

    def __init__(
        self,
        null: float,
        *,
        side: str = "greater",
        bounds: tuple[float, float] = (0.0, 1.0),
        alpha: float = 0.05,
    ) -> None:
        self.bounds = score_bounds(bounds)
        if side not in ("greater", "less"):
            raise DataError("side", wanted="greater or less", got=side)
        self.side, self.alpha = side, fraction(alpha, "alpha")
        self.null = float(to_unit([null], self.bounds)[0])
        self._log = 0.0
        self._peak = 0.0
        self._moments = Moments()

    def update(self, values: ArrayLike, weights: ArrayLike | None = None) -> FloatArray:
        """Take observations in their order; returns the e-process after each of them."""
        x = to_unit(values, self.bounds)
        bets = self._moments.bets(x, 2.0 * self.alpha)
        gap = (x - self.null) * _sizes(weights, x.size)
        path = self._log + np.cumsum(_log_gain(gap, bets, self.null, self.side))
        self._log, self._peak = float(path[-1]), max(self._peak, float(path.max()))
        return np.exp(np.minimum(path, 700.0))

    @property
    def e(self) -> float:
        """The e-value now."""
        return float(np.exp(min(self._log, 700.0)))

    @property
    def p(self) -> float:
        """Anytime-valid p-value: one over the largest e-value so far."""
        return float(np.exp(-self._peak))

    @property
    def rejected(self) -> bool:
        """True once the e-process has reached 1/alpha, whatever came after."""
        return self._peak >= -float(np.log(self.alpha))


def hedged_betting(
    values: ArrayLike,
    *,
    level: float = 0.95,
    bounds: tuple[float, float] = (0.0, 1.0),
    weights: ArrayLike | None = None,
    grid: int = 1000,
    running: bool = True,
) -> ConfidenceSequence:
    """Batch form of `HedgedBetting`: the intervals after each of `values` (n,), in the order given."""
    return HedgedBetting(level=level, bounds=bounds, grid=grid, running=running).update(values, weights)


def paired_betting(
    baseline: ArrayLike,
    contestant: ArrayLike,
    *,
    level: float = 0.95,
    bounds: tuple[float, float] = (0.0, 1.0),
    weights: ArrayLike | None = None,
) -> ConfidenceSequence:
    """Mean of `contestant - baseline` over pairs (n,) in the order given: hedged betting on the differences.

    A pair is an independent unit (a task's two mean scores), not a trial: trials of one task are not new tasks.
    """
    low, high = score_bounds(bounds)
    a, b = within(baseline, low, high, "baseline"), within(contestant, low, high, "contestant")
    same_length(a.size, [("contestant", b.size)])
    reach = high - low
    return hedged_betting(b - a, level=level, bounds=(-reach, reach), weights=weights)


def hedged_betting_slow(
    values: ArrayLike, *, level: float = 0.95, grid: int = 1000
) -> list[tuple[float, float]]:
    """The reference: one candidate and one observation at a time, no running intersection, scores in [0, 1]."""
    x = to_unit(values, (0.0, 1.0))
    alpha, kept = 1.0 - level, []
    capital = dict.fromkeys(range(grid + 1), (0.5, 0.5))
    total, spread = 0.5, 0.25
    for t, value in enumerate(x.tolist(), start=1):
        bet = (2.0 * np.log(2.0 / alpha) / (t * np.log(1.0 + t) * spread / t)) ** 0.5
        for k, (up, down) in capital.items():
            m = k / grid
            gain = 1.0 + min(bet, 0.5 / m if m > 0 else np.inf) * (value - m)
            loss = 1.0 - min(bet, 0.5 / (1.0 - m) if m < 1 else np.inf) * (value - m)
            capital[k] = (up * gain, down * loss)
        alive = [k for k, pair in capital.items() if max(pair) <= 1.0 / alpha]
        kept.append(
            (max(0.0, (min(alive) - 1) / grid), min(1.0, (max(alive) + 1) / grid)) if alive else (0.0, 1.0)
        )
        total += value
        spread += (value - total / (t + 1)) ** 2
    return kept


def e_process(
    values: ArrayLike,
    null: float,
    *,
    side: str = "greater",
    bounds: tuple[float, float] = (0.0, 1.0),
    alpha: float = 0.05,
) -> FloatArray:
    """Batch e-process along the last axis: values (..., n) gives (..., n); many streams at once.

    The same bets as `BettingTest`; `alpha` only tunes them, the guarantee holds at every threshold.
    """
    a, b = score_bounds(bounds)
    if side not in ("greater", "less"):
        raise DataError("side", wanted="greater or less", got=side)
    flat = numbers(values)
    x = within(flat.ravel(), a, b).reshape(flat.shape)
    x, m = (x - a) / (b - a), float(to_unit([null], (a, b))[0])
    bets = _plug_in_bets(x, 2.0 * fraction(alpha, "alpha"))
    path = np.cumsum(_log_gain(x - m, bets, m, side), axis=-1)
    gained: FloatArray = np.exp(np.minimum(path, 700.0))
    return gained


def _log_gain(gap: FloatArray, bets: FloatArray, null: float, side: str) -> FloatArray:
    if side == "greater":
        cap = 0.5 / null if null > 0 else np.inf
        gain: FloatArray = np.log1p(np.minimum(bets, cap) * gap)
    else:
        cap = 0.5 / (1.0 - null) if null < 1 else np.inf
        gain = np.log1p(-np.minimum(bets, cap) * gap)
    return gain


@dataclass(slots=True)
class Moments:
    """Running mean and spread with one imaginary observation; bets use only what came before."""

    n: int = 0
    total: float = 0.5
    spread: float = 0.25

    def bets(self, x: FloatArray, alpha: float) -> FloatArray:
        """The bets on each of `x` (n,), and the state after them."""
        t = np.arange(self.n + 1, self.n + x.size + 1)
        totals = self.total + np.cumsum(x)
        squares = (x - totals / (t + 1)) ** 2
        spread = self.spread + np.cumsum(squares)
        before = np.concatenate([[self.spread], spread[:-1]])
        self.n, self.total, self.spread = int(t[-1]), float(totals[-1]), float(spread[-1])
        bets: FloatArray = np.sqrt(2.0 * np.log(2.0 / alpha) / (np.log1p(t) * before))
        return bets


def _plug_in_bets(x: FloatArray, alpha: float) -> FloatArray:
    """`Moments.bets` from the start, along the last axis. s2_{t-1} = spread / t, so that t cancels."""
    t = np.arange(1, x.shape[-1] + 1)
    squares = (x - (0.5 + np.cumsum(x, axis=-1)) / (t + 1)) ** 2
    before = 0.25 + np.cumsum(squares, axis=-1) - squares
    bets: FloatArray = np.sqrt(2.0 * np.log(2.0 / alpha) / (np.log1p(t) * before))
    return bets


def stay_put(
    low: FloatArray, high: FloatArray, before: tuple[float, float] = (0.0, 1.0)
) -> tuple[FloatArray, FloatArray]:
    """Keep the last non-empty interval; `before` is the one before the first.

    An empty one means that the rare event of probability alpha happened, or that the observations have no one mean (see
    `ConfidenceSequence.around`).
    """
    crossed = low > high
    if crossed.any():
        first = int(crossed.argmax())
        low, high = low.copy(), high.copy()
        low[first:], high[first:] = (low[first - 1], high[first - 1]) if first else before
    return low, high


def score_bounds(bounds: tuple[float, float]) -> tuple[float, float]:
    """`bounds` when they are finite and in order."""
    low, high = bounds
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise DataError("bounds", wanted="two finite numbers, low < high", got=f"{bounds}")
    return float(low), float(high)


def to_unit(values: ArrayLike, bounds: tuple[float, float]) -> FloatArray:
    """A number or a column within `bounds`, mapped to [0, 1]."""
    column = within(np.atleast_1d(numbers(values)), *bounds)
    unit: FloatArray = (column - bounds[0]) / (bounds[1] - bounds[0])
    return unit


def _sizes(weights: ArrayLike | None, n: int) -> FloatArray:
    if weights is None:
        return np.ones(n)
    w = np.atleast_1d(numbers(weights, "weights"))
    if w.shape != (n,) or not np.all((w > 0) & (w <= 1)):
        raise DataError(
            "weights",
            wanted=f"{n} numbers above 0 and at most 1, known before each score",
            got=f"shape {w.shape}",
        )
    return w
