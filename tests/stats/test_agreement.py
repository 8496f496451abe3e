"""Kappa and alpha: textbook values, invariances, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.errors import DataError, RowsError
from steelyard.stats.agreement import cohen_kappa, confusion
from steelyard.stats.alpha import krippendorff_alpha
from steelyard.stats.alpha_score import alpha_variance
from steelyard.stats.base import Interval
from steelyard.unknown import Unknown

# Krippendorff (2011), four observers, twelve units; 0 is missing
OBSERVERS = np.array([
    [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
    [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
])  # fmt: skip


def long_form() -> tuple[list[int], list[int]]:
    rater, unit = np.nonzero(OBSERVERS)
    return OBSERVERS[rater, unit].tolist(), unit.tolist()


@pytest.mark.parametrize(("metric", "value"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_the_textbook_example(metric: str, value: float) -> None:
    found = krippendorff_alpha(*long_form(), metric=metric)  # type: ignore[arg-type]  # literals
    assert found.value == pytest.approx(value, abs=5e-4)
    assert isinstance(found.interval, Interval)
    assert found.interval.low < value < found.interval.high
    assert (found.n_trials, found.n_tasks) == (40, 11)


def test_interval_alpha_takes_continuous_ratings_and_a_unit_lies_in_one_cluster() -> None:
    rng = np.random.default_rng(0)
    common = rng.normal(size=3000)
    ratings = (common[:, None] + rng.normal(0, 0.5, (3000, 2))).ravel()
    found = krippendorff_alpha(ratings, np.repeat(np.arange(3000), 2), metric="interval")
    assert found.value == pytest.approx(1 / 1.25, abs=0.02)
    with pytest.raises(RowsError, match="more than one cluster"):
        krippendorff_alpha([1, 2], ["u", "u"], clusters=["c", "d"])
    with pytest.raises(DataError, match="too many different values"):
        krippendorff_alpha(ratings, np.repeat(np.arange(3000), 2), metric="ordinal")


def test_kappa_of_the_textbook_table() -> None:
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = cohen_kappa(first, second)
    assert found.value == pytest.approx(0.4)
    # Fleiss, Cohen & Everitt's asymptotic error of this table is 0.1265
    assert found.se == pytest.approx(0.1265, abs=0.01)


def test_weighted_kappa_rewards_near_misses() -> None:
    first, near, far = [1, 2, 3, 4, 5] * 6, [2, 1, 4, 3, 5] * 6, [5, 1, 3, 2, 4] * 6
    for weights in ("linear", "quadratic"):
        one, two = (cohen_kappa(first, x, weights=weights).value for x in (near, far))  # type: ignore[arg-type]  # literals
        assert one > two  # type: ignore[operator]  # known
    # quadratic weights on equal margins are Pearson's correlation
    assert cohen_kappa(first, near, weights="quadratic").value == pytest.approx(
        np.corrcoef(first, near)[0, 1]
    )


def test_given_order_of_categories_is_used() -> None:
    first, second = ["bad", "fair", "good"] * 5, ["fair", "good", "good"] * 5
    ordered = cohen_kappa(first, second, weights="linear", order=["bad", "fair", "good"]).value
    other = cohen_kappa(first, second, weights="linear", order=["fair", "bad", "good"]).value
    assert ordered != pytest.approx(other)
    with pytest.raises(DataError, match="not in the given order"):
        cohen_kappa(first, second, order=["bad", "good"])


def test_perfect_agreement_has_an_interval_below_one() -> None:
    found = cohen_kappa(["a", "b"] * 25, ["a", "b"] * 25)
    assert found.value == 1.0
    assert isinstance(found.interval, Interval)
    assert 0.65 < found.interval.low < found.interval.high == 1.0


def test_what_cannot_be_told_is_unknown() -> None:
    assert isinstance(cohen_kappa(["a", "a"], ["a", "a"]).value, Unknown)
    assert isinstance(cohen_kappa(["a", "b"], ["a", "b"], clusters=["c", "c"]).interval, Unknown)
    assert isinstance(krippendorff_alpha([1, 2, 3], [1, 2, 3]).value, Unknown)
    assert isinstance(krippendorff_alpha([1, 1, 1, 1], [1, 1, 2, 2]).value, Unknown)
    assert isinstance(krippendorff_alpha([1, 2, 3], [1, 1, 1]).interval, Unknown)


def test_confusion_counts_and_rates() -> None:
    found = confusion(["y", "y", "n", "n", "n"], ["y", "n", "n", "n", "y"])
    assert found.labels == ("n", "y")
    assert found.counts.tolist() == [[2, 1], [1, 1]]
    assert found.accuracy.value == pytest.approx(0.6)
    assert found.recall["y"].value == pytest.approx(0.5)
    assert found.precision["n"].value == pytest.approx(2 / 3)


def test_bad_input_names_the_rows() -> None:
    with pytest.raises(RowsError, match="first rater's label"):
        cohen_kappa(["a", None], ["a", "b"])
    with pytest.raises(DataError, match="wrong length"):
        cohen_kappa(["a"], ["a", "b"])
    with pytest.raises(DataError, match="no rated items"):
        cohen_kappa([], [])
    with pytest.raises(DataError, match="weights: unknown"):
        cohen_kappa(["a", "b"], ["a", "a"], weights="cubic")  # type: ignore[arg-type]  # the point
    with pytest.raises(RowsError, match="value"):
        krippendorff_alpha([1.0, float("nan")], [1, 1], metric="interval")
    with pytest.raises(DataError, match="metric"):
        krippendorff_alpha([1, 2], [1, 1], metric="ratio")  # type: ignore[arg-type]  # the point


pairs = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 5)), min_size=8, max_size=60)


@settings(max_examples=80, deadline=None)
@given(pairs, st.randoms(use_true_random=False), st.integers(2, 4))
def test_order_naming_exchange_and_repetition(
    rows: list[tuple[int, int, int]], random: object, times: int
) -> None:
    def kappa(table: list[tuple[int, int, int]]) -> object:
        one, two, cluster = zip(*table, strict=True)
        return cohen_kappa(one, two, clusters=cluster)

    base = kappa(rows)
    if not isinstance(base.interval, Interval):  # type: ignore[attr-defined]  # an Estimate
        return
    shuffled = rows.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random
    renamed = [((a + 1) % 3, (b + 1) % 3, 9 - c) for a, b, c in rows]
    exchanged = [(b, a, c) for a, b, c in rows]
    for other in (shuffled, renamed, exchanged):
        found = kappa(other)
        assert found.value == pytest.approx(base.value, abs=1e-9)  # type: ignore[attr-defined]  # an Estimate
        assert found.interval.low == pytest.approx(base.interval.low, abs=1e-6)  # type: ignore[attr-defined]  # known
    repeated = kappa(rows * times)
    assert repeated.interval.width >= base.interval.width * (1 - 1e-9)  # type: ignore[attr-defined]  # known


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 5), min_size=2, max_size=4), min_size=4, max_size=20), st.integers(-3, 3)
)
def test_alpha_ignores_unit_names_and_interval_alpha_ignores_shift_and_scale(
    ratings: list[list[int]], shift: int
) -> None:
    values = [v for unit in ratings for v in unit]
    units = [i for i, unit in enumerate(ratings) for _ in unit]
    base = krippendorff_alpha(values, units, metric="interval")
    moved = krippendorff_alpha([3 * v + shift for v in values], [f"u{-u}" for u in units], metric="interval")
    if isinstance(base.value, Unknown):
        assert isinstance(moved.value, Unknown)
        return
    assert moved.value == pytest.approx(base.value)
    if isinstance(base.interval, Interval):
        assert moved.interval.low == pytest.approx(base.interval.low, abs=1e-9)  # type: ignore[union-attr]  # known


@pytest.mark.parametrize("alpha", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (0.6, 0.3, 0.1)])
def test_the_variance_of_alpha_is_that_of_planted_ratings(alpha: float, shares: tuple[float, ...]) -> None:
    """300 units of 2 to 4 ratings under the stated law, 1,500 times: variance within a seventh."""
    random = np.random.default_rng(5)
    sizes = np.repeat([2, 3, 4], 100)
    unit = np.repeat(np.arange(300), sizes)
    p = np.array(shares)
    errors = []
    for _ in range(1500):
        same = (random.random(300) < alpha)[unit]
        drawn = np.where(same, random.choice(p.size, 300, p=p)[unit], random.choice(p.size, unit.size, p=p))
        counts = np.stack([np.bincount(unit, drawn == c, minlength=300) for c in range(p.size)])
        apart = 1.0 - np.sum(counts * (counts - 1), axis=0) / (sizes * (sizes - 1))
        margin = counts.sum(axis=1) / unit.size
        value = 1.0 - np.sum(sizes * apart) / unit.size / (1.0 - np.sum(margin**2))
        errors.append(value - alpha)
    expected = float(alpha_variance(np.array([alpha]), sizes, p)[0])
    assert np.var(errors) == pytest.approx(expected, rel=0.15)


def test_two_values_have_the_same_alpha_interval_in_every_metric() -> None:
    random = np.random.default_rng(8)
    values, units = random.integers(0, 2, 90), np.repeat(np.arange(30), 3)
    one, two, three = (
        krippendorff_alpha(values, units, metric=m) for m in ("nominal", "ordinal", "interval")
    )
    assert one.interval.low == pytest.approx(two.interval.low, abs=1e-6)
    assert one.interval.low == pytest.approx(three.interval.low, abs=1e-6)


def test_alpha_of_units_that_share_a_cluster_is_less_certain() -> None:
    random = np.random.default_rng(9)
    common = random.integers(0, 2, 12)
    agree = random.random(12) < 0.5
    values = [
        int(common[u // 5] if agree[u // 5] or r == 0 else 1 - common[u // 5])
        for u in range(60)
        for r in range(2)
    ]
    units = np.repeat(np.arange(60), 2)
    alone = krippendorff_alpha(values, units)
    together = krippendorff_alpha(values, units, clusters=units // 5)
    assert together.value == alone.value
    assert together.interval.width > 1.5 * alone.interval.width
    assert "score limits" in together.method
