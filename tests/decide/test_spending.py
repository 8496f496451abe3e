"""What contestants took: hand-computed figures, unknown prices, uneven rows, clusters, and the leaderboard's figure."""

from __future__ import annotations

import math

import numpy as np
import pytest

from steelyard.decide.columns import Reading, from_columns
from steelyard.decide.compare import CompareOptions, compare
from steelyard.decide.spending import NO_COST, Spending, Spent
from steelyard.unknown import Unknown, is_known


def took(rows: list[tuple[object, ...]], **names: object) -> Spending:
    """Of `new` against `old`: rows are (task, contestant, trial, score, cost)."""
    columns = dict(
        zip(("task", "contestant", "trial", "score", "cost"), map(list, zip(*rows, strict=True)), strict=True)
    )
    table = from_columns({**columns, **names})  # type: ignore[dict-item] # test data
    return compare(table, "old").items[-1].spending


BY_HAND = [
    ("a", "old", 0, 1, 0.10), ("a", "old", 1, 0, 0.30), ("b", "old", 0, 0, 0.20), ("c", "old", 0, 1, 0.12),
    ("d", "old", 0, 1, 0.28),
    ("a", "new", 0, 1, 0.05), ("b", "new", 0, 1, 0.10), ("c", "new", 0, 1, 0.10), ("d", "new", 0, 0, 0.40),
    ("d", "new", 1, 1, 0.20),
]  # fmt: skip
"""Task means: old 0.2, 0.2, 0.12, 0.28 (scores 0.5, 0, 1, 1); new 0.05, 0.1, 0.1, 0.3 (scores 1, 1, 1, 0.5)."""


def known(found: Spent | Unknown) -> Spent:
    assert not isinstance(found, Unknown), found
    return found


def test_means_difference_and_price_of_a_solved_task_by_hand() -> None:
    got = took(BY_HAND)
    cost, solved = known(got.cost), known(got.cost_of_solved)
    assert cost.baseline.value == pytest.approx(0.8 / 4)
    assert cost.contestant.value == pytest.approx(0.55 / 4)
    assert cost.difference.value == pytest.approx(-0.25 / 4)
    # sd of the four differences -0.15, -0.1, -0.02, 0.02 over root 4
    assert cost.difference.se == pytest.approx(np.std([-0.15, -0.1, -0.02, 0.02], ddof=1) / 2)
    assert (cost.baseline.n_trials, cost.contestant.n_trials, cost.difference.n_tasks) == (5, 5, 4)
    # 0.80 paid for 2.5 solved, 0.55 for 3.5
    assert solved.baseline.value == pytest.approx(0.32)
    assert solved.contestant.value == pytest.approx(0.55 / 3.5)
    assert solved.difference.value == pytest.approx(0.55 / 3.5 - 0.32)
    # by linearisation: sum of (cost - R * score)^2 / (n (n-1)) over the mean score squared
    residual = np.array([0.2, 0.2, 0.12, 0.28]) - 0.32 * np.array([0.5, 0, 1, 1])
    assert solved.baseline.se == pytest.approx(math.sqrt(float(residual @ residual) / 12) / 0.625)
    for e in (cost.baseline, cost.contestant, cost.difference, solved.baseline, solved.difference):
        assert is_known(e.value)
        assert is_known(e.interval)
        assert e.interval.contains(e.value)
        assert e.interval.level == 0.95
    assert isinstance(got.seconds, Unknown)


def test_a_price_that_is_not_known_is_unknown_and_never_0() -> None:
    got = took([(t, c, k, s, None if c == "new" else x) for t, c, k, s, x in BY_HAND])
    assert isinstance(got.cost, Unknown)
    assert "new is not known" in got.cost.reason
    assert isinstance(got.cost_of_solved, Unknown)
    # one trial of task d is not priced: d is left out on both sides, and counted
    some = known(
        took([(t, c, k, s, None if (t, c, k) == ("d", "new", 1) else x) for t, c, k, s, x in BY_HAND]).cost
    )
    assert some.left_out == 1
    assert some.baseline.value == pytest.approx(0.52 / 3)
    assert some.difference.value == pytest.approx((0.25 - 0.52) / 3)


