"""The `openai-responses` dialect, client side. No I/O.

Not covered: built-in tools (their items are passed over), background responses, files and audio. Nothing is stored
at the provider (`store: false`) unless `sampling.extra` says so; encrypted reasoning is asked for from reasoning
models and goes back with the next turn. A seed is not sent, because the dialect has none; stop sequences are a Fault.
"""

from __future__ import annotations

from steelyard.schema.message import AudioPart, Message, Part, TextPart, ToolCall
from steelyard.schema.reply import FinishReason, Reply, TokenLogprob, Usage
from steelyard.wire.base import HttpRequest, ReplyParser, Request
from steelyard.wire.body import BodyParser
from steelyard.wire.faults import fault
from steelyard.wire.media import input_audio
from steelyard.wire.values import (
    JSON_HEADERS,
    Json,
    add_extra,
    count,
    decode,
    encode,
    error_fault,
    image_url,
    is_reasoner,
    items,
    obj,
    opaque_items,
    pusd,
    raw_json,
    text,
    token_logprob,
    whole,
)

INCLUDE_LOGPROBS = "message.output_text.logprobs"
INCLUDE_REASONING = "reasoning.encrypted_content"
_INCOMPLETE: dict[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}


class ResponsesDialect:
    """OpenAI responses."""

    name = "openai-responses"
    path = "/responses"

    def encode(self, request: Request) -> HttpRequest:
        """The HTTP request, without credentials. Raises Fault `unsupported`."""
        s = request.sampling
        if s.stop:
            raise fault(
                "unsupported",
                "openai-responses has no stop sequences; leave `stop` out of the sampling settings",
            )
        body: Json = {
            "model": request.model,
            "input": [item for m in request.messages for item in _items(m)],
            "store": False,
        }
        if s.max_tokens is not None:
            body["max_output_tokens"] = s.max_tokens
        if s.temperature is not None:
            body["temperature"] = s.temperature
        if s.top_p is not None:
            body["top_p"] = s.top_p
        include = []
        if s.logprobs is not None:
            body["top_logprobs"] = s.logprobs
            include.append(INCLUDE_LOGPROBS)
        if s.reasoning_effort:
            body["reasoning"] = {"effort": s.reasoning_effort}
        if s.reasoning_effort or is_reasoner(request.model):
            include.append(INCLUDE_REASONING)
        if include:
            body["include"] = include
        if request.tools:
            body["tools"] = [
                {"type": "function", "name": t.name, "description": t.description, "parameters": t.parameters}
                for t in request.tools
            ]
        if request.stream:
            body["stream"] = True
        add_extra(body, s.extra)
        return HttpRequest("POST", self.path, JSON_HEADERS, encode(body))

    def parser(self, request: Request) -> ReplyParser:
        """A fresh parser for the answer to `request`."""
        return BodyParser(self, stream=request.stream)

    def auth(self, secret: str) -> tuple[tuple[str, str], ...]:
        """A bearer token."""
        return (("authorization", f"Bearer {secret}"),)

    def reply(self, value: Json) -> Reply:
        """A `response` object as a Reply. Raises Fault."""
        status = text(value.get("status"))
        if status == "failed" or value.get("error"):
            raise error_fault(200, value, retry_after=None)
        output = value.get("output")
        if not isinstance(output, list):
            raise fault("bad_shape", "the reply has no `output`")
        if status in ("in_progress", "queued", "cancelled"):
            raise fault("bad_shape", f"wanted a finished response, got status {status!r}")
        if not output and status != "incomplete":
            raise fault("empty_choices", "the `output` of the reply is empty")
        return _reply(value, [obj(o) for o in output])

    def stream(self) -> ResponseStream:
        """A fresh state for a streamed reply."""
        return ResponseStream(self)


