"""A ranking from votes, or from results task by task: ratings, rank intervals, tie groups, win rates in one
table.

Does not decide who is better than a baseline (`decide.compare`) and rates nothing itself (`stats.ratings`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from steelyard.decide.pilot import task_sums
from steelyard.decide.results import Results
from steelyard.errors import DataError
from steelyard.stats.base import Estimate, IntArray, nested
from steelyard.stats.ratings import RatingOptions, rate
from steelyard.stats.ratings_ranks import Rank, rank_intervals
from steelyard.stats.ratings_result import Ratings
from steelyard.stats.ratings_tasks import rate_tasks, table_of_means
from steelyard.stats.ratings_votes import Votes, votes_from_codes
from steelyard.unknown import Unknown


@dataclass(frozen=True, slots=True)
class Ranked:
    """One contestant: its rating on the Elo scale, its chance to beat the others, its rank's interval and
    tie group."""

    contestant: str
    votes: int
    elo: Estimate
    win_rate: Estimate
    rank: Rank


@dataclass(frozen=True, slots=True)
class Ranking:
    """Best first. `position` is the advantage of the side shown first, in logits, or why there is none."""

    rows: tuple[Ranked, ...]
    position: Estimate | Unknown
    style: dict[str, Estimate]
    method: str
    notes: tuple[str, ...]


def ranking(
    votes: Votes, options: RatingOptions | None = None, *, anchor: str = "", seed: int = 0
) -> Ranking:
    """Rate and rank. `anchor` fixes one contestant at 1000. Raises DataError for tables that cannot be
    rated."""
    return _ranked(rate(votes, options), anchor, seed)


def ranking_of_results(
    results: Results, options: RatingOptions | None = None, *, anchor: str = "", seed: int = 0
) -> Ranking:
    """Rank contestants compared task by task: on every task that two have, the higher mean wins, equal means tie.

    Sides mean nothing here. Votes of one task (one cluster) are clustered as one prompt. How far apart the means are
    is not used: `decide.compare` does. The figures are `ranking`'s over `votes_of_results`, in less memory.
    """
    if len(results.names) < 2:
        raise DataError("only one contestant", where=results.source, wanted="two or more to rank")
    means = [task_sums(results, name).means for name in results.names]
    table = table_of_means(means, _units(results), results.names)
    return _ranked(rate_tasks(table, replace(options or RatingOptions(), sides_known=False)), anchor, seed)


def _ranked(fitted: Ratings, anchor: str, seed: int) -> Ranking:
    if anchor:
        fitted.index(anchor)
    elo = {r.name: r for r in fitted.elo(anchor=anchor or None)}
    wins = {r.name: r.estimate for r in fitted.win_rates()}
    rows = tuple(
        Ranked(rank.name, elo[rank.name].votes, elo[rank.name].estimate, wins[rank.name], rank)
        for rank in rank_intervals(fitted, seed=seed)
    )
    return Ranking(rows, fitted.position, dict(fitted.coefficients), fitted.basis.method, fitted.notes)


def votes_of_results(results: Results) -> Votes:
    """A vote for every pair of contestants on every task that both have: the higher mean wins, equal means
    tie.

    Sides mean nothing here, so rate with `sides_known=False`. Votes of one task (one cluster) are clustered
    as one prompt. How far apart the means are is not used: `decide.compare` does.
    """
    if len(results.names) < 2:
        raise DataError("only one contestant", where=results.source, wanted="two or more to rank")
    sums = [task_sums(results, name) for name in results.names]
    unit = _units(results)
    a, b, outcome, prompt = [], [], [], []
    for i, j in itertools.combinations(range(len(sums)), 2):
        both = (sums[i].counts > 0) & (sums[j].counts > 0)
        gap = sums[i].means[both] - sums[j].means[both]
        a.append(np.full(gap.size, i))
        b.append(np.full(gap.size, j))
        # means of equal trials in different orders differ by rounding
        outcome.append(np.where(gap > 1e-12, 2, np.where(gap < -1e-12, 0, 1)))
        prompt.append(unit[both])
    table = votes_from_codes(np.concatenate(a), np.concatenate(b), np.concatenate(outcome), results.names)
    return replace(table, prompt=np.concatenate(prompt).astype(np.int32))


def _units(results: Results) -> IntArray:
    if results.cluster is None:
        return np.arange(results.task.size)
    return nested(results.task, results.cluster)
