"""The `openai-chat` dialect, server side: requests read, replies and streams said. No I/O.

`ChatServer().decode_request(ChatDialect().encode(r).body)` is `r` again, and so for replies.
"""

from __future__ import annotations

from steelyard.errors import EndedBy, Fault
from steelyard.schema.contestant import Sampling
from steelyard.schema.message import ImagePart, Message, Part, Role, TextPart, ToolCall, ToolSpec
from steelyard.schema.reply import FinishReason, Reply, TokenLogprob, Usage
from steelyard.wire.base import Delta, Request
from steelyard.wire.chat import opaque_items
from steelyard.wire.faults import fault
from steelyard.wire.sse import event
from steelyard.wire.values import Json, count, decode, encode, items, obj, raw_json, real, text, whole

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
        choice["logprobs"] = {"content": [_logprob(p) for p in reply.logprobs]} if reply.logprobs else None
        out = _head(reply, "chat.completion")
        out["choices"] = [choice]
        out["usage"] = _usage(reply)
        return encode(out)

    def stream(self, request: Request, head: Reply) -> ChatStreamEncoder:
        """An encoder for a streamed reply."""
        return ChatStreamEncoder(request, head)

    def encode_fault(self, broken: Fault) -> tuple[int, bytes]:
        """OpenAI's error object."""
        return status_of(broken), encode({"error": _error(broken)})


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
            choice["logprobs"] = {"content": [_logprob(p) for p in logprobs]}
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
        return event(encode({"error": _error(broken)}))


def request_object(body: bytes) -> Json:
    """The JSON object of a request's body. Raises Fault `bad_request`."""
    try:
        value = decode(body)
    except Fault as e:
        raise bad(f"the body of the request: {e}") from None
    if not isinstance(value, dict):
        raise bad("the body of the request: wanted a JSON object")
    return value


def bad(message: str) -> Fault:
    """A Fault for a request that cannot be read."""
    return fault("bad_request", message)


def flag(value: Json, key: str) -> bool:
    """An optional boolean. Raises Fault."""
    got = value.get(key)
    if got is not None and not isinstance(got, bool):
        raise bad(f"`{key}`: wanted true or false, got {raw_json(got)[:60]}")
    return bool(got)


def number(value: Json, key: str) -> float | None:
    """An optional number. Raises Fault."""
    got = value.get(key)
    if got is None:
        return None
    found = real(got)
    if found is None:
        raise bad(f"`{key}`: wanted a number, got {raw_json(got)[:60]}")
    return found


def whole_number(value: Json, *keys: str) -> int | None:
    """The first of these that is given, a whole number from 0 up. Raises Fault."""
    for key in keys:
        got = value.get(key)
        if got is not None:
            found = count(got)
            if found is None:
                raise bad(f"`{key}`: wanted a whole number, got {raw_json(got)[:60]}")
            return found
    return None


def seed(value: Json) -> int | None:
    """An optional seed, which may be negative. Raises Fault."""
    got = value.get("seed")
    if got is None:
        return None
    if isinstance(got, bool) or not isinstance(got, int):
        raise bad(f"`seed`: wanted a whole number, got {raw_json(got)[:60]}")
    return got


def stops(value: object) -> tuple[str, ...]:
    """Stop sequences, given as a string or an array. Raises Fault."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    raise bad("`stop`: wanted a string or an array of strings")


def image_of(url: str) -> ImagePart:
    """An image by URL, or by its bytes when it is a base64 data URL."""
    if url.startswith("data:"):
        head, comma, data = url[5:].partition(",")
        if comma and head.endswith(";base64"):
            return ImagePart(media_type=head[: -len(";base64")], data=data)
    return ImagePart(url=url)


def _part(part: Json, at: str) -> Part:
    kind = part.get("type")
    if kind == "text" and isinstance(part.get("text"), str):
        return TextPart(whole(text(part["text"])))
    if kind == "refusal":
        return TextPart(whole(text(part.get("refusal"))))
    if kind == "image_url":
        source = part.get("image_url")
        return image_of(whole(text(source) or text(obj(source).get("url"))))
    raise bad(f"{at}: wanted a part of type text or image_url, got {raw_json(kind)[:60]}")


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


def _logprob(p: TokenLogprob) -> Json:
    return {
        "token": p.token,
        "logprob": p.logprob,
        "bytes": list(p.token.encode()),
        "top_logprobs": [{"token": t, "logprob": v, "bytes": list(t.encode())} for t, v in p.top],
    }


# What a server says for a kind: status, type and code of the error object.
STATUS: dict[str, tuple[int, str, str | None]] = {
    "bad_request": (400, "invalid_request_error", None),
    "unsupported": (400, "invalid_request_error", "unsupported"),
    "context_length": (400, "invalid_request_error", "context_length_exceeded"),
    "content_policy": (400, "invalid_request_error", "content_policy_violation"),
    "auth": (401, "authentication_error", "invalid_api_key"),
    "quota": (429, "insufficient_quota", "insufficient_quota"),
    "not_found": (404, "not_found_error", "model_not_found"),
    "request_timeout": (408, "timeout_error", None),
    "conflict": (409, "conflict_error", None),
    "request_too_large": (413, "request_too_large", None),
    "rate_limited": (429, "rate_limit_error", "rate_limit_exceeded"),
    "server_error": (500, "server_error", "server_error"),
    "overloaded": (503, "overloaded_error", "service_unavailable"),
}


def status_of(broken: Fault) -> int:
    """The status that says this Fault; a fault of a further provider is a 502, any other of ours a 500."""
    if broken.kind in STATUS:
        return STATUS[broken.kind][0]
    return 502 if broken.ended_by is EndedBy.PROVIDER else 500


def _error(broken: Fault) -> Json:
    _, kind, code = STATUS.get(broken.kind, (0, "server_error", "server_error"))
    return {"message": str(broken), "type": kind, "param": None, "code": code}
