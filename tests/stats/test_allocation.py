"""Allocation: equal to buying one trial at a time, within the budget, and quick."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.errors import DataError
from steelyard.stats import allocation as al


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(0, 120))
def test_equals_the_slow_reference_at_equal_costs(seed: int, cells: int, budget: int) -> None:
    rng = np.random.default_rng(seed)
    gains, counts = rng.exponential(1, cells), rng.integers(0, 6, cells)
    fast, slow = al.allocate(gains, counts, budget), al.allocate_slow(gains, counts, budget)
    assert fast.cost == slow.cost <= budget
    if np.isfinite(slow.variance_after):
        assert fast.variance_after == pytest.approx(slow.variance_after, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.floats(0, 300))
def test_never_overspends_nor_passes_a_cap_with_uneven_costs(seed: int, cells: int, budget: float) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 6, cells)
    cap = counts + rng.integers(0, 5, cells)
    costs = rng.uniform(0.5, 20, cells)
    got = al.allocate(rng.exponential(1, cells), counts, budget, costs=costs, most=cap)
    assert got.cost <= budget + 1e-9
    assert np.all(counts + got.extra <= cap)
    assert np.all(got.extra >= 0)


def test_goes_where_the_noise_is_as_neyman_says() -> None:
    got = al.allocate([0.16, 0.01], [0, 0], 1000)
    assert got.extra[0] / got.extra[1] == pytest.approx(4.0, rel=0.02)
    cheap = al.allocate([0.16, 0.16], [0, 0], 1000, costs=[1.0, 4.0])
    assert cheap.extra[0] / cheap.extra[1] == pytest.approx(2.0, rel=0.02)


def test_cells_without_noise_get_nothing() -> None:
    assert al.allocate([0.0, 1.0], [3, 3], 10).extra.tolist() == [0, 10]
    assert al.allocate([0.0, 0.0], [3, 3], 10).cost == 0


def test_the_baseline_is_worth_more() -> None:
    gains = al.against_baseline(np.ones(5), np.full((4, 5), 0.2), baseline=1)
    got = al.allocate(gains, np.zeros((4, 5)), 400)
    assert got.extra[1].sum() > 1.5 * got.extra[0].sum()
    assert got.extra.shape == (4, 5)


def test_noise_of_a_cell_is_never_zero_for_lack_of_trials() -> None:
    n, s = np.array([2.0, 2.0, 2.0, 2.0]), np.array([2.0, 0.0, 1.0, 2.0])
    noise = al.cell_noise(n, s, s)
    assert noise.min() > 0
    assert noise[2] > noise[0]
    assert al.cell_noise([0, 0], [0, 0], [0, 0]).tolist() == [0.25, 0.25]


def test_two_hundred_thousand_cells_are_quick() -> None:
    rng = np.random.default_rng(0)
    started = time.perf_counter()
    got = al.allocate(rng.exponential(1, 200_000), rng.integers(0, 5, 200_000), 300_000)
    assert got.cost == 300_000
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("gains", "counts", "costs"),
    [([], [], 1.0), ([1.0], [1, 2], 1.0), ([np.nan], [1], 1.0), ([1.0], [-1], 1.0), ([1.0], [1], 0.0),
     ([1.0, 2.0], [1, 1], [1.0, 2.0, 3.0])],
)  # fmt: skip
def test_nonsense_is_refused(gains: list[float], counts: list[float], costs: object) -> None:
    with pytest.raises(DataError):
        al.allocate(gains, counts, 10, costs=costs)  # type: ignore[arg-type]  # bad on purpose
