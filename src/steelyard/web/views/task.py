"""View 6: one task, what every contestant said to it side by side, every repeat kept."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote

from steelyard.errors import DataError
from steelyard.ledger.base import RunInfo
from steelyard.runner.trials import HIDDEN, Filter, TrialView, trial_views
from steelyard.web.ask import Ask
from steelyard.web.base import Table, View
from steelyard.web.desk import Desk
from steelyard.web.views.grid import Cell, columns_of, shown_contestants
from steelyard.web.views.grid import cell as cell_of

MOST = 2_000
"""Trials of one task on a page."""


@dataclass(frozen=True, slots=True)
class Column:
    """One contestant: its trials in order, and their counts."""

    contestant: str
    c: int
    cell: Cell
    trials: tuple[TrialView, ...]


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Task number `t` of the run. `asked` is what the first trial shown was asked; `hidden` for held-out content."""

    run: RunInfo
    t: int
    n_tasks: int
    task: str
    suite: str
    hidden: bool
    conditions: tuple[tuple[str, str], ...]
    cluster: str
    asked: tuple[tuple[str, str], ...]
    target: str
    columns: tuple[Column, ...]
    others: tuple[str, ...]

    @property
    def title(self) -> str:
        """For the tab."""
        return f"Task {self.task}"

    @property
    def command(self) -> str:
        """What prints the same."""
        # the id is the suite author's text: quoted as a shell would need it
        return f"steelyard show {self.run.run} --task {quote(self.task)}"

    def table(self) -> Table:
        """One row a trial."""
        columns = ("task", "suite", "contestant", "trial", "outcome", "value", "cause", "attempts", "answer",
                   "extracted", "explanation", "seconds", "cost_pusd")  # fmt: skip
        rows = (
            (self.task, self.suite, x.contestant, v.trial, v.outcome, v.value, v.cause, v.attempts, v.answer,
             v.extracted, v.explanation, v.seconds, v.cost_pusd)
            for x in self.columns for v in x.trials
        )  # fmt: skip
        return Table(columns, rows)


def build(desk: Desk, ask: Ask) -> TaskPage:
    """The task whose number is `t`, or whose id is `task` (then `suite` tells apart tasks of one name)."""
    run = desk.run(ask.param("run"))
    ready = desk.ready(run)
    t = _number(desk, run, ask)
    s, i = ready.locate(t)
    task = ready.suites[s].task(i)
    hides = desk.hides(run, task)
    names = shown_contestants(run, ask)
    data = desk.cached(run, ("grid", ""), lambda: columns_of(desk, run, ""))
    by_name: dict[str, list[TrialView]] = {}
    wanted = Filter(task_number=t, limit=MOST)
    for view in trial_views(desk.ledger, run.run, wanted, reveal=not hides):
        by_name.setdefault(view.contestant, []).append(view)
    columns = tuple(
        Column(run.contestants[c], c, cell_of(data, c, t), tuple(by_name.get(run.contestants[c], ())))
        for c in names
    )
    first = next((v for x in columns for v in x.trials), None)
    return TaskPage(
        run=run,
        t=t,
        n_tasks=run.n_tasks,
        task=task.id,
        suite=ready.plan.suites[s].name,
        hidden=hides,
        conditions=tuple((k, str(v)) for k, v in task.conditions.items()),
        cluster=task.cluster,
        asked=first.asked if first else (("", HIDDEN),) if hides else (),
        target=first.target if first else "",
        columns=columns,
        others=run.contestants,
    )


def _number(desk: Desk, run: RunInfo, ask: Ask) -> int:
    if ask.text("t"):
        return ask.whole("t", 0, 0, max(0, run.n_tasks - 1))
    wanted, suite = ask.text("task"), ask.text("suite")
    ready = desk.ready(run)
    for s, use in enumerate(ready.plan.suites):
        if suite and use.name != suite:
            continue
        for i in range(len(ready.suites[s])):
            if ready.suites[s].task(i).id == wanted:
                return ready.offsets[s] + i
    raise DataError(
        "no such task in this run",
        wanted="?t=NUMBER, or ?task=ID of one of its tasks",
        got=wanted or "nothing",
    )


VIEWS = (View("task", "/runs/{run}/task", build, style="grid.css"),)
