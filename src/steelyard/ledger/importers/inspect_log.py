"""Inspect logs: `.eval` (a zip, deflate or zstd) and `.json`.

An Inspect task is a Suite, a sample a Task, an epoch a Trial. Where a sample has several scorers, the first that the
log lists counts and the others are kept beside it. A sample that ended by an error is no measurement: Inspect does
not say whose fault it was, so it is taken as the operator's side (`us`), never as a wrong answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from steelyard.errors import DataError
from steelyard.ledger.importers.archive import open_archive, read_member
from steelyard.ledger.importers.base import (
    ImportOptions,
    Json,
    TrialIn,
    a_count,
    a_list,
    a_text,
    an_object,
    nanoseconds,
    parse_json,
    picodollars,
    read_all,
    score_of,
    sum_usage,
    unix_ns,
)
from steelyard.ledger.importers.chat import message_of
from steelyard.schema.message import Message, text_of
from steelyard.schema.reply import FinishReason, Reply, Timing, Usage
from steelyard.schema.score import Score
from steelyard.schema.task import Task
from steelyard.schema.trace import Event, Happened, Said, Trace

_FINISH: Mapping[str, FinishReason] = {
    "stop": "stop", "max_tokens": "length", "model_length": "length", "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}  # fmt: skip
_KEPT_EVENTS = frozenset({"error", "sample_limit", "info", "compaction", "interrupt"})


def read(path: Path, options: ImportOptions) -> Iterator[TrialIn]:
    """The samples of one log."""
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"PK"
    yield from _archive(path, options) if zipped else _document(path, options)


def _archive(path: Path, options: ImportOptions) -> Iterator[TrialIn]:
    with open_archive(path) as archive:
        names = set(archive.namelist())
        head = next((n for n in ("header.json", "_journal/start.json") if n in names), None)
        if head is None:
            got = ", ".join(sorted(names)[:5])
            raise DataError("not an Inspect log", where=str(path), wanted="a member header.json", got=got)
        log = an_object(parse_json(read_member(archive, head), f"{path}:{head}"))
        samples = [n for n in names if n.startswith("samples/") and n.endswith(".json")]
        samples.sort(key=lambda n: [(int(w), "") if w.isdigit() else (0, w) for w in re.split(r"(\d+)", n)])
        for name in samples:
            where = f"{path}:{name}"
            yield _sample(an_object(parse_json(read_member(archive, name), where)), log, options, where)


def _document(path: Path, options: ImportOptions) -> Iterator[TrialIn]:
    log = an_object(parse_json(read_all(path), str(path)))
    for i, raw in enumerate(a_list(log.get("samples"))):
        yield _sample(an_object(raw), log, options, f"{path}: samples[{i}]")


def _sample(raw: Json, log: Json, options: ImportOptions, where: str) -> TrialIn:
    if "id" not in raw or "epoch" not in raw:
        raise DataError(
            "not a sample of an Inspect log", where=where, wanted="id and epoch", got=", ".join(raw)
        )
    sample = an_object(_attached(raw, an_object(raw.get("attachments"))))
    about = an_object(log.get("eval"))
    target = sample.get("target")
    choices = tuple(a_text(c) for c in a_list(sample.get("choices")))
    given = sample.get("input")
    task = Task(
        id=a_text(sample["id"]),
        input=tuple(message_of(an_object(m)) for m in given) if isinstance(given, list) else a_text(given),
        target=tuple(map(a_text, target)) if isinstance(target, list) else a_text(target),
        choices=choices,
        fields=dict(an_object(sample.get("metadata"))),
    )
    messages = [message_of(an_object(m)) for m in a_list(sample.get("messages"))]
    output = an_object(sample.get("output"))
    ended_by, fault, detail = _end(sample)
    usage = sum_usage([_usage(an_object(u)) for u in an_object(sample.get("model_usage")).values()])
    model = a_text(about.get("model"))
    return TrialIn(
        contestant=options.contestant or model or "inspect",
        suite=options.suite or a_text(about.get("task")) or "inspect",
        task=task,
        k=(a_count(sample["epoch"]) or 1) - 1,
        reply=_reply(output, messages, usage, sample),
        trace=_trace(sample, messages, usage, where),
        scores=tuple(_scores(an_object(sample.get("scores")), log)),
        ended_by=ended_by,
        fault=fault,
        detail=detail,
        cost_pusd=_cost(an_object(sample.get("model_usage"))),
        at=unix_ns(sample.get("completed_at")) or unix_ns(_last_time(sample)),
        model=a_text(output.get("model")) or model,
        where=where,
    )


def _attached(value: object, attachments: Json) -> object:
    """The value with `attachment://...` references replaced by what they stand for."""
    if not attachments:
        return value
    if isinstance(value, str):
        if value.startswith("attachment://"):
            return attachments.get(value.removeprefix("attachment://"), value)
        return value
    if isinstance(value, list):
        return [_attached(v, attachments) for v in value]
    if isinstance(value, dict):
        return {k: _attached(v, attachments) if k != "attachments" else v for k, v in value.items()}
    return value


def _usage(raw: Json) -> Usage:
    return Usage(
        input_tokens=a_count(raw.get("input_tokens")),
        output_tokens=a_count(raw.get("output_tokens")),
        cached_input_tokens=a_count(raw.get("input_tokens_cache_read")),
        cache_write_tokens=a_count(raw.get("input_tokens_cache_write")),
        reasoning_tokens=a_count(raw.get("reasoning_tokens")),
    )


def _cost(usages: Json) -> int | None:
    costs = [picodollars(an_object(u).get("total_cost")) for u in usages.values()]
    known = [c for c in costs if c is not None]
    return sum(known) if known and len(known) == len(costs) else None


def _end(sample: Json) -> tuple[str, str, str]:
    error, limit = an_object(sample.get("error")), an_object(sample.get("limit"))
    if error:
        return "us", "inspect_error", a_text(error.get("message"))[:2000]
    if limit:
        return "budget", f"{a_text(limit.get('type')) or 'some'}_limit", f"limit {a_text(limit.get('limit'))}"
    choice = an_object(next(iter(a_list(an_object(sample.get("output")).get("choices"))), None))
    if choice.get("stop_reason") == "content_filter":
        return "refusal", "content_filter", ""
    return "contestant", "", ""


def _reply(output: Json, messages: list[Message], usage: Usage | None, sample: Json) -> Reply | None:
    choice = an_object(next(iter(a_list(output.get("choices"))), None))
    raw = an_object(choice.get("message"))
    last = next((m for m in reversed(messages) if m.role == "assistant"), None)
    said = message_of(raw) if raw else last
    if said is None:
        return None
    reason = a_text(choice.get("stop_reason"))
    seconds = nanoseconds(sample.get("working_time")) or nanoseconds(sample.get("total_time"))
    spent = seconds or nanoseconds(output.get("time"))
    return Reply(
        text=text_of(said),
        finish=_FINISH.get(reason, "other") if reason else "stop",
        usage=usage or Usage(),
        tool_calls=said.tool_calls,
        reasoning=said.reasoning,
        model=a_text(output.get("model")),
        finish_raw=reason,
        timing=Timing(spent, spent) if spent is not None else None,
    )


def _scores(raw: Json, log: Json) -> Iterator[tuple[str, Score]]:
    listed = [a_text(an_object(s).get("name")) for s in a_list(an_object(log.get("results")).get("scores"))]
    for name in sorted(raw, key=lambda n: listed.index(n) if n in listed else len(listed)):
        score = an_object(raw[name])
        value = score.get("value") if score else raw[name]
        yield (
            f"inspect:{name}",
            score_of(value, a_text(score.get("answer")), a_text(score.get("explanation"))),
        )


def _trace(sample: Json, messages: list[Message], usage: Usage | None, where: str) -> Trace:
    logged = [an_object(e) for e in a_list(sample.get("events"))]
    answers = iter([e for e in logged if e.get("event") == "model"])
    tools = {a_text(e.get("id")): e for e in logged if e.get("event") == "tool"}
    events: list[Event] = []
    raws = [an_object(m) for m in a_list(sample.get("messages"))]
    for raw, message in zip(raws, messages, strict=True):
        if message.role == "assistant" and raw.get("source") != "input":
            events.append(_answered(message, next(answers, {})))
        elif message.role == "tool":
            event = tools.get(message.tool_call_id, {})
            error = an_object(raw.get("error"))
            events.append(
                Said(
                    message,
                    at=unix_ns(event.get("timestamp")),
                    duration_ns=nanoseconds(event.get("working_time")),
                    error=": ".join(filter(None, (a_text(error.get("type")), a_text(error.get("message"))))),
                )
            )
        else:
            events.append(Said(message))
    for event in logged:
        if event.get("event") in _KEPT_EVENTS:
            detail = a_text(event.get("message") or event.get("error") or event.get("data"))[:4000]
            events.append(Happened(a_text(event.get("event")), detail, unix_ns(event.get("timestamp"))))
    return Trace(
        tuple(events),
        usage=usage,
        started_at=unix_ns(sample.get("started_at")) or unix_ns(_first_time(sample)),
        duration_ns=nanoseconds(sample.get("total_time")),
        source="inspect",
        attributes={k: sample[k] for k in ("uuid", "store", "sandbox") if sample.get(k)},
    )


def _answered(message: Message, call: Json) -> Said:
    output = an_object(call.get("output"))
    usage = an_object(output.get("usage"))
    return Said(
        message,
        at=unix_ns(call.get("timestamp")),
        duration_ns=nanoseconds(output.get("time")) or nanoseconds(call.get("working_time")),
        usage=_usage(usage) if usage else None,
        model=a_text(output.get("model")),
    )


def _first_time(sample: Json) -> object:
    return next((an_object(e).get("timestamp") for e in a_list(sample.get("events"))), None)


def _last_time(sample: Json) -> object:
    return next((an_object(e).get("timestamp") for e in reversed(a_list(sample.get("events")))), None)
