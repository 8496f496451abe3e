"""Slow and obvious forms of the closed-form confidence sequences: one observation at a time, as the papers print them."""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, special


def empirical_bernstein(x: list[float], alpha: float) -> list[tuple[float, float]]:
    """Waudby-Smith & Ramdas 2023, Theorem 2, each end at alpha/2, no running intersection."""
    ends = []
    for n in range(1, len(x) + 1):
        found = []
        for column in (x[:n], [1 - v for v in x[:n]]):
            stake = gain = penalty = 0.0
            for t, value in enumerate(column, start=1):
                past = column[: t - 1]
                mean = sum(past) / len(past) if past else 0.0
                spread = 0.25
                for s in range(1, t):
                    spread += (column[s - 1] - (0.5 + sum(column[:s])) / (s + 1)) ** 2
                bet = min(0.5, math.sqrt(2 * math.log(2 / alpha) / (spread / t * t * math.log(1 + t))))
                stake += bet
                gain += bet * value
                penalty += (value - mean) ** 2 * (-math.log(1 - bet) - bet)
            found.append(max(0.0, (gain - math.log(2 / alpha) - penalty) / stake))
        ends.append((found[0], 1 - found[1]))
    return ends


def hoeffding(x: list[float], alpha: float) -> list[tuple[float, float]]:
    """Waudby-Smith & Ramdas 2023, Proposition 1, no running intersection."""
    ends = []
    stake = gain = squares = 0.0
    for t, value in enumerate(x, start=1):
        bet = min(1.0, math.sqrt(8 * math.log(2 / alpha) / (t * math.log(1 + t))))
        stake, gain, squares = stake + bet, gain + bet * value, squares + bet**2
        margin = (math.log(2 / alpha) + squares / 8) / stake
        ends.append((max(0.0, gain / stake - margin), min(1.0, gain / stake + margin)))
    return ends


def beta_binomial(passed: int, trials: int, alpha: float, best_at: float) -> tuple[float, float]:
    """The roots of the log martingale by Brent's method, term by term."""

    def excess(p: float) -> float:
        log_term = 2 * math.log(1 / 0.05)
        rho = p * (1 - p) * best_at / (log_term + math.log(1 + log_term))
        r = max(rho - p * (1 - p), 1e-3 * p * (1 - p))
        made = special.betaln(r / p + trials - passed, r / (1 - p) + passed) - special.betaln(
            r / p, r / (1 - p)
        )
        return float(made - passed * math.log(p) - (trials - passed) * math.log(1 - p) - math.log(1 / alpha))

    tiny = 1e-14
    rate = min(max(passed / trials, 1e-6), 1 - 1e-6)
    # few trials may not rule out even rates next to 0 or 1
    low = optimize.brentq(excess, tiny, rate) if passed and excess(tiny) > 0 else 0.0
    high = optimize.brentq(excess, rate, 1 - tiny) if passed < trials and excess(1 - tiny) > 0 else 1.0
    return float(low), float(high)


def fixed_interval(means: np.ndarray, weights: np.ndarray, alpha: float, seed: int) -> tuple[float, float]:
    """The linear bet over shuffled units, unit by unit."""
    order = np.random.default_rng(seed).permutation(means.size)
    total_weight, n = float(weights.sum()), means.size
    log_up = log_down = offset = stake = 0.0
    seen = 1.0 / n
    mean_sum, spread_sum = 0.5 / n, 0.25 / n
    square = float(np.sum((weights / total_weight) ** 2))
    largest = float(weights.max() / total_weight)
    for i in order:
        x, w = float(means[i]), float(weights[i]) / total_weight
        predicted, variance = mean_sum / seen, spread_sum / seen
        bet = min(math.sqrt(2 * math.log(2 / alpha) / (variance * square)), 0.9 / largest)
        log_up += math.log(1 + bet * w * (x - predicted))
        log_down += math.log(1 - bet * w * (x - predicted))
        offset += bet * w * predicted
        stake += bet * w
        mean_sum, spread_sum, seen = mean_sum + w * x, spread_sum + w * (x - predicted) ** 2, seen + w
    threshold = math.log(2 / alpha)
    low, high = (log_up + offset - threshold) / stake, (offset + threshold - log_down) / stake
    return min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0)
