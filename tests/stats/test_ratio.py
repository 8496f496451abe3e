"""A ratio of means: by hand, scaled, at its ends, and how often its intervals hold."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.stats.base import Coded, FloatArray
from steelyard.stats.ratio import Ratio, ratio_difference, ratio_of_means
from steelyard.unknown import Unknown, is_known


def each(n: int) -> Coded:
    return Coded(np.arange(n), tuple(range(n)))


TOP, BOTTOM = np.array([0.2, 0.4, 0.6, 0.8, 0.5]), np.array([1.0, 0.0, 1.0, 1.0, 1.0])


def test_the_ratio_is_sum_over_sum_with_the_linearised_error() -> None:
    got = ratio_of_means(Ratio(TOP, BOTTOM, 5), each(5))
    assert got.value == pytest.approx(2.5 / 4)
    residual = TOP - 0.625 * BOTTOM
    assert got.se == pytest.approx(np.sqrt(residual @ residual / 20) / 0.8)
    assert is_known(got.interval)
    assert 0.0 < got.interval.low < 0.625 < got.interval.high


def test_another_currency_scales_everything_and_a_bottom_of_ones_is_the_mean() -> None:
    cents = ratio_of_means(Ratio(100 * TOP, BOTTOM, 5), each(5))
    plain = ratio_of_means(Ratio(TOP, BOTTOM, 5), each(5))
    assert is_known(cents.interval)
    assert is_known(plain.interval)
    assert (cents.interval.low, cents.interval.high) == pytest.approx(
        (100 * plain.interval.low, 100 * plain.interval.high)
    )
    mean = ratio_of_means(Ratio(TOP, np.ones(5), 5), each(5))
    assert mean.se == pytest.approx(TOP.std(ddof=1) / np.sqrt(5))


def test_difference_by_hand_and_swapping_sides_turns_it() -> None:
    a, b = Ratio(TOP, BOTTOM, 5), Ratio(2 * TOP[::-1].copy(), np.ones(5), 5)
    d, e = ratio_difference(a, b, each(5)), ratio_difference(b, a, each(5))
    assert d.value == pytest.approx(0.625 - 1.0)
    u = (TOP - 0.625 * BOTTOM) / 0.8 - (2 * TOP[::-1] - 1.0)
    assert d.se == pytest.approx(np.sqrt(u @ u / 20))
    assert is_known(d.interval)
    assert is_known(e.interval)
    assert (d.interval.low, d.interval.high) == pytest.approx((-e.interval.high, -e.interval.low))


def test_against_itself_the_difference_is_0_and_shows_no_spread() -> None:
    a = Ratio(TOP, BOTTOM, 5)
    d = ratio_difference(a, a, each(5))
    assert d.value == 0.0
    assert isinstance(d.interval, Unknown)


def test_nothing_below_the_line_is_unknown_and_nothing_above_it_is_0() -> None:
    none = ratio_of_means(Ratio(TOP, np.zeros(5), 5), each(5))
    assert isinstance(none.value, Unknown)
    free = ratio_of_means(Ratio(np.zeros(5), BOTTOM, 5), each(5))
    assert free.value == 0.0
    assert isinstance(free.interval, Unknown)
    against = ratio_difference(Ratio(TOP, BOTTOM, 5), Ratio(np.zeros(5), BOTTOM, 5), each(5))
    assert against.value == pytest.approx(0.625)
    assert is_known(against.interval)


def test_repeating_every_row_inside_its_cluster_changes_nothing() -> None:
    twice = Coded(np.repeat(np.arange(5), 2), tuple(range(5)))
    a = ratio_of_means(Ratio(TOP, BOTTOM, 5), each(5))
    b = ratio_of_means(Ratio(np.repeat(TOP, 2), np.repeat(BOTTOM, 2), 10), twice)
    assert is_known(a.interval)
    assert is_known(b.interval)
    assert (b.interval.low, b.interval.high) == pytest.approx((a.interval.low, a.interval.high))


@pytest.mark.parametrize(("n", "share"), [(10, 0.5), (20, 0.4), (60, 0.8)])
def test_intervals_of_skewed_costs_hold(n: int, share: float) -> None:
    """Costs lognormal, dearer where a task is failed; 400 draws, so 2.5 standard errors are 2.7 points."""
    rng, hard = np.random.default_rng(7), np.log(share / (1 - share))

    def side(ease: FloatArray, dear: float) -> Ratio:
        right = (rng.random(ease.size) < 1 / (1 + np.exp(-hard - ease))).astype(np.float64)
        noise = np.exp(0.6 * rng.standard_normal(ease.size) - 0.4 * ease)
        return Ratio(dear * noise * (1.7 - 0.7 * right), right, ease.size)

    many = rng.standard_normal(1_000_000)
    true = [side(many, dear).top.sum() / side(many, dear).bottom.sum() for dear in (1.0, 1.6)]
    held, apart, counted = 0, 0, 0
    for _ in range(400):
        ease = rng.standard_normal(n)
        a, b = side(ease, 1.0), side(ease, 1.6)
        one, d = ratio_of_means(a, each(n)), ratio_difference(b, a, each(n))
        if is_known(one.interval) and is_known(d.interval):
            counted += 1
            held += one.interval.contains(true[0])
            apart += d.interval.contains(true[1] - true[0])
    print(f"n={n} share={share}: ratio {held}/{counted}, difference {apart}/{counted}")
    assert counted > 300
    assert held / counted > 0.92
    assert apart / counted > 0.92
