"""A trial's trace as pages show it: events in order, long texts cut with where their rest is, and a timeline.

A trial without a recorded trace (one question, one answer) is shown as the conversation that it was.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from steelyard.errors import DataError
from steelyard.ledger.base import Ledger, RunInfo, TrialRow
from steelyard.runner.prepare import Renderer
from steelyard.schema.message import AudioPart, Message, TextPart, media_of
from steelyard.schema.reply import Reply, Usage
from steelyard.schema.trace import Event, Happened, Said, Trace
from steelyard.web.desk import Desk
from steelyard.web.tracefile import Long, Read, Skeleton, decoded, skeleton

CUT = 6_000
"""Characters of one text on a page; the rest is read in parts."""
MOST_MEDIUM = 32 << 20
"""Bytes of base64 of an image or a sound that a page shows."""
DATA = re.compile(r"data:((?:image|audio)/[\w.+-]+);base64,")
BARS = 240
"""Bars of a timeline at most."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A text with the number of its rest: `more` bytes (or characters of an answer) that are not here; 0: all is."""

    text: str
    rest: str = ""
    more: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; `arguments` indented when they are JSON."""

    id: str
    name: str
    arguments: Shown


@dataclass(frozen=True, slots=True)
class Medium:
    """An image or a sound of an event. `there` is False when only an address is known, which is not loaded."""

    n: int
    name: str
    kind: str
    there: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One event. `kind` is a role, or `event`; `label` the tool or the event's kind; times in seconds."""

    n: int
    kind: str
    label: str
    text: Shown
    reasoning: Shown
    calls: tuple[Call, ...]
    media: tuple[Medium, ...]
    error: str
    data: Shown
    at: float | None
    seconds: float | None
    usage: Usage | None
    model: str
    flagged: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of events on the timeline: [first, last], and what most of them are."""

    first: int
    last: int
    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where a trial's events come from; `read` reads the payload when there is one."""

    skeleton: Skeleton
    read: Read | None
    texts: tuple[str, ...]
    """Texts that are held in memory (an answer), by the number that `Shown.rest` has after `r`."""


def trial_row(ledger: Ledger, run: RunInfo, cell: tuple[int, int, int | None]) -> TrialRow:
    """One trial, the first of its cell without a number. Raises DataError when it has not been done."""
    c, t, k = cell
    where = {"c": c, "t": t} if k is None else {"c": c, "t": t, "k": k}
    found = next(iter(ledger.trials(run.run, where)), None)
    if found is None:
        got = f"{run.contestants[c]} on task number {t}" + ("" if k is None else f", trial {k}")
        raise DataError(
            "this trial has not been done (yet)", wanted="one with a mark on the page of tasks", got=got
        )
    return found


def source_of(desk: Desk, run: RunInfo, row: TrialRow) -> Source:
    """The events of a trial."""
    if row.trace:
        return _recorded(desk.ledger, row.trace)  # type: ignore[arg-type] # a ledger is hashed by identity
    reply = row.reply or Reply()
    events: list[Event] = [*_asked(desk, run, row)]
    answer = reply.text or reply.refusal
    message = Message("assistant", answer, reply.tool_calls, reasoning=reply.reasoning)
    if row.reply is not None:
        took = None if reply.timing is None else reply.timing.done_ns
        events.append(Said(message, duration_ns=took, usage=reply.usage, model=reply.model))
    if row.fault or row.detail:
        events.append(Happened(row.fault or row.ended_by, row.detail))
    return Source(Skeleton(Trace(tuple(events)), (), "\0", 0), None, ())


@lru_cache(maxsize=3)
def _recorded(ledger: Ledger, digest: str) -> Source:
    def read(start: int, stop: int) -> bytes:
        return ledger.payload(digest, start, stop)

    return Source(skeleton(read), read, ())


def _asked(desk: Desk, run: RunInfo, row: TrialRow) -> Iterator[Said]:
    ready = desk.ready(run)
    s, i = ready.locate(row.t)
    try:
        rendered = Renderer(ready)(s, i, row.c, row.seed)
    except DataError as e:
        yield Said(Message("user", f"(cannot be shown as it was sent: {e})"))
        return
    for message in rendered.messages:
        yield Said(message)


def steps(source: Source, first: int, count: int) -> tuple[Step, ...]:
    """Events [first, first + count) for a page."""
    events = source.skeleton.trace.events
    begun = _begun(source.skeleton.trace)
    last = min(len(events), first + count)
    return tuple(_step(source, n, events[n], begun) for n in range(max(0, first), last))


def _begun(trace: Trace) -> int:
    return trace.started_at or next((e.at for e in trace.events if e.at), 0)


