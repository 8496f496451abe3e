"""Single trials as people look at them: what was asked, answered and judged. Held-out content only when revealed."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from steelyard.errors import DataError
from steelyard.ledger.base import Ledger, TrialRow
from steelyard.runner.base import Prepared, prepared
from steelyard.runner.prepare import Renderer
from steelyard.sandbox.pack import unpack
from steelyard.schema.message import Message, media_of, media_words, text_of
from steelyard.schema.record import Result
from steelyard.schema.score import Outcome
from steelyard.schema.trace import Happened, decode_trace

HIDDEN = "(held out)"
_MOST_PATHS = 50


@dataclass(frozen=True, slots=True)
class Filter:
    """Which trials: of a task (by id or by its number in the run), of a contestant, those that did not pass; at most
    `limit`."""

    task_id: str | None = None
    contestant: str | None = None
    failed: bool = False
    limit: int = 20
    task_number: int | None = None


@dataclass(frozen=True, slots=True)
class TrialView:
    """One trial. Texts are the raw ones: whoever prints them makes control characters harmless."""

    contestant: str
    suite: str
    task: str
    trial: int
    outcome: str
    value: float | None
    cause: str
    ended_by: str
    fault: str
    attempts: int
    asked: tuple[tuple[str, str], ...]
    answer: str
    reasoning: str
    target: str
    extracted: str
    explanation: str
    cost_pusd: int | None
    seconds: float | None
    trace: str = ""
    """The hash of the whole conversation's payload, "" when there is none or it is held out."""
    flags: tuple[str, ...] = ()
    """What looks like cheating in an agent's trial: also of held-out tasks, without their content."""
    changed: tuple[str, ...] = ()
    """Paths that an agent changed in its workspace, the first 50."""


def trial_views(ledger: Ledger, run: str, wanted: Filter, *, reveal: bool) -> Iterator[TrialView]:
    """The trials that `wanted` names. Raises DataError for a contestant or task that the run does not have."""
    info = ledger.find(run)
    ready = prepared(ledger.plan(info.run), ledger.suites(info.run))
    plan = ready.plan
    names = [s.name for s in plan.contestants]
    where: dict[str, object] = {}
    if wanted.contestant is not None:
        if wanted.contestant not in names:
            raise DataError("no such contestant in this run", wanted=" | ".join(names), got=wanted.contestant)
        where["c"] = names.index(wanted.contestant)
    ids = None
    if wanted.task_number is not None:
        where["t"] = wanted.task_number
    elif wanted.task_id is not None:
        ids = [t for t in range(ready.n_tasks) if _id(ready, t) == wanted.task_id]
        if not ids:
            raise DataError(
                "no such task in this run", wanted="the id of one of its tasks", got=wanted.task_id
            )
        if len(ids) == 1:
            where["t"] = ids[0]
    render = Renderer(ready)
    n = 0
    for row in ledger.trials(info.run, where):
        if ids is not None and row.t not in ids:
            continue
        if wanted.failed and row.score is not None and row.score.outcome is Outcome.PASSED:
            continue
        if n >= wanted.limit:
            return
        n += 1
        s, i = ready.locate(row.t)
        task = ready.suites[s].task(i)
        hidden = task.split == "held_out" and not reveal
        reply, score = row.reply, row.score
        target = task.target if isinstance(task.target, str) else " | ".join(task.target)
        yield TrialView(
            contestant=names[row.c],
            suite=plan.suites[s].name,
            task=task.id,
            trial=row.k,
            outcome="waiting" if score is None else Outcome(score.outcome).name.lower(),
            value=None if score is None else score.value,
            cause="" if score is None else score.cause,
            ended_by=row.ended_by,
            fault=row.fault,
            attempts=row.attempts,
            asked=((("", HIDDEN),) if hidden else _asked(render, s, i, row)),
            answer=HIDDEN if hidden else "" if reply is None else reply.text,
            reasoning="" if hidden or reply is None else reply.reasoning,
            target=HIDDEN if hidden else target,
            extracted="" if hidden or score is None else score.extracted,
            explanation="" if hidden or score is None else score.explanation,
            cost_pusd=row.cost_pusd,
            seconds=None if reply is None or reply.timing is None else reply.timing.done_ns / 1e9,
            trace="" if hidden else row.trace,
            flags=flags_of(ledger, row, hidden=hidden),
            changed=() if hidden else changed_in(ledger, row),
        )


