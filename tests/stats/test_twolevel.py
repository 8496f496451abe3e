"""Tasks x trials: score, standard error and where it comes from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import DataError, RowsError
from steelyard.stats.twolevel import two_level
from steelyard.unknown import Unknown, is_known

TABLE = st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=6), min_size=2, max_size=15)


def flat(table: list[list[float]]) -> tuple[list[float], list[str]]:
    return [v for row in table for v in row], [f"t{i}" for i, row in enumerate(table) for _ in row]


@given(TABLE)
def test_score_is_the_mean_of_task_means_with_their_standard_error(table: list[list[float]]) -> None:
    got = two_level(*flat(table))
    means = [np.mean(row) for row in table]
    assert got.estimate.value == pytest.approx(np.mean(means), abs=1e-12)
    if is_known(got.estimate.se):
        assert got.estimate.se == pytest.approx(np.std(means, ddof=1) / np.sqrt(len(means)), rel=1e-9)


@given(TABLE)
def test_decomposition_equals_the_slow_one(table: list[list[float]]) -> None:
    got = two_level(*flat(table))
    noises = [np.var(row, ddof=1) for row in table if len(row) > 1]
    if not noises:
        assert isinstance(got.between_trials, Unknown)
        assert isinstance(got.between_tasks, Unknown)
        return
    share = np.mean([(np.var(r, ddof=1) if len(r) > 1 else np.mean(noises)) / len(r) for r in table])
    assert got.between_trials == pytest.approx(np.mean(noises), abs=1e-12)
    raw = np.var([np.mean(r) for r in table], ddof=1) - share
    assert got.between_tasks == pytest.approx(max(0.0, raw), abs=1e-12)
    assert got.se_trials == pytest.approx(np.sqrt(share / len(table)), abs=1e-12)
    assert any("shown as 0" in note for note in got.estimate.notes) == (raw < 0.0)


def test_planted_variances_are_recovered() -> None:
    random = np.random.default_rng(11)
    truth = random.normal(0, 2, 4000)
    tasks = np.repeat(np.arange(4000), 5)
    got = two_level(truth[tasks] + random.normal(0, 3, tasks.size), tasks, bounds=None)
    assert got.between_tasks == pytest.approx(4.0, rel=0.1)
    assert got.between_trials == pytest.approx(9.0, rel=0.05)


def test_clusters_of_tasks_widen_and_show_a_design_effect() -> None:
    random = np.random.default_rng(2)
    repository = np.repeat(np.arange(10), 10)
    score = (random.random(10)[repository] > 0.5).astype(float)
    got = two_level(score, np.arange(100), clusters=repository)
    assert got.estimate.n_clusters == 10
    assert got.design_effect == pytest.approx(11, rel=0.1)


def test_one_task_and_one_trial_are_unknown() -> None:
    one = two_level([1, 0, 1], ["a", "a", "a"])
    assert isinstance(one.estimate.se, Unknown)
    assert isinstance(one.between_tasks, Unknown)
    assert one.between_trials == pytest.approx(1 / 3)
    single = two_level([1, 0, 1], ["a", "b", "c"])
    assert is_known(single.estimate.se)
    assert isinstance(single.se_trials, Unknown)
    assert any("unknown (every task has one trial" in line for line in single.lines())


def test_trials_of_one_task_do_not_narrow_beyond_their_share() -> None:
    passed = [1.0, 0.0] * 10
    few = two_level(passed, list(range(20)))
    many = two_level(np.repeat(passed, 50), np.repeat(np.arange(20), 50))
    assert many.estimate.interval == few.estimate.interval


def test_a_task_in_two_clusters_and_scores_out_of_bounds_are_refused() -> None:
    with pytest.raises(RowsError, match="more than one cluster"):
        two_level([1, 0], ["a", "a"], clusters=["x", "y"])
    with pytest.raises(RowsError, match="outside its bounds"):
        two_level([1, 12.5], ["a", "b"])
    with pytest.raises(DataError, match="no rows"):
        two_level([], [])
