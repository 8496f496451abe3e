"""Comparisons: the right word, why, and what would decide it; swaps, order, clusters, many, sequential."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tests.decide.tables import columns, planted

from steelyard.decide.columns import from_columns
from steelyard.decide.compare import (
    CompareOptions,
    Comparison,
    Verdict,
    closed,
    compare,
    pairs_of,
    sequential_interval,
)
from steelyard.errors import DataError
from steelyard.unknown import Unknown, is_known

BASE = np.random.default_rng(0).beta(1, 1, 400)


def only(rates: dict[str, np.ndarray], trials: int = 3, **kw: object) -> Comparison:
    options = kw.pop("options", None)
    got = compare(planted(rates, trials, 1, **kw), "base", options)  # type: ignore[arg-type]  # passed on
    return got.items[0]


def test_better_worse_equivalent_undecided() -> None:
    assert only({"base": BASE, "new": np.clip(BASE + 0.15, 0, 1)}).verdict is Verdict.BETTER
    assert only({"base": BASE, "new": np.clip(BASE - 0.15, 0, 1)}).verdict is Verdict.WORSE
    wide = CompareOptions(margin=0.1)
    assert only({"base": BASE, "new": BASE}, options=wide).verdict is Verdict.EQUIVALENT
    assert only({"base": BASE[:20], "new": BASE[:20]}).verdict is Verdict.UNDECIDED


def test_every_verdict_has_reasons_and_an_undecided_one_says_what_would_decide() -> None:
    got = only({"base": BASE[:30], "new": BASE[:30]}, 1)
    assert got.verdict is Verdict.UNDECIDED
    assert "includes 0" in got.reasons[0]
    assert any("more than now" in w for w in got.would_decide)
    assert only({"base": BASE, "new": np.clip(BASE + 0.2, 0, 1)}).would_decide == ()


def test_without_a_margin_nothing_is_called_equivalent() -> None:
    got = only({"base": BASE, "new": BASE}, options=CompareOptions(margin=None))
    assert got.verdict is Verdict.UNDECIDED
    assert isinstance(got.equivalence, Unknown)


def test_a_small_sure_difference_is_better_and_the_margin_is_said() -> None:
    rates = {"base": np.full(4000, 0.5), "new": np.full(4000, 0.57)}
    got = only(rates, 1, options=CompareOptions(margin=0.15))
    assert got.verdict is Verdict.BETTER
    assert any("smaller than the margin" in r for r in got.reasons)


def test_swapping_sides_swaps_the_verdict() -> None:
    table = planted({"base": BASE, "new": np.clip(BASE + 0.1, 0, 1)}, 2, 3)
    ab, ba = compare(table, "base").items[0], compare(table, "new").items[0]
    assert (ab.verdict, ba.verdict) == (Verdict.BETTER, Verdict.WORSE)
    assert is_known(ab.interval)
    assert is_known(ba.interval)
    assert (ab.interval.low, ab.interval.high) == pytest.approx((-ba.interval.high, -ba.interval.low))


def test_the_order_of_rows_does_not_matter_to_a_fixed_comparison() -> None:
    table = columns({"base": BASE[:60], "new": BASE[::-1][:60]}, 2, 3)
    order = np.random.default_rng(0).permutation(len(table["task"]))
    shuffled = {k: [v[i] for i in order] for k, v in table.items()}
    a, b = (compare(from_columns(t), "base").items[0] for t in (table, shuffled))
    assert a.verdict is b.verdict
    assert a.paired.difference.value == pytest.approx(b.paired.difference.value)
    assert (a.interval.low, a.interval.high) == pytest.approx((b.interval.low, b.interval.high))  # type: ignore[union-attr]


def test_clusters_widen() -> None:
    family = np.repeat(np.random.default_rng(1).random(20), 20)
    shifted = np.repeat(np.random.default_rng(2).random(20), 20)
    alone = only({"base": family, "new": shifted}, 4)
    grouped = only({"base": family, "new": shifted}, 4, family=20)
    assert is_known(alone.interval)
    assert is_known(grouped.interval)
    assert grouped.interval.width > 2 * alone.interval.width
    assert grouped.paired.difference.n_clusters == 20


def test_many_contestants_widen_every_interval_and_raise_p() -> None:
    rates = {"base": BASE} | {f"c{i}": np.clip(BASE + 0.04, 0, 1) for i in range(6)}
    table = planted(rates, 2, 5)
    many = compare(table, "base")
    one = compare(table.of(["base", "c0"]), "base").items[0]
    first = many.items[0]
    assert is_known(first.interval)
    assert is_known(one.interval)
    assert first.interval.width > one.interval.width
    assert is_known(first.p_value)
    assert is_known(one.p_value)
    assert first.p_value >= one.p_value
    assert "max-T" in many.method


def test_ungraded_trials_bound_the_difference_and_are_not_zeros() -> None:
    got = only({"base": np.ones(100), "new": np.ones(100)}, 1, ungraded={"new": 0.2})
    assert got.paired.contestant_mean == 1.0
    assert is_known(got.worst_best)
    assert got.worst_best[0] < -0.1
    assert got.worst_best[1] == 0.0
    assert got.ungraded > 5


def test_the_first_contestant_is_the_baseline_unless_named_and_it_is_said() -> None:
    got = compare(planted({"one": BASE, "two": BASE}, 1, 0))
    assert got.baseline == "one"
    assert any("baseline: one" in n for n in got.notes)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(DataError, match="only one contestant"):
        compare(planted({"base": BASE}, 1, 0))
    with pytest.raises(DataError, match="bass"):
        compare(planted({"base": BASE, "new": BASE}, 1, 0), "bass")
    apart = from_columns({"task": ["a", "b"], "contestant": ["x", "y"], "score": [1, 0]})
    with pytest.raises(DataError, match="no task"):
        compare(apart)
    with pytest.raises(DataError, match="margin"):
        CompareOptions(margin=0)
    with pytest.raises(DataError, match="alpha"):
        CompareOptions(alpha=0.9)


def test_one_task_is_unknown_never_certain() -> None:
    got = only({"base": np.ones(1), "new": np.zeros(1)}, 8)
    assert got.verdict is Verdict.UNDECIDED
    assert isinstance(got.interval, Unknown)


def test_all_ties_give_an_interval_that_is_not_a_point() -> None:
    got = only({"base": np.ones(50), "new": np.ones(50)}, 1)
    assert got.verdict is Verdict.UNDECIDED
    assert is_known(got.interval)
    assert got.interval.width > 0.05


def test_sequential_finds_a_clear_difference_and_uses_whole_tasks_only() -> None:
    table = planted({"base": BASE, "new": np.clip(BASE + 0.25, 0, 1)}, 2, 3)
    assert compare(table, "base", CompareOptions(sequential=True)).items[0].verdict is Verdict.BETTER
    cut = table.take(np.arange(table.rows) < 4 * 30 + 3)
    assert closed(cut, ("base", "new")).task.size == 30
    with pytest.raises(DataError, match="no task is complete"):
        closed(table, ("base", "new"), trials=9)


def test_sequential_intervals_only_narrow_as_the_table_grows() -> None:
    table = planted({"base": BASE, "new": np.clip(BASE + 0.1, 0, 1)}, 1, 3)
    got = [
        sequential_interval(pairs_of(table.take(np.arange(table.rows) < 2 * n), "base", "new"), (0, 1), 0.95)
        for n in (50, 100, 200, 400)
    ]
    for a, b in itertools.pairwise(got):
        assert b.low >= a.low
        assert b.high <= a.high


def test_where_no_task_differs_it_says_how_many_would_do() -> None:
    got = only({"base": np.ones(50), "new": np.ones(50)}, 1)
    assert got.would_decide == ("no task differs: about 150 tasks alike would show equivalence within 0.02",)
    rates = {"base": np.ones(200), "new": np.ones(200)}
    assert only(rates, 1).verdict is Verdict.EQUIVALENT


def test_one_cluster_decides_nothing_and_plans_nothing() -> None:
    got = only({"base": BASE[:30], "new": BASE[:30]}, 2, family=1000)
    assert isinstance(got.interval, Unknown)
    assert got.would_decide == ("one cluster: nothing shows how clusters differ",)
