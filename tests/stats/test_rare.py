"""Rare failures: exact bounds, what the next nine costs, and pools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from steelyard.errors import DataError
from steelyard.stats.rare import (
    clustered_failure_bound,
    failure_bound,
    mtbf,
    next_nine,
    pooled_failure_bound,
    trials_for_nines,
)
from steelyard.unknown import Unknown


def test_the_rule_of_three() -> None:
    assert failure_bound(0, 1000).at_most == pytest.approx(3 / 1000, rel=0.005)
    assert failure_bound(0, 299).nines == 2
    assert failure_bound(0, 298).nines == 1


@pytest.mark.parametrize(("nines", "trials"), [(1, 29), (2, 299), (3, 2995), (4, 29956), (5, 299572)])
def test_clean_trials_that_each_nine_takes(nines: int, trials: int) -> None:
    # ln(0.05) / ln(1 - 10^-k), rounded up: success-run theorem
    got = trials_for_nines(nines)
    assert got.total_trials == trials
    assert failure_bound(0, trials).nines == nines
    assert failure_bound(0, trials - 1).nines == nines - 1


@given(st.integers(0, 20), st.integers(0, 5000), st.integers(1, 4), st.sampled_from([0.8, 0.95, 0.99]))
def test_trials_for_nines_is_the_least_that_suffices(
    failures: int, extra: int, nines: int, level: float
) -> None:
    done = failures + extra
    got = trials_for_nines(nines, failures=failures, trials=done, level=level)
    assert got.more_clean_trials == got.total_trials - done or got.more_clean_trials == 0
    assert failure_bound(failures, got.total_trials, level=level).at_most <= 10.0**-nines
    if got.total_trials > max(done, 1):
        assert failure_bound(failures, got.total_trials - 1, level=level).at_most > 10.0**-nines


def test_the_next_nine_starts_from_what_is_known() -> None:
    got = next_nine(0, 300)
    assert got.nines == 3
    assert got.more_clean_trials == 2995 - 300
    assert next_nine(1, 300).total_trials > 299


@given(st.integers(0, 30), st.integers(1, 3000))
def test_bounds_are_where_the_binomial_tail_is_alpha(failures: int, extra: int) -> None:
    n = failures + extra
    got = failure_bound(failures, n)
    assert special.bdtr(failures, n, got.at_most) == pytest.approx(0.05, rel=1e-6)
    if failures:
        assert special.bdtrc(failures - 1, n, got.at_least) == pytest.approx(0.05, rel=1e-6)
    assert got.at_least <= got.rate <= got.at_most


def test_no_trial_and_one_cluster_are_unknown() -> None:
    assert isinstance(failure_bound(0, 0).at_most, Unknown)
    assert isinstance(clustered_failure_bound([0, 0, 0], ["a"] * 3).at_most, Unknown)


def test_clusters_count_and_repeats_do_not() -> None:
    clean = clustered_failure_bound(np.zeros(1000), np.repeat(np.arange(10), 100))
    assert clean.at_most == pytest.approx(failure_bound(0, 10).at_most, rel=1e-9)
    once = clustered_failure_bound([0] * 29 + [1], list(range(30)))
    again = clustered_failure_bound([0] * 58 + [1, 1], [i // 2 for i in range(60)])
    assert again.at_most >= once.at_most - 1e-9


def test_mtbf_matches_the_chi_square_form() -> None:
    got = mtbf(3, 1200.0)
    assert got.value == 400.0
    assert got.at_least == pytest.approx(2 * 1200 / (2 * special.gammaincinv(4, 0.95)), rel=1e-12)
    assert got.interval.low < got.at_least < got.value < got.interval.high
    none = mtbf(0, 100.0)
    assert isinstance(none.value, Unknown)
    assert none.at_least == pytest.approx(100 / 2.995732, rel=1e-6)


def test_a_pool_is_as_good_as_its_least_tested_share() -> None:
    even = pooled_failure_bound([0, 0], [1000, 1000], [0.5, 0.5])
    lopsided = pooled_failure_bound([0, 0], [1990, 10], [0.5, 0.5])
    assert even.at_most == pytest.approx(0.5 / 1000 * 2.995732, rel=1e-6)
    assert lopsided.at_most == pytest.approx(0.5 / 10 * 2.995732, rel=1e-6)


def test_a_pool_of_one_condition_is_at_least_the_exact_bound() -> None:
    for failures, trials in ((0, 50), (3, 50), (10, 400)):
        pooled = pooled_failure_bound([failures], [trials], [1.0])
        exact = failure_bound(failures, trials)
        assert exact.at_most <= pooled.at_most <= exact.at_most * 1.1


def test_a_condition_without_trials_counts_as_failing_and_is_named() -> None:
    got = pooled_failure_bound([0, 0], [1000, 0], [0.9, 0.1], names=["en", "fi"])
    assert got.at_most > 0.1
    assert isinstance(got.rate, Unknown)
    assert "fi has a weight of 0.1 and no trial" in got.notes[0]
    nothing = pooled_failure_bound([0], [0], [1.0])
    assert nothing.at_most == 1.0
    assert nothing.nines == 0


@given(st.permutations(list(range(4))))
def test_the_order_of_conditions_does_not_matter(order: list[int]) -> None:
    failures, trials, weights = [0, 2, 1, 0], [100, 300, 50, 900], [0.1, 0.2, 0.3, 0.4]
    one = pooled_failure_bound(failures, trials, weights)
    other = pooled_failure_bound(*([x[i] for i in order] for x in (failures, trials, weights)))
    assert other.at_most == pytest.approx(one.at_most, rel=1e-12)


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="more than trials"):
        failure_bound(5, 4)
    with pytest.raises(DataError, match="do not add to 1"):
        pooled_failure_bound([0], [10], [0.5])
    with pytest.raises(DataError, match="not shares"):
        pooled_failure_bound([0, 0], [10, 10], [1.5, -0.5])
    with pytest.raises(DataError, match="exposure"):
        mtbf(0, 0.0)
    with pytest.raises(DataError, match="beyond what can be counted"):
        trials_for_nines(16)
    with pytest.raises(DataError, match="2 level - 1"):
        clustered_failure_bound([0, 0], ["a", "b"], level=0.4)
