"""Win rates, raw and at equal length, on data whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from steelyard.errors import DataError, RowsError
from steelyard.stats.base import Interval
from steelyard.stats.length_control import Anchors, Difficulty, length_controlled, win_rate
from steelyard.unknown import Unknown


def planted(
    seed: int, n: int = 2000, length: float = -1.5
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Preferences, baseline minus model length, difficulty, and the true win rate at equal length."""
    rng = np.random.default_rng(seed)
    d, hard = rng.normal(-300, 500, n), rng.normal(0, 1, n)
    p = special.expit(length * np.tanh(d / d.std(ddof=1)) + 0.8 * hard - 0.5)
    return 1 + (rng.random(n) < p) * 1.0, d, hard, float(special.expit(0.8 * hard - 0.5).mean())


def test_win_rate_counts_draws_as_half() -> None:
    found = win_rate([2.0, 1.0, 0.0, 1.5, 1.9])
    assert found.rate.value == pytest.approx((1 + 0 + 0.5 + 0.5 + 0.9) / 5)
    assert found.discrete.value == pytest.approx(3 / 5)
    assert (found.wins, found.losses, found.draws) == (2, 1, 2)


def test_one_pair_or_no_spread_has_no_interval() -> None:
    assert isinstance(win_rate([1.7]).rate.se, Unknown)
    assert "alike" in str(win_rate([2.0, 2.0]).rate.interval)


def test_length_control_recovers_the_rate_at_equal_length_where_the_raw_rate_misses_it() -> None:
    y, d, hard, truth = planted(1, 20_000)
    found = length_controlled(y, d, Difficulty(hard, np.arange(len(y))))
    assert found.rate.value == pytest.approx(truth, abs=0.02)
    assert abs(float(win_rate(y).rate.value) - truth) > 0.05  # type: ignore[arg-type]  # known
    assert found.length == pytest.approx(-1.5, abs=0.15)
    assert found.difficulty == pytest.approx(0.8, abs=0.1)


def test_difficulty_is_joined_by_instruction_and_by_row_only_for_compat() -> None:
    y, d, hard, _ = planted(2, 400)
    keep = np.arange(400) != 7
    joined = Difficulty(hard, np.flatnonzero(keep), np.arange(399))
    right = length_controlled(y[keep], d[keep], joined).rate.value
    direct = length_controlled(y[keep], d[keep], Difficulty(hard[keep], np.arange(399))).rate.value
    assert right == pytest.approx(direct)
    assert length_controlled(y[keep], d[keep], joined, compat=True).rate.value != pytest.approx(
        right, abs=1e-6
    )
    with pytest.raises(DataError, match=r"needs Difficulty\.row"):
        length_controlled(y, d, Difficulty(hard, np.arange(400)), compat=True)


def test_row_order_changes_nothing() -> None:
    y, d, hard, _ = planted(3, 300)
    order = np.random.default_rng(0).permutation(300)
    one = length_controlled(y, d, Difficulty(hard, np.arange(300)))
    two = length_controlled(y[order], d[order], Difficulty(hard, order))
    assert one.rate.value == pytest.approx(two.rate.value, abs=1e-9)
    assert one.rate.se == pytest.approx(two.rate.se, rel=1e-6)


def test_anchors_pull_the_length_effect_towards_theirs() -> None:
    y, d, hard, _ = planted(4, 200, length=0.0)
    x = np.tile([-1.0, 1.0], 400)
    anchors = Anchors(x, np.zeros(800), special.expit(-2.0 * x), weight=1.0)
    free = length_controlled(y, d, Difficulty(hard, np.arange(200)))
    held = length_controlled(y, d, Difficulty(hard, np.arange(200)), anchors)
    assert held.length < free.length - 0.5


def test_without_difficulties_there_is_no_coefficient() -> None:
    y, d, _, _ = planted(5, 100)
    assert isinstance(length_controlled(y, d).difficulty, Unknown)


def test_bad_input_is_refused_by_name() -> None:
    y, d, hard, _ = planted(6, 50)
    with pytest.raises(RowsError, match="outside its scale"):
        win_rate([1.0, 0.5])
    with pytest.raises(RowsError, match="preference"):
        win_rate([1.0, float("nan")])
    with pytest.raises(DataError, match="same length difference"):
        length_controlled(y, np.zeros(50))
    with pytest.raises(DataError, match="too few pairs"):
        length_controlled(y[:5], d[:5])
    with pytest.raises(RowsError, match="no such difficulty"):
        length_controlled(y, d, Difficulty(hard, np.arange(50) + 1))
    with pytest.raises(DataError, match="no finite fit"):
        length_controlled(np.full(50, 2.0), d)


def test_interval_covers_the_rate_at_equal_length() -> None:
    sets, hits = 400, 0
    for seed in range(sets):
        y, d, hard, truth = planted(seed + 1000, 400)
        interval = length_controlled(y, d, Difficulty(hard, np.arange(400))).rate.interval
        assert isinstance(interval, Interval)
        hits += interval.contains(truth)
    assert hits / sets > 0.92, f"coverage {hits / sets:.4f} of n={sets}"
