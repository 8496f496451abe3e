"""View 11: why trials did not pass, in groups; infrastructure apart from the contestants."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from steelyard.decide.failures import Failure, Group, groups
from steelyard.errors import EndedBy
from steelyard.ledger.base import RunInfo, TrialRow
from steelyard.runner.base import Prepared
from steelyard.runner.trials import HIDDEN
from steelyard.schema.score import Outcome
from steelyard.web.ask import Ask
from steelyard.web.base import Table, View
from steelyard.web.desk import Desk
from steelyard.web.tasklist import names_of
from steelyard.web.views.grid import shown_contestants

MOST = 20_000
"""Failed trials that are read, shared out among the contestants."""


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
    """`n_read` of the `n_all` trials that did not pass are in the groups; `n_judged` trials have a verdict, or say why
    they have none."""

    run: RunInfo
    infrastructure: tuple[Shown, ...]
    model: tuple[Shown, ...]
    n_read: int
    n_all: int
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
    columns = desk.ledger.cells(run.run).columns
    bad = columns["failed"] + columns["partial"] + columns["abstained"] + columns["ungraded"]
    shown = [_named(desk, run, g) for g in found[:200]]
    return FailuresPage(
        run=run,
        infrastructure=tuple(s for s in shown if s.group.side == "infrastructure"),
        model=tuple(s for s in shown if s.group.side == "model"),
        n_read=n_read,
        n_all=int(bad[chosen].sum()),
        n_judged=int((bad + columns["passed"])[chosen].sum()),
        contestants=tuple(run.contestants[c] for c in chosen) if len(chosen) < len(run.contestants) else (),
        everyone=run.contestants,
    )


def _grouped(desk: Desk, run: RunInfo, chosen: list[int]) -> tuple[tuple[Group, ...], int]:
    ready = desk.ready(run)
    share = max(1, MOST // max(1, 4 * len(chosen)))
    found: list[Failure] = []
    for c in chosen:
        for outcome in (Outcome.UNGRADED, Outcome.FAILED, Outcome.ABSTAINED, Outcome.PARTIAL):
            rows = desk.ledger.trials(run.run, {"c": c, "outcome": outcome})
            found += _failures(desk, run, ready, itertools.islice(rows, share))
    return groups(found), len(found)


def _failures(desk: Desk, run: RunInfo, ready: Prepared, rows: Iterator[TrialRow]) -> Iterator[Failure]:
    for row in rows:
        s, i = ready.locate(row.t)
        task = ready.suites[s].task(i)
        hidden = desk.hides(run, task)
        side, kind, says = told(row)
        yield Failure(
            side,  # type: ignore[arg-type] # one of the two that `told` gives
            kind,
            run.contestants[row.c],
            HIDDEN if hidden else says,
            (row.c, row.t, row.k),
            tuple(sorted(task.conditions.items())),
        )


def told(row: TrialRow) -> tuple[str, str, str]:
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
