"""View 11: why trials did not pass, in groups; infrastructure apart from the contestants."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.decide.failures import Failure, Group, Side, groups
from steelyard.errors import EndedBy
from steelyard.ledger.base import RunInfo, TrialRow
from steelyard.runner.trials import HIDDEN
from steelyard.schema.score import Outcome
from steelyard.web.ask import Ask
from steelyard.web.base import Table, View
from steelyard.web.desk import Desk
from steelyard.web.tasklist import Conditions, conditions_by_task, names_of
from steelyard.web.views.grid import shown_contestants

MOST = 4_000
"""Failed trials that are read; of more, an even part of the run (a fifth of a second, whatever its length)."""

BAD = {
    "failed": Outcome.FAILED,
    "partial": Outcome.PARTIAL,
    "abstained": Outcome.ABSTAINED,
    "ungraded": Outcome.UNGRADED,
}
"""Columns of the ledger and outcomes of trials that did not pass."""


@dataclass(frozen=True, slots=True)
class Example:
    """A trial to look at."""

    c: int
    t: int
    k: int
    contestant: str
    task: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A group with the names of its examples."""

    group: Group
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class FailuresPage:
    """`n_read` of the `n_all` trials that did not pass are in the groups, `n_ungraded` of these have no verdict;
    `n_judged` trials have one, or say why they have none."""

    run: RunInfo
    infrastructure: tuple[Shown, ...]
    model: tuple[Shown, ...]
    n_read: int
    n_all: int
    n_ungraded: int
    n_judged: int
    contestants: tuple[str, ...]
    everyone: tuple[str, ...]

    @property
    def title(self) -> str:
        """For the tab."""
        return f"Failures of {self.run.name or self.run.run}"

    @property
    def command(self) -> str:
        """None but `steelyard page`."""
        return ""

    def table(self) -> Table:
        """One row a group."""
        columns = ("side", "kind", "says", "trials", "by_contestant")
        every = [s.group for s in (*self.infrastructure, *self.model)]
        rows = (
            (g.side, g.kind, g.says, g.count, "; ".join(f"{w} {n}" for w, n in g.by_contestant))
            for g in every
        )
        return Table(columns, rows)


def build(desk: Desk, ask: Ask) -> FailuresPage:
    """The failures of all contestants, or of those that the query names."""
    run = desk.run(ask.param("run"))
    chosen = shown_contestants(run, ask)
    found, n_read = desk.cached(run, ("failures", tuple(chosen)), lambda: _grouped(desk, run, chosen))
    counts = desk.cached(run, ("outcomes", tuple(chosen)), lambda: _counted(desk, run, chosen))
    shown = [_named(desk, run, g) for g in found[:200]]
    return FailuresPage(
        run=run,
        infrastructure=tuple(s for s in shown if s.group.side == "infrastructure"),
        model=tuple(s for s in shown if s.group.side == "model"),
        n_read=n_read,
        n_all=sum(counts[name] for name in BAD),
        n_ungraded=counts["ungraded"],
        n_judged=sum(counts.values()),
        contestants=tuple(run.contestants[c] for c in chosen) if len(chosen) < len(run.contestants) else (),
        everyone=run.contestants,
    )


def _counted(desk: Desk, run: RunInfo, chosen: list[int]) -> dict[str, int]:
    """Trials by outcome, those that passed too."""
    columns = desk.ledger.cells(run.run).columns
    return {name: int(columns[name][chosen].sum()) for name in (*BAD, "passed")}


def _grouped(desk: Desk, run: RunInfo, chosen: list[int]) -> tuple[tuple[Group, ...], int]:
    rows = list(desk.ledger.sample(run.run, chosen, tuple(BAD.values()), MOST))
    conditions = conditions_by_task(desk, run, [row.t for row in rows])
    found = [_failure(desk, run, row, conditions.get(row.t, ())) for row in rows]
    found.sort(key=lambda f: f.cell)
    return groups(found), len(found)


def _failure(desk: Desk, run: RunInfo, row: TrialRow, conditions: Conditions) -> Failure:
    side, kind, says = told(row)
    hidden = desk.hides_split(run, row.split)
    cell = (row.c, row.t, row.k)
    return Failure(side, kind, run.contestants[row.c], HIDDEN if hidden else says, cell, conditions)


def told(row: TrialRow) -> tuple[Side, str, str]:
    """(side, kind, what tells it apart) of a trial that did not pass."""
    score, reply = row.score, row.reply
    ended = EndedBy(row.ended_by) if row.ended_by in set(EndedBy) else EndedBy.US
    if not ended.is_measurement:
        return "infrastructure", f"{ended.value}: {row.fault or 'fault'}", row.detail or row.fault
    if score is not None and score.outcome == Outcome.UNGRADED:
        return "infrastructure", f"ungraded: {score.cause}", score.explanation
    text = "" if reply is None else reply.text
    explanation = "" if score is None else score.explanation
    if ended is EndedBy.REFUSAL:
        return "model", "refused", (reply.refusal if reply else "") or text
    if ended is EndedBy.BUDGET:
        return "model", "out of budget", row.detail or row.fault
    if score is not None and score.outcome == Outcome.ABSTAINED:
        return "model", "abstained", text
    if reply is not None and reply.finish == "length":
        return "model", "cut off", explanation
    if score is not None and score.format_failure:
        return "model", "could not be read", text
    if score is not None and score.outcome == Outcome.PARTIAL:
        return "model", "partly right", explanation
    return "model", "wrong answer", explanation or (score.extracted if score else text)


def _named(desk: Desk, run: RunInfo, group: Group) -> Shown:
    names = names_of(desk, run, [t for _, t, _ in group.examples])
    return Shown(
        group,
        tuple(
            Example(c, t, k, run.contestants[c], name)
            for (c, t, k), (_, name) in zip(group.examples, names, strict=True)
        ),
    )


VIEWS = (View("failures", "/runs/{run}/failures", build, tab="Failures", order=40, key="f"),)
