"""View 3: tasks against contestants, repeats as dots; the tasks that say most come first.

Works on columns: a run of a million trials is sorted without loading one. Only the tasks of the page are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.decide.tasktable import TaskTable, task_table
from steelyard.errors import DataError
from steelyard.ledger.base import RunInfo
from steelyard.stats.base import BoolArray, Figure, IntArray
from steelyard.unknown import Unknown
from steelyard.web.ask import Ask
from steelyard.web.base import Table, View
from steelyard.web.desk import Desk
from steelyard.web.dots import KINDS
from steelyard.web.tasklist import UP_FRONT, TaskList, names_of, task_list

SORTS = ("order", "disagreement", "flips", "solved", "ungraded")
SHOWS = ("all", "disagree", "flaky", "never", "always", "ungraded")
PAGE = 50


@dataclass(frozen=True, slots=True)
class Cell:
    """The trials of one contestant on one task. `counts`: passed, partial, abstained, failed, ungraded."""

    counts: tuple[int, int, int, int, int]
    mean: Figure


@dataclass(frozen=True, slots=True)
class Row:
    """A task. `t` is its number in the run; see `decide.tasktable` for the figures."""

    t: int
    suite: str
    task: str
    solved: Figure
    disagreement: Figure
    flips: Figure
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """Columns of the run, small: whole numbers [5, contestants, tasks] in the order of `KINDS`, and float32 means."""

    counts: NDArray[np.uint8] | NDArray[np.int32]
    means: NDArray[np.float32]
    table: TaskTable


@dataclass(frozen=True, slots=True)
class GridPage:
    """`rows` are those of this page (asked for as CSV: of all tasks that match, made as they are read); `n_found` tasks
    of `n_tasks` match the filters."""

    run: RunInfo
    contestants: tuple[str, ...]
    rows: Iterable[Row]
    facets: tuple[tuple[str, tuple[str, ...], str], ...]
    suites: tuple[str, ...]
    n_tasks: int
    n_found: int
    at: int
    pages: int

    @property
    def title(self) -> str:
        """For the tab."""
        return f"Tasks of {self.run.name or self.run.run}"

    @property
    def command(self) -> str:
        """None but `steelyard page`."""
        return ""

    @property
    def sentences(self) -> tuple[str, ...]:
        """How much of it this is, above the printed table."""
        first, last = (self.at - 1) * PAGE + 1, min(self.at * PAGE, self.n_found)
        some = f"tasks {first} to {last}; --csv prints all" if self.pages > 1 else "all"
        return (f"{self.n_found} of {self.n_tasks} tasks match; {some}",)

    def table(self) -> Table:
        """One row a task and contestant; asked for as CSV, the page holds all tasks that match."""
        columns = ("task", "suite", "contestant", "mean", *KINDS, "solved", "disagreement", "flips")
        rows = (
            (r.task, r.suite, name, cell.mean, *cell.counts, r.solved, r.disagreement, r.flips)
            for r in self.rows
            for name, cell in zip(self.contestants, r.cells, strict=True)
        )
        return Table(columns, rows)


def build(desk: Desk, ask: Ask) -> GridPage:
    """The grid that the query asks for."""
    run = desk.run(ask.param("run"))
    data = desk.cached(run, ("grid", ask.text("scorer")), lambda: columns_of(desk, run, ask.text("scorer")))
    needs = bool(ask.text("q")) or any(k.startswith("c.") for k in ask.query)
    tasks = task_list(desk, run) if needs or run.n_tasks <= UP_FRONT else None
    names = shown_contestants(run, ask)
    keep = _kept(desk, run, ask, data, tasks)
    order = _order(ask, data.table, np.flatnonzero(keep))
    pages = max(1, -(-order.size // PAGE))
    at = min(ask.whole("page", 1, 1), pages)
    whole = ask.text("format") == "csv"
    rows = _rows(desk, run, data, order if whole else order[(at - 1) * PAGE : at * PAGE], names)
    suites = tuple(u.name for u in desk.ready(run).plan.suites)
    return GridPage(
        run=run,
        contestants=tuple(run.contestants[c] for c in names),
        rows=rows if whole else tuple(rows),
        facets=tuple((f, v, ask.text(f"c.{f}")) for f, (v, _) in tasks.facets.items()) if tasks else (),
        suites=suites,
        n_tasks=run.n_tasks,
        n_found=int(order.size),
        at=at,
        pages=pages,
    )


def columns_of(desk: Desk, run: RunInfo, scorer: str) -> Counts:
    """The run's cells as small arrays."""
    columns = desk.ledger.cells(run.run, scorer).columns
    most = columns["trials"].max(initial=0)
    small: type[np.uint8 | np.int32] = np.uint8 if most < 256 else np.int32
    counts = np.stack([columns[k].astype(small) for k in KINDS])
    graded = columns["graded"]
    means = columns["value_sum"]
    with np.errstate(invalid="ignore"):
        means /= graded
    del graded
    return Counts(counts, means.astype(np.float32), task_table(columns))


