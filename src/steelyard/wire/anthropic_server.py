"""The `anthropic-messages` dialect, server side: requests read, replies and streams said. No I/O."""

from __future__ import annotations

from steelyard.errors import EndedBy, Fault
from steelyard.schema.contestant import Sampling
from steelyard.schema.message import ImagePart, Message, Part, TextPart, ToolCall, ToolSpec
from steelyard.schema.reply import FinishReason, Reply, Usage
from steelyard.wire.anthropic import THINKING
from steelyard.wire.asked import STATUS, bad, flag, number, request_object, stops, whole_number
from steelyard.wire.base import Delta, Request
from steelyard.wire.faults import fault
from steelyard.wire.sse import event
from steelyard.wire.values import Json, decode, encode, items, obj, opaque_items, raw_json, text, whole

_SHALLOW = 500
"""Characters of JSON that cannot be nested too deep."""
_KNOWN = frozenset(
    ("model", "messages", "system", "max_tokens", "temperature", "top_p", "stop_sequences", "tools", "stream")
)

RAW: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "refusal": "refusal",
    "content_filter": "refusal",
    "other": "pause_turn",
}


class AnthropicServer:
    """Anthropic messages, as a server says them."""

    name = "anthropic-messages"
    path = "/v1/messages"

    def decode_request(self, body: bytes) -> Request:
        """The request. Fields that `Sampling` does not name are kept in `extra`. Raises Fault `bad_request`."""
        value = request_object(body)
        turns = value.get("messages")
        if not isinstance(turns, list):
            raise bad("`messages`: wanted an array")
        messages = _system(value.get("system"))
        for i, turn in enumerate(turns):
            messages += _turn(obj(turn), f"`messages[{i}]`")
        extra = {k: v for k, v in value.items() if k not in _KNOWN}
        effort = ""
        config = extra.get("output_config")
        if isinstance(config, dict) and set(config) == {"effort"}:
            effort = text(config["effort"])
            del extra["output_config"]
        return Request(
            model=text(value.get("model")),
            messages=tuple(messages),
            sampling=Sampling(
                max_tokens=whole_number(value, "max_tokens"),
                temperature=number(value, "temperature"),
                top_p=number(value, "top_p"),
                stop=stops(value.get("stop_sequences")),
                reasoning_effort=effort,
                extra=extra,
            ),
            tools=tuple([_tool(obj(t), i) for i, t in enumerate(items(value.get("tools")))]),
            stream=flag(value, "stream"),
        )

    def encode_reply(self, reply: Reply) -> bytes:
        """A `message`."""
        content = _thoughts(reply)
        if reply.text:
            content.append({"type": "text", "text": reply.text})
        content += [
            {"type": "tool_use", "id": c.id, "name": c.name, "input": _input(c.arguments)}
            for c in reply.tool_calls
        ]
        return encode({**_head(reply), "content": content, **_stop(reply), "usage": _usage(reply.usage)})

    def stream(self, request: Request, head: Reply) -> MessageStreamEncoder:
        """An encoder for a streamed reply."""
        return MessageStreamEncoder(head)

    def encode_fault(self, broken: Fault) -> tuple[int, bytes]:
        """Anthropic's error object."""
        status, error = _error(broken)
        return status, encode({"type": "error", "error": error})


