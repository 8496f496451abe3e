"""How much of what was planned has a grade, contestant by contestant; what a gate's floor is held against.

Does not guess why grades are missing. A task that other contestants have and this one lacks altogether
counts as missing trials: a run that broke off must not look complete.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steelyard.decide.results import Results
from steelyard.stats.bounds import CoverageBounds, coverage_bounds
from steelyard.unknown import Unknown


@dataclass(frozen=True, slots=True)
class Coverage:
    """`share` = graded / (trials + missing). `bounds` is the score read three ways; Unknown for unbounded
    scores."""

    contestant: str
    trials: int
    graded: int
    missing: int
    missing_tasks: int
    share: float
    bounds: CoverageBounds | Unknown

    @property
    def sentence(self) -> str:
        """One line for print."""
        lacking = f", {self.missing_tasks} tasks have no row" if self.missing_tasks else ""
        planned = self.trials + self.missing
        return f"{self.contestant}: {self.graded} of {planned} trials graded ({self.share:.1%}){lacking}"


def coverage(results: Results, *, level: float = 0.95) -> tuple[Coverage, ...]:
    """One `Coverage` a contestant, in order of appearance.

    A missing task counts as the median number of trials that the contestant has on its tasks.
    """
    found = []
    clusters = results.cluster
    for place, name in enumerate(results.names):
        mine = results.contestant.index == place
        per_task = np.bincount(results.task.index[mine], minlength=results.task.size)
        absent = int(np.sum(per_task == 0))
        missing = absent * int(np.median(per_task[per_task > 0]))
        trials, graded = int(mine.sum()), int((mine & results.graded).sum())
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
        found.append(Coverage(name, trials, graded, missing, absent, graded / (trials + missing), bounds))
    return tuple(found)
