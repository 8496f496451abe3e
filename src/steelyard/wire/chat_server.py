"""The `openai-chat` dialect, server side: requests read, replies and streams said. No I/O.

`ChatServer().decode_request(ChatDialect().encode(r).body)` is `r` again, and so for replies.
"""

from __future__ import annotations

from steelyard.errors import Fault
from steelyard.schema.contestant import Sampling
from steelyard.schema.message import Message, Part, Role, TextPart, ToolCall, ToolSpec
from steelyard.schema.reply import FinishReason, Reply, TokenLogprob, Usage
from steelyard.wire.asked import (
    bad,
    flag,
    image_of,
    number,
    openai_error,
    request_object,
    seed,
    status_of,
    stops,
    whole_number,
)
from steelyard.wire.base import Delta, Request
from steelyard.wire.media import audio_of
from steelyard.wire.sse import event
from steelyard.wire.values import (
    Json,
    count,
    encode,
    items,
    logprob_json,
    obj,
    opaque_items,
    raw_json,
    text,
    whole,
)

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_KNOWN = frozenset(
    {
        "model",
        "messages",
        "temperature",
        "top_p",
        "stop",
        "logprobs",
        "top_logprobs",
        "seed",
        "tools",
        "stream",
    }
    | {"max_tokens", "max_completion_tokens", "reasoning_effort", "stream_options"}
)
_INCLUDE_USAGE: Json = {"include_usage": True}

RAW: dict[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "stop",
    "other": "other",
}


class ChatServer:
    """OpenAI chat completions, as a server says them."""

    name = "openai-chat"
    path = "/chat/completions"

    def decode_request(self, body: bytes) -> Request:
        """The request. Fields that `Sampling` does not name are kept in `extra`. Raises Fault `bad_request`."""
        value = request_object(body)
        messages = value.get("messages")
        if not isinstance(messages, list):
            raise bad("`messages`: wanted an array")
        extra = {k: v for k, v in value.items() if k not in _KNOWN}
        stream = flag(value, "stream")
        if stream and value.get("stream_options") != _INCLUDE_USAGE:
            extra["stream_options"] = value.get("stream_options")
        logprobs = count(value.get("top_logprobs")) or 0 if flag(value, "logprobs") else None
        return Request(
            model=text(value.get("model")),
            messages=tuple([_message(obj(m), i) for i, m in enumerate(messages)]),
            sampling=Sampling(
                max_tokens=whole_number(value, "max_completion_tokens", "max_tokens"),
                temperature=number(value, "temperature"),
                top_p=number(value, "top_p"),
                stop=stops(value.get("stop")),
                logprobs=logprobs,
                reasoning_effort=text(value.get("reasoning_effort")),
                extra=extra,
            ),
            tools=tuple([_tool(obj(t), i) for i, t in enumerate(items(value.get("tools")))]),
            seed=seed(value),
            stream=stream,
        )

    def encode_reply(self, reply: Reply) -> bytes:
        """A `chat.completion`."""
        message: Json = {"role": "assistant", "content": reply.text, "refusal": reply.refusal or None}
        if reply.reasoning:
            message["reasoning_content"] = reply.reasoning
        if details := opaque_items(reply.reasoning_opaque, ("reasoning.",)):
            message["reasoning_details"] = details
        if reply.tool_calls:
            message["content"] = reply.text or None
            message["tool_calls"] = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
                for c in reply.tool_calls
            ]
        choice: Json = {"index": 0, "message": message, "finish_reason": _finish(reply)}
        choice["logprobs"] = (
            {"content": [logprob_json(p) for p in reply.logprobs]} if reply.logprobs else None
        )
        out = _head(reply, "chat.completion")
        out["choices"] = [choice]
        out["usage"] = _usage(reply)
        return encode(out)

    def stream(self, request: Request, head: Reply) -> ChatStreamEncoder:
        """An encoder for a streamed reply."""
        return ChatStreamEncoder(request, head)

    def encode_fault(self, broken: Fault) -> tuple[int, bytes]:
        """OpenAI's error object."""
        return status_of(broken), encode({"error": openai_error(broken)})