class MessageStreamEncoder:
    """A streamed message: one content block after the other, opened and closed as the pieces change kind.

    Signed or redacted thinking can only be said where its block ends, so it is taken from `head` when a server
    knows it in advance; otherwise it follows at the end in blocks of its own.
    """

    def __init__(self, head: Reply) -> None:
        self._top = head
        self._opaque = opaque_items(head.reasoning_opaque, THINKING) if head.reasoning_opaque else []
        self._opaque_said = not self._opaque
        # one signed block can be streamed; several are said whole, and the pieces passed over
        self._signature = ""
        if len(self._opaque) == 1 and self._opaque[0].get("type") == "thinking" and head.reasoning:
            self._signature = text(self._opaque[0].get("signature"))
        self._index = -1
        self._open = ""

    def start(self) -> bytes:
        """`message_start`."""
        usage = {**_usage(self._top.usage), "output_tokens": 0}
        message = {
            **_head(self._top),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        return _event("message_start", {"message": message})

    def delta(self, piece: Delta) -> bytes:
        """One piece."""
        out = b""
        if piece.reasoning and (self._opaque_said or self._signature):
            out += self._block("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            out += self._delta({"type": "thinking_delta", "thinking": piece.reasoning})
        if piece.text or piece.tool >= 0:
            out += self._say_opaque()
        if piece.text:
            out += self._block("text", {"type": "text", "text": ""})
            out += self._delta({"type": "text_delta", "text": piece.text})
        if piece.tool >= 0:
            tool: Json = {"type": "tool_use", "id": piece.tool_id, "name": piece.tool_name, "input": {}}
            out += self._block(f"tool {piece.tool}", tool)
            if piece.arguments:
                out += self._delta({"type": "input_json_delta", "partial_json": piece.arguments})
        return out

    def end(self, reply: Reply) -> bytes:
        """The stop reason, the usage, `message_stop`."""
        if not self._opaque and reply.reasoning_opaque:
            self._opaque = [
                {**b, "thinking": ""} if b.get("type") == "thinking" else b
                for b in opaque_items(reply.reasoning_opaque, THINKING)
            ]
            self._opaque_said = False
        out = self._say_opaque() + self._close()
        out += _event("message_delta", {"delta": _stop(reply), "usage": _usage(reply.usage)})
        return out + _event("message_stop", {})

    def error(self, broken: Fault) -> bytes:
        """An error event; nothing may follow."""
        return _event("error", {"error": _error(broken)[1]})

    def _say_opaque(self) -> bytes:
        if self._opaque_said:
            return b""
        self._opaque_said = True
        if self._signature and self._open == "thinking":
            return self._delta({"type": "signature_delta", "signature": self._signature}) + self._close()
        out = b""
        for block in self._opaque:
            out += self._close()
            if block.get("type") == "thinking":
                out += self._block("opaque", {"type": "thinking", "thinking": "", "signature": ""})
                out += self._delta({"type": "thinking_delta", "thinking": block.get("thinking")})
                out += self._delta({"type": "signature_delta", "signature": block.get("signature")})
            else:
                out += self._block("opaque", block)
        return out + self._close()

    def _block(self, key: str, block: Json) -> bytes:
        if self._open == key:
            return b""
        out = self._close()
        self._index += 1
        self._open = key
        return out + _event("content_block_start", {"index": self._index, "content_block": block})

    def _delta(self, delta: Json) -> bytes:
        return _event("content_block_delta", {"index": self._index, "delta": delta})

    def _close(self) -> bytes:
        if not self._open:
            return b""
        self._open = ""
        return _event("content_block_stop", {"index": self._index})


def _event(kind: str, fields: Json) -> bytes:
    return event(encode({"type": kind, **fields}), kind)


def _head(reply: Reply) -> Json:
    return {"id": reply.response_id, "type": "message", "role": "assistant", "model": reply.model}


def _stop(reply: Reply) -> Json:
    out: Json = {"stop_reason": reply.finish_raw or RAW[reply.finish], "stop_sequence": None}
    if reply.refusal:
        out["stop_details"] = {"type": "refusal", "explanation": reply.refusal}
    return out


def _thoughts(reply: Reply) -> list[Json]:
    if reply.reasoning_opaque and (found := opaque_items(reply.reasoning_opaque, THINKING)):
        return found
    return [{"type": "thinking", "thinking": reply.reasoning, "signature": ""}] if reply.reasoning else []


def _input(arguments: str) -> object:
    try:
        value = decode(arguments.encode("utf-8", "replace")) if arguments else {}
        if len(arguments) > _SHALLOW:
            encode([[[[[[value]]]]]])  # it is written again some levels further down
    except Fault:
        return {"invalid_arguments": arguments}
    return value


def _usage(u: Usage) -> Json:
    out: Json = {}
    if u.input_tokens is not None:
        out["input_tokens"] = max(
            0, u.input_tokens - (u.cached_input_tokens or 0) - (u.cache_write_tokens or 0)
        )
    if u.cached_input_tokens is not None:
        out["cache_read_input_tokens"] = u.cached_input_tokens
    if u.cache_write_tokens is not None:
        out["cache_creation_input_tokens"] = u.cache_write_tokens
    if u.output_tokens is not None:
        out["output_tokens"] = u.output_tokens
    return out


# Anthropic's type of an error, its status where it differs from OpenAI's, and the words by which it is known.
_TYPES: dict[str, tuple[str, int, str]] = {
    "context_length": ("invalid_request_error", 400, "prompt is too long"),
    "content_policy": ("invalid_request_error", 400, "blocked by content filtering policy"),
    "quota": ("invalid_request_error", 400, "your credit balance is too low"),
    "request_timeout": ("timeout_error", 408, ""),
    "server_error": ("api_error", 500, ""),
    "overloaded": ("overloaded_error", 529, ""),
}


def _error(broken: Fault) -> tuple[int, Json]:
    common = STATUS.get(broken.kind, (502 if broken.ended_by is EndedBy.PROVIDER else 500, "api_error", None))
    kind, status, words = _TYPES.get(broken.kind, (common[1], common[0], ""))
    said = str(broken)
    return status, {"type": kind, "message": said if words in said else f"{words}: {said}"}


def _system(value: object) -> list[Message]:
    if isinstance(value, str):
        return [Message("system", whole(value))]
    blocks = [obj(b) for b in items(value)]
    return (
        [Message("system", tuple([TextPart(whole(text(b.get("text")))) for b in blocks]))] if blocks else []
    )


def _part(block: Json, at: str) -> Part:
    kind = block.get("type")
    if kind == "text":
        return TextPart(whole(text(block.get("text"))))
    source = obj(block.get("source"))
    if kind == "image" and source.get("type") == "base64":
        return ImagePart(
            media_type=whole(text(source.get("media_type"))), data=whole(text(source.get("data")))
        )
    if kind == "image" and source.get("type") == "url":
        return ImagePart(url=whole(text(source.get("url"))))
    raise fault("unsupported", f"{at}: wanted a block of text or image, got {raw_json(kind)[:60]}")


def _turn(turn: Json, at: str) -> list[Message]:
    role, content = turn.get("role"), turn.get("content")
    if role == "system":  # in the middle of a conversation, as newer models take it
        return _system(content)
    if role not in ("user", "assistant"):
        raise bad(f"{at}.role: wanted user, assistant or system, got {raw_json(role)[:60]}")
    side = "user" if role == "user" else "assistant"
    if isinstance(content, str):
        return [Message("user" if side == "user" else "assistant", whole(content))]
    if not isinstance(content, list):
        raise bad(f"{at}.content: wanted text or an array of blocks")
    parts, calls, opaque, out = list[Part](), list[ToolCall](), list[Json](), list[Message]()
    for j, block in enumerate(map(obj, content)):
        kind = block.get("type")
        if kind == "tool_use":
            name, id_ = whole(text(block.get("name"))), whole(text(block.get("id")))
            calls.append(ToolCall(id_, name, whole(raw_json(block.get("input")))))
        elif kind == "tool_result":
            out.append(_result(block, f"{at}.content[{j}]"))
        elif kind in THINKING:
            opaque.append(block)
        else:
            parts.append(_part(block, f"{at}.content[{j}]"))
    if side == "user":
        return [*out, Message("user", tuple(parts))] if parts or not out else out
    # an assistant's turn with calls or thoughts is in blocks anyway: a single text is its plain content
    plain = bool(calls or opaque) and all(isinstance(p, TextPart) for p in parts) and len(parts) < 2
    said = "".join(p.text for p in parts if isinstance(p, TextPart))
    signed = any(b.get("signature") or b.get("type") == "redacted_thinking" for b in opaque)
    return [
        Message(
            "assistant",
            said if plain else tuple(parts),
            tool_calls=tuple(calls),
            reasoning=whole("".join(text(b.get("thinking")) for b in opaque)),
            reasoning_opaque=whole(raw_json(opaque)) if signed else "",
        )
    ]


def _result(block: Json, at: str) -> Message:
    content = block.get("content")
    body: str | tuple[Part, ...] = ""
    if isinstance(content, str):
        body = whole(content)
    elif isinstance(content, list):
        body = tuple([_part(obj(p), at) for p in content])
    return Message("tool", body, tool_call_id=whole(text(block.get("tool_use_id"))))


def _tool(tool: Json, i: int) -> ToolSpec:
    if not text(tool.get("name")):
        raise bad(f"`tools[{i}].name`: wanted a name")
    schema = obj(tool.get("input_schema"))
    return ToolSpec(whole(text(tool["name"])), whole(text(tool.get("description"))), schema)