def _reply(top: Json, output: list[Json]) -> Reply:
    said, refused, thoughts = list[str](), list[str](), list[str]()
    calls, opaque, logprobs = list[ToolCall](), list[Json](), list[TokenLogprob]()
    for item in output:
        kind = item.get("type")
        if kind == "message":
            for part in map(obj, items(item.get("content"))):
                if part.get("type") == "refusal":
                    refused.append(text(part.get("refusal")))
                else:
                    said.append(text(part.get("text")))
                    found = map(token_logprob, items(part.get("logprobs")))
                    logprobs += [p for p in found if p is not None]
        elif kind == "function_call":
            id_ = text(item.get("call_id")) or text(item.get("id"))
            arguments = whole(raw_json(item.get("arguments")))
            calls.append(ToolCall(whole(id_), whole(text(item.get("name"))), arguments))
        elif kind == "reasoning":
            thoughts.append(thought_of(item))
            if item.get("encrypted_content"):
                opaque.append({k: v for k, v in item.items() if k != "status"})
    status, usage = text(top.get("status")), obj(top.get("usage"))
    reason = text(obj(top.get("incomplete_details")).get("reason"))
    finish: FinishReason = "stop" if status in ("completed", "") else _INCOMPLETE.get(reason, "other")
    refusal = whole("".join(refused))
    if refusal:
        finish = "refusal"
    elif calls and finish == "stop":
        finish = "tool_calls"
    return Reply(
        text=whole("".join(said)),
        finish=finish,
        usage=usage_of(usage),
        tool_calls=tuple(calls),
        reasoning=whole("".join(thoughts)),
        reasoning_opaque=whole(raw_json(opaque)) if opaque else "",
        refusal=refusal,
        model=whole(text(top.get("model"))),
        response_id=whole(text(top.get("id"))),
        finish_raw=whole(reason or status),
        logprobs=tuple(logprobs),
        reported_cost_pusd=pusd(usage.get("cost")),
    )


def thought_of(item: Json) -> str:
    """What a reasoning item shows: its content when that is open, else its summary."""
    for key in ("content", "summary"):
        shown = "".join(text(obj(p).get("text")) for p in items(item.get(key)))
        if shown:
            return shown
    return ""


_CONTENT = frozenset(
    "response." + e + ".delta"
    for e in (
        "output_text",
        "refusal",
        "reasoning_text",
        "reasoning_summary_text",
        "function_call_arguments",
    )
)


class ResponseStream:
    """A streamed response. `response.completed` or `response.incomplete` ends it and holds the whole response;
    items are collected for servers that leave them out there."""

    __slots__ = ("_codec", "_items", "_last", "ended", "finished")

    def __init__(self, codec: ResponsesDialect) -> None:
        self._codec = codec
        self._items: dict[int, Json] = {}
        self._last: Json = {}
        self.ended = self.finished = False

    def event(self, name: str, data: bytes) -> bool:
        """One event."""
        if data.strip() == b"[DONE]":
            self.ended = True
            return False
        value = obj(decode(data))
        kind = text(value.get("type")) or name
        if kind in _CONTENT:
            return bool(value.get("delta"))
        if kind == "response.output_item.done":
            index = value.get("output_index")
            self._items[index if isinstance(index, int) else len(self._items)] = obj(value.get("item"))
        elif kind in ("response.completed", "response.incomplete"):
            self._last = obj(value.get("response"))
            self.ended = self.finished = True
        elif kind in ("response.failed", "error") or value.get("error"):
            raise error_fault(200, value.get("response", value), retry_after=None, otherwise="error_event")
        return False

    def reply(self) -> Reply:
        """The reply of the last event."""
        top = self._last
        if not top.get("output") and self._items:
            top = {**top, "output": [item for _, item in sorted(self._items.items(), key=lambda kv: kv[0])]}
        return self._codec.reply(top)


def usage_of(usage: Json) -> Usage:
    """Token counts of a response."""
    return Usage(
        input_tokens=count(usage.get("input_tokens")),
        output_tokens=count(usage.get("output_tokens")),
        cached_input_tokens=count(obj(usage.get("input_tokens_details")).get("cached_tokens")),
        cache_write_tokens=count(obj(usage.get("input_tokens_details")).get("cache_write_tokens")),
        reasoning_tokens=count(obj(usage.get("output_tokens_details")).get("reasoning_tokens")),
    )


def _content(content: str | tuple[Part, ...], side: str) -> object:
    return content if isinstance(content, str) else [_part(p, side) for p in content]


def _part(part: Part, side: str) -> Json:
    if isinstance(part, TextPart):
        return {"type": f"{side}_text", "text": part.text}
    if isinstance(part, AudioPart):
        return input_audio(part)
    return {"type": "input_image", "image_url": image_url(part)}


def _items(m: Message) -> list[Json]:
    if m.role == "tool":
        return [
            {
                "type": "function_call_output",
                "call_id": m.tool_call_id,
                "output": _content(m.content, "input"),
            },
        ]
    if m.role != "assistant":
        return [{"type": "message", "role": m.role, "content": _content(m.content, "input")}]
    out = opaque_items(m.reasoning_opaque, ("reasoning",)) if m.reasoning_opaque else []
    out = [o for o in out if o.get("type") == "reasoning"]
    if m.content or not m.tool_calls:
        out.append({"type": "message", "role": "assistant", "content": _content(m.content, "output")})
    out += [
        {"type": "function_call", "call_id": c.id, "name": c.name, "arguments": c.arguments}
        for c in m.tool_calls
    ]
    return out
