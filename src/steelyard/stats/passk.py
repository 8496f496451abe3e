"""pass@k, pass^k, majority vote and best-of-n from n trials a task, unbiased, with intervals over tasks.

Does not extrapolate: k trials need k trials of every task, else the figure is Unknown and says which tasks fall
short. Does not plug in `1 - (1 - p)^k`, which is biased for a p estimated from few trials. Each figure averages
over all subsets of k of a task's n trials, drawn without replacement; tasks (or their clusters) are the
independent units, so the interval is that of a mean over tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from steelyard.errors import DataError, RowsError
from steelyard.stats.base import (
    Coded,
    Estimate,
    FloatArray,
    IntArray,
    Labels,
    binary,
    codes,
    count,
    finite,
    numbers,
    same_length,
    within,
)
from steelyard.stats.clusters import Bounds, cluster_sums, clusters_of_tasks, estimate_mean
from steelyard.stats.votes import majority_chance
from steelyard.unknown import Unknown

# C(1020, 510) still fits a double, and so does every count of ways below it
_MOST_BALLOTS = 1020


def pass_at_k(
    values: ArrayLike, tasks: Labels, k: int, *, clusters: Labels | None = None, level: float = 0.95
) -> Estimate:
    """Chance that at least one of k trials passes: mean of `1 - C(n-c, k) / C(n, k)` (Chen et al. 2021)."""
    return _over_tasks(values, tasks, k, pass_at_k_of, (clusters, level, f"pass@{k}"))


def pass_hat_k(
    values: ArrayLike, tasks: Labels, k: int, *, clusters: Labels | None = None, level: float = 0.95
) -> Estimate:
    """Chance that all k trials pass: mean of `C(c, k) / C(n, k)` (Yao et al. 2024, tau-bench)."""
    return _over_tasks(values, tasks, k, pass_hat_k_of, (clusters, level, f"pass^{k}"))


def pass_at_k_of(passed: ArrayLike, trials: ArrayLike, k: int) -> FloatArray:
    """`1 - C(n-c, k) / C(n, k)` for arrays of passes c and trials n >= k."""
    c, n = numbers(passed, "passed"), numbers(trials, "trials")
    out: FloatArray = 1.0 - _chosen_share(n - c, n, k)
    return out


def pass_hat_k_of(passed: ArrayLike, trials: ArrayLike, k: int) -> FloatArray:
    """`C(c, k) / C(n, k)` for arrays of passes c and trials n >= k."""
    return _chosen_share(numbers(passed, "passed"), numbers(trials, "trials"), k)


def majority_vote(
    answers: Labels,
    correct: ArrayLike,
    tasks: Labels,
    *,
    k: int,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate:
    """Chance that the most frequent answer among k trials is right; ties are broken at random.

    `answers` are the final answers in one spelling (give "no answer" a label of its own), `correct` is 1 where
    the answer is right. The same answer graded both ways within a task is refused.
    """
    graded = binary(correct, "correct")
    same_length(graded.size, [("answers", len(answers)), ("tasks", len(tasks))])
    k = count(k, "k", least=1)
    task, answer = codes(tasks, "task"), codes(answers, "answer")
    trials = np.bincount(task.index, minlength=task.size).astype(np.int64)
    if int(trials.max()) > _MOST_BALLOTS:
        raise DataError(
            "trials: too many of one task for exact vote counts",
            wanted=f"at most {_MOST_BALLOTS}",
            got=f"{trials.max()} of {task.labels[int(trials.argmax())]}",
            fix="use a part of the trials, chosen without looking at the answers",
        )
    short = _short(trials, task, k)
    parent = clusters_of_tasks(task, clusters)
    if short is not None:
        return _unknown(short, f"majority of {k}", graded.size, task.size, parent.size)
    chances = np.empty(task.size)
    for i, (sizes, right) in enumerate(_ballots(task, answer, graded)):
        chances[i] = majority_chance(sizes, right, k)
    table = cluster_sums(chances, parent, n_trials=graded.size)
    return estimate_mean(table, level=level, bounds=(0.0, 1.0), method=f"majority of {k}")


def best_of_n(
    values: ArrayLike,
    selector: ArrayLike,
    tasks: Labels,
    *,
    n: int,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate:
    """Expected score (0..1) of the trial that `selector` ranks highest among n; ties are broken at random.

    `selector` is what picks (a judge's score, a log-probability), `values` what counts. With `selector` equal to
    `values` this is the expected maximum, and for 0/1 scores pass@n.
    """
    column, picks = within(values, 0.0, 1.0), finite(selector, "selector")
    same_length(column.size, [("selector", picks.size), ("tasks", len(tasks))])
    n = count(n, "n", least=1)
    task = codes(tasks, "task")
    trials = np.bincount(task.index, minlength=task.size).astype(np.int64)
    parent = clusters_of_tasks(task, clusters)
    short = _short(trials, task, n)
    if short is not None:
        return _unknown(short, f"best of {n}", column.size, task.size, parent.size)
    chosen = _best_of(column, picks, task, trials, n)
    table = cluster_sums(np.clip(chosen, 0.0, 1.0), parent, n_trials=column.size)
    return estimate_mean(table, level=level, bounds=(0.0, 1.0), method=f"best of {n}")


def _over_tasks(
    values: ArrayLike,
    tasks: Labels,
    k: int,
    of: Callable[[FloatArray, FloatArray, int], FloatArray],
    how: tuple[Labels | None, float, str],
) -> Estimate:
    column = binary(values)
    same_length(column.size, [("tasks", len(tasks))])
    k = count(k, "k", least=1)
    clusters, level, name = how
    task = codes(tasks, "task")
    trials = np.bincount(task.index, minlength=task.size).astype(np.float64)
    parent = clusters_of_tasks(task, clusters)
    short = _short(trials, task, k)
    if short is not None:
        return _unknown(short, name, column.size, task.size, parent.size)
    passed = np.bincount(task.index, weights=column, minlength=task.size).astype(np.float64)
    table = cluster_sums(of(passed, trials, k), parent, n_trials=column.size)
    bounds: Bounds = (0.0, 1.0)
    return estimate_mean(table, level=level, bounds=bounds, method=name)


def _chosen_share(some: FloatArray, all_: FloatArray, k: int) -> FloatArray:
    """`C(some, k) / C(all_, k)` as a product of k ratios, exactly 0 where `some < k`."""
    share = np.ones(np.broadcast(some, all_).shape)
    for j in range(k):
        share = share * np.maximum(some - j, 0.0) / (all_ - j)
    return share


def _short(trials: FloatArray | IntArray, task: Coded, k: int) -> Unknown | None:
    few = np.flatnonzero(trials < k)
    if few.size == 0:
        return None
    first = task.labels[few[0]]
    return Unknown(
        f"{k} trials a task are needed; {few.size} of {task.size} tasks have fewer,"
        f" such as {first} with {int(trials[few[0]])}"
    )


def _unknown(why: Unknown, method: str, n_trials: int, n_tasks: int, n_clusters: int) -> Estimate:
    return Estimate(why, why, why, method, n_trials, n_tasks, n_clusters, df=why)


def _ballots(task: Coded, answer: Coded, graded: FloatArray) -> list[tuple[IntArray, Sequence[bool]]]:
    """For each task the number of trials behind each answer, and whether that answer is right."""
    key = task.index * answer.size + answer.index
    pairs, index = np.unique(key, return_inverse=True)
    sizes = np.bincount(index)
    right = np.bincount(index, weights=graded) / sizes
    mixed = np.flatnonzero((right > 0.0) & (right < 1.0))
    if mixed.size:
        rows = np.flatnonzero(np.isin(index, mixed))
        raise RowsError(
            "answer: graded right in one row and wrong in another of the same task",
            rows=tuple(rows.tolist()),
            wanted="one grade for one answer",
            fix="give answers that differ different labels, or mend the grader",
        )
    starts = np.searchsorted(pairs // answer.size, np.arange(task.size + 1))
    return [
        (sizes[a:b].astype(np.int64), [bool(r) for r in right[a:b]]) for a, b in pairwise(starts.tolist())
    ]


def _best_of(column: FloatArray, picks: FloatArray, task: Coded, trials: IntArray, n: int) -> FloatArray:
    """Expected chosen value a task: rank r of K is chosen with chance C(r-1, n-1) / C(K, n)."""
    order = np.lexsort((picks, task.index))
    where, value, pick = task.index[order], column[order], picks[order]
    starts = np.concatenate([[0], np.cumsum(trials)[:-1]])
    rank = np.arange(where.size) - starts[where]
    total = trials[where].astype(np.float64)
    # C(r, n-1) / C(K, n) with r = rank from 0: a product of ratios, then n / (K - n + 1)
    weight = _chosen_share(rank.astype(np.float64), total, n - 1) * n / (total - n + 1.0)
    new = np.concatenate([[True], (where[1:] != where[:-1]) | (pick[1:] != pick[:-1])])
    group = np.cumsum(new) - 1
    members = np.bincount(group)
    # equal picks share their chances equally
    shared = (np.bincount(group, weights=weight) / members)[group]
    return np.bincount(where, weights=shared * value, minlength=task.size).astype(np.float64)
