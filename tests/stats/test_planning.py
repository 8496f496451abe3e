"""Plans: Miller's anchors, the cheapest design by brute force, and what simulation says of the promised power."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.errors import DataError
from steelyard.stats import planning as pl
from steelyard.unknown import Unknown, is_known


def test_millers_anchors() -> None:
    """Miller 2024: w2 = 1/9, d = 0.03, 5 % / 80 %: 969 questions; with noise 1/6 each at one trial: 3,876."""
    goal = pl.Goal(difference=0.03)
    assert pl.tasks_needed(pl.Split(1 / 9, (0.0, 0.0)), goal, (1, 1)) == 969
    assert pl.tasks_needed(pl.Split(1 / 9, (1 / 6, 1 / 6)), goal, (1, 1)) == 3876
    assert pl.detectable(pl.Split(1 / 9, (0.0, 0.0)), 969, (1, 1)) == pytest.approx(0.03, abs=1e-5)


def test_more_trials_of_the_cheap_contestant() -> None:
    split = pl.Split(0.05, (0.15, 0.15))
    got = pl.cheapest(split, pl.Goal(difference=0.05, costs=(1.0, 20.0), task_cost=5.0))
    assert is_known(got)
    assert got.trials[0] > got.trials[1]


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0, 0.2),
    st.floats(0, 0.25),
    st.floats(0, 0.25),
    st.floats(0.1, 30),
    st.floats(0.1, 30),
    st.floats(0, 50),
)
def test_cheapest_equals_brute_force(
    w2: float, a: float, b: float, cost_a: float, cost_b: float, task: float
) -> None:
    split, goal = (
        pl.Split(w2, (a, b)),
        pl.Goal(difference=0.07, costs=(cost_a, cost_b), task_cost=task, max_trials=6),
    )
    got = pl.cheapest(split, goal)
    assert is_known(got)
    best = min(
        pl.tasks_needed(split, goal, k) * (task + k[0] * cost_a + k[1] * cost_b)
        for k in itertools.product(range(1, 7), repeat=2)
    )
    assert got.cost == pytest.approx(best)
    assert pl.tasks_needed(split, goal, got.trials) == got.tasks


def test_too_few_tasks_is_said_with_the_number_that_would_do() -> None:
    got = pl.cheapest(pl.Split(0.25, (0.0,)), pl.Goal(half_width=0.02, max_tasks=500))
    assert isinstance(got, Unknown)
    assert "2401" in got.reason


def test_fixed_tasks_need_trials_only_for_the_noise() -> None:
    goal = pl.Goal(half_width=0.05, fixed_tasks=50)
    got = pl.cheapest(pl.Split(10.0, (0.16,)), goal)
    assert is_known(got)
    assert got.tasks == 50
    assert got.trials == (math.ceil(0.16 / 50 / goal.variance),)
    assert isinstance(pl.cheapest(pl.Split(0.0, (25.0,)), goal), Unknown)


def test_a_half_width_plan_is_what_is_expected() -> None:
    split = pl.rate_split(0.3)
    got = pl.cheapest(split, pl.Goal(half_width=0.03))
    assert is_known(got)
    assert pl.expected_half_width(split, got.tasks, got.trials) <= 0.03
    assert pl.expected_half_width(split, got.tasks - 1, got.trials) > 0.03


def test_a_pilot_gives_the_planted_split_and_its_own_uncertainty() -> None:
    rng = np.random.default_rng(0)
    mu = rng.beta(2, 2, 4000)
    x = rng.random((4000, 3)) < mu[:, None]
    split = pl.pilot_mean(x.mean(1), np.full(4000, 3), x.var(axis=1, ddof=1))
    assert split.between == pytest.approx(0.05, abs=0.005)
    assert split.noise[0] == pytest.approx(0.2, abs=0.005)
    small = pl.cheapest(pl.Split(0.05, (0.2,), 20), pl.Goal(half_width=0.03))
    assert is_known(small)
    assert is_known(small.tasks_range)
    assert small.tasks_range[0] < small.tasks < small.tasks_range[1]
    assert "20 independent tasks" in small.notes[0]


def test_a_pilot_of_two_contestants() -> None:
    rng = np.random.default_rng(1)
    mu = rng.beta(2, 2, 5000)
    a = rng.random((5000, 2)) < mu[:, None]
    b = rng.random((5000, 4)) < np.clip(mu, 0, 0.9)[:, None]
    split = pl.pilot_difference(
        b.mean(1) - a.mean(1),
        (np.full(5000, 2), np.full(5000, 4)),
        (a.var(axis=1, ddof=1), b.var(axis=1, ddof=1)),
    )
    assert split.between == pytest.approx(np.var(np.clip(mu, 0, 0.9) - mu), abs=0.01)


def test_a_pilot_with_one_trial_a_task_plans_with_one_trial_and_says_so() -> None:
    x = np.tile([0.0, 1.0], 100)
    split = pl.pilot_mean(x, np.ones(200), np.full(200, np.nan))
    got = pl.cheapest(split, pl.Goal(half_width=0.05, task_cost=1000))
    assert is_known(got)
    assert got.trials == (1,)
    assert "one trial a task" in got.notes[0]
    assert isinstance(pl.cheapest(split, pl.Goal(half_width=0.05, fixed_tasks=9)), Unknown)


@pytest.mark.parametrize(
    "make",
    [
        pl.Goal,
        lambda: pl.Goal(half_width=0.1, difference=0.1),
        lambda: pl.Goal(half_width=0),
        lambda: pl.Goal(half_width=float("nan")),
        lambda: pl.Goal(half_width=0.1, level=1.0),
        lambda: pl.Goal(half_width=0.1, costs=(-1.0,)),
        lambda: pl.Split(-1, (0.1,)),
        lambda: pl.Split(0.1, ()),
        lambda: pl.rate_split(1.2),
        lambda: pl.pilot_mean([0.5], [1], [np.nan]),
        lambda: pl.detectable(pl.Split(0.1, (0.1,)), 0, (1,)),
        lambda: pl.cheapest(pl.Split(0.1, (0.1,)), pl.Goal(half_width=0.1, fixed_tasks=0)),
    ],
)
def test_nonsense_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(DataError):
        make()


def test_the_promised_power_holds_in_simulation() -> None:
    rng = np.random.default_rng(5)
    d, w2, noise = 0.08, 0.02, 0.2
    n = pl.tasks_needed(pl.Split(w2, (noise, noise)), pl.Goal(difference=d), (1, 1))
    runs = 4000
    diff = rng.normal(d, np.sqrt(w2 + 2 * noise), (runs, n))
    z = diff.mean(1) / (diff.std(axis=1, ddof=1) / np.sqrt(n))
    power = float(np.mean(np.abs(z) > 1.959964))
    assert abs(power - 0.8) < 4 * np.sqrt(0.16 / runs), f"power {power:.4f} in n={runs}, promised 0.8"


def test_a_pilot_without_any_difference_cannot_plan() -> None:
    got = pl.cheapest(pl.pilot_mean(np.ones(30), np.ones(30), np.full(30, np.nan)), pl.Goal(half_width=0.1))
    assert isinstance(got, Unknown)


def test_a_pilots_plan_prefers_tasks_to_repeats_where_the_cost_is_about_the_same() -> None:
    """A pilot that saw no variance between tasks: rounding alone must not buy 11 trials of each task."""
    goal = pl.Goal(difference=0.05)
    exact = pl.cheapest(pl.Split(0.0, (0.25, 0.225)), goal)
    pilot = pl.cheapest(pl.Split(0.0, (0.25, 0.225), units=20), goal)
    assert isinstance(exact, pl.Design)
    assert isinstance(pilot, pl.Design)
    assert pilot.trials == (1, 1)
    assert exact.total_trials <= pilot.total_trials <= 1.01 * exact.total_trials
