"""How much of what was planned has a grade, contestant by contestant; what a gate's floor is held against.

Does not guess why grades are missing. A task that other contestants have and this one lacks altogether
counts as missing trials: a run that broke off must not look complete.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steelyard.decide.results import Results
from steelyard.stats.base import IntArray
from steelyard.stats.bounds import CoverageBounds, coverage_bounds
from steelyard.unknown import Unknown


@dataclass(frozen=True, slots=True)
class Counted:
    """`share` = graded / (trials + missing)."""

    contestant: str
    trials: int
    graded: int
    missing: int
    missing_tasks: int
    share: float

    @property
    def sentence(self) -> str:
        """One line for print."""
        lacking = f", {self.missing_tasks} tasks have no row" if self.missing_tasks else ""
        planned = self.trials + self.missing
        return f"{self.contestant}: {self.graded} of {planned} trials graded ({self.share:.1%}){lacking}"


@dataclass(frozen=True, slots=True)
class Coverage(Counted):
    """The counts, and in `bounds` the score read three ways; Unknown for unbounded scores."""

    bounds: CoverageBounds | Unknown


def counted(contestant: str, trials: IntArray, graded: IntArray) -> Counted:
    """The counts of one contestant from its trials and graded trials a task, shape (tasks,).

    A missing task counts as the median number of trials that the contestant has on its tasks.
    """
    absent = int(np.sum(trials == 0))
    missing = absent * int(np.median(trials[trials > 0])) if absent < trials.size else 0
    n, good = int(trials.sum()), int(graded.sum())
    return Counted(contestant, n, good, missing, absent, good / (n + missing) if n else 0.0)


def counts(results: Results) -> tuple[Counted, ...]:
    """One `Counted` a contestant, in order of appearance: `coverage` without the bounds."""
    size = results.task.size
    found = []
    for place, name in enumerate(results.names):
        mine = results.contestant.index == place
        trials = np.bincount(results.task.index[mine], minlength=size)
        graded = np.bincount(results.task.index[mine & results.graded], minlength=size)
        found.append(counted(name, trials, graded))
    return tuple(found)


def coverage(results: Results, *, level: float = 0.95) -> tuple[Coverage, ...]:
    """One `Coverage` a contestant, in order of appearance."""
    found = []
    clusters = results.cluster
    for place, one in enumerate(counts(results)):
        mine = results.contestant.index == place
        bounds: CoverageBounds | Unknown = Unknown("scores have no bounds")
        if results.bounds is not None:
            bounds = coverage_bounds(
                results.score[mine],
                results.graded[mine],
                results.task.index[mine],
                clusters=None if clusters is None else clusters.index[mine],
                level=level,
                bounds=results.bounds,
            )
        shared = (one.contestant, one.trials, one.graded, one.missing, one.missing_tasks, one.share)
        found.append(Coverage(*shared, bounds))
    return tuple(found)
