"""The abstention-aware index and hallucination rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import RowsError
from steelyard.stats.abstention import abstention
from steelyard.unknown import Unknown, is_known

OUTCOMES = st.lists(st.sampled_from([-1, 0, 1]), min_size=2, max_size=40)


@given(OUTCOMES)
def test_figures_equal_their_definitions(outcomes: list[int]) -> None:
    got = abstention(outcomes, list(range(len(outcomes))))
    right, wrong, none = (outcomes.count(x) for x in (1, -1, 0))
    assert got.index.value == pytest.approx(100 * (right - wrong) / len(outcomes))
    assert (got.right, got.wrong, got.abstained) == (right, wrong, none)
    assert got.accuracy.value == pytest.approx(right / len(outcomes))
    if wrong + none:
        assert got.hallucination.value == pytest.approx(wrong / (wrong + none))
    else:
        assert isinstance(got.hallucination.value, Unknown)
    if right + wrong:
        assert got.accuracy_attempted.value == pytest.approx(right / (right + wrong))
    else:
        assert isinstance(got.accuracy_attempted.value, Unknown)


@given(OUTCOMES)
def test_intervals_stay_in_range_and_hold_the_figure(outcomes: list[int]) -> None:
    got = abstention(outcomes, list(range(len(outcomes))))
    assert -100 - 1e-9 <= got.index.interval.low <= got.index.value + 1e-6
    assert got.index.value - 1e-6 <= got.index.interval.high <= 100 + 1e-9
    for e in (got.hallucination, got.accuracy, got.attempted, got.accuracy_attempted):
        if is_known(e.value) and is_known(e.interval):
            assert 0 <= e.interval.low <= e.value + 1e-9
            assert e.value - 1e-9 <= e.interval.high <= 1


@given(OUTCOMES)
def test_swapping_right_and_wrong_mirrors_the_index(outcomes: list[int]) -> None:
    tasks = list(range(len(outcomes)))
    one, other = abstention(outcomes, tasks).index, abstention([-x for x in outcomes], tasks).index
    assert other.value == pytest.approx(-one.value)
    assert other.interval.low == pytest.approx(-one.interval.high, abs=1e-6)


def test_always_abstaining_beats_always_being_wrong() -> None:
    tasks = list(range(30))
    silent, wrong = abstention([0] * 30, tasks), abstention([-1] * 30, tasks)
    assert silent.index.value == 0.0
    assert wrong.index.value == -100.0
    assert silent.hallucination.value == 0.0
    assert wrong.hallucination.value == 1.0
    assert isinstance(silent.index.se, Unknown)


def test_repeated_trials_count_their_task_once() -> None:
    once = abstention([1, -1, 0, 1] * 5, list(range(20)))
    again = abstention(np.repeat([1, -1, 0, 1] * 5, 8), np.repeat(np.arange(20), 8))
    assert again.index.interval == once.index.interval
    assert again.hallucination.interval.width == pytest.approx(once.hallucination.interval.width)


def test_other_outcomes_are_refused_by_row() -> None:
    with pytest.raises(RowsError, match="none of right, wrong and abstained") as caught:
        abstention([1, 0.5, 2], ["a", "b", "c"])
    assert caught.value.rows == (1, 2)
