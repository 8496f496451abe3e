"""Anytime-valid interval for a weighted mean over tasks when trials are spent unequally and adaptively.

Not covered: scores without known bounds (rescale to 0..1 first), and trials of one cell that influence each
other.

A *round* of a contestant takes at most one trial of each task. Task i with weight w_i is included with a
probability p_i that was fixed before the round (1 in a full round). With a prediction h_i of the score x_i,
also fixed before, the round's unbiased estimate of ``theta = sum_i w_i mu_i`` is

    Y = sum_i w_i h_i + sum_{included} (w_i / p_i) (x_i - h_i)

and for every lambda > 0 with lambda w_i / p_i < 1

    exp(lambda (sum_i w_i h_i - theta)) * prod_{included} (1 + lambda (w_i / p_i) (x_i - h_i))

has expectation at most 1, because ``E(1 + lambda w_i (x_i - h_i)) <= exp(lambda w_i (mu_i - h_i))``. The product
over rounds is a supermartingale whose logarithm is *linear in theta*, so that an interval costs one root and no
grid of hypotheses. A mixture over a few lambdas, for both directions at alpha/2 each, gives a confidence
sequence by Ville's inequality: it holds at every round at once, whatever rule chose the inclusion
probabilities and the moment to stop.

This is the capital process of Waudby-Smith & Ramdas (2023, "Estimating means of bounded random variables by
betting") before it is relaxed to the empirical Bernstein form. Our deviation: the bet is on the deviation from a
task's own prediction, so that the variance *between* tasks, which more trials cannot shrink, does not widen the
interval for these tasks; and inclusion probabilities enter as in Horvitz-Thompson sampling.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from steelyard.stats.base import FloatArray, IntArray

MULTIPLIERS = 1.7 ** np.arange(-1.0, 8.0)
"""The mixture's half-widths, in units of the half-width that is aimed at: from 0.6 to 41 times."""

_LOG_PRIOR = np.log(0.7 ** np.abs(np.arange(-1.0, 8.0)) / np.sum(0.7 ** np.abs(np.arange(-1.0, 8.0))))
_MAX_BET = 0.9  # of the capital on one trial; 1 would risk ruin by one surprise


@dataclass(slots=True)
class Capital:
    """The running log capitals of one contestant: a few dozen numbers, whatever the number of trials.

    `gain_up[j] - theta * stake[j]` is the log capital of the j-th bet that theta is higher; `gain_down[j] +
    theta * stake[j]` that it is lower. `low` and `high` are the running intersection. `information` is the
    sum of 1/variance of the rounds as predicted; `centre` the matching weighted sum of the rounds' estimates.
    """

    gain_up: FloatArray = field(default_factory=lambda: np.zeros(MULTIPLIERS.size))
    gain_down: FloatArray = field(default_factory=lambda: np.zeros(MULTIPLIERS.size))
    stake: FloatArray = field(default_factory=lambda: np.zeros(MULTIPLIERS.size))
    low: float = 0.0
    high: float = 1.0
    information: float = 0.0
    centre: float = 0.0

    @property
    def estimate(self) -> float:
        """The information-weighted mean of the rounds' unbiased estimates, kept inside the interval."""
        if self.information == 0.0:
            return 0.5 * (self.low + self.high)
        return float(np.clip(self.centre / self.information, self.low, self.high))


@dataclass(frozen=True, slots=True)
class Round:
    """One closed round: arrays over the included tasks, and what was fixed before it.

    `low` and `high` are the scores (0..1); they differ where a trial stayed ungraded (0 and 1). `scale` is
    w_i / p_i and `predicted` h_i of the included tasks; `offset` is sum_i w_i h_i over *all* tasks;
    `variance` the predicted variance of the round's estimate; `largest_scale` the largest w_i / p_i over all
    tasks, included or not (a bet that looked at who was included would not be fixed beforehand).
    """

    low: FloatArray
    high: FloatArray
    scale: FloatArray
    predicted: FloatArray
    offset: float
    variance: float
    largest_scale: float


