"""Ungraded trials: bounded from both sides, never dropped in silence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import DataError, RowsError
from steelyard.stats.bounds import AT_RANDOM, coverage_bounds
from steelyard.stats.twolevel import two_level
from steelyard.unknown import Unknown

ROWS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.booleans(), st.integers(0, 5)), min_size=2, max_size=40
).filter(lambda rows: len({r[2] for r in rows}) > 1)


@given(ROWS)
def test_the_truth_of_the_missing_lies_between(rows: list[tuple[float, bool, int]]) -> None:
    values, graded, tasks = (list(c) for c in zip(*rows, strict=True))
    got = coverage_bounds(values, graded, tasks)
    truth = two_level(values, tasks).estimate.value
    assert got.worst.value - 1e-12 <= truth <= got.best.value + 1e-12
    assert got.coverage == pytest.approx(np.mean(graded))
    assert got.interval.low == got.worst.interval.low
    assert got.interval.high == got.best.interval.high


@given(ROWS)
def test_full_coverage_gives_one_answer_three_times(rows: list[tuple[float, bool, int]]) -> None:
    values, _, tasks = (list(c) for c in zip(*rows, strict=True))
    got = coverage_bounds(values, [True] * len(values), tasks)
    assert got.worst.value == got.best.value == got.at_random.value
    assert got.worst.interval == got.best.interval == got.at_random.interval


def test_ungraded_values_are_never_read_and_graded_nan_is_refused() -> None:
    got = coverage_bounds([1, float("nan"), None, 0], [True, False, False, True], ["a", "a", "b", "b"])
    assert (got.worst.value, got.best.value, got.at_random.value) == (0.25, 0.75, 0.5)
    assert got.at_random.notes[-1] == AT_RANDOM
    with pytest.raises(RowsError, match="NaN") as caught:
        coverage_bounds([1, float("nan")], [True, True], ["a", "b"])
    assert caught.value.rows == (1,)


def test_tasks_without_any_grade_are_counted() -> None:
    got = coverage_bounds([1, 0, 0], [True, True, False], ["a", "b", "c"])
    assert got.tasks_without_grade == 1
    assert got.at_random.n_tasks == 2
    assert got.worst.n_tasks == 3
    assert any("2 of 3 trials graded (66.7%)" in line for line in got.lines())


def test_nothing_graded_is_unknown_at_random_and_anything_in_the_bounds() -> None:
    got = coverage_bounds([None, None], [False, False], ["a", "b"])
    assert isinstance(got.at_random.value, Unknown)
    assert (got.interval.low, got.interval.high) == (0.0, 1.0)


def test_wrong_columns_are_refused() -> None:
    with pytest.raises(DataError, match="graded: not a column of True and False"):
        coverage_bounds([1, 0], [1, 0], ["a", "b"])
    with pytest.raises(DataError, match="no rows"):
        coverage_bounds([], np.array([], dtype=bool), [])
    with pytest.raises(DataError, match="tasks: wrong length"):
        coverage_bounds([1, 0], [True, True], ["a"])
    with pytest.raises(RowsError, match="outside its bounds"):
        coverage_bounds([2, 0], [True, True], ["a", "b"])


def test_a_table_of_two_columns_is_refused() -> None:
    with pytest.raises(DataError, match="not one column"):
        coverage_bounds([[1.0, 0.0], [0.0, 1.0]], [True, False, True, True], ["a", "a", "b", "b"])
