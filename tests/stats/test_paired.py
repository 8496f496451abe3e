"""Paired differences: the right unit, intervals that hold where few tasks differ, and refusals."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize

from steelyard.errors import DataError, RowsError
from steelyard.stats.paired import PairedOptions, paired
from steelyard.stats.paired_forms import tango_limits
from steelyard.unknown import Unknown, is_known

SCORES = st.sampled_from([0.0, 0.25, 1.0])
TABLE = st.lists(
    st.tuples(
        st.lists(SCORES, min_size=1, max_size=3), st.lists(SCORES, min_size=1, max_size=3), st.integers(0, 5)
    ),
    min_size=2,
    max_size=25,
)
Table = list[tuple[list[float], list[float], int]]


def columns(table: Table) -> tuple[list[float], list[str], list[str], list[str]]:
    values, tasks, who, clusters = [], [], [], []
    for i, (a, b, cluster) in enumerate(table):
        for side, trials in (("base", a), ("new", b)):
            for value in trials:
                values.append(value)
                tasks.append(f"task {i}")
                who.append(side)
                clusters.append(f"cluster {cluster}")
    return values, tasks, who, clusters


@given(TABLE)
def test_difference_and_standard_error_equal_the_slow_ones(table: Table) -> None:
    values, tasks, who, _ = columns(table)
    got = paired(values, tasks, who, baseline="base")
    d = [np.mean(b) - np.mean(a) for a, b, _ in table]
    assert got.difference.value == pytest.approx(np.mean(d), abs=1e-12)
    if is_known(got.difference.se):
        assert got.difference.se == pytest.approx(np.std(d, ddof=1) / math.sqrt(len(d)), rel=1e-9)
    assert (got.wins, got.losses) == (sum(x > 1e-12 for x in d), sum(x < -1e-12 for x in d))
    assert got.wins + got.losses + got.ties == len(table)


@given(TABLE, st.booleans())
@settings(max_examples=150)
def test_swapping_sides_mirrors_everything(table: Table, clustered: bool) -> None:
    values, tasks, who, cluster = columns(table)
    clusters = cluster if clustered else None
    one = paired(values, tasks, who, baseline="base", clusters=clusters)
    other = paired(values, tasks, who, baseline="new", clusters=clusters)
    assert other.difference.value == pytest.approx(-one.difference.value, abs=1e-12)
    assert (other.wins, other.losses, other.ties) == (one.losses, one.wins, one.ties)
    if is_known(one.difference.interval):
        assert other.difference.interval.low == pytest.approx(-one.difference.interval.high, abs=1e-7)
        assert other.difference.interval.high == pytest.approx(-one.difference.interval.low, abs=1e-7)
    if is_known(one.p_value):
        assert other.p_value == pytest.approx(one.p_value, abs=1e-9)


@given(TABLE, st.integers(2, 3))
@settings(max_examples=150)
def test_repeating_all_rows_within_their_clusters_narrows_nothing(table: Table, times: int) -> None:
    values, tasks, who, cluster = columns(table)
    assume(len({c for _, _, c in table}) > 1)
    for clusters in (None, cluster):
        once = paired(values, tasks, who, baseline="base", clusters=clusters)
        more = None if clusters is None else clusters * times
        again = paired(values * times, tasks * times, who * times, baseline="base", clusters=more)
        assert again.difference.interval.width == pytest.approx(once.difference.interval.width, abs=1e-9)
        assert again.p_value == pytest.approx(once.p_value, abs=1e-9)
    # the same rows under new task names, in the same clusters, are no news either
    names = [f"{t} again {k}" for k in range(times) for t in tasks]
    once = paired(values, tasks, who, baseline="base", clusters=cluster)
    again = paired(values * times, names, who * times, baseline="base", clusters=cluster * times)
    assert again.difference.interval.width >= once.difference.interval.width - 1e-9
    alone = [f"alone {t}" for t in tasks]
    once = paired(values, tasks, who, baseline="base")
    again = paired(values * times, names, who * times, baseline="base", clusters=alone * times)
    assert again.difference.interval.width >= once.difference.interval.width - 1e-9


@given(TABLE, st.randoms(use_true_random=False))
def test_order_and_names_do_not_matter(table: Table, random) -> None:  # type: ignore[no-untyped-def]  # hypothesis' random
    values, tasks, who, cluster = columns(table)
    order = list(range(len(values)))
    random.shuffle(order)
    one = paired(values, tasks, who, baseline="base", clusters=cluster)
    other = paired(
        [values[i] for i in order],
        [f"x{tasks[i]}" for i in order],
        [who[i] for i in order],
        baseline="base",
        clusters=[cluster[i][::-1] for i in order],
    )
    assert other.difference.value == pytest.approx(one.difference.value, abs=1e-12)
    if is_known(one.difference.interval):
        assert other.difference.interval.low == pytest.approx(one.difference.interval.low, abs=1e-7)
    if is_known(one.p_value):
        assert other.p_value == pytest.approx(one.p_value, abs=1e-9)


@given(TABLE, st.floats(0.5, 40), st.floats(-10, 10))
@settings(max_examples=100)
def test_rescaled_scores_rescale_the_answer(table: Table, scale: float, shift: float) -> None:
    values, tasks, who, _ = columns(table)
    plain = paired(values, tasks, who, baseline="base")
    options = PairedOptions(bounds=(shift, shift + scale))
    moved = paired(
        np.clip(np.array(values) * scale + shift, shift, shift + scale),
        tasks,
        who,
        baseline="base",
        options=options,
    )
    assert moved.difference.interval.low == pytest.approx(
        plain.difference.interval.low * scale, abs=1e-5 * scale
    )
    assert moved.difference.interval.high == pytest.approx(
        plain.difference.interval.high * scale, abs=1e-5 * scale
    )


@given(TABLE, st.sampled_from([1e-9, 1e-3, 1e6]))
@settings(max_examples=60)
def test_the_unit_of_unbounded_scores_does_not_matter(table: Table, unit: float) -> None:
    values, tasks, who, _ = columns(table)
    options = PairedOptions(bounds=None)
    plain = paired(values, tasks, who, baseline="base", options=options)
    other = paired(np.array(values) * unit, tasks, who, baseline="base", options=options)
    assert (other.wins, other.losses, other.ties) == (plain.wins, plain.losses, plain.ties)
    assert is_known(other.difference.se) == is_known(plain.difference.se)
    if is_known(plain.difference.se):
        assert other.difference.se == pytest.approx(plain.difference.se * unit, rel=1e-9)
        assert other.p_value == pytest.approx(plain.p_value, rel=1e-6)


def test_tango_limits_equal_the_constrained_likelihood_by_brute_force() -> None:
    gains, losses, n, z = 12.0, 2.0, 50.0, 1.959963984540054

    def score(d: float) -> float:
        def minus_log(share: float) -> float:
            both = max(1e-300, 1.0 - 2.0 * share - d)
            return -(
                gains * math.log(max(share + d, 1e-300))
                + losses * math.log(max(share, 1e-300))
                + (n - gains - losses) * math.log(both)
            )

        found = optimize.minimize_scalar(
            minus_log, bounds=(max(0.0, -d), (1.0 - d) / 2.0), method="bounded", options={"xatol": 1e-12}
        ).x
        return (gains - losses - n * d) / math.sqrt(n * (2.0 * found + d - d * d))

    low, high = tango_limits(gains, losses, n, z)
    assert score(low) == pytest.approx(z, abs=1e-5)
    assert score(high) == pytest.approx(-z, abs=1e-5)


def test_no_task_differs_gives_what_that_many_tasks_allow() -> None:
    few = paired([1, 0] * 20, np.repeat(np.arange(20), 2) % 20, ["a", "b"] * 20, baseline="a")
    assert few.wins + few.losses == 20
    same = paired([1.0] * 80, np.repeat(np.arange(40), 2), ["a", "b"] * 40, baseline="a")
    assert same.difference.value == 0.0
    assert isinstance(same.difference.se, Unknown)
    assert 0.02 < same.difference.interval.high < 0.1
    assert same.p_value == 1.0
    unbounded = paired(
        [7.0] * 80,
        np.repeat(np.arange(40), 2),
        ["a", "b"] * 40,
        baseline="a",
        options=PairedOptions(bounds=None),
    )
    assert isinstance(unbounded.difference.interval, Unknown)


def test_one_cluster_is_unknown() -> None:
    got = paired([0, 1, 0, 1], ["t", "t", "u", "u"], ["a", "b"] * 2, baseline="a", clusters=["c"] * 4)
    assert got.difference.value == 1.0
    assert isinstance(got.difference.interval, Unknown)
    assert isinstance(got.p_value, Unknown)


def test_tasks_of_one_side_are_left_out_and_counted() -> None:
    got = paired([0, 1, 0, 1, 1], ["t", "t", "u", "u", "v"], ["a", "b", "a", "b", "b"], baseline="a")
    assert got.dropped_tasks == 1
    assert got.difference.n_tasks == 2
    assert "1 tasks have scores of one side only" in got.difference.notes[-1]


def test_few_differing_tasks_get_an_exact_p_value_and_many_a_t() -> None:
    tasks = np.repeat(np.arange(100), 2)
    scores = np.ones(200)
    scores[[0, 2, 4, 6, 8]] = 0
    few = paired(scores, tasks, ["a", "b"] * 100, baseline="a")
    assert few.p_method == "McNemar, exact"
    assert few.p_value == pytest.approx(2 / 2**5)
    scores[:100:2] = 0
    assert paired(scores, tasks, ["a", "b"] * 100, baseline="a").p_method.startswith("t(")


def test_pairing_shows_what_it_gained() -> None:
    random = np.random.default_rng(4)
    hard = random.random(400)
    a = (hard < 0.5).astype(float)
    b = (hard < 0.55).astype(float)
    got = paired(np.r_[a, b], np.tile(np.arange(400), 2), ["a"] * 400 + ["b"] * 400, baseline="a")
    assert got.correlation > 0.8
    assert got.difference.se < 0.5 * got.se_unpaired


def test_wrong_tables_are_refused() -> None:
    with pytest.raises(DataError, match="not a baseline and one other"):
        paired([1, 0, 1], ["t"] * 3, ["a", "b", "c"], baseline="a")
    with pytest.raises(DataError, match="not a baseline and one other"):
        paired([1, 0], ["t", "u"], ["a", "a"], baseline="a")
    with pytest.raises(DataError, match="no task has a score of both"):
        paired([1, 0], ["t", "u"], ["a", "b"], baseline="a")
    with pytest.raises(RowsError, match="NaN"):
        paired([1, math.nan], ["t", "t"], ["a", "b"], baseline="a")
    with pytest.raises(RowsError, match="contestant: missing"):
        paired([1, 1], ["t", "t"], ["a", None], baseline="a")


def test_a_million_rows_take_seconds_at_most() -> None:
    tasks = np.repeat(np.arange(100_000), 10)
    who = np.tile(np.repeat([0, 1], 5), 100_000)
    scores = np.random.default_rng(0).integers(0, 2, tasks.size).astype(float)
    start = time.perf_counter()
    got = paired(scores, tasks, who, baseline=0, clusters=tasks // 20)
    # the promise is 1 s on a quiet machine, kept by bench/stats/paired.py; here only the order of magnitude
    assert time.perf_counter() - start < 10
    assert got.difference.n_clusters == 5000
