"""The stratified confidence sequence: its guarantee by enumeration, its root against a grid, its allocation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.stats import stratified
from steelyard.stats.stratified import Capital, Round


def one_round(x: np.ndarray, include: np.ndarray, drawn: np.ndarray, predicted: np.ndarray) -> Round:
    weights = np.full(x.size, 1.0 / x.size)
    scale = weights / include
    offset = float(weights @ predicted)
    return Round(x[drawn], x[drawn], scale[drawn], predicted[drawn], offset, 0.02, float(scale.max()))


@pytest.mark.parametrize("rates", [(0.5, 0.5, 0.5), (0.01, 0.99, 0.3), (0.9, 0.95, 1.0)])
@pytest.mark.parametrize("predicted", [(0.5, 0.5, 0.5), (0.9, 0.1, 0.4)])
def test_no_bet_gains_on_average_under_the_truth(
    rates: tuple[float, ...], predicted: tuple[float, ...]
) -> None:
    """Enumerate every outcome and every inclusion of one round: each capital's expectation is at most 1."""
    mu, h = np.array(rates), np.array(predicted)
    include = np.array([1.0, 0.5, 0.3])
    theta = float(mu.mean())
    up = np.zeros(stratified.MULTIPLIERS.size)
    down = np.zeros_like(up)
    for outcome in itertools.product((0.0, 1.0), repeat=3):
        for kept in itertools.product((False, True), repeat=3):
            x, drawn = np.array(outcome), np.array(kept)
            chance = np.prod(np.where(x == 1, mu, 1 - mu)) * np.prod(np.where(drawn, include, 1 - include))
            capital = Capital()
            stratified.add_round(capital, one_round(x, include, drawn, h), 0.05, 0.05)
            up += chance * np.exp(capital.gain_up - capital.stake * theta)
            down += chance * np.exp(capital.gain_down + capital.stake * theta)
    assert up.max() <= 1 + 1e-12, up
    assert down.max() <= 1 + 1e-12, down


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.sampled_from([3, 30]))
def test_the_root_equals_the_grid(seed: int, rounds: int, tasks: int) -> None:
    rng = np.random.default_rng(seed)
    capital = Capital()
    for _ in range(rounds):
        include = rng.uniform(0.3, 1.0, tasks)
        x = (rng.random(tasks) < 0.7).astype(float)
        closed = one_round(x, include, rng.random(tasks) < include, rng.uniform(0.1, 0.9, tasks))
        stratified.add_round(capital, closed, 0.05, 0.05)
    fast, slow = stratified.bounds(capital, 0.05), stratified.bounds_slow(capital, 0.05, 4001)
    assert fast == pytest.approx(slow, abs=1 / 4000 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40), st.floats(0.01, 0.99))
def test_swapping_right_and_wrong_mirrors_the_fixed_interval(seed: int, units: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    x = rng.beta(2 * rate, 2 * (1 - rate), units)
    w = rng.uniform(0.5, 2.0, units)
    low, high = stratified.fixed_interval(x, w, 0.05, 1)
    low2, high2 = stratified.fixed_interval(1 - x, w, 0.05, 1)
    assert (low2, high2) == pytest.approx((1 - high, 1 - low), abs=1e-9)
    assert 0 <= low <= high <= 1


def test_inclusion_is_the_cheapest_that_is_enough() -> None:
    rng = np.random.default_rng(0)
    w, e = np.full(200, 1 / 200), rng.uniform(0.001, 0.25, 200)
    full = float(np.sum(w**2 * e))
    p = stratified.inclusion(w, e, 2.5 * full)
    assert np.sum(w**2 * e / p) <= 2.5 * full * (1 + 1e-9)
    even = np.full(200, 1 / 2.5)
    assert p.sum() < even.sum()
    assert p.min() >= 0.1
    assert stratified.inclusion(w, e, 0.5 * full) == pytest.approx(np.ones(200))


def test_variance_split_recovers_planted_parts() -> None:
    rng = np.random.default_rng(4)
    mu = rng.beta(2, 2, 20_000)
    n = np.full(20_000, 4.0)
    s = rng.binomial(4, mu).astype(float)
    split = stratified.variance_split(n, s, s)
    assert split.between == pytest.approx(0.05, abs=0.003)
    assert split.within == pytest.approx(0.20, abs=0.003)
    assert split.shrink == pytest.approx(4.0, abs=0.4)
