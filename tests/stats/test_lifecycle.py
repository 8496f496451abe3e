"""Suite and task states."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.errors import DataError
from steelyard.stats.lifecycle import LifecycleOptions, suite_state, task_states
from steelyard.unknown import Unknown, is_known


def suite(
    rates: list[float], tasks: int, trials: int = 1, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    rows = [
        (float(random.random() < rate), t, f"c{j}")
        for j, rate in enumerate(rates)
        for t in range(tasks)
        for _ in range(trials)
    ]
    values, names, who = zip(*rows, strict=True)
    return np.array(values), np.array(names), np.array(who)


@pytest.mark.parametrize(
    ("best", "state"), [(0.02, "hard"), (0.5, "live"), (0.88, "saturating"), (0.995, "retire")]
)
def test_states_follow_the_best_contestant(best: float, state: str) -> None:
    got = suite_state(*suite([best, best / 2], 2000))
    assert got.state == state
    assert got.certain
    assert got.allowed == (state,)
    assert got.best == "c0"


def test_few_tasks_allow_several_states() -> None:
    got = suite_state([1.0] * 12, list(range(12)), ["a"] * 12)
    assert got.state == "retire"
    assert not got.certain
    assert got.allowed == ("live", "saturating", "retire")


def test_the_best_of_many_is_judged_with_a_wider_interval() -> None:
    one = suite_state(*suite([0.5], 100))
    many = suite_state(*suite([0.5] * 20, 100))
    assert many.scores[0][1].interval.width > one.scores[0][1].interval.width * 1.2


def test_one_task_allows_every_state() -> None:
    got = suite_state([1.0, 0.0], ["t", "t"], ["a", "b"])
    assert got.allowed == ("hard", "live", "saturating", "retire")


def test_tasks_that_nobody_or_everybody_solves_are_flagged() -> None:
    values, tasks, who = suite([0.3, 0.5, 0.6, 0.9], 40)
    values[tasks == 0], values[tasks == 1] = 0.0, 1.0
    states = {s.task: s for s in task_states(values, tasks, who)}
    assert states[0].flags == ("nobody solves",)
    assert states[1].flags == ("everybody solves",)
    assert isinstance(states[0].discrimination, Unknown)
    assert states[0].solved_interval.high > 0.5


def test_discrimination_equals_the_correlation_with_the_rest() -> None:
    values, tasks, who = suite([0.1, 0.3, 0.5, 0.7, 0.9], 25, seed=3)
    table = np.array([[values[(tasks == t) & (who == f"c{j}")][0] for j in range(5)] for t in range(25)])
    for s in task_states(values, tasks, who):
        row = table[int(s.task)]
        rest = (table.sum(axis=0) - row) / 24
        if np.ptp(row) == 0:
            assert isinstance(s.discrimination, Unknown)
        else:
            assert s.discrimination == pytest.approx(np.corrcoef(row, rest)[0, 1], abs=1e-9)


def test_an_inverted_and_a_dead_task_are_found_among_many_contestants() -> None:
    random = np.random.default_rng(1)
    skill = np.linspace(0, 1, 60)
    tasks, who, values = [], [], []
    for t in range(30):
        for j, s in enumerate(skill):
            chance = 1 - s if t == 0 else 0.5 if t == 1 else s
            tasks.append(t)
            who.append(j)
            values.append(float(random.random() < chance))
    flags = {
        s.task: s.flags for s in task_states(values, tasks, who, options=LifecycleOptions(discriminates=0.3))
    }
    assert flags[0] == ("inverted",)
    assert flags[1] == ("does not discriminate",)
    assert sum(not f for f in flags.values()) > 25


def test_flaky_tasks_flip_between_trials_of_one_contestant() -> None:
    steady = [(1.0, "steady", "a")] * 10 + [(0.0, "steady", "b")] * 10
    flaky = [(float(i % 2), "flaky", c) for c in "ab" for i in range(10)]
    values, tasks, who = zip(*(steady + flaky), strict=True)
    states = {s.task: s for s in task_states(values, tasks, who)}
    assert states["flaky"].flags == ("flaky",)
    assert states["steady"].flips == 0.0
    assert states["steady"].flags == ()
    # five of ten passed: 25 of the 45 pairs disagree
    assert states["flaky"].flips == pytest.approx(25 / 45)


def test_without_repeats_flips_are_unknown() -> None:
    states = task_states([1, 0], ["a", "a"], ["x", "y"])
    assert isinstance(states[0].flips, Unknown)
    assert is_known(states[0].solved_interval)


def test_order_of_rows_does_not_matter() -> None:
    values, tasks, who = suite([0.2, 0.4, 0.6, 0.8], 15, trials=3)
    one = {s.task: s.flags for s in task_states(values, tasks, who)}
    other = {s.task: s.flags for s in task_states(values[::-1], tasks[::-1], who[::-1])}
    assert one == other


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="states overlap"):
        suite_state([1], ["a"], ["x"], options=LifecycleOptions(hard=0.9))
    with pytest.raises(DataError, match="outside its bounds"):
        task_states([3], ["a"], ["x"])
    with pytest.raises(DataError, match="contestants: wrong length"):
        suite_state([1, 0], ["a", "b"], ["x"])