def flags_of(ledger: Ledger, row: TrialRow, *, hidden: bool = False) -> tuple[str, ...]:
    """What an agent's trace is flagged with; of a hidden task the kinds alone."""
    if not (row.trace and row.changes):
        return ()
    try:
        events = decode_trace(ledger.payload(row.trace)).events
    except msgspec.DecodeError:
        return ()
    found = [e for e in events if isinstance(e, Happened) and e.kind == "flag"]
    return tuple(str(e.data.get("what", "flag")) if hidden else e.detail for e in found)


def changed_in(ledger: Ledger, row: TrialRow) -> tuple[str, ...]:
    """Paths of files that an agent changed, without those of git's own state."""
    if not row.changes:
        return ()
    after = unpack(ledger.payload(row.changes)).after
    paths = [
        p for p, item in after.items() if (item is None or item.kind != "dir") and ".git" not in p.split("/")
    ]
    return tuple(paths[:_MOST_PATHS])


def _asked(render: Renderer, s: int, i: int, row: TrialRow) -> tuple[tuple[str, str], ...]:
    """What was sent. A task that can no longer be rendered (an image that is none) says so and hides no answer."""
    try:
        shown = render(s, i, row.c, row.seed)
    except DataError as e:
        return (("", f"(cannot be shown as it was sent: {e})"),)
    return tuple((m.role, _said(m)) for m in shown.messages)


def _said(message: Message) -> str:
    found = media_words(media_of(message))
    return text_of(message) + (f" [{found}]" if found else "")


def newest_answers(ledger: Ledger, run: str, most: int, look_back: int = 2000) -> list[str]:
    """The last answers of contestants that are in the ledger, newest first; those to held-out tasks are withheld."""
    info = ledger.find(run)
    ready = prepared(ledger.plan(info.run), ledger.suites(info.run))
    last: deque[Result] = deque(maxlen=most)
    for record in ledger.records(info.run, max(0, info.n_records - look_back)):
        if isinstance(record, Result) and not record.role and record.reply is not None:
            last.append(record)
    out = []
    for record in reversed(last):
        s, i = ready.locate(record.t)
        hidden = ready.suites[s].task(i).split == "held_out"
        out.append(HIDDEN if hidden or record.reply is None else record.reply.text)
    return out


@dataclass(frozen=True, slots=True)
class Why:
    """Trials of a contestant that have no verdict for one cause; `example` is what was said of the first."""

    contestant: str
    cause: str
    trials: int
    example: str


def whys(ledger: Ledger, run: str, *, most: int = 2000, spread: bool = False) -> tuple[Why, ...]:
    """Why trials of a run are ungraded, the most frequent first; looks at the first `most` of them, or (`spread`) at
    about as many evenly over the run. Held-out tasks give no example."""
    info = ledger.find(run)
    names = info.contestants
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    if spread:
        rows = ledger.sample(info.run, range(len(names)), (Outcome.UNGRADED,), most)
    else:
        rows = itertools.islice(ledger.trials(info.run, {"outcome": Outcome.UNGRADED}), most)
    for row in rows:
        if row.score is None:
            continue
        key = (names[row.c], row.score.cause)
        counts[key] += 1
        if key not in examples and row.split != "held_out":
            examples[key] = row.score.explanation
    return tuple(Why(c, cause, n, examples.get((c, cause), "")) for (c, cause), n in counts.most_common())


def _id(ready: Prepared, t: int) -> str:
    s, i = ready.locate(t)
    return ready.suites[s].task(i).id
