"""View 15: the score in each cell of declared conditions as a heat map; empty and thin cells are shown as such.

With shares of production given (`mix.VALUE=`), every score is also shown as it would be in that mix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from steelyard.decide.matrix import Matrix, conditions_of, matrix
from steelyard.decide.results import Results
from steelyard.errors import DataError
from steelyard.ledger.base import RunInfo
from steelyard.ledger.runs import results_of_cells, results_of_run
from steelyard.stats.mixes import Key
from steelyard.unknown import is_known
from steelyard.web.ask import Ask
from steelyard.web.base import Table, View
from steelyard.web.desk import Desk

MANY = 100_000
"""Planned trials from which on a task's trials are read as their mean: the same figures, see `results_of_cells`."""


@dataclass(frozen=True, slots=True)
class ConditionsPage:
    """`matrix` is None when the run has no conditions or is too large: see `why`. `mix` are the shares given."""

    run: RunInfo
    matrix: Matrix | None
    why: str
    by: tuple[str, ...]
    known: tuple[str, ...]
    mix: tuple[tuple[str, str], ...]

    @property
    def title(self) -> str:
        """For the tab."""
        return f"Conditions of {self.run.name or self.run.run}"

    @property
    def command(self) -> str:
        """What prints the same cells."""
        by = " ".join(f"--by {b}" for b in self.by)
        return f"steelyard show {self.run.run} {by}".strip()

    def table(self) -> Table:
        """One row a contestant and cell."""
        names = self.matrix.names if self.matrix else ()
        columns = ("contestant", *names, "state", "score", "low", "high", "tasks")
        return Table(columns, _rows(self.matrix))


def _rows(found: Matrix | None) -> list[tuple[object, ...]]:
    out: list[tuple[object, ...]] = []
    for row in found.rows if found else ():
        for cell in row.cells:
            i = cell.estimate.interval
            low, high = (i.low, i.high) if is_known(i) else (i, i)
            out.append(
                (row.contestant, *cell.key, cell.state, cell.estimate.value, low, high, cell.estimate.n_tasks)
            )
    return out


def build(desk: Desk, ask: Ask) -> ConditionsPage:
    """Cells by the conditions that the query names in `by` (at most two), by default the first one."""
    run = desk.run(ask.param("run"))
    kept: list[Results] = []

    def read() -> Results:
        # once a request, and only when a figure is not kept: never kept itself
        if not kept:
            kept.append(_results(desk, run))
        return kept[0]

    known = desk.cached(run, ("conditions",), lambda: conditions_of(read()))
    if not known:
        return ConditionsPage(run, None, "the tasks of this run declare no conditions", (), (), ())
    by = tuple(dict.fromkeys(b for b in ask.all("by") if b)) or known[:1]
    if len(by) > 2:
        raise DataError("?by", wanted="one or two conditions", got=", ".join(by))
    mix, given = _mix(ask, by)
    settings = ("matrix", by, tuple(given))
    found = desk.cached(run, settings, lambda: matrix(read(), by, mix))
    return ConditionsPage(run, found, "", by, known, tuple(given))


def _results(desk: Desk, run: RunInfo) -> Results:
    if run.n_tasks * len(run.contestants) * desk.ledger.plan(run.run).trials.count > MANY:
        return results_of_cells(desk.ledger, run.run, conditions=True)
    return results_of_run(desk.ledger, run.run)


def _mix(ask: Ask, by: tuple[str, ...]) -> tuple[dict[Key, float] | None, list[tuple[str, str]]]:
    """Shares by value of one condition. Raises DataError for what is no share."""
    given = [(k[4:], ask.text(k)) for k in ask.query if k.startswith("mix.") and ask.text(k).strip()]
    if not given or len(by) != 1:
        return None, given
    mix: dict[Key, float] = {}
    for value, text in given:
        try:
            share = float(text.strip().rstrip("%"))
        except ValueError:
            share = math.nan
        if not (math.isfinite(share) and share >= 0):
            raise DataError(f"?mix.{value}", wanted="a share or a count, 0 or more", got=text)
        mix[value,] = share
    if not sum(mix.values()):
        return None, given
    return mix, given


VIEWS = (
    View(
        "conditions", "/runs/{run}/conditions", build, tab="Conditions", order=50, key="m", style="heat.css"
    ),
)
