"""What no vote table may break: order, names, sides, repeated rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from steelyard.errors import DataError
from steelyard.stats.ratings import RatingOptions, Ratings, rate
from steelyard.stats.ratings_views import mean_win_rates
from steelyard.stats.ratings_votes import Votes

NAMES = ("ann", "bob", "cyd", "dee")


@st.composite
def tables(draw: st.DrawFn) -> Votes:
    """30 to 80 votes among 3 or 4 contestants, in 4 to 8 clusters."""
    k = draw(st.integers(3, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(30, 80))
    a = rng.integers(k, size=n)
    b = (a + 1 + rng.integers(k - 1, size=n)) % k
    outcome = rng.choice(3, size=n, p=[0.4, 0.2, 0.4]).astype(np.int8)
    prompt = rng.integers(draw(st.integers(4, 8)), size=n).astype(np.int32)
    return Votes(a.astype(np.int32), b.astype(np.int32), outcome, NAMES[:k], prompt=prompt)


def rated(table: Votes, options: RatingOptions | None = None) -> Ratings:
    try:
        return rate(table, options)
    except DataError:
        assume(False)
        raise


def same(first: Ratings, second: Ratings) -> None:
    for name in first.names:
        one, two = first.rating(name), second.rating(name)
        assert one.value == pytest.approx(two.value, abs=1e-7)
        assert one.interval.low == pytest.approx(two.interval.low, rel=1e-5, abs=1e-6)  # type: ignore[union-attr]  # known


@settings(max_examples=60, deadline=None)
@given(tables(), st.sampled_from(["none", "prompt"]), st.randoms(use_true_random=False))
def test_row_order_changes_nothing(table: Votes, cluster: str, random: object) -> None:
    options = RatingOptions(cluster=cluster)  # type: ignore[arg-type]  # one of the literals
    shuffled = list(range(len(table)))
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random
    same(rated(table, options), rated(table.take(np.array(shuffled)), options))


@settings(max_examples=60, deadline=None)
@given(tables(), st.permutations(range(4)))
def test_relabelling_contestants_and_clusters_only_relabels(table: Votes, order: list[int]) -> None:
    k = len(table.names)
    place = np.array([i for i in order if i < k], np.int32)
    names = tuple(table.names[int(np.flatnonzero(place == i)[0])] for i in range(k))
    assert table.prompt is not None
    renamed = Votes(place[table.a], place[table.b], table.outcome, names, prompt=99 - table.prompt)
    same(rated(table), rated(renamed))


@settings(max_examples=60, deadline=None)
@given(tables(), st.sampled_from(["none", "prompt"]))
def test_swapping_all_sides_flips_the_position_term_only(table: Votes, cluster: str) -> None:
    options = RatingOptions(cluster=cluster)  # type: ignore[arg-type]  # one of the literals
    one, two = rated(table, options), rated(table.swapped(), options)
    same(one, two)
    assert one.position.value == pytest.approx(-two.position.value, abs=1e-7)  # type: ignore[union-attr,operator]  # fitted
    assert mean_win_rates(table) == pytest.approx(mean_win_rates(table.swapped()))


@settings(max_examples=60, deadline=None)
@given(tables())
def test_exchanging_winners_reverses_the_ratings(table: Votes) -> None:
    one = rated(table)
    two = rated(Votes(table.a, table.b, (2 - table.outcome).astype(np.int8), table.names, table.prompt))
    for name in one.names:
        assert one.rating(name).value == pytest.approx(-two.rating(name).value, abs=1e-7)  # type: ignore[operator]  # known


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(2, 4))
def test_repeating_all_rows_within_their_clusters_narrows_no_interval(table: Votes, times: int) -> None:
    one = rated(table)
    two = rated(table.take(np.tile(np.arange(len(table)), times)))
    for name in one.names:
        assert two.rating(name).interval.width >= one.rating(name).interval.width * (1 - 1e-6)  # type: ignore[union-attr]  # known