class ChatStreamEncoder:
    """A streamed `chat.completion`. Usage is said when the request's stream_options ask for it."""

    def __init__(self, request: Request, head: Reply) -> None:
        options = request.sampling.extra.get("stream_options", _INCLUDE_USAGE)
        self._with_usage = bool(obj(options).get("include_usage"))
        self._head = _head(head, "chat.completion.chunk")

    def _chunk(
        self, delta: Json, finish: str | None = None, logprobs: tuple[TokenLogprob, ...] = ()
    ) -> bytes:
        choice: Json = {"index": 0, "delta": delta, "finish_reason": finish}
        if logprobs:
            choice["logprobs"] = {"content": [logprob_json(p) for p in logprobs]}
        return event(encode({**self._head, "choices": [choice]}))

    def start(self) -> bytes:
        """The role chunk."""
        return self._chunk({"role": "assistant", "content": ""})

    def delta(self, piece: Delta) -> bytes:
        """One content chunk."""
        out: Json = {}
        if piece.text:
            out["content"] = piece.text
        if piece.reasoning:
            out["reasoning_content"] = piece.reasoning
        if piece.refusal:
            out["refusal"] = piece.refusal
        if piece.tool >= 0:
            call: Json = {"index": piece.tool, "function": {"arguments": piece.arguments}}
            if piece.tool_id or piece.tool_name:
                call = {
                    "index": piece.tool,
                    "id": piece.tool_id,
                    "type": "function",
                    "function": {"name": piece.tool_name, "arguments": piece.arguments},
                }
            out["tool_calls"] = [call]
        return self._chunk(out, None, piece.logprobs)

    def end(self, reply: Reply) -> bytes:
        """The finish reason, the usage, `[DONE]`."""
        details = opaque_items(reply.reasoning_opaque, ("reasoning.",))
        out = self._chunk({"reasoning_details": details} if details else {}, _finish(reply))
        if self._with_usage:
            out += event(encode({**self._head, "choices": [], "usage": _usage(reply)}))
        return out + event(b"[DONE]")

    def error(self, broken: Fault) -> bytes:
        """An error event; nothing may follow."""
        return event(encode({"error": openai_error(broken)}))


def _part(part: Json, at: str) -> Part:
    kind = part.get("type")
    if kind == "text" and isinstance(part.get("text"), str):
        return TextPart(whole(text(part["text"])))
    if kind == "refusal":
        return TextPart(whole(text(part.get("refusal"))))
    if kind == "image_url":
        source = part.get("image_url")
        return image_of(whole(text(source) or text(obj(source).get("url"))))
    if kind == "input_audio":
        source = obj(part.get("input_audio"))
        return audio_of(whole(text(source.get("data"))), whole(text(source.get("format"))))
    raise bad(f"{at}: wanted a part of type text, image_url or input_audio, got {raw_json(kind)[:60]}")


def _message(m: Json, i: int) -> Message:
    role = _ROLES.get(text(m.get("role")))
    if role is None:
        raise bad(
            f"`messages[{i}].role`: wanted one of {', '.join(_ROLES)}, got {raw_json(m.get('role'))[:60]}"
        )
    content = m.get("content")
    if isinstance(content, list):
        body: str | tuple[Part, ...] = tuple(
            [_part(obj(p), f"`messages[{i}].content[{j}]`") for j, p in enumerate(content)]
        )
    elif content is None or isinstance(content, str):
        body = whole(content or "")
    else:
        raise bad(f"`messages[{i}].content`: wanted text or an array of parts")
    calls = []
    for c in map(obj, items(m.get("tool_calls"))):
        f = obj(c.get("function"))
        calls.append(
            ToolCall(
                whole(text(c.get("id"))), whole(text(f.get("name"))), whole(raw_json(f.get("arguments")))
            )
        )
    details = items(m.get("reasoning_details"))
    return Message(
        role=role,
        content=body,
        tool_calls=tuple(calls),
        tool_call_id=whole(text(m.get("tool_call_id"))),
        name=whole(text(m.get("name"))),
        reasoning=whole(text(m.get("reasoning_content")) or text(m.get("reasoning"))),
        reasoning_opaque=whole(raw_json(details)) if details else "",
    )


def _tool(tool: Json, i: int) -> ToolSpec:
    f = obj(tool.get("function"))
    if not text(f.get("name")):
        raise bad(f"`tools[{i}].function.name`: wanted a name")
    return ToolSpec(whole(text(f["name"])), whole(text(f.get("description"))), obj(f.get("parameters")))


def _head(reply: Reply, kind: str) -> Json:
    out: Json = {"id": reply.response_id, "object": kind, "created": 0, "model": reply.model}
    if reply.system_fingerprint:
        out["system_fingerprint"] = reply.system_fingerprint
    return out


def _finish(reply: Reply) -> str:
    return reply.finish_raw or RAW[reply.finish]


def _usage(reply: Reply) -> Json | None:
    u = reply.usage
    if u == Usage() and reply.reported_cost_pusd is None:
        return None
    out: Json = {}
    if u.input_tokens is not None:
        out["prompt_tokens"] = u.input_tokens
    if u.output_tokens is not None:
        out["completion_tokens"] = u.output_tokens
    if u.input_tokens is not None and u.output_tokens is not None:
        out["total_tokens"] = u.input_tokens + u.output_tokens
    into = {"cached_tokens": u.cached_input_tokens, "cache_write_tokens": u.cache_write_tokens}
    if any(v is not None for v in into.values()):
        out["prompt_tokens_details"] = {k: v for k, v in into.items() if v is not None}
    if u.reasoning_tokens is not None:
        out["completion_tokens_details"] = {"reasoning_tokens": u.reasoning_tokens}
    if reply.reported_cost_pusd is not None:
        out["cost"] = reply.reported_cost_pusd / 1e12
    return out
