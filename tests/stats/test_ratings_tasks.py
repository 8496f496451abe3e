"""Ratings task by task: the figures of `rate` over a row a vote, whatever is missing and however tasks cluster."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from steelyard.errors import DataError
from steelyard.stats import ratings_covariance, ratings_tasks
from steelyard.stats.ratings import RatingOptions, rate
from steelyard.stats.ratings_ranks import rank_intervals
from steelyard.stats.ratings_result import Ratings
from steelyard.stats.ratings_tasks import rate_tasks, table_of_means
from steelyard.stats.ratings_votes import votes_from_codes

SIDES = RatingOptions(sides_known=False)


def slowly(means: np.ndarray, unit: np.ndarray, names: list[str], options: RatingOptions) -> Ratings:
    a, b, outcome, prompt = [], [], [], []
    for i, j in itertools.combinations(range(len(names)), 2):
        for t in range(means.shape[1]):
            gap = means[i, t] - means[j, t]
            if np.isfinite(gap):
                a.append(i)
                b.append(j)
                outcome.append(2 if gap > 1e-12 else 0 if gap < -1e-12 else 1)
                prompt.append(unit[t])
    table = votes_from_codes(np.array(a), np.array(b), np.array(outcome), names)
    return rate(replace(table, prompt=np.array(prompt, np.int32)), options)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("cluster", ["auto", "none"])
def test_it_is_rate_over_single_votes(seed: int, cluster: str) -> None:
    rng = np.random.default_rng(seed)
    k, n = int(rng.integers(2, 7)), int(rng.integers(30, 90))
    means = rng.integers(0, 4, (k, n)) / 3
    means[rng.random((k, n)) < 0.2 * (seed % 3)] = np.nan
    # units of very different sizes, with numbers that nobody uses
    unit = np.minimum(rng.geometric(0.15, n), 25) * 3 if seed % 2 else np.arange(n)
    names = [f"c{i}" for i in range(k)]
    options = replace(SIDES, cluster=cluster, ridge=0.5 * (seed % 2))
    wanted = slowly(means, unit, names, options)
    found = rate_tasks(table_of_means(list(means), unit, names), options)
    assert found.names == wanted.names
    assert np.allclose(found.theta, wanted.theta)
    assert np.allclose(found.covariance, wanted.covariance)
    assert np.allclose(found.df, wanted.df)
    assert (found.few, found.basis) == (wanted.few, wanted.basis)
    assert found.votes.tolist() == wanted.votes.tolist()
    assert rank_intervals(found) == rank_intervals(wanted)


def test_many_votes_count_as_many_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound M is taken as diagonal; a contestant in the middle of the list must not lose its clusters."""
    rng = np.random.default_rng(3)
    means = (rng.random((5, 400)) < 0.5).astype(float)
    names = list("abcde")
    exact = slowly(means, np.arange(400), names, SIDES)
    monkeypatch.setattr(ratings_covariance, "EXACT_PAIRS", 0)
    monkeypatch.setattr(ratings_tasks, "EXACT_PAIRS", 0)
    rough = slowly(means, np.arange(400), names, SIDES)
    assert np.allclose(rough.df, rate_tasks(table_of_means(list(means), np.arange(400), names), SIDES).df)
    assert (rough.df > 0.5 * exact.df).all(), (rough.df, exact.df)


def test_what_cannot_be_rated_is_refused() -> None:
    table = table_of_means([np.array([1.0, 1.0]), np.array([0.0, 0.0])], np.arange(2), ["a", "b"])
    with pytest.raises(DataError, match="never lost"):
        rate_tasks(table, SIDES)
    with pytest.raises(DataError, match="needs a column voter"):
        rate_tasks(table, replace(SIDES, cluster="voter"))
    apart = table_of_means([np.array([1.0, np.nan]), np.array([np.nan, 0.0])], np.arange(2), ["a", "b"])
    with pytest.raises(DataError, match="no task has a score of two contestants"):
        rate_tasks(apart, SIDES)
    same = table_of_means([np.array([1.0, 0.5]), np.array([1.0, 0.5])], np.arange(2), ["a", "b"])
    with pytest.raises(DataError, match=r"each of the 2 tasks .* the same mean"):
        rate_tasks(same, SIDES)