def bets(variance: float, largest_scale: float, half_width: float) -> FloatArray:
    """The mixture's lambdas for a round: optimal for a final half-width of `half_width` times MULTIPLIERS.

    All arguments must be known before the round. `largest_scale` is the largest w_i / p_i.
    """
    return np.minimum(MULTIPLIERS * half_width / variance, _MAX_BET / largest_scale)


def add_round(capital: Capital, closed: Round, half_width: float, alpha: float) -> None:
    """Update `capital` in place with one round; cost: included tasks times nine logarithms, twice."""
    lam = bets(closed.variance, closed.largest_scale, half_width)
    up = closed.scale * (closed.low - closed.predicted)
    down = closed.scale * (closed.high - closed.predicted)
    for j, bet in enumerate(lam):  # a loop over nine bets keeps memory at one vector
        capital.gain_up[j] += np.log1p(bet * up).sum() + bet * closed.offset
        capital.gain_down[j] += np.log1p(-bet * down).sum() - bet * closed.offset
    capital.stake += lam
    middle = closed.offset + 0.5 * float(up.sum() + down.sum())
    capital.information += 1.0 / closed.variance
    capital.centre += middle / closed.variance
    low, high = bounds(capital, alpha)
    # the ends may cross only when the true mean has left the interval, probability below alpha: stay put then
    if max(capital.low, low) <= min(capital.high, high):
        capital.low, capital.high = max(capital.low, low), min(capital.high, high)


def bounds(capital: Capital, alpha: float) -> tuple[float, float]:
    """The interval from the capitals now (no running intersection), clipped to [0, 1]."""
    if not np.any(capital.stake > 0):
        return 0.0, 1.0
    threshold = float(np.log(2.0 / alpha))
    low = _root(capital.gain_up, capital.stake, threshold)
    high = -_root(capital.gain_down, capital.stake, threshold)
    return min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0)


def _root(gain: FloatArray, stake: FloatArray, threshold: float) -> float:
    """The theta at which ``log sum_j prior_j exp(gain_j - stake_j theta)`` falls to `threshold`.

    Convex and decreasing in theta, and the start lies left of the root, so Newton's steps never overshoot.
    """
    theta = float(np.max((gain + _LOG_PRIOR - threshold) / stake))
    for _ in range(50):
        terms = gain + _LOG_PRIOR - stake * theta
        top = float(terms.max())
        weights = np.exp(terms - top)
        excess = top + float(np.log(weights.sum())) - threshold
        step = excess / (float(weights @ stake) / float(weights.sum()))
        theta += step
        if step <= 1e-12:
            break
    return theta


def bounds_slow(capital: Capital, alpha: float, grid: int = 20_001) -> tuple[float, float]:
    """The reference for `bounds`: try every theta on a grid, keep those whose mixed capital stays below 2/alpha."""
    thetas = np.linspace(0.0, 1.0, grid)
    kept_up, kept_down = [], []
    for theta in thetas:
        up = float(np.logaddexp.reduce(_LOG_PRIOR + capital.gain_up - capital.stake * theta))
        down = float(np.logaddexp.reduce(_LOG_PRIOR + capital.gain_down + capital.stake * theta))
        if up < np.log(2.0 / alpha):
            kept_up.append(theta)
        if down < np.log(2.0 / alpha):
            kept_down.append(theta)
    return (min(kept_up) if kept_up else 1.0), (max(kept_down) if kept_down else 0.0)


