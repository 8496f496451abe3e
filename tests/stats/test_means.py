"""Means of independent rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import DataError
from steelyard.stats.means import bca_limits, mean_bca, mean_skewed, mean_t
from steelyard.unknown import Unknown

# Student's sleep data (1908), differences of the two drugs: mean 1.58, 95 % interval [0.70, 2.46]
SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]


def test_students_sleep_data() -> None:
    got = mean_t(SLEEP)
    assert got.value == pytest.approx(1.58)
    assert got.se == pytest.approx(0.3889587, abs=1e-7)
    assert got.df == pytest.approx(9)
    assert (got.interval.low, got.interval.high) == pytest.approx((0.7001142, 2.4598858), abs=1e-6)


@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=30, unique=True))
def test_t_is_mean_and_sd_over_root_n(values: list[float]) -> None:
    got = mean_t(values)
    assert got.value == pytest.approx(np.mean(values), abs=1e-9)
    if not isinstance(got.se, Unknown):
        assert got.se == pytest.approx(np.std(values, ddof=1) / np.sqrt(len(values)), rel=1e-6, abs=1e-12)


def test_one_row_and_equal_rows_are_unknown() -> None:
    assert isinstance(mean_t([3.0]).se, Unknown)
    assert isinstance(mean_t([3.0, 3.0, 3.0]).interval, Unknown)
    assert isinstance(mean_bca([3.0], seed=1).interval, Unknown)
    assert isinstance(mean_bca([3.0, 3.0], seed=1).interval, Unknown)


def test_bca_is_reproducible_and_leans_with_the_skew() -> None:
    values = np.exp(np.random.default_rng(7).normal(size=60))
    one, two = mean_bca(values, seed=3), mean_bca(values, seed=3)
    assert one == two
    assert one.interval.high - one.value > one.value - one.interval.low


def test_bca_of_clusters_equals_bca_of_rows_when_each_row_is_its_cluster() -> None:
    assert mean_bca(SLEEP, seed=5) == mean_bca(SLEEP, seed=5, clusters=list(range(10)))


def test_bca_repeated_rows_in_their_clusters_change_nothing() -> None:
    once = mean_bca(SLEEP, seed=5)
    again = mean_bca(SLEEP * 3, seed=5, clusters=list(range(10)) * 3)
    assert again.interval.low == pytest.approx(once.interval.low, abs=1e-12)
    assert again.interval.high == pytest.approx(once.interval.high, abs=1e-12)


def test_bca_without_bias_or_skew_is_the_percentile_interval() -> None:
    resampled = np.linspace(-1, 1, 2001)
    low, high = bca_limits(resampled, 0.0, np.array([-1.0, 0.0, 1.0]), 1.959963984540054)
    assert (low, high) == pytest.approx((-0.95, 0.95), abs=1e-9)


def test_bca_refuses_too_few_resamples() -> None:
    with pytest.raises(DataError, match="resamples"):
        mean_bca(SLEEP, seed=1, resamples=10)


def test_skewed_values_are_said_to_be_too_skewed_for_t_and_symmetric_ones_are_not() -> None:
    random = np.random.default_rng(4)
    assert any("mean_skewed" in note for note in mean_t(np.exp(random.normal(size=40))).notes)
    assert mean_t(random.normal(size=40)).notes == ()
    assert mean_t(SLEEP).notes == ()


@given(st.lists(st.floats(0, 1e3), min_size=4, max_size=30, unique=True), st.floats(-5, 5), st.floats(0.1, 9))
def test_the_corrected_interval_moves_scales_and_turns_with_the_values(
    values: list[float], shift: float, scale: float
) -> None:
    x = np.array(values)
    if np.ptp(x) < 1e-3:
        return
    one, other = mean_skewed(x), mean_skewed(shift - scale * x)
    size = scale * float(np.ptp(x)) + abs(shift) + 1.0
    assert other.interval.low == pytest.approx(shift - scale * one.interval.high, abs=1e-7 * size)
    assert other.interval.high == pytest.approx(shift - scale * one.interval.low, abs=1e-7 * size)


def test_the_corrected_interval_leans_with_the_skew_and_is_t_for_values_without_any() -> None:
    values = np.exp(np.random.default_rng(7).normal(size=40))
    t, corrected = mean_t(values), mean_skewed(values)
    assert corrected.se == t.se
    assert corrected.interval.high > t.interval.high
    assert t.interval.low < corrected.interval.low < corrected.value
    even = np.array([-3.0, -1.0, 0.0, 1.0, 3.0] * 4)
    assert mean_skewed(even).interval.low == pytest.approx(mean_t(even).interval.low)
