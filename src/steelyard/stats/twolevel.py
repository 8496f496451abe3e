"""The score of a suite from tasks x trials, and where its uncertainty comes from.

Does not treat trials as independent tasks: eight trials of one task tell little about the other tasks. The
score is the mean over tasks of each task's mean, so a task counts once however many trials it has. Needs two
tasks for a standard error, and a task with two trials to tell noise between trials from differences between
tasks; what is missing is Unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from steelyard.stats.base import (
    Coded,
    Estimate,
    Figure,
    FloatArray,
    IntArray,
    Labels,
    codes,
    finite,
    same_length,
    within,
)
from steelyard.stats.clusters import Bounds, cluster_sums, clusters_of_tasks, estimate_mean
from steelyard.unknown import Unknown, is_known


@dataclass(frozen=True, slots=True)
class TwoLevel:
    """A suite's score with its variance decomposition.

    `between_tasks` is the variance of the tasks' true means, `between_trials` the mean over tasks of the
    variance of one trial around its task's mean. `se_tasks` and `se_trials` are their shares of the standard
    error under independent tasks, `se^2 = se_tasks^2 + se_trials^2`. `se_trials` alone is how far the score
    would move if the same tasks ran again. `design_effect` is the clustered variance over the independent one
    (Unknown without clusters).
    """

    estimate: Estimate
    between_tasks: Figure
    between_trials: Figure
    se_tasks: Figure
    se_trials: Figure
    design_effect: Figure
    least_trials: int
    most_trials: int

    def lines(self) -> tuple[str, ...]:
        """The decomposition in sentences, for print."""

        def show(x: Figure) -> str:
            return f"{x:.6g}" if is_known(x) else str(x)

        trials = (
            f"{self.least_trials}"
            if self.least_trials == self.most_trials
            else f"{self.least_trials} to {self.most_trials}"
        )
        return (
            f"tasks: {self.estimate.n_tasks}, trials a task: {trials}, clusters: {self.estimate.n_clusters}",
            f"variance between tasks: {show(self.between_tasks)}",
            f"variance between trials of a task: {show(self.between_trials)}",
            f"standard error from the choice of tasks: {show(self.se_tasks)}",
            f"standard error from trial to trial (the same tasks run again): {show(self.se_trials)}",
            f"design effect of the clusters: {show(self.design_effect)}",
        )


def two_level(
    values: ArrayLike,
    tasks: Labels,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
    bounds: Bounds | None = (0.0, 1.0),
) -> TwoLevel:
    """Score, standard error and decomposition; one row a graded trial.

    `Var(score) = (V_tasks + mean_i(s_i^2 / K_i)) / n` (Miller 2024, eq. 5, for unequal K): the sample variance
    of the task means over n is unbiased for it whatever the K_i are. `V_tasks` is that sample variance less
    `mean_i(s_i^2 / K_i)`; below zero it is shown as 0 with a note. A task with one trial lends its noise from
    the tasks that have more. With `clusters` the standard error is cluster-robust over task means. `bounds`
    are the scores' least and greatest values (None: unbounded, Student's t corrected for skew).
    """
    column = finite(values) if bounds is None else within(values, bounds[0], bounds[1])
    same_length(column.size, [("tasks", len(tasks))])
    task = codes(tasks, "task")
    means, trials = task_means(column, task)
    parent = clusters_of_tasks(task, clusters)
    grouped = cluster_sums(means, parent, n_trials=column.size)
    estimate = estimate_mean(grouped, level=level, bounds=bounds, method="mean over tasks")
    noise, noise_share = trial_noise(column, task, means, trials)
    return _decompose(estimate, means, trials, noise, noise_share)


def task_means(column: FloatArray, task: Coded) -> tuple[FloatArray, IntArray]:
    """Each task's mean and number of trials, shape (tasks,)."""
    trials = np.bincount(task.index, minlength=task.size)
    sums = np.bincount(task.index, weights=column, minlength=task.size)
    return sums / trials, trials.astype(np.int64)


def trial_noise(
    column: FloatArray, task: Coded, means: FloatArray, trials: IntArray
) -> tuple[Figure, Figure]:
    """`E[s^2]`, the variance of one trial round its task, and `mean_i(s_i^2 / K_i)`; Unknown if all K = 1."""
    repeated = trials > 1
    if not np.any(repeated):
        why = Unknown("every task has one trial")
        return why, why
    squares = np.bincount(task.index, weights=(column - means[task.index]) ** 2, minlength=task.size)
    variances = squares[repeated] / (trials[repeated] - 1)
    # equal weight a task, as in the score; a task with one trial takes the others' mean noise
    noise = float(variances.mean())
    each = np.full(task.size, noise)
    each[repeated] = variances
    return noise, float(np.mean(each / trials))


def _decompose(
    estimate: Estimate, means: FloatArray, trials: IntArray, noise: Figure, noise_share: Figure
) -> TwoLevel:
    n = means.size
    one = Unknown("one task: differences between tasks cannot show")
    single = Unknown("every task has one trial: the two variances cannot be told apart")
    between: Figure = one if n == 1 else single
    se_tasks: Figure = between
    se_trials: Figure = noise_share if isinstance(noise_share, Unknown) else float(np.sqrt(noise_share / n))
    notes = estimate.notes
    if n > 1 and is_known(noise_share):
        raw = float(means.var(ddof=1)) - noise_share
        if raw < 0.0:
            notes = (*notes, "trials differ more than tasks do: the variance between tasks is shown as 0")
        between = max(0.0, raw)
        se_tasks = float(np.sqrt(between / n))
    design: Figure = Unknown("no clusters given")
    if estimate.n_clusters < n:
        plain = float(means.var(ddof=1)) / n
        design = Unknown("the clustered or the plain standard error is unknown")
        if is_known(estimate.se) and plain > 0.0:
            design = estimate.se**2 / plain
    shown = replace(estimate, notes=notes)
    return TwoLevel(shown, between, noise, se_tasks, se_trials, design, int(trials.min()), int(trials.max()))
