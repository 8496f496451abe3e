"""Equivalence and non-inferiority: two one-sided tests against a margin that was set beforehand.

Does not choose the margin, and a large p-value of a difference test is no evidence of equivalence: only this is.
Equivalent at `alpha` means that the interval at level `1 - 2 alpha` lies inside the margin (Schuirmann 1987); the
p-values invert the very interval that is shown, so the two cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from steelyard.errors import DataError
from steelyard.stats.base import Estimate, Figure, Interval, fraction, t_quantile
from steelyard.stats.paired import DEFAULT, PairedOptions, TaskPairs, mean_difference
from steelyard.unknown import Unknown, is_known


@dataclass(frozen=True, slots=True)
class Equivalence:
    """The outcome of two one-sided tests on a difference.

    `p_not_worse` tests that the difference is at or below `margin_low` (small: not worse), `p_not_better` that it
    is at or above `margin_high`; `p_value` is the larger of them. `interval` has level `1 - 2 alpha`. `equivalent`
    and `not_worse` are the decisions at `alpha`, False when the interval is Unknown.
    """

    margin_low: float
    margin_high: float
    alpha: float
    interval: Interval | Unknown
    p_not_worse: Figure
    p_not_better: Figure
    p_value: Figure
    equivalent: bool
    not_worse: bool


def tost(difference: Estimate, *, margin: tuple[float, float], alpha: float = 0.05) -> Equivalence:
    """Two one-sided t tests from an estimate's value, standard error and degrees of freedom."""
    value, se, df = difference.value, difference.se, difference.df
    if not (is_known(value) and is_known(se) and is_known(df)):
        why = se if isinstance(se, Unknown) else Unknown("no difference or no degrees of freedom")
        return _decide(lambda _level: why, margin, alpha)
    name = f"t({df:.1f})"

    def at(level: float) -> Interval | Unknown:
        half = t_quantile(level, df) * se
        return Interval(value - half, value + half, level, name)

    return _decide(at, margin, alpha)


def paired_tost(
    pairs: TaskPairs,
    *,
    margin: tuple[float, float],
    alpha: float = 0.05,
    options: PairedOptions = DEFAULT,
) -> Equivalence:
    """Equivalence of contestant and baseline from task pairs, with the interval of `compare_pairs`.

    Works where no task differs: the interval is then what that many tasks allow at most (bounded scores).
    """

    def at(level: float) -> Interval | Unknown:
        return mean_difference(pairs, replace(options, level=level)).interval

    return _decide(at, margin, alpha)


def _decide(
    at: Callable[[float], Interval | Unknown], margin: tuple[float, float], alpha: float
) -> Equivalence:
    low, high = margin
    if not low < high:
        raise DataError(
            "margin: the wrong way round", wanted="low < high, such as (-0.02, 0.02)", got=f"{margin}"
        )
    fraction(2.0 * alpha, "2 alpha")
    interval = at(1.0 - 2.0 * alpha)
    if isinstance(interval, Unknown):
        return Equivalence(low, high, alpha, interval, interval, interval, interval, False, False)
    not_worse = _inverted(lambda level: _end(at(level), upper=False) > low)
    not_better = _inverted(lambda level: _end(at(level), upper=True) < high)
    return Equivalence(
        low,
        high,
        alpha,
        interval,
        not_worse,
        not_better,
        max(not_worse, not_better),
        bool(low < interval.low and interval.high < high),
        bool(low < interval.low),
    )


def _end(interval: Interval | Unknown, *, upper: bool) -> float:
    if isinstance(interval, Unknown):
        raise DataError("interval: known at one level and unknown at another", got=interval.reason)
    return interval.high if upper else interval.low


def _inverted(inside: Callable[[float], bool]) -> float:
    """The one-sided p-value: the least alpha whose interval end clears the margin, to 1e-8.

    Above 1/2 the interval has no level left to shrink to; the value is then 1/2 or more and shown as 1.
    """
    if not inside(1e-9):
        return 1.0
    low, high = 0.0, 0.5
    for _ in range(26):
        middle = 0.5 * (low + high)
        if middle > 0.0 and inside(1.0 - 2.0 * middle):
            high = middle
        else:
            low = middle
    return high