def test_a_table_without_costs_says_so_once_and_shows_nothing() -> None:
    columns = {"task": list("abab"), "contestant": ["x", "x", "y", "y"], "score": [1, 0, 1, 1]}
    got = compare(from_columns(columns)).items[0].spending
    assert got.cost == NO_COST
    assert got.told == ()


def test_an_ungraded_trial_costs_money_and_a_planned_one_does_not() -> None:
    rows = [*BY_HAND, ("a", "new", 1, None, 0.15), ("b", "new", 1, None, None)]
    cost = known(took(rows).cost)
    assert cost.contestant.value == pytest.approx((0.10 + 0.10 + 0.10 + 0.30) / 4)
    assert cost.left_out == 0


def test_nothing_solved_has_no_price_and_free_is_0_without_spread() -> None:
    rows = [(t, c, 0, 0 if c == "old" else 1, 0.0 if c == "new" else 0.1 + i) for c in ("old", "new")
            for i, t in enumerate("abcd")]  # fmt: skip
    got = took(rows)
    solved, cost = known(got.cost_of_solved), known(got.cost)
    assert isinstance(solved.baseline.value, Unknown)
    assert "no task was solved" in solved.baseline.value.reason
    assert isinstance(solved.difference.value, Unknown)
    assert solved.contestant.value == 0.0
    assert cost.contestant.value == 0.0
    assert isinstance(cost.contestant.interval, Unknown)
    assert is_known(cost.difference.interval)


def test_two_solved_tasks_give_a_price_without_an_interval() -> None:
    rows = [(t, c, 0, int(t in "ab"), 0.1 * (1 + i)) for c in ("old", "new") for i, t in enumerate("abcdef")]
    solved = known(took(rows).cost_of_solved)
    assert solved.contestant.value == pytest.approx(2.1 / 2)
    assert isinstance(solved.contestant.interval, Unknown)
    assert "fewer than 3" in solved.contestant.interval.reason


def test_clusters_widen_and_several_contestants_share_the_level() -> None:
    rng = np.random.default_rng(4)
    base = np.repeat(rng.lognormal(0, 1, 10), 4)
    rows: list[tuple[object, ...]] = [
        (f"t{i}", c, 0, 1, float(m * base[i])) for c, m in (("old", 1.0), ("new", 1.5)) for i in range(40)
    ]
    alone = known(took(rows).cost)
    together = known(took(rows, cluster=[f"f{int(str(r[0])[1:]) // 4}" for r in rows]).cost)
    assert is_known(alone.difference.interval)
    assert is_known(together.difference.interval)
    assert together.difference.interval.width > 1.5 * alone.difference.interval.width
    assert together.difference.n_clusters == 10
    more = [*rows, *((t, "third", k, s, 2.0 * float(x)) for t, c, k, s, x in rows if c == "old")]
    shared = known(took(more).cost)
    assert shared.difference.interval.level == pytest.approx(0.975)  # type: ignore[union-attr] # it is known
    assert shared.contestant.interval.level == pytest.approx(0.95)  # type: ignore[union-attr] # it is known


def test_scores_that_are_no_shares_have_no_solved_tasks() -> None:
    columns = {
        "task": list("abab"),
        "contestant": ["x", "x", "y", "y"],
        "score": [10, 20, 30, 5],
        "cost": [1, 2, 2, 4],
    }
    got = compare(from_columns(columns, Reading(bounds=(0.0, 100.0)))).items[0].spending
    assert isinstance(got.cost_of_solved, Unknown)
    assert known(got.cost).difference.value == pytest.approx(1.5)


def test_the_margin_and_the_verdict_do_not_change_with_costs() -> None:
    with_cost = {"task": list("abcabc"), "contestant": ["x"] * 3 + ["y"] * 3, "score": [1, 0, 1, 1, 1, 1],
                 "cost": [1, 2, 3, 4, 5, 6]}  # fmt: skip
    without = {k: v for k, v in with_cost.items() if k != "cost"}
    a, b = (compare(from_columns(t), "x", CompareOptions()).items[0] for t in (with_cost, without))
    assert (a.verdict, a.interval, a.p_value) == (b.verdict, b.interval, b.p_value)
