"""A contestant against a baseline on the same tasks: the mean difference, its interval and its p-value.

Does not compare on different tasks: tasks that one side lacks are left out, and counted. Does not treat trials as
pairs: trial 3 of one side has nothing to do with trial 3 of the other, so each side's trials are averaged a
task. The unit is the task, or the cluster of tasks where clusters are given.

Interval. Unbounded scores: Student's t on cluster-robust variance. Bounded scores: one that holds where few tasks
differ (see `paired_forms`): Bonett and Price's where tasks are independent and every difference is -1, 0 or 1,
else Tango's score interval at the effective number of clusters.

P-value. Few clusters differ: exact, by McNemar's binomial where every difference is -1, 0 or 1 and tasks are
independent, else by flipping signs of cluster sums. Otherwise Student's t.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from steelyard.errors import DataError
from steelyard.stats.base import (
    Coded,
    Estimate,
    Figure,
    FloatArray,
    Labels,
    codes,
    finite,
    fraction,
    same_length,
    t_p_value,
    within,
)
from steelyard.stats.clusters import Bounds, ClusterSums, cluster_sums, clusters_of_tasks, estimate_mean
from steelyard.stats.exact import mcnemar, sign_flip
from steelyard.stats.paired_forms import difference_interval
from steelyard.stats.robust import spread
from steelyard.unknown import Unknown, is_known


@dataclass(frozen=True, slots=True)
class PairedOptions:
    """How to compare. `bounds` are a score's least and greatest value, None for unbounded ones.

    Up to `exact_clusters` clusters that differ the p-value is exact or, above 16 of them where McNemar's does not
    apply, from `draws` random sign flips at `seed`.
    """

    level: float = 0.95
    bounds: Bounds | None = (0.0, 1.0)
    exact_clusters: int = 30
    seed: int = 0
    draws: int = 100_000


DEFAULT = PairedOptions()


@dataclass(frozen=True, slots=True)
class TaskPairs:
    """Per-task means of both sides, shape (tasks,), in the same order; `dropped` tasks lacked a side."""

    tasks: Coded
    baseline: FloatArray
    contestant: FloatArray
    cluster: Coded
    n_trials: int
    single: bool
    dropped: int

    @property
    def differences(self) -> FloatArray:
        """Contestant less baseline, shape (tasks,); what is rounding of equal means is exactly 0."""
        raw = self.contestant - self.baseline
        size = np.maximum(np.abs(self.contestant), np.abs(self.baseline))
        return np.where(np.abs(raw) <= 1e-13 * size, 0.0, raw)


@dataclass(frozen=True, slots=True)
class Paired:
    """Contestant less baseline. Wins, losses and ties count tasks by their mean scores.

    `se_unpaired` is what the standard error would be without pairing and `correlation` that of task means: they
    show what pairing gained. `p_value` is two-sided, for no difference; `p_method` names its test.
    """

    difference: Estimate
    p_value: Figure
    p_method: str
    baseline_mean: float
    contestant_mean: float
    wins: int
    losses: int
    ties: int
    correlation: Figure
    se_unpaired: Figure
    dropped_tasks: int


def paired(
    values: ArrayLike,
    tasks: Labels,
    contestants: Labels,
    *,
    baseline: object,
    clusters: Labels | None = None,
    options: PairedOptions = DEFAULT,
) -> Paired:
    """Compare the one contestant that is not `baseline` with it; one row a graded trial.

    Raises DataError unless exactly two contestants occur and share a task; RowsError on bad rows.
    """
    column = _column(values, options.bounds)
    lengths = [("tasks", len(tasks)), ("contestants", len(contestants))]
    same_length(column.size, lengths)
    who = codes(contestants, "contestant")
    if who.size != 2 or baseline not in who.labels:
        raise DataError(
            "contestants: not a baseline and one other",
            wanted=f"two, one of them {baseline}",
            got=", ".join(str(x) for x in who.labels[:6]) or "none",
            fix="choose two contestants, or compare many with simultaneous_bands",
        )
    task = codes(tasks, "task")
    parent = None if clusters is None else clusters_of_tasks(task, clusters)
    return compare_pairs(pair_up(column, task, who.index != who.labels.index(baseline), parent), options)


def pair_up(column: FloatArray, task: Coded, is_contestant: np.ndarray, parent: Coded | None) -> TaskPairs:
    """Average each side's trials a task and keep the tasks that both sides have.

    `parent` gives each task's cluster, shape (tasks,); None makes every task its own.
    """
    side = is_contestant.astype(np.int64)
    cell = task.index * 2 + side
    trials = np.bincount(cell, minlength=2 * task.size).reshape(-1, 2)
    sums = np.bincount(cell, weights=column, minlength=2 * task.size).reshape(-1, 2)
    both = np.flatnonzero((trials > 0).all(axis=1))
    if both.size == 0:
        raise DataError(
            "no task has a score of both contestants",
            wanted="tasks in common",
            got=f"{task.size} tasks, none shared",
            fix="check that both were run on the same suite and that task names agree",
        )
    means = sums[both] / trials[both]
    labels = task.labels if both.size == task.size else tuple(map(task.labels.__getitem__, both.tolist()))
    used = Coded(np.arange(both.size), labels)
    cluster = used if parent is None else codes(parent.index[both], "cluster")
    single = bool((trials[both] == 1).all())
    dropped = int(np.sum(trials.sum(axis=1) > 0)) - both.size
    return TaskPairs(used, means[:, 0], means[:, 1], cluster, int(trials[both].sum()), single, dropped)


def compare_pairs(pairs: TaskPairs, options: PairedOptions = DEFAULT) -> Paired:
    """The comparison from per-task means."""
    fraction(options.level, "level")
    differences = pairs.differences
    table = cluster_sums(differences, pairs.cluster, n_trials=pairs.n_trials)
    estimate = mean_difference(pairs, options)
    p_value, p_method = difference_p(table, differences, estimate, options)
    return Paired(
        difference=estimate,
        p_value=p_value,
        p_method=p_method,
        baseline_mean=float(pairs.baseline.mean()),
        contestant_mean=float(pairs.contestant.mean()),
        wins=int(np.sum(differences > 0)),
        losses=int(np.sum(differences < 0)),
        ties=int(np.sum(differences == 0)),
        correlation=_correlation(pairs),
        se_unpaired=_unpaired(pairs),
        dropped_tasks=pairs.dropped,
    )


def _column(values: ArrayLike, bounds: Bounds | None) -> FloatArray:
    return finite(values) if bounds is None else within(values, bounds[0], bounds[1])


def mean_difference(pairs: TaskPairs, options: PairedOptions = DEFAULT) -> Estimate:
    """The mean difference and its interval alone: `compare_pairs` without tests."""
    differences = pairs.differences
    table = cluster_sums(differences, pairs.cluster, n_trials=pairs.n_trials)
    plain = estimate_mean(table, level=options.level, bounds=None, method="paired difference")
    notes = plain.notes
    if pairs.dropped:
        notes = (*notes, f"{pairs.dropped} tasks have scores of one side only and are left out")
    interval = plain.interval
    if options.bounds is not None and plain.n_clusters > 1:
        reach = options.bounds[1] - options.bounds[0]
        interval = difference_interval(differences / reach, pairs.cluster, options.level).scaled(reach)
    return replace(plain, interval=interval, notes=notes)


def difference_p(
    table: ClusterSums, differences: FloatArray, estimate: Estimate, options: PairedOptions = DEFAULT
) -> tuple[Figure, str]:
    """(two-sided p-value of no difference, its test): `table` sums the `differences` by cluster."""
    scale = float(np.max(np.abs(differences)))
    sums = table.sums[np.abs(table.sums) > 1e-12 * scale]
    if estimate.n_clusters == 1:
        return Unknown("one cluster: no test is possible"), "none"
    if sums.size == 0:
        return 1.0, "no cluster differs"
    if sums.size > options.exact_clusters and is_known(estimate.se) and is_known(estimate.df):
        return t_p_value(float(table.sums.sum() / table.sizes.sum()) / estimate.se, estimate.df), (
            f"t({estimate.df:.1f})"
        )
    alone = table.sums.size == differences.size
    if alone and bool(np.all(np.abs(sums) == 1.0)):
        return mcnemar(int(np.sum(sums > 0)), int(np.sum(sums < 0))).exact, "McNemar, exact"
    flipped = sign_flip(sums, seed=options.seed, draws=options.draws)
    return flipped.p_value, flipped.method


def _correlation(pairs: TaskPairs) -> Figure:
    a, b = pairs.baseline, pairs.contestant
    if a.size < 2:
        return Unknown("one task")
    spread_a, spread_b = float(a.std()), float(b.std())
    if spread_a <= 1e-14 or spread_b <= 1e-14:
        return Unknown("a side scores the same on every task")
    return float(np.mean((a - a.mean()) * (b - b.mean())) / (spread_a * spread_b))


def _unpaired(pairs: TaskPairs) -> Figure:
    total = 0.0
    for side in (pairs.baseline, pairs.contestant):
        table = cluster_sums(side, pairs.cluster)
        if table.sums.size == 1:
            return Unknown("one cluster")
        total += float(spread(table.sums, table.sizes).variance)
    return float(np.sqrt(total))
