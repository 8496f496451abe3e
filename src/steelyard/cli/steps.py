"""A trial's trace for `steelyard show --trace`: every message, tool call and event, a line or a few each.

Contestants wrote it: all of it passes through `clean`. Long texts are cut, with their length; `view` and `--json` have
the whole.
"""

from __future__ import annotations

import json

import msgspec

from steelyard.cli.out import clean
from steelyard.schema.message import Message, media_of, media_words, text_of
from steelyard.schema.trace import Happened, Said, Trace, decode_trace

MOST = 1200
"""Characters of one text."""


def steps_text(payload: bytes) -> str:
    """The trace as lines; its times count from its start."""
    try:
        trace = decode_trace(payload)
    except msgspec.DecodeError as e:
        return f"   trace: cannot be read ({clean(str(e), 200)})"
    lines = [f"   trace: {len(trace.events)} events{_sum(trace)}"]
    for n, event in enumerate(trace.events, 1):
        at = "" if not (event.at and trace.started_at) else f"{(event.at - trace.started_at) / 1e9:8.2f} s"
        body = _said(event) if isinstance(event, Said) else _happened(event)
        first, *rest = body
        lines.append(f"   {n:4} {at:>10}  {first}")
        lines += [f"{'':21}{line}" for line in rest]
    return "\n".join(lines)


def _sum(trace: Trace) -> str:
    usage = trace.usage
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return ", tokens unknown"
    return f", {usage.input_tokens} tokens in, {usage.output_tokens} out"


def _said(event: Said) -> list[str]:
    message = event.message
    told = ""
    if event.usage is not None and event.usage.input_tokens is not None:
        told = f" ({event.usage.input_tokens} tokens in, {event.usage.output_tokens} out)"
    out = [f"{message.role}{told}:{_one(_text(message))}"]
    if message.reasoning:
        out.append(f"reasoning:{_one(message.reasoning)}")
    out += [f"calls {clean(c.name, 100)} {_cut(_arguments(c.arguments))}" for c in message.tool_calls]
    if event.error:
        out.append(f"error: {_cut(event.error)}")
    return [line for part in out for line in part.split("\n")]


def _happened(event: Happened) -> list[str]:
    return f"[{clean(event.kind, 60)}] {_cut(event.detail)}".split("\n")


def _text(message: Message) -> str:
    found = media_words(media_of(message))
    return text_of(message) + (f" [{found}]" if found else "")


def _arguments(text: str) -> str:
    """One argument as it is, several as `name: value`; newlines of a command stay newlines."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(value, dict):
        return text
    return ", ".join(f"{k}: {v if isinstance(v, str) else json.dumps(v)}" for k, v in value.items())


def _one(text: str) -> str:
    """A text behind its label: on the same line when it is one line, else below it."""
    shown = _cut(text.strip("\n"))
    return "" if not shown else f" {shown}" if "\n" not in shown else f"\n{shown}"


def _cut(text: str) -> str:
    if len(text) <= MOST:
        return clean(text)
    return (
        f"{clean(text[: MOST * 2 // 3])} … {len(text) - MOST} characters more … {clean(text[-MOST // 3 :])}"
    )
