"""Two one-sided tests: p-values and decisions are those of the interval shown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from steelyard.errors import DataError
from steelyard.stats.base import Estimate, Interval, codes
from steelyard.stats.equivalence import paired_tost, tost
from steelyard.stats.paired import pair_up
from steelyard.unknown import Unknown


def estimate(value: float, se: float | Unknown, df: float = 30.0) -> Estimate:
    return Estimate(value, se, Interval(0, 0, 0.95, "unused"), "test", 31, 31, 31, df=df)


@given(st.floats(-0.1, 0.1), st.floats(0.001, 0.1), st.floats(2, 200))
def test_p_values_are_students(value: float, se: float, df: float) -> None:
    got = tost(estimate(value, se, df), margin=(-0.05, 0.08))
    worse = float(special.stdtr(df, -(value + 0.05) / se))
    better = float(special.stdtr(df, -(0.08 - value) / se))
    for shown, truth in ((got.p_not_worse, worse), (got.p_not_better, better)):
        assert shown == pytest.approx(truth, abs=1e-6) if truth < 0.499 else shown >= 0.499
    assert got.equivalent == (max(worse, better) < 0.05)
    assert got.not_worse == (worse < 0.05)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 200))
@settings(max_examples=40)
def test_the_decision_is_that_of_the_interval(wins: int, losses: int, ties: int) -> None:
    n = wins + losses + ties
    if n < 2:
        return
    a = np.r_[np.zeros(wins), np.ones(losses), np.ones(ties)]
    b = np.r_[np.ones(wins), np.zeros(losses), np.ones(ties)]
    tasks = codes(np.tile(np.arange(n), 2), "task")
    pairs = pair_up(np.r_[a, b], tasks, np.repeat([False, True], n), None)
    got = paired_tost(pairs, margin=(-0.05, 0.05))
    inside = got.interval.low > -0.05 and got.interval.high < 0.05
    assert got.equivalent == inside
    assert (got.p_value < 0.05) == inside
    assert got.interval.level == pytest.approx(0.9)


def test_the_same_contestant_twice_is_equivalent_given_enough_tasks() -> None:
    def twice(n: int) -> bool:
        tasks = codes(np.tile(np.arange(n), 2), "task")
        return paired_tost(
            pair_up(np.ones(2 * n), tasks, np.repeat([False, True], n), None), margin=(-0.02, 0.02)
        ).equivalent

    assert not twice(30)
    assert twice(500)


def test_an_unknown_standard_error_is_never_equivalent() -> None:
    got = tost(estimate(0.0, Unknown("one task")), margin=(-1, 1))
    assert not got.equivalent
    assert isinstance(got.p_value, Unknown)


def test_margins_and_levels_are_checked() -> None:
    with pytest.raises(DataError, match="margin"):
        tost(estimate(0.0, 1.0), margin=(0.02, -0.02))
    with pytest.raises(DataError, match="2 alpha"):
        tost(estimate(0.0, 1.0), margin=(-1, 1), alpha=0.5)
