"""Methods of `stats` on a table of results, contestant by contestant, as lines for print: scores, repeats, abstention.

Fits nothing itself. Ungraded trials are in no figure but the coverage bounds, and every line of a contestant that has
some says so. Tasks are the independent units, or the table's clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from steelyard.decide.lines import Line, line_of, plain_line
from steelyard.decide.results import Results
from steelyard.errors import DataError
from steelyard.stats.abstention import abstention
from steelyard.stats.base import Estimate, FloatArray, IntArray, codes, fraction
from steelyard.stats.bounds import coverage_bounds
from steelyard.stats.means import mean_bca, mean_t
from steelyard.stats.passk import pass_at_k, pass_hat_k
from steelyard.stats.rates import rate
from steelyard.stats.twolevel import task_means, two_level

Method = Literal["two-level", "wilson", "clopper-pearson", "jeffreys", "t", "bca"]
METHODS: tuple[Method, ...] = ("two-level", "wilson", "clopper-pearson", "jeffreys", "t", "bca")


@dataclass(frozen=True, slots=True)
class Mine:
    """The graded rows of one contestant; arrays of shape (rows,). `clusters` is None when the table has none."""

    name: str
    score: FloatArray
    task: IntArray
    clusters: IntArray | None
    rows: IntArray
    ungraded: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out."""
        return (f"{self.name}: {self.ungraded} trials without a grade are left out",) if self.ungraded else ()

    def marked(self, lines: Sequence[Line]) -> tuple[Line, ...]:
        """The lines with the notes of this contestant."""
        return tuple(replace(x, notes=(*x.notes, *self.notes)) for x in lines)


def contestants(results: Results) -> Iterator[Mine]:
    """Each contestant's graded rows, in the order of appearance. Raises DataError for one that has none."""
    for place, name in enumerate(results.names):
        own = results.contestant.index == place
        rows = np.flatnonzero(own & results.graded)
        if not rows.size:
            raise DataError(
                f"no graded trial of {name}", where=results.source, wanted="at least one",
                fix="leave it out: name the others with --contestant",
            )  # fmt: skip
        clusters = None if results.cluster is None else results.cluster.index[rows]
        yield Mine(
            name, results.score[rows], results.task.index[rows], clusters, rows, int(own.sum()) - rows.size
        )


def passed(results: Results, mine: Mine, pass_at: float | None) -> FloatArray:
    """1 where a trial passed: a score of at least `pass_at`, or without one the greatest score.

    Raises DataError for a score between the least and the greatest when no mark was given.
    """
    if pass_at is not None:
        return (mine.score >= pass_at).astype(np.float64)
    low, high = results.bounds or (0.0, 1.0)
    partial = np.flatnonzero((mine.score != low) & (mine.score != high))
    if partial.size:
        row = mine.rows[partial[0]]
        raise DataError(
            f"{partial.size} scores of {mine.name} are neither passed nor failed", where=results.source,
            wanted=f"{low:g} or {high:g}, or a mark to pass",
            got=f"{mine.score[partial[0]]:g} on {results.task.labels[results.task.index[row]]}",
            fix="say which score passes, such as --pass-at 0.5",
        )  # fmt: skip
    won: FloatArray = (mine.score == high).astype(np.float64)
    return won


def scores(results: Results, *, method: Method, level: float, seed: int = 0) -> tuple[Line, ...]:
    """Each contestant's score by `method`; two-level with its decomposition, and the bounds when trials lack grades.

    Wilson, Clopper-Pearson and Jeffreys are for one trial a task and scores of 0 or 1; t and BCa are of task means.
    Raises DataError where a method does not fit the data.
    """
    fraction(level, "level")
    out: list[Line] = []
    for mine in contestants(results):
        if method == "two-level":
            lines = _two_level(mine, results, level)
        else:
            lines = [line_of(mine.name, "score", _by(method, mine, results, level, seed))]
        out += mine.marked([*lines, *_bounds(results, mine, level)])
    return tuple(out)


def _two_level(mine: Mine, results: Results, level: float) -> list[Line]:
    found = two_level(mine.score, mine.task, clusters=mine.clusters, level=level, bounds=results.bounds)
    name, how = mine.name, "variance decomposition (Miller 2024)"
    parts = {
        "variance between tasks": found.between_tasks,
        "variance between trials": found.between_trials,
        "se from the choice of tasks": found.se_tasks,
        "se from trial to trial": found.se_trials,
        "design effect of clusters": found.design_effect,
    }
    lines = [
        line_of(name, "score", found.estimate),
        plain_line(name, "standard error", found.estimate.se, found.estimate.method),
    ]
    return [*lines, *(plain_line(name, k, v, how) for k, v in parts.items())]


