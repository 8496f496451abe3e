"""The leaderboard's arithmetic on small tables whose answers are known by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from steelyard.decide.leaderboard import leaderboard
from steelyard.decide.tally import Evidence
from steelyard.stats.base import Estimate, Interval
from steelyard.unknown import Unknown, is_known

ZERO = ("ungraded", "attempts", "seconds", "input_tokens", "output_tokens", "cost_pusd", "other_cost_pusd", "unpriced",
        "other_unpriced", "abstained", "format_failures", "refused", "truncated")  # fmt: skip


def evidence(values: list[list[list[float]]], *, planned: int, suite_of: list[int] | None = None) -> Evidence:
    """values[contestant][task] is the list of graded values; what is missing up to `planned` is ungraded."""
    shape = (len(values), len(values[0]))
    columns = {name: np.zeros(shape) for name in ("graded", "value_sum", *ZERO)}
    for c, tasks in enumerate(values):
        for t, graded in enumerate(tasks):
            columns["graded"][c, t] = len(graded)
            columns["value_sum"][c, t] = sum(graded)
            columns["ungraded"][c, t] = planned - len(graded)
            columns["attempts"][c, t] = planned
    suites = suite_of or [0] * shape[1]
    return Evidence(
        contestants=tuple(f"c{i}" for i in range(shape[0])),
        suites=tuple(f"s{i}" for i in range(max(suites) + 1)),
        suite_of=np.array(suites),
        clusters=np.arange(shape[1]),
        planned=np.full(shape, float(planned)),
        columns=columns,
    )


def test_the_score_is_the_mean_of_task_means_and_bounds_count_what_is_missing() -> None:
    board = leaderboard(evidence([[[1, 1], [0], [1, 0], []]], planned=2))
    line = board.overall[0]
    assert line.estimate.value == pytest.approx((1 + 0 + 0.5) / 3)
    assert (line.n_planned, line.n_graded, line.n_ungraded) == (8, 5, 3)
    assert line.coverage == 5 / 8
    assert line.all_wrong == pytest.approx((1 + 0 + 0.5 + 0) / 4)
    assert line.all_right == pytest.approx((1 + 0.5 + 0.5 + 1) / 4)


def test_no_graded_trial_is_unknown_not_zero() -> None:
    line = leaderboard(evidence([[[], []]], planned=1)).overall[0]
    assert isinstance(line.estimate.value, Unknown)
    assert (line.all_wrong, line.all_right) == (0.0, 1.0)


def test_one_task_has_no_interval() -> None:
    line = leaderboard(evidence([[[1, 0, 1]]], planned=3)).overall[0]
    assert line.estimate.value == pytest.approx(2 / 3)
    assert isinstance(line.estimate.interval, Unknown)


def test_every_suite_counts_once_whatever_its_size() -> None:
    values = [[[1.0]] * 30 + [[0.0]] * 10]
    board = leaderboard(evidence(values, planned=1, suite_of=[0] * 30 + [1] * 10))
    assert board.overall[0].estimate.value == pytest.approx(0.5)
    assert [line.estimate.value for line in board.by_suite] == [1.0, 0.0]


def test_the_difference_is_paired_by_task() -> None:
    rng = np.random.default_rng(3)
    hard = rng.random(200)
    draws = rng.random(200)
    a = [[float(u < h + 0.1)] for u, h in zip(draws, hard, strict=True)]
    b = [[float(u < h)] for u, h in zip(draws, hard, strict=True)]
    board = leaderboard(evidence([b, a], planned=1))
    assert [line.contestant for line in board.overall] == ["c1", "c0"]
    difference = board.versus[0].difference
    diffs = np.array(a).ravel() - np.array(b).ravel()
    assert difference.value == pytest.approx(diffs.mean())
    assert is_known(difference.se)
    assert difference.se == pytest.approx(diffs.std(ddof=1) / np.sqrt(200), rel=0.02)
    assert board.versus[0].verdict == "better"
    assert "c1 is better" in board.sentence


def test_below_the_coverage_floor_there_is_no_verdict() -> None:
    values = [[[1.0]] * 8 + [[]] * 2, [[0.0]] * 10]
    board = leaderboard(evidence(values, planned=1), coverage_floor=0.9)
    assert board.sentence.startswith("No verdict: coverage is below the floor of 90%")
    assert "c0 80%" in board.sentence


def test_after_adaptive_spending_differences_come_from_the_sequential_intervals() -> None:
    e = evidence([[[1.0]] * 10, [[0.0]] * 10], planned=1)

    def scored(value: float) -> Estimate:
        return Estimate(
            value, Unknown("-"), Interval(value - 0.05, value + 0.05, 0.95, "seq"), "seq", 10, 10, 10
        )

    near = leaderboard(e, sequential={(0, 0): scored(0.60), (0, 1): scored(0.55)})
    far = leaderboard(e, sequential={(0, 0): scored(0.70), (0, 1): scored(0.55)})
    assert near.versus[0].verdict == "undecided"
    assert far.versus[0].verdict == "better"
    d = far.versus[0].difference
    assert is_known(d.interval)
    assert d.interval.low == pytest.approx(0.15 - 0.05 * np.sqrt(2))


def test_few_tasks_are_judged_as_compare_judges_them() -> None:
    """Five tasks won and one lost of eight: an exact sign test gives p = 0.22."""
    leader = [[1, 1]] * 7 + [[0, 0]]
    other = [[0, 0]] * 5 + [[1, 1]] * 3
    board = leaderboard(evidence([leader, other], planned=2))
    interval = board.versus[0].difference.interval
    assert is_known(interval)
    assert interval.method == "Bonett-Price"
    assert interval.low < 0 < interval.high
    assert board.versus[0].verdict == "undecided"


def test_nobody_leads_where_all_score_the_same() -> None:
    same = [[1], [0], [1]]
    assert leaderboard(evidence([same, same], planned=1)).sentence == "Undecided: c0 and c1 score the same."
    assert "all others score the same" in leaderboard(evidence([same, same, same], planned=1)).sentence


def test_a_stopping_rule_without_a_graded_trial_gives_no_score() -> None:
    middle = Estimate(0.5, Unknown("-"), Interval(0.0, 1.0, 0.95, "seq"), "seq", 0, 2, 2)
    line = leaderboard(evidence([[[], []]], planned=1), sequential={(0, 0): middle}).overall[0]
    assert isinstance(line.estimate.value, Unknown)
    assert isinstance(line.estimate.interval, Unknown)


def test_a_difference_over_suites_of_unequal_size_counts_every_suite_once_and_stays_within_its_bounds() -> (
    None
):
    rng = np.random.default_rng(3)
    suite_of = [0] * 6 + [1] * 60
    first = [[1.0] for _ in suite_of]
    second = [[float(x)] for x in [0] * 6 + (rng.random(60) < 0.9).tolist()]
    found = leaderboard(evidence([first, second], planned=1, suite_of=suite_of)).versus[0].difference
    wanted = (1.0 + float(np.mean([1.0 - x[0] for x in second[6:]]))) / 2
    assert found.value == pytest.approx(wanted)
    assert isinstance(found.interval, Interval)
    assert 0.0 < found.interval.low < found.interval.high <= 1.0
    assert "Tango" in found.interval.method


@pytest.mark.parametrize("sizes", [(20, 200), (10, 50, 300)])
def test_differences_over_suites_of_unequal_size_cover(sizes: tuple[int, ...]) -> None:
    """1,000 runs each at 95 %: at least 93.5 % hold the true difference; Student's t held 90 % of the first."""
    rng = np.random.default_rng(7)
    suite = np.repeat(np.arange(len(sizes)), sizes)
    kind = rng.choice(3, size=(1000, suite.size), p=[0.05, 0.02, 0.93])
    held = 0
    for row in kind:
        ours, theirs = (row != 1).astype(float), (row != 0).astype(float)
        board = leaderboard(
            evidence(
                [[[x] for x in ours.tolist()], [[x] for x in theirs.tolist()]],
                planned=1,
                suite_of=suite.tolist(),
            )
        )
        versus = board.versus[0]
        sign = 1.0 if versus.leader == "c0" else -1.0
        assert isinstance(versus.difference.interval, Interval)
        held += versus.difference.interval.contains(sign * 0.03)
    assert held >= 935, f"{held} of 1000"