def fixed_interval(means: FloatArray, weights: FloatArray, alpha: float, seed: int) -> tuple[float, float]:
    """Interval for the mean of a *population* of units from one look at independent units; never below nominal.

    `means` (0..1) and positive `weights` are arrays over units (tasks, or clusters of tasks with the sum of their
    weights). The same linear bet, unit after unit in an order shuffled by `seed`, with the running mean and
    variance as predictions and the bet that is best for exactly this many units. Finite-sample valid for units drawn
    independently; the union over several looks is the caller's (give each its share of alpha).
    """
    order = np.random.default_rng(seed).permutation(means.size)
    x, w = means[order], weights[order] / weights.sum()
    seen = np.cumsum(w) - w
    prior = 1.0 / means.size
    predicted = (0.5 * prior + np.cumsum(w * x) - w * x) / (prior + seen)
    # the variance is learnt around the running mean; one imaginary unit of variance 1/4 starts it
    squares = w * (x - predicted) ** 2
    variance = (0.25 * prior + np.cumsum(squares) - squares) / (prior + seen)
    log_term = float(np.log(2.0 / alpha))
    lam = np.sqrt(2.0 * log_term / (variance * float(w @ w)))
    lam = np.minimum(lam, _MAX_BET / float(w.max()))
    stake = float(lam @ w)
    offset = float((lam * w) @ predicted)
    low = (float(np.log1p(lam * w * (x - predicted)).sum()) + offset - log_term) / stake
    high = (offset + log_term - float(np.log1p(-lam * w * (x - predicted)).sum())) / stake
    return min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0)


def inclusion(
    weights: FloatArray, expected_square: FloatArray, needed: float, floor: FloatArray | float = 0.1
) -> FloatArray:
    """Inclusion probabilities of the next round: the cheapest that bring its variance to `needed`.

    The round's variance is ``sum_i w_i^2 e_i / p_i`` with e_i the expected squared error of the prediction; the cost
    is the sum of p_i. Neyman: p_i proportional to w_i sqrt(e_i), clipped to [`floor`, 1]. Returns all ones when even
    a full round does not reach `needed`.
    """
    root = weights * np.sqrt(expected_square)
    floor_array = np.broadcast_to(np.asarray(floor, dtype=np.float64), root.shape)

    def at(tau: float) -> FloatArray:
        return np.clip(root / tau, np.minimum(floor_array, 1.0), 1.0)

    def variance(p: FloatArray) -> float:
        return float(np.sum(root**2 / p))

    if needed <= float(np.sum(root**2)) or not np.any(root > 0):
        return np.ones_like(root)
    small, large = float(root[root > 0].min()), float(root.max()) / 1e-6
    for _ in range(60):
        tau = float(np.sqrt(small * large))
        if variance(at(tau)) > needed:
            large = tau
        else:
            small = tau
    return at(small)


@dataclass(frozen=True, slots=True)
class Split:
    """Variance between tasks and within a task; `shrink` = within / between, kept within 0.05 .. 50."""

    between: float
    within: float
    shrink: float


def variance_split(n: FloatArray, total: FloatArray, squares: FloatArray) -> Split:
    """Moments from counts, sums and sums of squares a task; tasks with one trial tell nothing of the split.

    E[mu^2] is estimated by the products of different trials of a task, ``(s^2 - q) / (n (n - 1))``.
    """
    mean = float(total.sum() / max(n.sum(), 1.0))
    second = float(squares.sum() / max(n.sum(), 1.0))
    many = n >= 2
    if int(many.sum()) < 2:
        spread = max(second - mean**2, 0.0)
        return Split(spread / 3.0, 2.0 * spread / 3.0, 2.0)
    pairs = n[many] * (n[many] - 1.0)
    product = float(np.mean((total[many] ** 2 - squares[many]) / pairs))
    means = total[many] / n[many]
    between = max(product - float(np.mean(means)) ** 2, 0.0)
    within = max(float(np.mean(squares[many] / n[many])) - product, 0.0)
    shrink = within / between if between > 0 else 50.0
    return Split(between, within, float(np.clip(shrink, 0.05, 50.0)))


def running_mean(x: FloatArray, weights: FloatArray, order: IntArray) -> FloatArray:
    """For each task the weighted mean of those before it in `order`, started with one task of 1/2."""
    ordered_w = weights[order]
    before = np.cumsum(ordered_w) - ordered_w
    sums = np.cumsum(ordered_w * x[order]) - ordered_w * x[order]
    first = 1.0 / x.size
    out = np.empty(x.size)
    out[order] = (0.5 * first + sums) / (first + before)
    return out
