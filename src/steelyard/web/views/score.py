"""View 7: how one trial was judged: each scorer's verdict with parts and reasons, what judges said, every repeat."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote

from steelyard.errors import DataError
from steelyard.ledger.base import RunInfo
from steelyard.runner.trials import HIDDEN
from steelyard.schema.record import Result
from steelyard.schema.score import Outcome, Score
from steelyard.web.ask import Ask
from steelyard.web.base import Table, View
from steelyard.web.desk import Desk
from steelyard.web.traces import trial_row
from steelyard.web.views.trace import Head, cell_asked, head_of

MOST_RECORDS = 300_000
"""Rows of a run in which judges' calls are looked for."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict of one version of one scorer; `parts` are its named sub-scores."""

    scorer: str
    outcome: str
    value: float | None
    cause: str
    extracted: str
    explanation: str
    format_failure: bool
    parts: tuple[tuple[str, float], ...]
    newest: bool


@dataclass(frozen=True, slots=True)
class JudgeCall:
    """What a model in a judge's role said of this trial."""

    role: str
    model: str
    text: str
    reasoning: str
    cost_pusd: int | None
    ended_by: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """Another trial of the same contestant on the same task."""

    k: int
    outcome: str
    value: float | None
    extracted: str
    explanation: str


@dataclass(frozen=True, slots=True)
class ScorePage:
    """`calls` are the judges' calls; `why_no_calls` says when they were not looked for."""

    run: RunInfo
    head: Head
    answer: str
    target: str
    judged: tuple[Judged, ...]
    calls: tuple[JudgeCall, ...]
    why_no_calls: str
    repeats: tuple[Repeat, ...]

    @property
    def title(self) -> str:
        """For the tab."""
        return f"Score of {self.head.task}"

    @property
    def command(self) -> str:
        """What prints the same trial."""
        h = self.head
        return f"steelyard show {self.run.run} --task {quote(h.task)} --contestant {quote(h.contestant)}"

    def table(self) -> Table:
        """One row a scorer version."""
        columns = ("scorer", "outcome", "value", "cause", "extracted", "explanation", "format_failure")
        rows = (
            (j.scorer, j.outcome, j.value, j.cause, j.extracted, j.explanation, j.format_failure)
            for j in self.judged
        )
        return Table(columns, rows)


def build(desk: Desk, ask: Ask) -> ScorePage:
    """The trial that `c`, `t` and `k` name."""
    run = desk.run(ask.param("run"))
    row = trial_row(desk.ledger, run, cell_asked(run, ask))
    head = head_of(desk, run, row)
    ready = desk.ready(run)
    s, i = ready.locate(row.t)
    target = ready.suites[s].task(i).target
    cell = {"c": row.c, "t": row.t, "k": row.k}
    judged = []
    for name in desk.ledger.scorers(run.run):
        found = next(iter(desk.ledger.trials(run.run, {**cell, "scorer": name})), None)
        if found is not None and found.score is not None:
            judged.append(_judged(name, found.score, hidden=head.hidden, newest=name == row.scorer))
    calls, why = _calls(desk, run, (row.c, row.t, row.k), hidden=head.hidden)
    shown = target if isinstance(target, str) else " | ".join(target)
    return ScorePage(
        run=run,
        head=head,
        answer=HIDDEN if head.hidden else "" if row.reply is None else row.reply.text[:40_000],
        target=HIDDEN if head.hidden else shown,
        judged=tuple(judged),
        calls=calls,
        why_no_calls=why,
        repeats=tuple(_repeats(desk, run, head)),
    )


def _judged(name: str, score: Score, *, hidden: bool, newest: bool) -> Judged:
    return Judged(
        name,
        Outcome(score.outcome).name.lower(),
        score.value,
        score.cause,
        "" if hidden else score.extracted,
        "" if hidden else score.explanation,
        score.format_failure,
        () if hidden else tuple(score.parts.items()),  # a part may be named after a hidden test
        newest,
    )


def _calls(
    desk: Desk, run: RunInfo, cell: tuple[int, int, int], *, hidden: bool
) -> tuple[tuple[JudgeCall, ...], str]:
    if not desk.ledger.plan(run.run).judges:
        return (), ""
    if hidden:
        return (), "the task is held out"
    if run.n_records > MOST_RECORDS:
        return (), f"the run has {run.n_records} rows: `steelyard export {run.run}` has what judges said"
    found = [
        JudgeCall(
            r.role,
            "" if r.reply is None else r.reply.model,
            r.detail if r.reply is None else r.reply.text[:20_000],
            "" if r.reply is None else r.reply.reasoning[:20_000],
            r.cost,
            r.ended_by,
        )
        for r in desk.ledger.records(run.run)
        if isinstance(r, Result) and r.role and (r.c, r.t, r.k) == cell
    ]
    return tuple(found), ""


def _repeats(desk: Desk, run: RunInfo, head: Head) -> list[Repeat]:
    out = []
    for row in desk.ledger.trials(run.run, {"c": head.c, "t": head.t}):
        score = row.score
        out.append(
            Repeat(
                row.k,
                "waiting" if score is None else Outcome(score.outcome).name.lower(),
                None if score is None else score.value,
                "" if head.hidden or score is None else score.extracted,
                "" if head.hidden or score is None else score.explanation,
            )
        )
        if len(out) >= 500:
            break
    if not out:
        raise DataError("this trial has not been done (yet)", got=f"task {head.t}")
    return out


VIEWS = (View("score", "/runs/{run}/score", build, style="trace.css"),)
