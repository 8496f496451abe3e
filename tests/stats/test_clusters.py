"""Cluster-robust means and rates: the fast path equals the definition, and rows repeated add nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.stats.reference_cluster import anova_variance, variance_and_df

from steelyard.errors import DataError, RowsError
from steelyard.stats.base import codes
from steelyard.stats.clusters import cluster_sums, clustered_mean, clustered_rate
from steelyard.stats.rates import rate, wilson
from steelyard.stats.robust import exchangeable_variance, spread
from steelyard.unknown import Unknown, is_known

ROWS = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(0, 1, allow_subnormal=False), min_size=n, max_size=n),
        st.lists(st.integers(0, 6), min_size=n, max_size=n),
    )
)


@given(ROWS)
def test_fast_variance_and_df_equal_the_matrices(rows: tuple[list[float], list[int]]) -> None:
    values, clusters = np.array(rows[0]), np.array(rows[1])
    assume(np.unique(clusters).size > 1)
    table = cluster_sums(values, codes(clusters, "cluster"))
    fast = spread(table.sums, table.sizes)
    mean, variance, df = variance_and_df(values, clusters)
    assert float(fast.mean) == pytest.approx(mean, abs=1e-12)
    assert float(fast.variance) == pytest.approx(variance, rel=1e-9, abs=1e-15)
    assert float(fast.df) == pytest.approx(df, rel=1e-9)
    steady = float(exchangeable_variance(table.sums, table.sizes, np.float64(table.within)))
    assert steady == pytest.approx(anova_variance(values, clusters), rel=1e-9, abs=1e-14)


@given(ROWS, st.integers(2, 4), st.booleans())
@settings(max_examples=200)
def test_repeating_all_rows_within_their_clusters_narrows_nothing(
    rows: tuple[list[float], list[int]], times: int, as_rate: bool
) -> None:
    values = np.round(rows[0]) if as_rate else np.array(rows[0])
    clusters = np.array(rows[1])
    for bounds in ((0.0, 1.0), None):
        once = clustered_mean(values, clusters, bounds=bounds)
        again = clustered_mean(np.tile(values, times), np.tile(clusters, times), bounds=bounds)
        if is_known(once.interval):
            assert is_known(again.interval)
            assert again.interval.width >= once.interval.width - 1e-9
        if is_known(once.se) and is_known(again.se):
            assert again.se == pytest.approx(once.se, rel=1e-9, abs=1e-12)


@given(ROWS, st.randoms(use_true_random=False))
def test_order_and_names_of_clusters_do_not_matter(rows: tuple[list[float], list[int]], random) -> None:  # type: ignore[no-untyped-def]  # hypothesis' random
    order = list(range(len(rows[0])))
    random.shuffle(order)
    one = clustered_mean(rows[0], rows[1], bounds=(0, 1))
    other = clustered_mean(
        [rows[0][i] for i in order], [f"cluster {9 - rows[1][i]}" for i in order], bounds=(0, 1)
    )
    assert other.value == pytest.approx(one.value, abs=1e-12)
    if is_known(one.interval):
        assert other.interval.low == pytest.approx(one.interval.low, abs=1e-8)
        assert other.interval.high == pytest.approx(one.interval.high, abs=1e-8)


@given(ROWS, st.floats(0.1, 100), st.floats(-50, 50))
def test_scale_and_shift_move_everything_with_them(
    rows: tuple[list[float], list[int]], scale: float, shift: float
) -> None:
    values = np.round(rows[0], 3)
    plain = clustered_mean(values, rows[1], bounds=(0, 1))
    moved = clustered_mean(
        np.clip(values * scale + shift, shift, shift + scale), rows[1], bounds=(shift, shift + scale)
    )
    assert moved.value == pytest.approx(plain.value * scale + shift, abs=1e-9 * (1 + abs(shift) + scale))
    if is_known(plain.interval) and is_known(plain.se) and is_known(moved.se):
        assert moved.se == pytest.approx(plain.se * scale, rel=1e-6, abs=1e-9)
        assert moved.interval.low == pytest.approx(plain.interval.low * scale + shift, abs=1e-6 * (1 + scale))


def test_one_cluster_is_unknown_however_many_rows() -> None:
    got = clustered_rate([1, 0, 1, 1], ["passage"] * 4)
    assert got.value == 0.75
    assert isinstance(got.se, Unknown)
    assert "one cluster" in got.se.reason
    assert isinstance(got.interval, Unknown)


def test_clusters_that_agree_give_the_no_spread_bound_or_unknown_never_zero() -> None:
    bounded = clustered_mean([0.5] * 8, list("aabbccdd"), bounds=(0, 1))
    assert isinstance(bounded.se, Unknown)
    assert bounded.interval.low == pytest.approx(0.5 * 0.025 ** (1 / 4), abs=1e-12)
    assert isinstance(clustered_mean([0.5] * 8, list("aabbccdd")).interval, Unknown)


def test_all_passed_counts_clusters_not_rows() -> None:
    got = clustered_rate(np.ones(1000), np.repeat(np.arange(20), 50))
    assert got.interval.low == pytest.approx(wilson(20, 20).interval.low, abs=1e-12)
    unequal = clustered_rate(np.ones(30), np.repeat(np.arange(20), [1] * 10 + [2] * 10))
    assert unequal.interval.low == pytest.approx(0.025 ** (1 / 20), abs=1e-12)


def test_one_trial_a_cluster_is_a_plain_rate() -> None:
    passed = [1.0, 0.0, 1.0, 1.0, 0.0] * 4
    assert clustered_rate(passed, list(range(20))).interval == rate(passed).interval


def test_one_failure_never_lowers_the_ceiling_below_that_of_none() -> None:
    tasks = np.repeat(np.arange(20), 8)
    none, one = np.zeros(160), np.zeros(160)
    one[3] = 1
    assert clustered_rate(one, tasks).interval.high > 0.6 * clustered_rate(none, tasks).interval.high


def test_a_dominating_cluster_is_noted() -> None:
    assert "one cluster holds 80%" in clustered_rate([1, 0] * 4 + [1, 0], [0] * 8 + [1, 2]).notes[0]


def test_bad_rows_are_refused_by_name() -> None:
    with pytest.raises(RowsError, match="NaN"):
        clustered_mean([1.0, float("nan")], ["a", "b"])
    with pytest.raises(DataError, match="clusters: wrong length"):
        clustered_mean([1.0, 0.0], ["a"])
    with pytest.raises(RowsError, match="outside its bounds"):
        clustered_mean([1.0, 7.0], ["a", "b"], bounds=(0, 1))
    with pytest.raises(DataError, match="wrong way round"):
        clustered_mean([1.0, 1.0], ["a", "b"], bounds=(1, 1))
    with pytest.raises(DataError, match="form"):
        clustered_rate([1.0, 0.0], ["a", "b"], form="wald")