def _by(method: Method, mine: Mine, results: Results, level: float, seed: int) -> Estimate:
    means, trials = task_means(mine.score, codes(mine.task, "task"))
    if method in ("t", "bca"):
        if mine.clusters is not None and method == "t":
            raise DataError("t: for independent tasks", wanted="no clusters", got="a cluster column",
                            fix="take --method two-level or bca, or leave the column out with --ignore")  # fmt: skip
        if method == "t":
            return mean_t(means, level=level)
        of_task = None if mine.clusters is None else _clusters_of_tasks(mine)
        return mean_bca(means, seed=seed, clusters=of_task, level=level)
    if mine.clusters is not None or int(trials.max()) > 1:
        got = "a cluster column" if mine.clusters is not None else f"{int(trials.max())} trials of a task"
        raise DataError(f"{method}: for independent trials", wanted="one trial a task and no clusters", got=got,
                        fix="take --method two-level")  # fmt: skip
    return rate(passed(results, mine, None), level=level, method=method)


def _clusters_of_tasks(mine: Mine) -> IntArray:
    assert mine.clusters is not None
    _, first = np.unique(mine.task, return_index=True)
    return mine.clusters[first]


def _bounds(results: Results, mine: Mine, level: float) -> list[Line]:
    if not mine.ungraded or results.bounds is None:
        return []
    own = results.contestant.index == results.names.index(mine.name)
    clusters = None if results.cluster is None else results.cluster.index[own]
    found = coverage_bounds(
        results.score[own], results.graded[own], results.task.index[own],
        clusters=clusters, level=level, bounds=results.bounds,
    )  # fmt: skip
    return [
        plain_line(
            mine.name, "coverage", found.coverage, "graded over planned trials", trials=found.planned_trials
        ),
        line_of(mine.name, "score if all ungraded had the least", found.worst),
        line_of(mine.name, "score if all ungraded had the greatest", found.best),
        line_of(mine.name, "score if grades are missing at random", found.at_random),
    ]


def repeats(results: Results, ks: Sequence[int], *, pass_at: float | None, level: float) -> tuple[Line, ...]:
    """pass@k (one of k trials passes) and pass^k (all of k do) of each contestant."""
    if not ks or min(ks) < 1:
        raise DataError("k is a number of trials", wanted="1 or more", got=", ".join(map(str, ks)) or "none")
    out: list[Line] = []
    for mine in contestants(results):
        column = passed(results, mine, pass_at)
        # by name, so that what is Unknown names its task
        tasks = [results.task.labels[i] for i in mine.task.tolist()]
        each: Mapping[str, Callable[..., Estimate]] = {"pass@": pass_at_k, "pass^": pass_hat_k}
        lines = [
            line_of(mine.name, f"{name}{k}", of(column, tasks, k, clusters=mine.clusters, level=level))
            for name, of in each.items()
            for k in ks
        ]
        out += mine.marked(lines)
    return tuple(out)


def abstentions(results: Results, *, pass_at: float | None, level: float) -> tuple[Line, ...]:
    """The index from -100 to +100, the hallucination rate and what they are made of, of each contestant."""
    out: list[Line] = []
    for mine in contestants(results):
        silent = results.abstained[mine.rows]
        spoken = replace(mine, score=mine.score[~silent], rows=mine.rows[~silent])
        outcomes = np.zeros(mine.rows.size)
        outcomes[~silent] = 2.0 * passed(results, spoken, pass_at) - 1.0 if spoken.rows.size else 0.0
        found = abstention(outcomes, mine.task, clusters=mine.clusters, level=level)
        lines = [
            line_of(mine.name, "index (-100 to +100)", found.index),
            line_of(mine.name, "hallucination rate", found.hallucination),
            line_of(mine.name, "right among all", found.accuracy),
            line_of(mine.name, "attempted among all", found.attempted),
            line_of(mine.name, "right among attempted", found.accuracy_attempted),
            *(
                plain_line(mine.name, f"{what} trials", float(n), "count", trials=mine.rows.size)
                for what, n in (
                    ("right", found.right),
                    ("wrong", found.wrong),
                    ("abstained", found.abstained),
                )
            ),
        ]
        out += mine.marked(lines)
    return tuple(out)
