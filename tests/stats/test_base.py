"""The checks that every estimator makes first name the rows and say what to do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import DataError, RowsError
from steelyard.stats import base


@pytest.mark.parametrize(("values", "rows"), [([1.0, np.nan, 0.0], (1,)), ([np.inf, 0, -np.inf], (0, 2))])
def test_values_that_are_not_finite_are_refused_by_row(values: list[float], rows: tuple[int, ...]) -> None:
    with pytest.raises(RowsError, match="NaN or infinite") as caught:
        base.finite(values)
    assert caught.value.rows == rows
    assert "counted from 0" in str(caught.value)
    assert "fix:" in str(caught.value)


def test_values_too_large_to_square_are_refused_by_row() -> None:
    with pytest.raises(RowsError, match="too large") as caught:
        base.finite([1.0, 1e300])
    assert caught.value.rows == (1,)


def test_words_among_numbers_are_refused_by_row() -> None:
    with pytest.raises(RowsError, match="not a number") as caught:
        base.finite([1.0, "passed", 0.0, None])  # type: ignore[list-item]  # hostile on purpose
    assert caught.value.rows == (1, 3)


def test_empty_and_matrix_columns_are_refused() -> None:
    with pytest.raises(DataError, match="no rows"):
        base.finite([])
    with pytest.raises(DataError, match="not one column"):
        base.finite([[1.0, 2.0]])


def test_bounds_and_binary_name_rows_and_values() -> None:
    with pytest.raises(RowsError, match="outside its bounds") as caught:
        base.within([0.5, 1.5, -1.0], 0, 1)
    assert caught.value.rows == (1, 2)
    assert "1.5, -1" in str(caught.value)
    with pytest.raises(RowsError, match="neither 0 nor 1"):
        base.binary([0, 0.5])


@pytest.mark.parametrize("missing", [None, "", float("nan")])
def test_a_missing_label_is_refused_by_row(missing: object) -> None:
    with pytest.raises(RowsError, match="task: missing") as caught:
        base.codes(["a", missing, "b", missing], "task")  # type: ignore[list-item]  # hostile on purpose
    assert caught.value.rows == (1, 3)


@given(st.lists(st.one_of(st.text(min_size=1), st.integers()), min_size=1))
def test_codes_give_back_every_label(labels: list[str | int]) -> None:
    coded = base.codes(labels, "task")
    assert [coded.labels[i] for i in coded.index] == labels
    assert set(coded.index.tolist()) == set(range(coded.size))


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1))
def test_codes_of_an_integer_array_give_back_every_label(labels: list[int]) -> None:
    coded = base.codes(np.array(labels), "task")
    assert [coded.labels[i] for i in coded.index] == labels
    assert set(coded.index.tolist()) == set(range(coded.size))


def test_repeated_task_and_trial_rows_are_refused() -> None:
    tasks, trials = base.codes(["a", "a", "b", "a"], "task"), base.codes([1, 2, 1, 2], "trial")
    with pytest.raises(RowsError, match=r"\(task, trial\) occurs twice") as caught:
        base.no_repeats([("task", tasks), ("trial", trials)])
    assert caught.value.rows == (3,)
    assert "task=a, trial=2" in str(caught.value)
    base.no_repeats([("task", tasks), ("trial", base.codes([1, 2, 1, 3], "trial"))])


def test_a_task_in_two_clusters_is_refused() -> None:
    tasks = base.codes(["a", "b", "a"], "task")
    with pytest.raises(RowsError, match="task a is in more than one cluster"):
        base.nested(tasks, base.codes(["x", "x", "y"], "cluster"))
    assert base.nested(tasks, base.codes(["x", "y", "x"], "cluster")).tolist() == [0, 1]


def test_quantiles_are_the_textbook_ones() -> None:
    assert base.z_quantile(0.95) == pytest.approx(1.959963985, abs=1e-9)
    assert base.t_quantile(0.95, 19) == pytest.approx(2.093024054, abs=1e-9)
    assert base.t_p_value(2.093024054, 19) == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize("level", [0.0, 1.0, 95, float("nan"), "0.95"])
def test_a_level_outside_0_to_1_is_refused(level: float) -> None:
    with pytest.raises(DataError, match="level"):
        base.z_quantile(level)


def test_a_seed_is_a_whole_number_and_gives_the_same_numbers() -> None:
    assert base.generator(3).random() == base.generator(3).random()
    with pytest.raises(DataError, match="seed"):
        base.generator(-1)


def test_an_interval_scales_and_swaps() -> None:
    assert base.Interval(1.0, 2.0, 0.95, "t").scaled(-2.0) == base.Interval(-4.0, -2.0, 0.95, "t")
