"""Condition matrices, reweighting and distances between mixes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import DataError, RowsError
from steelyard.stats.conditions import ConditionOptions, condition_matrix, reweight
from steelyard.stats.mixes import mix_distance, mix_of
from steelyard.unknown import Unknown, is_known

SCORES = [1, 0, 1, 1, 0, 0, 1, 1]
TASKS = list("abcdefgh")
LANGUAGE = ["en"] * 5 + ["fi"] * 3
LEVEL = ["easy", "hard", "easy", "easy", "hard", "easy", "easy", "easy"]


def test_every_combination_is_shown_with_its_state() -> None:
    got = condition_matrix(
        SCORES, TASKS, {"language": LANGUAGE, "difficulty": LEVEL}, options=ConditionOptions(thin_below=3)
    )
    assert len(got.cells) == 4
    assert got.in_state("empty") == (("fi", "hard"),)
    assert got.in_state("thin") == (("en", "hard"),)
    assert isinstance(got.cell("fi", "hard").estimate.value, Unknown)
    assert got.cell("en", "easy").estimate.value == 1.0
    assert got.cell("en", "hard").estimate.notes[-1] == "thin: 2 tasks"
    with pytest.raises(DataError, match="no such cell"):
        got.cell("sv", "easy")


def test_a_task_may_stand_in_several_cells() -> None:
    got = condition_matrix([1, 0, 1, 1], ["a", "a", "b", "b"], {"language": ["en", "fi", "en", "fi"]})
    assert got.cell("en").estimate.value == 1.0
    assert got.cell("fi").estimate.value == 0.5


def test_reweighting_moves_the_score_to_the_mix() -> None:
    conditions = {"language": LANGUAGE}
    got = reweight(SCORES, TASKS, conditions, {("en",): 1.0, ("fi",): 3.0})
    assert got.estimate.value == pytest.approx(0.25 * 3 / 5 + 0.75 * 2 / 3)
    assert got.lowest == got.highest == pytest.approx(got.estimate.value)
    assert got.measured == pytest.approx(1.0)
    en, fi = np.array(SCORES[:5], float), np.array(SCORES[5:], float)
    variance = 0.0625 * en.var(ddof=1) / 5 + 0.5625 * fi.var(ddof=1) / 3
    assert got.estimate.se == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_the_suites_own_mix_gives_the_plain_mean() -> None:
    conditions = {"language": LANGUAGE, "difficulty": LEVEL}
    got = reweight(SCORES, TASKS, conditions, mix_of(conditions))
    assert got.estimate.value == pytest.approx(np.mean(SCORES))
    assert got.unweighted == pytest.approx(np.mean(SCORES))


def test_untested_cells_bound_the_score_and_are_named() -> None:
    got = reweight(SCORES, TASKS, {"language": LANGUAGE}, {("en",): 0.6, ("sv",): 0.4})
    assert got.untested == (("sv",),)
    assert got.measured == pytest.approx(0.6)
    assert got.estimate.value == pytest.approx(3 / 5)
    assert (got.lowest, got.highest) == pytest.approx((0.36, 0.76))
    assert "40.0% of the mix has no task" in got.estimate.notes[-1]
    nothing = reweight(SCORES, TASKS, {"language": LANGUAGE}, {("sv",): 1})
    assert isinstance(nothing.estimate.value, Unknown)
    assert (nothing.lowest, nothing.highest) == (0.0, 1.0)


def test_a_lone_task_takes_the_others_spread_and_says_so() -> None:
    language = ["en"] * 7 + ["fi"]
    got = reweight(SCORES, TASKS, {"language": language}, {("en",): 0.5, ("fi",): 0.5})
    en = np.array(SCORES[:7], float).var(ddof=1)
    assert got.estimate.se == pytest.approx(np.sqrt(0.25 * en / 7 + 0.25 * en), rel=1e-9)
    assert "1 cells have one task" in got.estimate.notes[0]


def test_repeats_and_clusters_narrow_nothing() -> None:
    conditions, mix = {"language": LANGUAGE}, {("en",): 0.3, ("fi",): 0.7}
    once = reweight(SCORES, TASKS, conditions, mix)
    again = reweight(SCORES * 3, TASKS * 3, {"language": LANGUAGE * 3}, mix)
    assert again.estimate.interval == once.estimate.interval
    one = reweight(SCORES, TASKS, conditions, mix, clusters=["x"] * 8)
    assert isinstance(one.estimate.interval, Unknown)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 2)), min_size=4, max_size=30))
def test_intervals_hold_the_value_inside_the_bounds(rows: list[tuple[float, int]]) -> None:
    values, cells = [r[0] for r in rows], [r[1] for r in rows]
    got = reweight(values, list(range(len(rows))), {"c": cells}, {(c,): 1.0 for c in set(cells)})
    if is_known(got.estimate.interval):
        assert 0.0 <= got.estimate.interval.low <= got.estimate.value + 1e-9
        assert got.estimate.value - 1e-9 <= got.estimate.interval.high <= 1.0


def test_distance_of_a_mix_to_itself_is_zero_and_to_another_one_is_one() -> None:
    mix = {("en", "easy"): 3.0, ("fi", "hard"): 1.0}
    same = mix_distance(mix, {k: 10 * v for k, v in mix.items()})
    assert same.total_variation == pytest.approx(0.0)
    assert same.efficiency == pytest.approx(1.0)
    apart = mix_distance(mix, {("sv", "easy"): 1.0})
    assert apart.total_variation == apart.jensen_shannon == pytest.approx(1.0)
    assert apart.untested == apart.unused == pytest.approx(1.0)
    assert apart.efficiency == 0.0


def test_distance_by_hand_and_the_widest_gap_first() -> None:
    got = mix_distance({("a",): 0.5, ("b",): 0.5}, {("a",): 0.9, ("b",): 0.1})
    assert got.total_variation == pytest.approx(0.4)
    assert got.efficiency == pytest.approx(1 / (0.81 / 0.5 + 0.01 / 0.5))
    assert mix_distance({("a",): 1, ("b",): 1, ("c",): 2}, {("c",): 1, ("a",): 1}).largest[0][0] in {
        ("b",),
        ("a",),
    }


@given(
    st.lists(st.floats(0.01, 10), min_size=2, max_size=6),
    st.lists(st.floats(0.01, 10), min_size=2, max_size=6),
)
def test_distances_are_symmetric_and_in_range(one: list[float], other: list[float]) -> None:
    p, q = ({(i,): w for i, w in enumerate(x)} for x in (one, other))
    ab, ba = mix_distance(p, q), mix_distance(q, p)
    assert ab.total_variation == pytest.approx(ba.total_variation)
    assert ab.jensen_shannon == pytest.approx(ba.jensen_shannon)
    assert 0.0 <= ab.jensen_shannon <= ab.total_variation + 1e-12
    assert 0.0 <= ab.efficiency <= 1.0 + 1e-12


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="conditions: none"):
        condition_matrix(SCORES, TASKS, {})
    with pytest.raises(DataError, match="language: wrong length"):
        condition_matrix(SCORES, TASKS, {"language": ["en"]})
    with pytest.raises(RowsError, match="language: missing"):
        condition_matrix(SCORES, TASKS, {"language": [*LANGUAGE[:-1], None]})
    with pytest.raises(DataError, match="too many combinations"):
        condition_matrix(SCORES, TASKS, {"t": TASKS, "u": TASKS}, options=ConditionOptions(most_cells=10))
    with pytest.raises(DataError, match="mix: no weight"):
        reweight(SCORES, TASKS, {"language": LANGUAGE}, {("en",): 0.0})
    with pytest.raises(DataError, match="mix: a key of the wrong length"):
        reweight(SCORES, TASKS, {"language": LANGUAGE}, {("en", "easy"): 1.0})
    with pytest.raises(DataError, match="mix: a weight is not a share"):
        mix_distance({("a",): -1.0}, {("a",): 1.0})
    with pytest.raises(DataError, match="mix: a key is not a tuple"):
        mix_distance({"a": 1.0}, {("a",): 1.0})  # type: ignore[dict-item]  # hostile on purpose
