"""pass@k, pass^k, votes and best-of-n equal the average over every subset."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.errors import DataError, RowsError
from steelyard.stats.passk import (
    best_of_n,
    majority_vote,
    pass_at_k,
    pass_at_k_of,
    pass_hat_k,
    pass_hat_k_of,
)
from steelyard.unknown import Unknown

TASKS = st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=7), min_size=2, max_size=5)


def flat(table: list[list[int]]) -> tuple[list[float], list[int]]:
    return [float(v) for row in table for v in row], [i for i, row in enumerate(table) for _ in row]


@given(TASKS, st.integers(1, 3))
def test_both_equal_the_average_over_subsets(table: list[list[int]], k: int) -> None:
    some = [np.mean([max(s) for s in itertools.combinations(row, k)]) for row in table]
    every = [np.mean([min(s) for s in itertools.combinations(row, k)]) for row in table]
    values, tasks = flat(table)
    assert pass_at_k(values, tasks, k).value == pytest.approx(np.mean(some), abs=1e-12)
    assert pass_hat_k(values, tasks, k).value == pytest.approx(np.mean(every), abs=1e-12)


@given(st.integers(1, 300), st.data())
def test_k_of_one_is_the_rate_and_more_trials_only_help(n: int, data: st.DataObject) -> None:
    c = data.draw(st.integers(0, n))
    ks = range(1, min(n, 12) + 1)
    at = [float(pass_at_k_of(c, n, k)) for k in ks]
    hat = [float(pass_hat_k_of(c, n, k)) for k in ks]
    assert at[0] == pytest.approx(c / n)
    assert hat[0] == pytest.approx(c / n)
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(at))
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(hat))


def test_pass_at_k_of_is_exact_for_large_n() -> None:
    # 1 - C(190, 100) / C(200, 100), from exact integers
    import math

    assert float(pass_at_k_of(10, 200, 100)) == pytest.approx(
        1 - math.comb(190, 100) / math.comb(200, 100), rel=1e-12
    )


def test_too_few_trials_are_unknown_and_named() -> None:
    got = pass_at_k([1, 0, 1], ["a", "a", "b"], 2)
    assert isinstance(got.value, Unknown)
    assert "1 of 2 tasks have fewer, such as b with 1" in got.value.reason
    assert isinstance(best_of_n([1, 0], [1, 0], ["a", "b"], n=2).value, Unknown)
    assert isinstance(majority_vote(["x", "y"], [1, 0], ["a", "b"], k=2).value, Unknown)


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=6), min_size=1, max_size=3),
    st.sets(st.integers(0, 3), min_size=0, max_size=2),
    st.integers(1, 3),
)
@settings(max_examples=150)
def test_majority_vote_equals_the_average_over_subsets(
    table: list[list[int]], right: set[int], k: int
) -> None:
    expected = []
    for row in table:
        shares = []
        for subset in itertools.combinations(row, k):
            votes = Counter(subset)
            top = [a for a, v in votes.items() if v == max(votes.values())]
            shares.append(sum(a in right for a in top) / len(top))
        expected.append(np.mean(shares))
    answers = [f"answer {a}" for row in table for a in row]
    correct = [float(a in right) for row in table for a in row]
    tasks = [i for i, row in enumerate(table) for _ in row]
    got = majority_vote(answers, correct, tasks, k=k)
    assert got.value == pytest.approx(np.mean(expected), abs=1e-12)


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from([0.0, 0.3, 1.0]), st.integers(0, 3)), min_size=3, max_size=6),
        min_size=1,
        max_size=3,
    ),
    st.integers(1, 3),
)
@settings(max_examples=150)
def test_best_of_n_equals_the_average_over_subsets(table: list[list[tuple[float, int]]], n: int) -> None:
    expected = []
    for row in table:
        means = []
        for subset in itertools.combinations(row, n):
            top = max(s for _, s in subset)
            means.append(np.mean([v for v, s in subset if s == top]))
        expected.append(np.mean(means))
    got = best_of_n(
        [v for row in table for v, _ in row],
        [s for row in table for _, s in row],
        [i for i, row in enumerate(table) for _ in row],
        n=n,
    )
    assert got.value == pytest.approx(np.mean(expected), abs=1e-12)


@given(TASKS, st.integers(1, 3))
def test_best_of_n_by_the_score_itself_is_pass_at_n(table: list[list[int]], n: int) -> None:
    values, tasks = flat(table)
    assert best_of_n(values, values, tasks, n=n).value == pytest.approx(
        pass_at_k(values, tasks, n).value, abs=1e-12
    )


def test_one_task_has_no_interval_and_clusters_widen() -> None:
    assert isinstance(pass_at_k([1, 0], ["a", "a"], 1).interval, Unknown)
    values = np.repeat([1.0, 0.0], 40)
    tasks = np.arange(80) // 2
    alone = pass_at_k(values, tasks, 2)
    together = pass_at_k(values, tasks, 2, clusters=tasks // 10)
    assert together.n_clusters == 4
    assert together.interval.width > alone.interval.width


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="k: not a count"):
        pass_at_k([1, 0], ["a", "a"], 0)
    with pytest.raises(RowsError, match="neither 0 nor 1"):
        pass_at_k([0.5, 1], ["a", "a"], 1)
    with pytest.raises(RowsError, match="graded right in one row and wrong in another"):
        majority_vote(["x", "x"], [1, 0], ["a", "a"], k=1)
    with pytest.raises(DataError, match="too many of one task"):
        majority_vote(["x"] * 2000, [1] * 2000, ["a"] * 2000, k=3)
