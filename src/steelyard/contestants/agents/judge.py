"""What an attempt of an agent was: its answer with the trace, or the fault of whoever ended it. Blocks: use a thread.

The order of the questions matters: isolation that broke says nothing about anyone; a cap of the run stops the run; a
provider that failed last spoils the attempt whatever the agent did then; a limit of the trial is the budget.
"""

from __future__ import annotations

import fnmatch
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from steelyard.contestants.agents.adapter import Adapter
from steelyard.contestants.agents.session import Session, Setting
from steelyard.contestants.base import Answer, Place
from steelyard.contestants.capture import Capture
from steelyard.contestants.workplace import changes_of, flags_of
from steelyard.errors import DataError, EndedBy, Fault
from steelyard.sandbox.base import Ended, Result
from steelyard.sandbox.pack import unpack
from steelyard.sandbox.tree import Caps
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.reply import Reply, Timing
from steelyard.schema.trace import Event, Happened, Trace

_TAIL = 20_000
_OWN = frozenset({"bad_request", "request_too_large", "rejected"})
"""Answers of a provider to what the agent wrote itself; when it never got another, agent and endpoint do not fit."""


@dataclass(frozen=True, slots=True)
class Agent:
    """Who worked: the contestant, its adapter, and what it says its version is ("" when it does not)."""

    spec: ContestantSpec
    adapter: Adapter
    version: str


@dataclass(frozen=True, slots=True)
class Work:
    """An attempt that is over: every process is dead, nothing is collected yet."""

    agent: Agent
    session: Session
    capture: Capture
    result: Result
    ready: Setting
    place: Place
    started: int


def judged(work: Work) -> Answer:
    """The answer. Raises Fault, with the trace of what was done until then, when the attempt is no measurement."""
    _tidy(work)
    changes = changes_of(work.session.box, work.place)
    where = work.agent.adapter.transcript
    transcripts = work.session.transcripts(where) if where is not None else []
    try:
        ended_by, limit = _ended(work, changes)
    except Fault as broken:
        broken.trace = _trace(work, changes, "", transcripts)
        raise
    return Answer(
        _reply(work, ended_by, transcripts),
        trace=_trace(work, changes, limit, transcripts),
        cost_pusd=work.capture.recorder.totals.cost,
        changes=changes,
        ended_by=ended_by,
        limit=limit,
    )


def _trace(work: Work, changes: bytes, limit: str, transcripts: Sequence[Mapping[str, object]]) -> bytes:
    recorder = work.capture.recorder
    flags = flags_of([work.result], changes, work.place)
    events: list[Event] = [
        _start(work),
        *recorder.events,
        *_network(work),
        *(Happened("transcript", str(t["path"]), time.time_ns(), dict(t)) for t in transcripts),
        *flags,
        _exit(work),
    ]
    if limit:
        events.append(
            Happened("limit", f"the trial's limit of {limit} ended it", time.time_ns(), {"limit": limit})
        )
    trace = Trace(
        tuple(events),
        tools=recorder.tools,
        usage=recorder.totals.usage,
        started_at=work.started,
        duration_ns=time.time_ns() - work.started,
        source=f"steelyard capture of {work.agent.adapter.name}",
        attributes=_attributes(work),
    )
    return msgspec.json.encode(trace)


def _ended(work: Work, changes: bytes) -> tuple[EndedBy, str]:
    """Who ended it, and the limit that did. Raises Fault."""
    result, capture = work.result, work.capture
    changed = bool(unpack(changes).after)
    if result.ended is Ended.FAULT:
        raise Fault(f"the sandbox: {result.fault}", ended_by=EndedBy.SANDBOX, kind="sandbox", paid=None)
    if capture.cap is not None:
        raise capture.cap
    if capture.tools is not None and capture.tools.fault is not None:
        raise capture.tools.fault
    if capture.limit:
        return EndedBy.BUDGET, capture.limit
    broken = capture.last_fault
    if broken is not None and (broken.kind not in _OWN or not (capture.recorder.totals.replies or changed)):
        if broken.ended_by is EndedBy.BUDGET:
            return EndedBy.BUDGET, "context"
        if broken.ended_by is EndedBy.REFUSAL:
            return EndedBy.REFUSAL, ""
        raise broken
    if result.ended in (Ended.WALL, Ended.CPU):
        return EndedBy.BUDGET, "seconds"
    if result.status != 0 and not capture.recorder.totals.sent and not changed:
        said = _tail(result.stderr or result.stdout).strip()[-300:]
        raise Fault(
            f"{work.agent.adapter.title} ended ({_how(result)}) without a call and without a change: {said}",
            ended_by=EndedBy.OPERATOR,
            kind="agent_broken",
            paid=False,
        )
    return EndedBy.CONTESTANT, ""