def shown_contestants(run: RunInfo, ask: Ask) -> list[int]:
    """The contestants that the query names; all without one."""
    wanted = tuple(name for name in ask.all("contestant") if name)
    for name in wanted:
        if name not in run.contestants:
            raise DataError("no such contestant in this run", wanted=" | ".join(run.contestants), got=name)
    return [c for c, name in enumerate(run.contestants) if not wanted or name in wanted]


def _kept(desk: Desk, run: RunInfo, ask: Ask, data: Counts, tasks: TaskList | None) -> BoolArray:
    table = data.table
    keep = np.ones(run.n_tasks, dtype=bool)
    show = ask.one_of("show", SHOWS, "all")
    with np.errstate(invalid="ignore"):
        if show == "disagree":
            keep &= table.disagreement > 0
        elif show == "flaky":
            keep &= table.flips > 0
        elif show == "never":
            keep &= table.solved <= 0
        elif show == "always":
            keep &= table.solved >= 1
        elif show == "ungraded":
            keep &= table.ungraded > 0
    suite = ask.text("suite")
    if suite:
        ready = desk.ready(run)
        names = [u.name for u in ready.plan.suites]
        if suite not in names:
            raise DataError(f"?suite={suite}", wanted=" | ".join(names), got=suite)
        s = names.index(suite)
        inside = np.zeros(run.n_tasks, dtype=bool)
        inside[ready.offsets[s] : ready.offsets[s] + len(ready.suites[s])] = True
        keep &= inside
    return keep if tasks is None else keep & _matching(ask, tasks)


def _matching(ask: Ask, tasks: TaskList) -> BoolArray:
    keep = np.ones(len(tasks.ids), dtype=bool)
    words = ask.text("q").lower()
    if words:
        keep &= np.fromiter((words in i.lower() for i in tasks.ids), dtype=bool, count=len(tasks.ids))
    for key in ask.query:
        if not key.startswith("c."):
            continue
        name, value = key[2:], ask.text(key)
        if name not in tasks.facets:
            raise DataError(f"?{key}", wanted=" | ".join(tasks.facets) or "a condition", got=name)
        values, codes = tasks.facets[name]
        if value not in values:
            raise DataError(f"?{key}={value}", wanted=" | ".join(values[:50]), got=value)
        keep &= codes == values.index(value)
    return keep


def _order(ask: Ask, table: TaskTable, found: IntArray) -> IntArray:
    """Tasks sorted; what is not known comes last whichever way, ties keep the suite's order."""
    by = ask.one_of("sort", SORTS, "order")
    down = ask.one_of("dir", ("up", "down"), "up" if by in ("order", "solved") else "down") == "down"
    if by == "order":
        return found[::-1] if down else found
    values = {
        "disagreement": table.disagreement,
        "flips": table.flips,
        "solved": table.solved,
        "ungraded": table.ungraded,
    }[by][found]
    keys = np.where(np.isnan(values), np.inf, -values if down else values)
    return found[np.argsort(keys, kind="stable")]


def _known(value: float, why: str) -> Figure:
    return Unknown(why) if np.isnan(value) else float(value)


def cell(data: Counts, c: int, t: int) -> Cell:
    """The trials of contestant `c` on task `t`."""
    n = [int(x) for x in data.counts[:, c, t]]
    return Cell((n[0], n[1], n[2], n[3], n[4]), _known(float(data.means[c, t]), "no graded trial"))


def _rows(desk: Desk, run: RunInfo, data: Counts, tasks: IntArray, names: list[int]) -> Iterator[Row]:
    table = data.table
    chosen = tasks.tolist()
    # read before the first row is made: what goes wrong must not break off a download
    named = names_of(desk, run, chosen)
    return (
        Row(
            t,
            suite,
            task,
            _known(float(table.solved[t]), "no graded trial"),
            _known(float(table.disagreement[t]), "fewer than two contestants have a graded trial"),
            _known(float(table.flips[t]), "no contestant has two graded trials"),
            tuple(cell(data, c, t) for c in names),
        )
        for t, (suite, task) in zip(chosen, named, strict=True)
    )


VIEWS = (View("grid", "/runs/{run}/grid", build, tab="Tasks", order=20, key="t", style="grid.css"),)
