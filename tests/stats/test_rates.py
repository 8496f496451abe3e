"""Rates: published limits, exact coverage properties, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from steelyard.errors import DataError
from steelyard.stats import rates
from steelyard.unknown import Unknown

COUNTS = st.integers(2, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("method", "successes", "n", "low", "high"),
    [
        # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29
        ("wilson", 81, 263, 0.2553, 0.3662),
        ("wilson", 15, 148, 0.0624, 0.1605),
        ("wilson", 0, 20, 0.0, 0.1611),
        ("wilson", 1, 29, 0.0061, 0.1718),
        ("clopper-pearson", 81, 263, 0.2527, 0.3676),
        ("clopper-pearson", 15, 148, 0.0578, 0.1617),
        ("clopper-pearson", 0, 20, 0.0, 0.1684),
        ("clopper-pearson", 1, 29, 0.0009, 0.1776),
    ],
)
def test_published_limits(method: str, successes: int, n: int, low: float, high: float) -> None:
    interval = rates.rate_of(successes, n, method=method).interval
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


@given(COUNTS)
def test_clopper_pearson_ends_are_where_the_binomial_tails_are_half_of_alpha(case: tuple[int, int]) -> None:
    successes, n = case
    interval = rates.clopper_pearson(successes, n).interval
    if successes > 0:
        assert special.bdtrc(successes - 1, n, interval.low) == pytest.approx(0.025, rel=1e-6)
    if successes < n:
        assert special.bdtr(successes, n, interval.high) == pytest.approx(0.025, rel=1e-6)


@given(COUNTS)
def test_wilson_ends_solve_the_score_equation(case: tuple[int, int]) -> None:
    successes, n = case
    interval = rates.wilson(successes, n).interval
    for end, inside in ((interval.low, successes > 0), (interval.high, successes < n)):
        if inside:
            score = abs(successes / n - end) / np.sqrt(end * (1 - end) / n)
            assert score == pytest.approx(1.959963984540054, rel=1e-6)


@given(COUNTS, st.sampled_from(rates.METHODS))
def test_swapping_success_and_failure_mirrors_the_interval(case: tuple[int, int], method: str) -> None:
    successes, n = case
    one, other = (rates.rate_of(k, n, method=method).interval for k in (successes, n - successes))
    assert one.low == pytest.approx(1 - other.high, abs=1e-12)
    assert one.high == pytest.approx(1 - other.low, abs=1e-12)


@given(COUNTS, st.sampled_from(rates.METHODS))
def test_the_interval_holds_the_rate_and_grows_with_the_level(case: tuple[int, int], method: str) -> None:
    narrow, wide = (rates.rate_of(*case, method=method, level=x).interval for x in (0.8, 0.99))
    assert 0.0 <= wide.low <= narrow.low <= case[0] / case[1] <= narrow.high <= wide.high <= 1.0


@pytest.mark.parametrize("n", [2, 5, 20, 100])
def test_clopper_pearson_never_covers_less_than_its_level(n: int) -> None:
    x = np.arange(n + 1)
    low, high = rates.rate_limits(x, n, method="clopper-pearson")
    for p in np.linspace(0.001, 0.999, 499):
        mass = special.binom(n, x) * p**x * (1 - p) ** (n - x)
        covered = mass[(low <= p) & (p <= high)].sum()
        assert covered >= 0.95 - 1e-12, f"p={p} n={n} coverage={covered}"


def test_none_and_one_trial_are_unknown_never_zero() -> None:
    none, one = rates.rate_of(0, 0), rates.rate_of(1, 1)
    assert isinstance(none.value, Unknown)
    assert one.value == 1.0
    assert isinstance(one.se, Unknown)
    assert isinstance(one.interval, Unknown)


def test_a_rate_of_zero_or_one_has_an_interval_and_no_standard_error() -> None:
    for successes in (0, 20):
        got = rates.wilson(successes, 20)
        assert isinstance(got.se, Unknown)
        assert got.interval.width > 0.1


def test_bad_counts_and_methods_are_refused() -> None:
    with pytest.raises(DataError, match="more than trials"):
        rates.wilson(3, 2)
    with pytest.raises(DataError, match="successes"):
        rates.wilson(-1, 2)
    with pytest.raises(DataError, match="method"):
        rates.rate_of(1, 2, method="wald")
    with pytest.raises(DataError, match="neither 0 nor 1"):
        rates.rate([0.0, 0.5])
    with pytest.raises(DataError, match="no trial"):
        rates.rate_limits([0], [0])