def _how(result: Result) -> str:
    if result.status is not None:
        return f"status {result.status}"
    return f"signal {result.signal}" if result.signal and result.ended is Ended.EXITED else result.ended.value


def _reply(work: Work, ended_by: EndedBy, transcripts: Sequence[Mapping[str, object]]) -> Reply:
    recorder, spec = work.capture.recorder, work.agent.spec
    last = recorder.last
    printed = _tail(work.result.stdout).strip()
    text = last.text if last is not None else ""
    if work.agent.adapter.reply == "stdout" or not text:
        text = printed
    text = _handed_in(work.agent.adapter, transcripts) or text
    took = max(1, time.time_ns() - work.started)
    refused = ended_by is EndedBy.REFUSAL
    said = str(work.capture.last_fault) if refused else last.refusal if last is not None else ""
    return Reply(
        text=text,
        finish="content_filter" if refused else "length" if ended_by is EndedBy.BUDGET else "stop",
        usage=recorder.totals.usage,
        refusal=said,
        model=last.model if last is not None and last.model else spec.model,
        timing=Timing(took, took),
    )


def _handed_in(what: Adapter, transcripts: Sequence[Mapping[str, object]]) -> str:
    """The text that the agent handed in, by its own record; "" when it says none."""
    answer = what.transcript.answer if what.transcript is not None else ""
    for record in transcripts if answer else ():
        try:
            value = json.loads(str(record["text"]))
            for key in answer.split("."):
                value = value[key]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""


def _tail(data: bytes) -> str:
    return data[-_TAIL:].decode("utf-8", "replace")


def _tidy(work: Work) -> None:
    """Take out of the workspace what the agent keeps there for itself, as its adapter says; never what was there."""
    patterns = work.agent.adapter.ignore
    if not patterns:
        return
    tree, base = work.session.box.workspace, work.place.base
    found = [e.path for e in tree.walk(Caps()) if any(fnmatch.fnmatchcase(e.path, p) for p in patterns)]
    found = [p for p in found if not base or not os.path.lexists(Path(base) / p)]
    for path in sorted(found, reverse=True):
        try:
            tree.remove(path)
        except (OSError, DataError):
            continue


def _start(work: Work) -> Happened:
    adapter = work.agent.adapter
    command = ["{instruction}" if len(a) > 200 else a for a in work.ready.argv]
    data: dict[str, object] = {"name": adapter.name, "version": work.agent.version, "adapter": adapter.digest,
                               "command": command, "limits": work.result.limits.as_dict()}  # fmt: skip
    return Happened("agent", f"{adapter.title} {work.agent.version}".strip(), work.started, data)


def _exit(work: Work) -> Happened:
    result = work.result
    data: dict[str, object] = {k: v for k, v in result.record().items() if k != "limits"}
    data |= {"stdout": _tail(result.stdout), "stderr": _tail(result.stderr)}
    return Happened("exit", _how(result), time.time_ns(), data)


def _network(work: Work) -> list[Happened]:
    out = []
    for record in work.session.records:
        where = f"{record.get('method', '')} {record.get('host', '')}:{record.get('port', '')}".strip()
        out.append(Happened("network", where, 0, dict(record)))
    return out[:1000]


def _attributes(work: Work) -> dict[str, object]:
    totals, recorder = work.capture.recorder.totals, work.capture.recorder
    return {
        "gen_ai.agent.name": work.agent.adapter.name,
        "gen_ai.agent.version": work.agent.version,
        "calls": totals.replies,
        "calls_sent": totals.sent,
        "calls_refused": dict(totals.refused),
        "faults": dict(totals.faults),
        "cost_pusd": totals.cost,
        "left_out": recorder.left_out,
    }
