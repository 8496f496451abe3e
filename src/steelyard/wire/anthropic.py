"""The `anthropic-messages` dialect, client side. No I/O.

Not covered: documents, citations, server-side tools (their blocks are passed over), prompt-cache marks. `max_tokens`
must be set, for the API demands it and a made-up limit would cut answers unseen. A seed is not sent, because the
dialect has none; logprobs are a Fault. `reasoning_effort` becomes `output_config.effort`; a `thinking` object is
given by `sampling.extra`. Usage: Anthropic's input leaves cached tokens out, so the three parts are added up.
"""

from __future__ import annotations

from steelyard.errors import Fault
from steelyard.schema.message import AudioPart, ImagePart, Message, Part, TextPart, ToolCall
from steelyard.schema.reply import FinishReason, Reply, Usage
from steelyard.wire.base import HttpRequest, ReplyParser, Request
from steelyard.wire.body import BodyParser
from steelyard.wire.faults import fault
from steelyard.wire.values import (
    Json,
    add_extra,
    count,
    decode,
    encode,
    error_fault,
    obj,
    opaque_items,
    raw_json,
    text,
    whole,
)

VERSION = "2023-06-01"
_HEADERS = (("content-type", "application/json"), ("anthropic-version", VERSION))
THINKING = ("thinking", "redacted_thinking")

FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
}


class AnthropicDialect:
    """Anthropic messages."""

    name = "anthropic-messages"
    path = "/v1/messages"

    def encode(self, request: Request) -> HttpRequest:
        """The HTTP request, without credentials. Raises Fault `unsupported`."""
        s = request.sampling
        if s.max_tokens is None:
            raise fault(
                "unsupported", "anthropic-messages: wanted max_tokens in the sampling settings, got none"
            )
        if s.logprobs is not None:
            raise fault(
                "unsupported", "anthropic-messages has no logprobs; leave them out of the sampling settings"
            )
        body: Json = {"model": request.model, "max_tokens": s.max_tokens}
        system = [m for m in request.messages if m.role == "system"]
        if len(system) == 1 and isinstance(system[0].content, str):
            body["system"] = system[0].content
        elif system:
            body["system"] = [block for m in system for block in _blocks(m.content)]
        body["messages"] = _turns([m for m in request.messages if m.role != "system"])
        if s.temperature is not None:
            body["temperature"] = s.temperature
        if s.top_p is not None:
            body["top_p"] = s.top_p
        if s.stop:
            body["stop_sequences"] = s.stop
        if s.reasoning_effort:
            body["output_config"] = {"effort": s.reasoning_effort}
        if request.tools:
            body["tools"] = [
                {
                    "name": t.name,
                    "description": t.description,
                    "input_schema": t.parameters or {"type": "object"},
                }
                for t in request.tools
            ]
        if request.stream:
            body["stream"] = True
        add_extra(body, s.extra)
        return HttpRequest("POST", self.path, _HEADERS, encode(body))

    def parser(self, request: Request) -> ReplyParser:
        """A fresh parser for the answer to `request`."""
        return BodyParser(self, stream=request.stream)

    def auth(self, secret: str) -> tuple[tuple[str, str], ...]:
        """Anthropic's own header."""
        return (("x-api-key", secret),)

    def reply(self, value: Json) -> Reply:
        """A `message` object as a Reply. Raises Fault."""
        content = value.get("content")
        if not isinstance(content, list):
            raise fault("bad_shape", "the reply has no `content`")
        raw = text(value.get("stop_reason"))
        if not content and not raw:
            # with a stop reason, an empty answer is the model's own (and usual in a refusal)
            raise fault("empty_choices", "the `content` of the reply is empty, and there is no `stop_reason`")
        return _reply(value, [obj(b) for b in content], obj(value.get("usage")))

    def stream(self) -> MessageStream:
        """A fresh state for a streamed reply."""
        return MessageStream()


def _reply(top: Json, blocks: list[Json], usage: Json) -> Reply:
    said, thoughts = list[str](), list[str]()
    calls, opaque = list[ToolCall](), list[Json]()
    must_return = False
    for block in blocks:
        kind = block.get("type")
        if kind == "text":
            said.append(text(block.get("text")))
        elif kind == "tool_use":
            arguments = whole(raw_json(block.get("input")))
            calls.append(ToolCall(whole(text(block.get("id"))), whole(text(block.get("name"))), arguments))
        elif kind == "thinking":
            thoughts.append(text(block.get("thinking")))
            signature = text(block.get("signature"))
            must_return |= bool(signature)
            opaque.append({"type": "thinking", "thinking": thoughts[-1], "signature": signature})
        elif kind == "redacted_thinking":
            must_return = True
            opaque.append({"type": "redacted_thinking", "data": text(block.get("data"))})
    raw = text(top.get("stop_reason"))
    finish = FINISH.get(raw, "other")
    if calls and finish == "stop":
        finish = "tool_calls"
    return Reply(
        text=whole("".join(said)),
        finish=finish,
        usage=usage_of(usage),
        tool_calls=tuple(calls),
        reasoning=whole("".join(thoughts)),
        reasoning_opaque=whole(raw_json(opaque)) if must_return else "",
        refusal=whole(text(obj(top.get("stop_details")).get("explanation"))) if finish == "refusal" else "",
        model=whole(text(top.get("model"))),
        response_id=whole(text(top.get("id"))),
        finish_raw=whole(raw),
    )


