"""The score when some trials have no grade: bounded from both sides, and under missing at random.

Does not guess why a grade is missing. `worst` counts every ungraded trial as the least score and `best` as the
greatest: the truth for these trials lies between, whatever the reason. `at_random` uses graded trials only and
is right when a trial's lack of a grade says nothing about how it went; infrastructure that fails on long or
hard trials breaks that. The bounds are Manski's (1989); see also Imbens and Manski (2004) for shorter intervals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from steelyard.errors import DataError
from steelyard.stats.base import Coded, Estimate, FloatArray, Interval, Labels, codes, same_length, within
from steelyard.stats.clusters import Bounds, cluster_sums, clusters_of_tasks, estimate_mean
from steelyard.stats.twolevel import task_means
from steelyard.unknown import Unknown

AT_RANDOM = "assumes that a missing grade says nothing about the trial (missing at random)"


@dataclass(frozen=True, slots=True)
class CoverageBounds:
    """A score with ungraded trials. `coverage` is graded over planned trials.

    `interval` reaches from the lower limit of `worst` to the upper limit of `best`: it holds at its level or above
    whatever the ungraded trials were. `tasks_without_grade` are left out of `at_random` only.
    """

    coverage: float
    planned_trials: int
    graded_trials: int
    tasks_without_grade: int
    worst: Estimate
    best: Estimate
    at_random: Estimate
    interval: Interval | Unknown

    def lines(self) -> tuple[str, ...]:
        """The three readings in sentences, for print."""
        shown = [f"{self.graded_trials} of {self.planned_trials} trials graded ({self.coverage:.1%})"]
        for name, e in (
            ("every ungraded trial the least score", self.worst),
            ("every ungraded trial the greatest score", self.best),
            ("ungraded trials missing at random", self.at_random),
        ):
            value = str(e.value) if isinstance(e.value, Unknown) else f"{e.value:.6g}"
            limits = (
                str(e.interval)
                if isinstance(e.interval, Unknown)
                else f"[{e.interval.low:.6g}, {e.interval.high:.6g}]"
            )
            shown.append(f"{name}: {value} {limits}")
        return tuple(shown)


def coverage_bounds(
    values: ArrayLike,
    graded: ArrayLike,
    tasks: Labels,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
    bounds: Bounds = (0.0, 1.0),
) -> CoverageBounds:
    """Bound the mean over tasks; one row a planned trial.

    `graded` is a column of True and False; `values` of rows that are not graded are not read (NaN and None may
    stand there). Scores need bounds. Raises DataError on bad graded rows.
    """
    mask = _mask(graded)
    column = _graded_column(values, mask, bounds)
    same_length(mask.size, [("tasks", len(tasks))])
    task = codes(tasks, "task")
    parent = clusters_of_tasks(task, clusters)
    worst, best = (
        _mean(np.where(mask, column, end), task, parent, (level, bounds, name))
        for end, name in ((bounds[0], "ungraded as least"), (bounds[1], "ungraded as greatest"))
    )
    at_random = _at_random(column, mask, task, parent, (level, bounds))
    interval: Interval | Unknown = Unknown("one cluster: nothing shows its spread")
    if not isinstance(worst.interval, Unknown) and not isinstance(best.interval, Unknown):
        interval = Interval(worst.interval.low, best.interval.high, level, "worst low to best high")
    has_grade = np.bincount(task.index, weights=mask.astype(np.float64), minlength=task.size) > 0
    graded_trials = int(mask.sum())
    return CoverageBounds(
        graded_trials / mask.size,
        mask.size,
        graded_trials,
        int(task.size - has_grade.sum()),
        worst,
        best,
        at_random,
        interval,
    )


def _mask(graded: ArrayLike) -> np.ndarray:
    flags = np.asarray(graded)
    if flags.dtype != np.bool_ or flags.ndim != 1:
        raise DataError("graded: not a column of True and False", wanted="booleans", got=f"{flags.dtype}")
    if flags.size == 0:
        raise DataError("graded: the table has no rows", wanted="at least one planned trial")
    return flags


def _graded_column(values: ArrayLike, mask: np.ndarray, bounds: Bounds) -> FloatArray:
    if not bounds[0] < bounds[1]:
        raise DataError("bounds: the wrong way round", wanted="least, greatest", got=f"{bounds}")
    try:
        column = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as e:
        raise DataError(
            "score: not a column of numbers", wanted="numbers; None where not graded", got=str(e)
        ) from e
    if column.ndim != 1:
        raise DataError("score: not one column", wanted="one dimension", got=f"shape {column.shape}")
    same_length(mask.size, [("score", column.size)])
    column[~mask] = bounds[0]
    return within(column, bounds[0], bounds[1])


def _mean(column: FloatArray, task: Coded, parent: Coded, how: tuple[float, Bounds, str]) -> Estimate:
    means, _ = task_means(column, task)
    table = cluster_sums(means, parent, n_trials=column.size)
    return estimate_mean(table, level=how[0], bounds=how[1], method=how[2])


def _at_random(
    column: FloatArray, mask: np.ndarray, task: Coded, parent: Coded, how: tuple[float, Bounds]
) -> Estimate:
    if not mask.any():
        none = Unknown("no trial has a grade")
        return Estimate(none, none, none, "missing at random", 0, 0, 0, df=none, notes=(AT_RANDOM,))
    kept = codes(task.index[mask], "task")
    used = np.array(kept.labels, dtype=np.int64)
    clusters = codes(parent.index[used], "cluster")
    estimate = _mean(column[mask], kept, clusters, (*how, "missing at random"))
    return replace(estimate, notes=(*estimate.notes, AT_RANDOM))
