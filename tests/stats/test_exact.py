"""Exact tests for few pairs equal enumeration, and never exceed their level."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import DataError
from steelyard.stats.exact import mcnemar, sign_flip


def by_enumeration(sums: list[float]) -> float:
    observed = abs(sum(sums)) - 1e-9 * sum(abs(s) for s in sums)
    patterns = list(itertools.product([-1, 1], repeat=len(sums)))
    return sum(abs(sum(a * b for a, b in zip(p, sums, strict=True))) >= observed for p in patterns) / len(
        patterns
    )


@given(st.lists(st.floats(-5, 5).filter(lambda x: abs(x) > 1e-6), min_size=1, max_size=9))
def test_sign_flips_equal_enumeration(sums: list[float]) -> None:
    got = sign_flip(sums)
    assert got.method == "sign flips, exact"
    assert got.p_value == pytest.approx(by_enumeration(sums), abs=1e-12)


@given(st.integers(0, 12), st.integers(0, 12))
def test_mcnemar_equals_sign_flips_of_ones(gained: int, lost: int) -> None:
    got = mcnemar(gained, lost)
    if 0 < gained + lost <= 16:
        assert got.exact == pytest.approx(sign_flip([1.0] * gained + [-1.0] * lost).p_value, abs=1e-12)
    assert got.mid <= got.exact + 1e-15
    assert mcnemar(lost, gained).exact == pytest.approx(got.exact)


def test_mcnemar_published_example() -> None:
    # Fagerland, Lydersen and Laake 2013, airway hyper-responsiveness: 1 against 7 discordant pairs
    got = mcnemar(1, 7)
    assert got.exact == pytest.approx(0.0703, abs=5e-5)
    assert got.mid == pytest.approx(0.0391, abs=5e-5)


def test_monte_carlo_agrees_with_mcnemar_and_never_gives_zero() -> None:
    sums = [1.0] * 20 + [-1.0] * 8
    got = sign_flip(sums, seed=3, draws=50_000)
    assert got.p_value == pytest.approx(mcnemar(20, 8).exact, abs=0.005)
    assert got == sign_flip(sums, seed=3, draws=50_000)
    assert sign_flip([1.0] * 200, draws=1000).p_value == pytest.approx(1 / 1001)


def test_sums_of_zero_are_no_evidence() -> None:
    assert sign_flip([0.0, 0.0]).p_value == 1.0
    assert sign_flip([0.0, 2.0, 0.0, 3.0]).p_value == sign_flip([2.0, 3.0]).p_value
    assert mcnemar(0, 0).exact == 1.0


def test_exact_tests_never_exceed_their_level() -> None:
    for n in range(1, 30):
        split = np.arange(n + 1)
        p = np.array([mcnemar(k, n - k).exact for k in split])
        mass = np.array([np.prod([(n - i) / (i + 1) for i in range(k)]) for k in split]) / 2.0**n
        for alpha in (0.01, 0.05, 0.2):
            assert mass[p <= alpha].sum() <= alpha + 1e-12, f"n={n} alpha={alpha}"


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="gained"):
        mcnemar(-1, 2)
    with pytest.raises(DataError, match="draws"):
        sign_flip([1.0] * 20, draws=10)
    with pytest.raises(DataError, match="NaN"):
        sign_flip([1.0, float("nan")])
