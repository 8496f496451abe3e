"""Fast equals slow for the closed-form sequences and the interval over independent units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.stats import reference_sequential as slow

from steelyard.stats import sequential_bounds as sb
from steelyard.stats import stratified

scores = st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=1, max_size=25)


@settings(max_examples=25, deadline=None)
@given(scores)
def test_empirical_bernstein_equals_the_slow_reference(x: list[float]) -> None:
    fast = sb.empirical_bernstein(x, running=False)
    assert np.stack([fast.low, fast.high], axis=1) == pytest.approx(
        np.array(slow.empirical_bernstein(x, 0.05))
    )


@settings(max_examples=25, deadline=None)
@given(scores)
def test_hoeffding_equals_the_slow_reference(x: list[float]) -> None:
    fast = sb.hoeffding(x, running=False)
    assert np.stack([fast.low, fast.high], axis=1) == pytest.approx(np.array(slow.hoeffding(x, 0.05)))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5000), st.floats(0, 1), st.sampled_from([50.0, 500.0]))
def test_beta_binomial_equals_the_slow_reference(trials: int, share: float, best_at: float) -> None:
    passed = round(share * trials)
    got = sb.beta_binomial(passed, trials, best_at=best_at).final
    assert (got.low, got.high) == pytest.approx(slow.beta_binomial(passed, trials, 0.05, best_at), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_fixed_interval_equals_the_slow_reference(seed: int, units: int) -> None:
    rng = np.random.default_rng(seed)
    means, weights = rng.beta(0.5, 0.5, units), rng.exponential(1, units) + 0.01
    fast = stratified.fixed_interval(means, weights, 0.05, seed)
    assert fast == pytest.approx(slow.fixed_interval(means, weights, 0.05, seed))
