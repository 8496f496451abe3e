"""Confidence sequences and e-processes: fast equals slow, streaming equals batch, units and sides, bad input."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.errors import DataError, RowsError
from steelyard.stats import sequential as sq
from steelyard.stats import sequential_bounds as sb
from steelyard.unknown import Unknown

scores = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=60).map(np.array)
METHODS = {"betting": sq.hedged_betting, "bernstein": sb.empirical_bernstein, "hoeffding": sb.hoeffding}


@settings(max_examples=20, deadline=None)
@given(scores)
def test_hedged_betting_equals_the_slow_reference(x: np.ndarray) -> None:
    fast = sq.hedged_betting(x, grid=100, running=False)
    slow = np.array(sq.hedged_betting_slow(x, grid=100))
    assert fast.low == pytest.approx(slow[:, 0], abs=1e-12)
    assert fast.high == pytest.approx(slow[:, 1], abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(scores, st.integers(1, 7))
@pytest.mark.parametrize("stream", [sq.HedgedBetting, sb.EmpiricalBernstein])
def test_streaming_in_portions_equals_batch(stream: type, x: np.ndarray, portion: int) -> None:
    whole, parts = stream(), stream()
    batch = whole.update(x)
    pieces = [parts.update(x[k : k + portion]) for k in range(0, x.size, portion)]
    assert np.concatenate([p.low for p in pieces]) == pytest.approx(batch.low, abs=1e-12)
    assert np.concatenate([p.high for p in pieces]) == pytest.approx(batch.high, abs=1e-12)
    assert parts.interval.low == pytest.approx(batch.final.low, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(scores, st.floats(-5, 5), st.floats(0.1, 10))
@pytest.mark.parametrize("method", METHODS)
def test_shift_and_scale_move_the_interval_along(
    method: str, x: np.ndarray, shift: float, size: float
) -> None:
    plain = METHODS[method](x).final
    moved = METHODS[method](
        np.clip(shift + size * x, shift, shift + size), bounds=(shift, shift + size)
    ).final
    # one grid step of slack: rounding may tip a candidate that sits on the threshold
    assert moved.low == pytest.approx(shift + size * plain.low, abs=0.0011 * size)
    assert moved.high == pytest.approx(shift + size * plain.high, abs=0.0011 * size)


@settings(max_examples=30, deadline=None)
@given(scores)
@pytest.mark.parametrize("method", METHODS)
def test_swapping_right_and_wrong_mirrors_the_interval(method: str, x: np.ndarray) -> None:
    plain, mirrored = METHODS[method](x).final, METHODS[method](1 - x).final
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((plain.low, plain.high), abs=0.0011)


@pytest.mark.parametrize("method", METHODS)
def test_the_running_intersection_only_narrows(method: str) -> None:
    x = (np.random.default_rng(0).random(400) < 0.3).astype(float)
    got, plain = METHODS[method](x), METHODS[method](x, running=False)
    assert np.all(np.diff(got.low) >= 0)
    assert np.all(np.diff(got.high) <= 0)
    assert np.all(got.low >= plain.low - 1e-12)


def test_one_observation_is_nearly_the_whole_range() -> None:
    assert sq.hedged_betting([1.0]).final.width > 0.9
    assert sq.HedgedBetting().interval.width == 1.0
    assert sb.beta_binomial(1, 1).final.width > 0.9


def test_beta_binomial_mirrors_and_narrows() -> None:
    n = np.array([10, 100, 1000, 10_000])
    got = sb.beta_binomial(n // 10, n)
    mirrored = sb.beta_binomial(n - n // 10, n)
    assert 1 - mirrored.high == pytest.approx(got.low, abs=1e-9)
    assert np.all(np.diff(got.high - got.low) < 0)
    assert sb.beta_binomial(0, 50).final.low == 0.0
    assert sb.beta_binomial(50, 50).final.high == 1.0


@pytest.mark.parametrize("mu", [0.05, 0.4, 0.9])
@pytest.mark.parametrize("side", ["greater", "less"])
def test_an_e_process_has_expectation_one_under_its_null_by_enumeration(mu: float, side: str) -> None:
    """All 2^10 sequences of ten Bernoulli trials: E[e_t] = 1 at every t at the edge of the null."""
    rows = np.array(list(itertools.product((0.0, 1.0), repeat=10)))
    chance = np.prod(np.where(rows == 1, mu, 1 - mu), axis=1)
    e = sq.e_process(rows, mu, side=side)
    assert chance @ e == pytest.approx(np.ones(10), abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(scores)
def test_the_streaming_test_equals_the_batch_e_process(x: np.ndarray) -> None:
    test = sq.BettingTest(0.4)
    path = np.concatenate([test.update(value) for value in x])
    assert path == pytest.approx(sq.e_process(x, 0.4), rel=1e-9)
    assert test.e == pytest.approx(path[-1])
    assert test.p == pytest.approx(min(1.0, 1 / path.max()))
    assert test.rejected == (path.max() >= 20)


def test_a_clear_difference_is_found_and_none_is_not() -> None:
    rng = np.random.default_rng(1)
    base, better = rng.random(300) < 0.5, rng.random(300) < 0.8
    assert sq.paired_betting(base, better).final.low > 0
    assert sq.paired_betting(base, base).final.contains(0.0)
    test = sq.BettingTest(0.0, bounds=(-1, 1))
    test.update(better * 1.0 - base)
    assert test.rejected


def test_weights_set_the_estimand() -> None:
    x = np.tile([1.0, 0.0], 2000)
    weights = np.tile([1.0, 1 / 3], 2000)
    got = sq.hedged_betting(x, weights=weights).final
    assert got.contains(0.75)
    assert not got.contains(0.5)


@pytest.mark.parametrize("bad", [[np.nan], [0.5, np.inf], [1.2], [], [[0.1]]])
@pytest.mark.parametrize("method", METHODS)
def test_bad_scores_are_refused(method: str, bad: list[float]) -> None:
    with pytest.raises(DataError):
        METHODS[method](bad)


def test_bad_options_are_refused() -> None:
    with pytest.raises(DataError, match="level"):
        sq.hedged_betting([0.5], level=95)
    with pytest.raises(DataError, match="bounds"):
        sq.hedged_betting([0.5], bounds=(1, 0))
    with pytest.raises(DataError, match="side"):
        sq.BettingTest(0.5, side="up")
    with pytest.raises(DataError, match="side"):
        sq.e_process([0.5], 0.5, side="up")
    with pytest.raises(DataError, match="weights"):
        sq.hedged_betting([0.5], weights=[0])
    with pytest.raises(RowsError, match="row 1"):
        sb.beta_binomial([1, 3], [2, 2])
    with pytest.raises(DataError, match="1 to 1"):
        sq.hedged_betting([0.5]).at(2)


def test_a_stream_that_leaves_its_own_intervals_does_not_start_again_and_gives_no_last_interval() -> None:
    random = np.random.default_rng(1)
    drifting = np.concatenate([random.random(300) < 0.02, random.random(1200) < 0.5]).astype(float)
    sequence = sq.hedged_betting(drifting)
    assert np.all(np.diff(sequence.low) >= 0.0)
    assert np.all(np.diff(sequence.high) <= 0.0)
    found = sequence.around(float(drifting.mean()))
    assert isinstance(found, Unknown)
    assert "drift" in found.reason
    steady = (random.random(1500) < 0.4).astype(float)
    assert sq.hedged_betting(steady).around(float(steady.mean())) == sq.hedged_betting(steady).final


@pytest.mark.parametrize(
    "ask",
    [
        lambda: sq.hedged_betting(["pass", "fail"]),
        lambda: sq.e_process(["pass"], 0.5),
        lambda: sq.hedged_betting([1, 0], weights=["heavy", 1]),
        lambda: sb.empirical_bernstein(["pass", 0]),
        lambda: sb.hoeffding([[1], [0, 1]]),
        lambda: sb.beta_binomial(["one"], [2]),
    ],
)
def test_what_is_no_number_is_refused_in_words(ask: Callable[[], object]) -> None:
    with pytest.raises(DataError, match=r"not a (number|column of numbers)"):
        ask()
