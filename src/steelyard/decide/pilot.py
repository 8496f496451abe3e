"""Per-task sums of a `Results`, and the variance split that plans and "what would decide it" start from.

Does not plan (`stats.planning`) and does not compare (`decide.compare`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from steelyard.decide.results import Results
from steelyard.errors import DataError
from steelyard.stats.base import Coded, FloatArray, nested
from steelyard.stats.clusters import cluster_sums
from steelyard.stats.planning import Split, pilot_difference, pilot_mean
from steelyard.stats.robust import spread


@dataclass(frozen=True, slots=True)
class TaskSums:
    """Graded trials of one contestant by task: arrays of shape (tasks,), tasks numbered as in
    `Results.task`."""

    counts: FloatArray
    totals: FloatArray
    squares: FloatArray

    @property
    def means(self) -> FloatArray:
        """Mean score of each task; NaN where no trial is graded."""
        with np.errstate(invalid="ignore"):
            out: FloatArray = self.totals / self.counts
        return out

    @property
    def noise(self) -> FloatArray:
        """Sample variance of each task's trials (ddof 1); NaN below two trials."""
        with np.errstate(invalid="ignore", divide="ignore"):
            raw = (self.squares - self.totals**2 / self.counts) / (self.counts - 1.0)
        return np.where(self.counts >= 2, np.maximum(raw, 0.0), np.nan)


def task_sums(results: Results, name: str, values: FloatArray | None = None) -> TaskSums:
    """Sums of `values` (by default the scores) over the graded trials of one contestant."""
    column = results.score if values is None else values
    mine = results.graded & (results.contestant.index == results.names.index(name)) & np.isfinite(column)
    index, x, size = results.task.index[mine], column[mine], results.task.size
    return TaskSums(
        np.bincount(index, minlength=size).astype(np.float64),
        np.bincount(index, weights=x, minlength=size).astype(np.float64),
        np.bincount(index, weights=x**2, minlength=size).astype(np.float64),
    )


def split_of(results: Results, names: tuple[str, ...]) -> Split:
    """Variance split of one contestant's score, or of the second's less the first's, over the tasks that
    count.

    Where tasks come in clusters, the part between tasks is multiplied by the design effect and the units are
    clusters. Raises DataError when fewer than two tasks have a score of every contestant named.
    """
    sums = [task_sums(results, name) for name in names]
    used = np.all([s.counts > 0 for s in sums], axis=0)
    if int(used.sum()) < 2:
        raise DataError(
            "too few tasks to see how they differ",
            where=results.source,
            wanted=f"two tasks with a score of {' and '.join(names)}",
            got=str(int(used.sum())),
            fix="add tasks, or check that both were run on the same ones",
        )
    counts = [s.counts[used] for s in sums]
    noise = [s.noise[used] for s in sums]
    if len(names) == 1:
        column = sums[0].means[used]
        split = pilot_mean(column, counts[0], noise[0])
    else:
        column = sums[1].means[used] - sums[0].means[used]
        split = pilot_difference(column, (counts[0], counts[1]), (noise[0], noise[1]))
    if results.cluster is None:
        return split
    parent = nested(results.task, results.cluster)[used]
    labels, index = np.unique(parent, return_inverse=True)
    if labels.size < 2:
        raise DataError(
            "one cluster: nothing shows how clusters differ",
            where=results.source,
            wanted="two clusters or more",
            fix="add tasks of another cluster",
        )
    table = cluster_sums(column, Coded(index.astype(np.int64), tuple(labels.tolist())))
    plain = float(column.var(ddof=1)) / column.size
    effect = float(spread(table.sums, table.sizes).variance) / plain if plain > 0 else 1.0
    return replace(split, between=split.between * max(effect, 1.0), units=int(labels.size))


def mean_cost(results: Results, name: str) -> float | None:
    """Mean cost of a contestant's trials; None when no cost is known."""
    if results.cost is None:
        return None
    mine = results.cost[results.contestant.index == results.names.index(name)]
    known = mine[np.isfinite(mine)]
    return float(known.mean()) if known.size else None
