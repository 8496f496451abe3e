"""From 2,000 tasks on the front's bootstrap is its normal limit: the same shares, without gigabytes."""

from __future__ import annotations

import numpy as np

from steelyard.decide.front import MANY_UNITS, _resampled, _sampled, on_front
from steelyard.stats.base import generator


def test_the_normal_limit_gives_the_bootstraps_shares() -> None:
    rng = np.random.default_rng(1)
    n = 20_001
    task = rng.normal(0, 1, n)
    q = np.stack([0.5 + 0.1 * task + rng.normal(m, 0.3, n) for m in (0.0, 0.002, 0.01, 0.0)], axis=1)
    c = np.stack([np.exp(rng.normal(m, 0.5, n)) for m in (0.0, 0.0, 0.2, 0.005)], axis=1)
    units = np.arange(n)
    fast_q, fast_c = _sampled(q.T, c.T, units, 2000, 3)
    slow = _resampled([*q.T, *c.T], units, 400, 3)
    slow_q, slow_c = slow[:, :4], slow[:, 4:]
    shares, wanted = on_front(fast_q, fast_c).mean(axis=0), on_front(slow_q, slow_c).mean(axis=0)
    assert np.abs(shares - wanted).max() < 0.09, (shares, wanted)
    assert np.allclose(fast_q.std(axis=0), slow_q.std(axis=0), rtol=0.15)
    assert np.allclose(np.corrcoef(fast_q.T), np.corrcoef(slow_q.T), atol=0.15)


def test_clusters_are_the_units() -> None:
    rng = np.random.default_rng(2)
    groups, each = 20_001, 2
    units = np.repeat(np.arange(groups), each)
    q = np.repeat(rng.normal(0, 1, (groups, 2)), each, axis=0)
    drawn, _ = _sampled(q.T, np.ones_like(q.T), units, 2000, 1)
    assert np.allclose(drawn.std(axis=0), 1 / np.sqrt(groups), rtol=0.1)


def test_samples_of_units_are_the_means_of_the_tasks_that_were_drawn() -> None:
    rng = np.random.default_rng(4)
    units = rng.integers(0, 12, 60)
    units = np.unique(units, return_inverse=True)[1]
    columns = rng.normal(0, 1, (60, 3))
    fast = _resampled(columns.T, units, 50, 7)
    size = int(units.max()) + 1
    drawn = generator(7).multinomial(size, np.full(size, 1.0 / size), 50)
    for row, counts in zip(fast, drawn, strict=True):
        slow = np.average(columns, axis=0, weights=counts[units])
        assert np.allclose(row, slow)


def test_at_the_threshold_both_ways_say_the_same() -> None:
    rng = np.random.default_rng(5)
    q = (rng.random((MANY_UNITS, 3)) < (0.5, 0.51, 0.55)).astype(float)
    c = np.exp(rng.normal((0.0, 0.0, 0.05), 0.5, (MANY_UNITS, 3)))
    fast = on_front(*_sampled(q.T, c.T, np.arange(MANY_UNITS), 2000, 1)).mean(axis=0)
    slow = _resampled([*q.T, *c.T], np.arange(MANY_UNITS), 2000, 2)
    assert np.abs(fast - on_front(slow[:, :3], slow[:, 3:]).mean(axis=0)).max() < 0.04