def _step(source: Source, n: int, event: Event, begun: int) -> Step:
    at = (event.at - begun) / 1e9 if event.at and begun else None
    if isinstance(event, Happened):
        data = json.dumps(event.data, ensure_ascii=False, indent=1) if event.data else ""
        return Step(
            n, "event", event.kind, _shown(source, f"{n}.detail", event.detail), Shown(""), (), (), "",
            _shown(source, f"{n}.data", data), at, None, None, "", event.kind == "flag",
        )  # fmt: skip
    m = event.message
    calls = tuple(
        Call(c.id, c.name, _shown(source, f"{n}.call{i}", _indented(c.arguments)))
        for i, c in enumerate(m.tool_calls)
    )
    seconds = None if event.duration_ns is None else event.duration_ns / 1e9
    return Step(
        n, m.role, m.name, _shown(source, f"{n}.text", _text(m)), _shown(source, f"{n}.reasoning", m.reasoning), calls,
        _media(m), event.error, Shown(""), at, seconds, event.usage, event.model, bool(event.error),
    )  # fmt: skip


def _text(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(p.text for p in message.content if isinstance(p, TextPart))


def _media(message: Message) -> tuple[Medium, ...]:
    out = []
    for n, part in enumerate(media_of(message)):
        word, usual = ("sound", "audio/wav") if isinstance(part, AudioPart) else ("image", "image/png")
        inside = DATA.match(part.url)
        there = bool(part.data) or inside is not None
        kind = (inside[1] if inside else part.media_type or usual) if there else part.url
        out.append(Medium(n, f"{word} {n + 1}", kind, there))
    return tuple(out)


def medium_of(source: Source, event: int, number: int) -> tuple[str, bytes]:
    """(media type, bytes) of an image or a sound of an event. Raises DataError."""
    events = source.skeleton.trace.events
    found = events[event] if event < len(events) else None
    media = media_of(found.message) if isinstance(found, Said) else ()
    if number >= len(media):
        raise DataError("no such image or sound here", got=f"?n={event}&part={number}")
    listed = _media(found.message)[number] if isinstance(found, Said) else None
    head, long = source.skeleton.split(media[number].data or media[number].url)
    if listed is None or not listed.there:
        raise DataError("an address, which is not loaded", got=head[:200])
    if long is not None and source.read is not None:
        if long.stop - long.start > MOST_MEDIUM:
            raise DataError(
                "too large for a page", wanted=f"up to {MOST_MEDIUM} bytes", got=str(long.stop - long.start)
            )
        head = decoded(source.read(long.start, long.stop))
    try:
        return listed.kind, base64.b64decode(head.partition(";base64,")[2] or head)
    except (binascii.Error, ValueError) as e:
        raise DataError(f"{listed.name} is not base64", got=str(e)) from e


def _indented(arguments: str) -> str:
    if len(arguments) > CUT:
        return arguments
    try:
        return json.dumps(json.loads(arguments), ensure_ascii=False, indent=1)
    except ValueError:
        return arguments


def _shown(source: Source, name: str, text: str) -> Shown:
    head, long = source.skeleton.split(text)
    if long is not None:
        return Shown(head, f"p{source.skeleton.longs.index(long)}", long.stop - long.rest)
    if len(head) > CUT:
        return Shown(head[:CUT], f"e{name}", len(head) - CUT)
    return Shown(head)


def rest_of(source: Source, name: str) -> tuple[Long | None, str]:
    """What `Shown.rest` names: a long text in the payload, or a text of an event as a whole."""
    kind, rest = name[:1], name[1:]
    if kind == "p" and rest.isdigit() and int(rest) < len(source.skeleton.longs):
        return source.skeleton.longs[int(rest)], ""
    number, _, what = rest.partition(".")
    events = source.skeleton.trace.events
    if kind != "e" or not number.isdigit() or int(number) >= len(events):
        raise DataError("?rest", wanted="a name that a page gave", got=name)
    event = events[int(number)]
    if isinstance(event, Happened):
        return None, event.detail if what == "detail" else json.dumps(
            event.data, ensure_ascii=False, indent=1
        )
    if what == "reasoning":
        return None, event.message.reasoning
    if what.startswith("call") and what[4:].isdigit() and int(what[4:]) < len(event.message.tool_calls):
        return None, event.message.tool_calls[int(what[4:])].arguments
    return None, _text(event.message)


def timeline(trace: Trace) -> tuple[Bar, ...]:
    """The events in order as at most `BARS` bars."""
    n = len(trace.events)
    size = max(1, -(-n // BARS))
    bars = []
    for first in range(0, n, size):
        last = min(n, first + size) - 1
        kinds = [_kind(e) for e in trace.events[first : last + 1]]
        kind = next((k for k in ("flag", "error") if k in kinds), max(set(kinds), key=kinds.count))
        words = f"{first + 1}" if first == last else f"{first + 1} to {last + 1}"
        bars.append(Bar(first, last, kind, f"{words}: {kind}"))
    return tuple(bars)


def _kind(event: Event) -> str:
    if isinstance(event, Happened):
        return "flag" if event.kind == "flag" else "event"
    return "error" if event.error else event.message.role


def texts_of(event: Event) -> Sequence[str]:
    """Every text of an event, for a search; long ones end with their mark."""
    if isinstance(event, Happened):
        return (event.kind, event.detail, json.dumps(event.data, ensure_ascii=False))
    m = event.message
    calls = [x for c in m.tool_calls for x in (c.name, c.arguments)]
    return (_text(m), m.name, m.reasoning, event.error, *calls)
