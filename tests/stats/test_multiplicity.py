"""Holm and simultaneous bands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import DataError, RowsError
from steelyard.stats.multiplicity import holm, simultaneous_bands
from steelyard.stats.paired import PairedOptions, paired
from steelyard.unknown import is_known

QUICK = PairedOptions(draws=1999)


def table(n: int, m: int, seed: int, shared: float = 0.7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    base = random.normal(size=n)
    scores = [base, *(shared * base + random.normal(size=n) for _ in range(m))]
    return np.concatenate(scores), np.tile(np.arange(n), m + 1), np.repeat(np.arange(m + 1), n)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_equals_the_definition(p_values: list[float]) -> None:
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    running, expected = 0.0, [0.0] * len(p_values)
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        expected[i] = running
    assert holm(p_values).tolist() == pytest.approx(expected)


def test_holm_textbook() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_one_comparison_is_the_plain_one() -> None:
    values, tasks, who = table(60, 1, 1)
    options = PairedOptions(bounds=None, draws=1999)
    bands = simultaneous_bands(values, tasks, who, baseline=0, options=options)
    plain = paired(values, tasks, who, baseline=0, options=options)
    assert bands.intervals[0].low == pytest.approx(plain.difference.interval.low, abs=1e-9)
    assert bands.p_holm[0] == pytest.approx(plain.p_value)


def test_bands_lie_between_pointwise_and_bonferroni() -> None:
    random = np.random.default_rng(2)
    base, common = random.normal(size=80), random.normal(size=80)
    values = np.concatenate([base, *(common + random.normal(size=80) for _ in range(6))])
    tasks, who = np.tile(np.arange(80), 7), np.repeat(np.arange(7), 80)
    options = PairedOptions(bounds=None, draws=1999)
    bands = simultaneous_bands(values, tasks, who, baseline=0, options=options)
    assert 0.95 < bands.level_each < 1 - 0.05 / 6
    for comparison, interval in zip(bands.comparisons, bands.intervals, strict=True):
        assert is_known(interval)
        assert interval.width > comparison.difference.interval.width


def test_correlated_contestants_cost_less_than_independent_ones() -> None:
    random = np.random.default_rng(5)
    n, m = 100, 8
    base, common = random.normal(size=n), random.normal(size=n)
    close = np.concatenate([base, *(common + 0.05 * random.normal(size=n) for _ in range(m))])
    far = np.concatenate([base * 0.05, *(random.normal(size=n) for _ in range(m))])
    tasks, who = np.tile(np.arange(n), m + 1), np.repeat(np.arange(m + 1), n)
    options = PairedOptions(bounds=None, draws=3999)
    tight, wide = (
        simultaneous_bands(v, tasks, who, baseline=0, options=options).critical for v in (close, far)
    )
    assert tight < wide - 0.3


def test_same_seed_same_bands_and_rows_in_any_order() -> None:
    values, tasks, who = table(40, 3, 3)
    values = (values > 0).astype(float)
    one = simultaneous_bands(values, tasks, who, baseline=0, options=QUICK)
    assert one == simultaneous_bands(values, tasks, who, baseline=0, options=QUICK)
    other = simultaneous_bands(values[::-1], tasks[::-1], who[::-1], baseline=0, options=QUICK)
    assert set(one.contestants) == set(other.contestants)
    for name, interval in zip(one.contestants, one.intervals, strict=True):
        twin = other.intervals[other.contestants.index(name)]
        assert (twin.low, twin.high) == pytest.approx((interval.low, interval.high), abs=0.02)


def test_contestants_with_different_tasks_and_clusters_are_compared_on_their_own() -> None:
    values = [1, 0, 1, 1, 0, 1, 1, 0, 1, 0]
    tasks = ["t", "u", "v", "w", "t", "u", "v", "u", "v", "w"]
    who = ["a"] * 4 + ["b"] * 3 + ["c"] * 3
    got = simultaneous_bands(
        values, tasks, who, baseline="a", clusters=[f"c{t}" for t in tasks], options=QUICK
    )
    assert [c.difference.n_tasks for c in got.comparisons] == [3, 3]
    assert [c.dropped_tasks for c in got.comparisons] == [1, 1]


def test_contestants_that_equal_the_baseline_keep_their_interval() -> None:
    scores = [1.0, 0.0, 1.0, 1.0] * 3
    got = simultaneous_bands(
        scores, list(range(4)) * 3, ["a"] * 4 + ["b"] * 4 + ["c"] * 4, baseline="a", options=QUICK
    )
    assert all(is_known(i) and i.width > 0 for i in got.intervals)
    assert got.p_holm == (1.0, 1.0)


def test_one_contestant_or_no_baseline_is_refused() -> None:
    with pytest.raises(DataError, match="no baseline with others"):
        simultaneous_bands([1, 0], ["t", "u"], ["a", "a"], baseline="a")
    with pytest.raises(DataError, match="no baseline with others"):
        simultaneous_bands([1, 0], ["t", "t"], ["a", "b"], baseline="z")
    with pytest.raises(RowsError, match="p-value: outside"):
        holm([0.5, 1.5])
