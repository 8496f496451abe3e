"""Queries of large runs: a leaderboard of a million trials in under 200 ms, one trial without reading the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.ledger.__main__ import leaderboard

from steelyard.ledger import open_ledger


@pytest.mark.parametrize(
    ("trials", "budget_ms"),
    [
        (60_000, 100),
        pytest.param(1_000_000, 200, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
def test_a_leaderboard_is_quick(tmp_path: Path, trials: int, budget_ms: float) -> None:
    place = str(tmp_path)
    found = leaderboard(open_ledger(place), lambda: open_ledger(place), 10, trials // 10)
    assert found["trials"] == trials
    assert found["problems"] == 0
    assert found["leaderboard_ms"] <= budget_ms, found
    assert found["one_trial_ms"] <= 50, found
