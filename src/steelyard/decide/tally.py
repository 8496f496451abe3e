"""What a run's trials add up to, contestant by contestant and suite by suite. Feeds the leaderboard; decides nothing.

Memory: two arrays of a float a cell (graded trials and their values), and one more while a column is summed. Whatever
is made per task beyond that is made for `BLOCK` tasks at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from steelyard.stats.base import Coded, Figure, FloatArray, IntArray
from steelyard.stats.clusters import ClusterSums, cluster_sums
from steelyard.unknown import Unknown

BLOCK = 1 << 15

SUMMED = (
    "ungraded", "cost_pusd", "other_cost_pusd", "unpriced", "other_unpriced", "input_tokens", "output_tokens",
    "seconds", "abstained", "format_failures", "refused", "truncated",
)  # fmt: skip

Span = slice | IntArray


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a run's trials add up to. Columns have shape [contestants, tasks] (see `ledger.base.Cells`).

    `planned` is the number of trials a cell that the plan asked for, shape [contestants, tasks]; `suite_of` the suite
    index of each task; `clusters` the number of each task's independent unit. `agents` are the contestants whose time
    is a whole trial's, tools included. A column may be made each time that it is asked for: none is kept.
    """

    contestants: tuple[str, ...]
    suites: tuple[str, ...]
    suite_of: IntArray
    clusters: IntArray
    planned: FloatArray
    columns: Mapping[str, FloatArray]
    agents: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Tally:
    """`graded` and `value_sum` of shape [contestants, tasks]; `spans[s]` are the tasks of suite s; `totals` of shape
    [contestants, suites] by column, `timed` among them (answers that have a time; all attempts without that column).
    """

    graded: FloatArray
    value_sum: FloatArray
    spans: tuple[Span, ...]
    totals: Mapping[str, FloatArray]


def tally(e: Evidence) -> Tally:
    """Sum every column once."""
    spans = tuple(_span(e.suite_of, s) for s in range(len(e.suites)))

    def by_suite(name: str) -> FloatArray:
        column = e.columns[name]
        return np.stack([column[:, span].sum(axis=1) for span in spans], axis=1)

    totals = {name: by_suite(name) for name in SUMMED}
    totals["timed"] = by_suite("timed" if "timed" in e.columns else "attempts")
    return Tally(e.columns["graded"], e.columns["value_sum"], spans, totals)


def _span(suite_of: IntArray, s: int) -> Span:
    """The tasks of suite `s`: a slice where they lie together, which makes views instead of copies."""
    mine = np.flatnonzero(suite_of == s)
    if mine.size and int(mine[-1]) - int(mine[0]) + 1 == mine.size:
        return slice(int(mine[0]), int(mine[-1]) + 1)
    return mine


def coded(clusters: IntArray) -> Coded:
    """Cluster numbers as codes 0 to C-1 in their order, in linear time."""
    place = np.cumsum(np.bincount(clusters) > 0)
    return Coded(place[clusters] - 1, range(int(place[-1])))


def grouped(means: FloatArray, clusters: IntArray, n_trials: int) -> ClusterSums:
    """Task means by cluster. Tasks that are their own clusters are taken as they are: no copy, no sizes."""
    if bool(np.all(clusters[1:] > clusters[:-1])):
        return ClusterSums(means, np.broadcast_to(np.float64(1.0), means.shape), 0.0, n_trials, means.size)
    return cluster_sums(means, coded(clusters), n_trials=n_trials)


def bounds(value_sum: FloatArray, graded: FloatArray, planned: FloatArray) -> tuple[Figure, Figure]:
    """Mean over tasks if every missing trial were wrong, and if every one were right."""
    wrong = missing = 0.0
    n = 0
    for start in range(0, graded.size, BLOCK):
        b = slice(start, start + BLOCK)
        slots = np.maximum(planned[b], graded[b])
        use = slots > 0
        n += int(use.sum())
        wrong += float(np.sum(value_sum[b][use] / slots[use]))
        missing += float(np.sum((slots[use] - graded[b][use]) / slots[use]))
    if not n:
        none = Unknown("no trial is planned")
        return none, none
    return wrong / n, min(1.0, (wrong + missing) / n)