class MessageStream:
    """A streamed message. Its marker is a `stop_reason`; `message_stop` ends it."""

    __slots__ = ("_blocks", "_order", "_top", "_usage", "ended", "finished")

    def __init__(self) -> None:
        self._top: Json = {}
        self._usage: Json = {}
        self._blocks: dict[int, tuple[Json, dict[str, list[str]]]] = {}
        self.ended = self.finished = False

    def event(self, name: str, data: bytes) -> bool:
        """One event."""
        value = obj(decode(data))
        kind = text(value.get("type")) or name
        if kind == "error" or (value.get("error") and not kind.startswith("message")):
            raise error_fault(200, value, retry_after=None, otherwise="error_event")
        if kind == "content_block_delta":
            return self._delta(_index(value), obj(value.get("delta")))
        if kind == "content_block_start":
            block = obj(value.get("content_block"))
            self._blocks[_index(value)] = (dict(block), {})
            return bool(block.get("text") or block.get("thinking") or block.get("type") == "tool_use")
        if kind == "message_start":
            message = obj(value.get("message"))
            self._top = {**message}
            self._count(message)
        elif kind == "message_delta":
            delta = obj(value.get("delta"))
            self._top.update({k: v for k, v in delta.items() if v is not None})
            self._count(value)
            self.finished = bool(text(self._top.get("stop_reason")))
        elif kind == "message_stop":
            self.ended = True
        return False

    def _count(self, value: Json) -> None:
        # the later counts are totals, and leave out what has not changed
        self._usage.update({k: v for k, v in obj(value.get("usage")).items() if v is not None})

    def _delta(self, index: int, delta: Json) -> bool:
        if index not in self._blocks:
            self._blocks[index] = ({"type": "text"}, {})
        pieces = self._blocks[index][1]
        found = False
        for field, key in _DELTAS:
            piece = text(delta.get(field))
            if piece:
                pieces.setdefault(key, []).append(piece)
                found |= key != "signature"
        return found

    def reply(self) -> Reply:
        """The reply that the events add up to."""
        blocks = []
        for _, (block, pieces) in sorted(self._blocks.items(), key=lambda kv: kv[0]):
            for key, said in pieces.items():
                before = block.get(key)
                block[key] = (before if isinstance(before, str) else "") + "".join(said)
            blocks.append(block)
        return _reply(self._top, blocks, self._usage)


_DELTAS = (("text", "text"), ("partial_json", "input"), ("thinking", "thinking"), ("signature", "signature"))


def _index(value: Json) -> int:
    index = value.get("index")
    return index if isinstance(index, int) else 0


def usage_of(usage: Json) -> Usage:
    """Token counts of a message; the input is what was sent, cached or not."""
    into, read = count(usage.get("input_tokens")), count(usage.get("cache_read_input_tokens"))
    written = count(usage.get("cache_creation_input_tokens"))
    return Usage(
        input_tokens=None if into is None else into + (read or 0) + (written or 0),
        output_tokens=count(usage.get("output_tokens")),
        cached_input_tokens=read,
        cache_write_tokens=written,
    )


def _blocks(content: str | tuple[Part, ...]) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if any(isinstance(p, AudioPart) for p in content):
        raise fault(
            "unsupported",
            "anthropic-messages takes no sound; ask a contestant of another dialect, or give it the transcript",
        )
    return [
        _image(p) if isinstance(p, ImagePart) else _text(p) for p in content if not isinstance(p, AudioPart)
    ]


def _text(part: TextPart) -> Json:
    return {"type": "text", "text": part.text}


def _image(part: ImagePart) -> Json:
    if part.url:
        return {"type": "image", "source": {"type": "url", "url": part.url}}
    return {"type": "image", "source": {"type": "base64", "media_type": part.media_type, "data": part.data}}


def _turns(messages: list[Message]) -> list[Json]:
    """Messages as turns; the results of tools that were called together go into one turn, as the API demands."""
    turns: list[Json] = []
    results: list[Json] | None = None
    for m in messages:
        if m.role == "tool":
            content: object = m.content if isinstance(m.content, str) else _blocks(m.content)
            result: Json = {"type": "tool_result", "tool_use_id": m.tool_call_id, "content": content}
            if results is None:
                results = []
                turns.append({"role": "user", "content": results})
            results.append(result)
            continue
        results = None
        if m.role == "assistant" and (m.tool_calls or m.reasoning_opaque):
            blocks = opaque_items(m.reasoning_opaque, THINKING) if m.reasoning_opaque else []
            blocks = [*blocks, *_blocks(m.content)]
            blocks += [
                {"type": "tool_use", "id": c.id, "name": c.name, "input": _arguments(c.arguments)}
                for c in m.tool_calls
            ]
            turns.append({"role": "assistant", "content": blocks or m.content})
        else:
            plain = isinstance(m.content, str)
            turns.append({"role": m.role, "content": m.content if plain else _blocks(m.content)})
    return turns


def _arguments(raw: str) -> Json:
    """Arguments as the object that the API demands. What is no object was the model's mistake: it goes back
    under a name that says so."""
    try:
        value = decode(raw.encode("utf-8", "replace")) if raw.strip() else {}
    except Fault:
        value = None
    return value if isinstance(value, dict) else {"invalid_arguments": raw}
