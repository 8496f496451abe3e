"""Scores that let a contestant say "I do not know": the index from -100 to +100, and hallucination rate.

Does not judge whether an abstention was wise. Right counts +1, wrong -1, abstained 0; the index is 100 times the
mean over tasks, so that guessing with an even chance gains nothing and knowing one's limits costs nothing.
Ungraded trials do not belong here: leave them out and show `coverage_bounds` of what is left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from steelyard.errors import RowsError
from steelyard.stats.base import Coded, Estimate, FloatArray, Interval, Labels, codes, finite, same_length
from steelyard.stats.clusters import ClusterSums, cluster_sums, clusters_of_tasks, estimate_mean
from steelyard.stats.paired_forms import difference_interval
from steelyard.unknown import Unknown


@dataclass(frozen=True, slots=True)
class Abstention:
    """What a contestant that may abstain did. Rates are in 0..1 and weigh tasks equally.

    `index` is in -100..+100. `hallucination` is wrong among not right (wrong + abstained), Unknown when all was
    right; `accuracy` right among all; `attempted` right or wrong among all; `accuracy_attempted` right among
    attempted, Unknown when nothing was.
    """

    index: Estimate
    hallucination: Estimate
    accuracy: Estimate
    attempted: Estimate
    accuracy_attempted: Estimate
    right: int
    wrong: int
    abstained: int


def abstention(
    outcomes: ArrayLike, tasks: Labels, *, clusters: Labels | None = None, level: float = 0.95
) -> Abstention:
    """Summarise outcomes of +1 (right), -1 (wrong) and 0 (abstained); one row a graded trial.

    The index uses the interval of a mean of differences in -1..1 (`paired_forms`), the ratios the cluster-robust
    interval of a ratio, which lets the number of attempts vary between tasks.
    """
    column = finite(outcomes, "outcome")
    bad = np.flatnonzero(~np.isin(column, (-1.0, 0.0, 1.0)))
    if bad.size:
        raise RowsError(
            "outcome: none of right, wrong and abstained",
            rows=tuple(bad.tolist()),
            wanted="1, -1 or 0",
            got=", ".join(f"{v:g}" for v in column[bad[:5]]),
            fix="choose a pass mark for partial scores first",
        )
    same_length(column.size, [("tasks", len(tasks))])
    task = codes(tasks, "task")
    parent = clusters_of_tasks(task, clusters)
    trials = np.bincount(task.index, minlength=task.size).astype(np.float64)
    right, wrong, abstained = (
        np.bincount(task.index, weights=column == x, minlength=task.size) / trials for x in (1.0, -1.0, 0.0)
    )
    every = np.ones(task.size)

    def ratio(part: FloatArray, whole: FloatArray, name: str) -> Estimate:
        return _ratio((part, whole), parent, column.size, level, name)

    return Abstention(
        index=_index(right - wrong, parent, column.size, level),
        hallucination=ratio(wrong, wrong + abstained, "wrong among not right"),
        accuracy=ratio(right, every, "right among all"),
        attempted=ratio(right + wrong, every, "attempted among all"),
        accuracy_attempted=ratio(right, right + wrong, "right among attempted"),
        right=int(np.sum(column == 1)),
        wrong=int(np.sum(column == -1)),
        abstained=int(np.sum(column == 0)),
    )


def _index(means: FloatArray, parent: Coded, n_trials: int, level: float) -> Estimate:
    table = cluster_sums(means, parent, n_trials=n_trials)
    plain = estimate_mean(table, level=level, bounds=None, method="abstention-aware index")
    value = Unknown("no value") if isinstance(plain.value, Unknown) else 100.0 * plain.value
    se = plain.se if isinstance(plain.se, Unknown) else 100.0 * plain.se
    interval: Interval | Unknown = plain.interval
    if plain.n_clusters > 1:
        interval = difference_interval(means, parent, level).scaled(100.0)
    return replace(plain, value=value, se=se, interval=interval)


def _ratio(
    parts: tuple[FloatArray, FloatArray], parent: Coded, n_trials: int, level: float, name: str
) -> Estimate:
    part, whole = parts
    kept = np.flatnonzero(whole > 0.0)
    if kept.size == 0:
        none = Unknown("no trial of that kind")
        return Estimate(none, none, none, name, n_trials, 0, 0, df=none)
    cluster = codes(parent.index[kept], "cluster")
    sums = np.bincount(cluster.index, weights=part[kept], minlength=cluster.size).astype(np.float64)
    sizes = np.bincount(cluster.index, weights=whole[kept], minlength=cluster.size).astype(np.float64)
    table = ClusterSums(sums, sizes, 0.0, n_trials, int(kept.size))
    return estimate_mean(table, level=level, bounds=(0.0, 1.0), method=name)
