"""View 4: the trace of a trial: the conversation first, tool calls and reasoning to unfold, a timeline, search.

Forty events a page, the others by scrolling (with script) or by links (without). A text of a hundred megabytes costs
its beginning; the rest is read in parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote

from steelyard.errors import DataError
from steelyard.ledger.base import RunInfo, TrialRow
from steelyard.runner.trials import HIDDEN
from steelyard.schema.reply import Usage
from steelyard.schema.score import Outcome
from steelyard.web.ask import Ask
from steelyard.web.base import Body, Raw, Table, View
from steelyard.web.desk import Desk
from steelyard.web.judged import in_place
from steelyard.web.markup import guess, page_of
from steelyard.web.tracefile import finds, part
from steelyard.web.traces import (
    Bar,
    Shown,
    Source,
    Step,
    medium_of,
    rest_of,
    source_of,
    steps,
    texts_of,
    timeline,
    trial_row,
)

PAGE = 40
MOST_FOUND = 200
PART = 64_000


@dataclass(frozen=True, slots=True)
class Head:
    """The trial at a glance. Costs in picodollars, times in seconds; None: not known.

    `trials` are the repeats there are.
    """

    c: int
    t: int
    k: int
    contestant: str
    suite: str
    task: str
    outcome: str
    value: float | None
    cause: str
    explanation: str
    ended_by: str
    attempts: int
    cost_pusd: int | None
    seconds: float | None
    usage: Usage | None
    trials: tuple[int, ...]
    hidden: bool


@dataclass(frozen=True, slots=True)
class TracePage:
    """`steps` are events [first, first + 40) of `n_events`; `found` the numbers of events that the search hits."""

    run: RunInfo
    head: Head
    steps: tuple[Step, ...]
    first: int
    n_events: int
    bars: tuple[Bar, ...]
    query: str
    found: tuple[int, ...]
    submission: Shown
    source: str
    looks_like: str
    contestants: tuple[str, ...]

    @property
    def title(self) -> str:
        """For the tab."""
        return f"{self.head.task}, {self.head.contestant}"

    @property
    def command(self) -> str:
        """What prints the same trial."""
        h = self.head
        return f"steelyard show {self.run.run} --task {quote(h.task)} --contestant {quote(h.contestant)}"

    def table(self) -> Table:
        """One row an event of the page."""
        columns = ("event", "kind", "label", "at_s", "seconds", "text", "reasoning", "calls", "error")
        rows = (
            (s.n, s.kind, s.label, s.at, s.seconds, s.text.text, s.reasoning.text,
             "; ".join(f"{c.name} {c.arguments.text}" for c in s.calls), s.error)
            for s in self.steps
        )  # fmt: skip
        return Table(columns, rows)


@dataclass(frozen=True, slots=True)
class PartPage:
    """A stretch of a long text; `next_start` is None at its end. Positions are bytes, or characters of short texts."""

    run: RunInfo
    head: Head
    rest: str
    text: str
    start: int
    next_start: int | None
    size: int

    @property
    def title(self) -> str:
        """For the tab."""
        return f"Text of {self.head.task}"

    @property
    def command(self) -> str:
        """What prints the same trial."""
        return f"steelyard show {self.run.run} --task {quote(self.head.task)}"

    def table(self) -> Table:
        """The stretch."""
        return Table(("start", "text"), ((self.start, self.text),))


def cell_asked(run: RunInfo, ask: Ask) -> tuple[int, int, int | None]:
    """(contestant, task, trial) of the query: `c` by number or `contestant` by name, `t`, and `k` or the first."""
    name = ask.text("contestant")
    if name and name not in run.contestants:
        raise DataError("no such contestant in this run", wanted=" | ".join(run.contestants), got=name)
    c = run.contestants.index(name) if name else ask.whole("c", 0, 0, max(0, len(run.contestants) - 1))
    k = ask.whole("k", 0, 0, 1_000_000) if ask.text("k") else None
    return c, ask.whole("t", 0, 0, max(0, run.n_tasks - 1)), k


def head_of(desk: Desk, run: RunInfo, row: TrialRow) -> Head:
    """What stands above a trial."""
    ready = desk.ready(run)
    s, i = ready.locate(row.t)
    task, reply, score = ready.suites[s].task(i), row.reply, row.score
    hidden = desk.hides(run, task)
    timing = None if reply is None else reply.timing
    return Head(
        c=row.c,
        t=row.t,
        k=row.k,
        contestant=run.contestants[row.c],
        suite=ready.plan.suites[s].name,
        task=task.id,
        outcome="waiting" if score is None else Outcome(score.outcome).name.lower(),
        value=None if score is None else score.value,
        cause="" if score is None else score.cause,
        explanation="" if hidden or score is None else score.explanation,
        ended_by=row.ended_by,
        attempts=row.attempts,
        cost_pusd=row.cost_pusd,
        seconds=None if timing is None else timing.done_ns / 1e9,
        usage=None if reply is None else reply.usage,
        trials=tuple(r.k for r in desk.ledger.trials(run.run, {"c": row.c, "t": row.t})),
        hidden=hidden,
    )


def build(desk: Desk, ask: Ask) -> TracePage:
    """The trial that `c` (or `contestant`), `t` and `k` name, around event `at`."""
    run = desk.run(ask.param("run"))
    row = trial_row(desk.ledger, run, cell_asked(run, ask))
    head = head_of(desk, run, row)
    if head.hidden:
        empty = Shown(HIDDEN)
        return TracePage(run, head, (), 0, 0, (), "", (), empty, "", "", run.contestants)
    source = source_of(desk, run, row)
    trace = source.skeleton.trace
    n = len(trace.events)
    at = ask.whole("at", 0, 0)
    first = ask.whole("from", max(0, min(at, n - 1) - 3), 0)
    query = ask.text("q")[:200]
    reply = row.reply
    return TracePage(
        run=run,
        head=head,
        steps=steps(source, first, PAGE),
        first=min(first, n),
        n_events=n,
        bars=timeline(trace),
        query=query,
        found=tuple(_found(source, query)) if query else (),
        submission=Shown(trace.submission[:PART]),
        source=trace.source,
        looks_like="" if reply is None else guess(reply.text[:20_000]),
        contestants=run.contestants,
    )


def _found(source: Source, query: str) -> Iterator[int]:
    """Events that hold the words, in any case; long texts are read through."""
    wanted, n = query.lower(), 0
    for number, event in enumerate(source.skeleton.trace.events):
        for text in texts_of(event):
            head, long = source.skeleton.split(text)
            hit = wanted in head.lower()
            if not hit and long is not None and source.read is not None:
                hit = finds(source.read, long, query)
            if hit:
                yield number
                n += 1
                break
        if n >= MOST_FOUND:
            return


def build_part(desk: Desk, ask: Ask) -> PartPage:
    """A stretch of the text that `rest` names, from `start`."""
    run = desk.run(ask.param("run"))
    row = trial_row(desk.ledger, run, cell_asked(run, ask))
    head = head_of(desk, run, row)
    if head.hidden:
        return PartPage(run, head, "", HIDDEN, 0, None, 0)
    source, rest = source_of(desk, run, row), ask.text("rest")
    long, text = rest_of(source, rest)
    if long is None or source.read is None:
        start = ask.whole("start", 0, 0)
        stop = start + PART
        return PartPage(
            run, head, rest, text[start:stop], start, stop if stop < len(text) else None, len(text)
        )
    start = long.start + ask.whole("start", 0, 0, max(0, long.stop - long.start))
    found, after = part(source.read, long, start)
    following = after - long.start if after < long.stop else None
    return PartPage(run, head, rest, found, start - long.start, following, long.stop - long.start)


def give_rendered(desk: Desk, ask: Ask) -> Body:
    """The answer as the HTML, SVG or Markdown that it is, for a sandboxed frame."""
    run = desk.run(ask.param("run"))
    row = trial_row(desk.ledger, run, cell_asked(run, ask))
    if head_of(desk, run, row).hidden or row.reply is None:
        return Body(HIDDEN.encode(), "text/plain; charset=utf-8", sandboxed=True)
    text = row.reply.text[:2_000_000]
    return Body(page_of(text, guess(text[:20_000])), "text/html; charset=utf-8", sandboxed=True)


def give_medium(desk: Desk, ask: Ask) -> Body:
    """An image or a sound of event `n`; what a browser should not open in place is a download."""
    run = desk.run(ask.param("run"))
    row = trial_row(desk.ledger, run, cell_asked(run, ask))
    if head_of(desk, run, row).hidden:
        return Body(HIDDEN.encode(), "text/plain; charset=utf-8", sandboxed=True)
    kind, content = medium_of(source_of(desk, run, row), ask.whole("n", 0, 0), ask.whole("part", 0, 0))
    if in_place(kind):
        return Body(content, kind, sandboxed=True)
    return Body(content, "application/octet-stream", sandboxed=True, filename="medium")


VIEWS = (
    View("trace", "/runs/{run}/trace", build, script="trace.js", style="trace.css"),
    View("part", "/runs/{run}/trace/text", build_part, style="trace.css"),
)
RAWS = (
    Raw("rendered", "/runs/{run}/trace/rendered", give_rendered),
    Raw("trace_medium", "/runs/{run}/trace/medium", give_medium),
)
