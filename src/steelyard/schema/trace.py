"""Traces: the full record of a trial, as a list of what was said and what happened, in order.

A trace is kept as a payload (canonical JSON) and named by `Result.trace`. It holds the contestant's and the
environment's text as it was: treat it as hostile. What is not known is left out, never guessed: `at` 0 and
`duration_ns` None mean that the source did not say.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from steelyard.schema.message import Message, ToolSpec
from steelyard.schema.reply import Usage

TRACE_FORMAT = 1
MEDIA_TYPE = "application/vnd.steelyard.trace+json"


class Said(Struct, frozen=True, omit_defaults=True, tag="said", tag_field="event"):
    """A message entered the conversation: of the system, the user, the model, or a tool's result.

    `at` is Unix nanoseconds. `duration_ns` is how long the model (or the tool) took for it, `usage` what the model's
    call reported, `model` who answered, `error` a tool's failure.
    """

    message: Message
    at: int = 0
    duration_ns: int | None = None
    usage: Usage | None = None
    model: str = ""
    error: str = ""


class Happened(Struct, frozen=True, omit_defaults=True, tag="happened", tag_field="event"):
    """Anything else worth keeping: a limit reached, an error, a state of the environment, a compaction.

    `kind` is a short name, `detail` a text for people, `data` what a program may want.
    """

    kind: str
    detail: str = ""
    at: int = 0
    data: dict[str, object] = {}


Event = Said | Happened


class Trace(Struct, frozen=True, omit_defaults=True):
    """The record of one trial.

    `usage` sums all calls of the contestant, None when unknown; `submission` is what it handed in apart from its
    last message (a patch, a flag); `source` says which program recorded it; `attributes` keeps the rest.
    """

    events: tuple[Event, ...]
    tools: tuple[ToolSpec, ...] = ()
    usage: Usage | None = None
    started_at: int = 0
    duration_ns: int | None = None
    submission: str = ""
    source: str = ""
    attributes: dict[str, object] = {}
    format: int = TRACE_FORMAT


_decoder = msgspec.json.Decoder(Trace)


def decode_trace(payload: bytes) -> Trace:
    """The trace in a payload. Raises msgspec.DecodeError when it is none."""
    return _decoder.decode(payload)