def test_an_agent_has_the_time_of_its_trials_and_no_tokens_a_second() -> None:
    e = evidence([[[1], [0]], [[1], [1]]], planned=1)
    e.columns["seconds"][:] = 30.0
    e.columns["output_tokens"][:] = 600.0
    lines = {x.contestant: x for x in leaderboard(replace(e, agents=frozenset({0}))).overall}
    assert lines["c0"].seconds == lines["c1"].seconds == 30.0
    assert lines["c1"].tokens_per_second == 20.0
    assert isinstance(lines["c0"].tokens_per_second, Unknown)
    assert "tools" in lines["c0"].tokens_per_second.reason


def test_a_verdict_on_few_tasks_that_differ_is_that_of_compare() -> None:
    """7 wins and 1 loss of 20: the interval leaves out 0, McNemar's p is 0.070; both commands say undecided."""
    left = [[1.0]] * 7 + [[0.0]] + [[1.0]] * 12
    right = [[0.0]] * 7 + [[1.0]] + [[1.0]] * 12
    board = leaderboard(evidence([left, right], planned=1))
    versus = board.versus[0]
    assert is_known(versus.difference.interval)
    assert versus.difference.interval.low > 0
    assert versus.verdict == "undecided"
    assert board.sentence.startswith("Undecided: c0 leads by 30.0 points over c1")
    assert "p = 0.070" in board.sentence
    sure = leaderboard(evidence([[[1.0]] * 20, [[0.0]] * 9 + [[1.0]] * 11], planned=1))
    assert sure.versus[0].verdict == "better"
