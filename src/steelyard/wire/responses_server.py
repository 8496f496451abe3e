"""The `openai-responses` dialect, server side: requests read, replies and streams said. No I/O."""

from __future__ import annotations

from steelyard.errors import Fault
from steelyard.schema.contestant import Sampling
from steelyard.schema.message import Message, Part, Role, TextPart, ToolCall, ToolSpec
from steelyard.schema.reply import Reply, TokenLogprob, Usage
from steelyard.wire.asked import (
    bad,
    flag,
    image_of,
    number,
    openai_error,
    request_object,
    status_of,
    whole_number,
)
from steelyard.wire.base import Delta, Request
from steelyard.wire.faults import fault
from steelyard.wire.media import audio_of
from steelyard.wire.responses import INCLUDE_LOGPROBS, INCLUDE_REASONING, thought_of
from steelyard.wire.sse import event
from steelyard.wire.values import (
    Json,
    count,
    encode,
    is_reasoner,
    items,
    logprob_json,
    obj,
    opaque_items,
    raw_json,
    text,
    whole,
)

_KNOWN = frozenset(
    {"model", "input", "instructions", "max_output_tokens", "temperature", "top_p", "reasoning", "tools"}
    | {"stream", "top_logprobs", "include", "store"}
)
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


class ResponsesServer:
    """OpenAI responses, as a server says them."""

    name = "openai-responses"
    path = "/responses"

    def decode_request(self, body: bytes) -> Request:
        """The request. Fields that `Sampling` does not name are kept in `extra`; so are all tools, as they are, when
        there are others than functions (free-form ones, namespaces, those that the provider runs). Raises Fault
        `bad_request`."""
        value = request_object(body)
        messages = _messages(value)
        extra = {k: v for k, v in value.items() if k not in _KNOWN}
        tools = [obj(t) for t in items(value.get("tools"))]
        functions = [t for t in tools if t.get("type") == "function"]
        if len(functions) < len(tools):
            extra["tools"] = value["tools"]
        if value.get("store") is not False:
            extra["store"] = value.get("store")
        reasoning, effort = value.get("reasoning"), ""
        if isinstance(reasoning, dict) and set(reasoning) == {"effort"}:
            effort = text(reasoning["effort"])
        elif reasoning is not None:
            extra["reasoning"] = reasoning
        include = items(value.get("include"))
        asked = INCLUDE_LOGPROBS in include
        said = [INCLUDE_LOGPROBS] if asked else []
        if effort or is_reasoner(text(value.get("model"))):
            said.append(INCLUDE_REASONING)
        if include != said:
            extra["include"] = value.get("include")
        return Request(
            model=text(value.get("model")),
            messages=messages,
            sampling=Sampling(
                max_tokens=whole_number(value, "max_output_tokens"),
                temperature=number(value, "temperature"),
                top_p=number(value, "top_p"),
                logprobs=(count(value.get("top_logprobs")) or 0) if asked else None,
                reasoning_effort=effort,
                extra=extra,
            ),
            tools=tuple([_tool(t, i) for i, t in enumerate(functions)]),
            stream=flag(value, "stream"),
        )

    def encode_reply(self, reply: Reply) -> bytes:
        """A `response`."""
        return encode(_response(reply))

    def stream(self, request: Request, head: Reply) -> ResponseStreamEncoder:
        """An encoder for a streamed reply."""
        return ResponseStreamEncoder(head)

    def encode_fault(self, broken: Fault) -> tuple[int, bytes]:
        """OpenAI's error object."""
        return status_of(broken), encode({"error": openai_error(broken)})


class ResponseStreamEncoder:
    """A streamed response: items and their parts opened as pieces come, closed and repeated whole at the end."""

    def __init__(self, head: Reply) -> None:
        self._head = head
        self._number = 0
        self._open: dict[str, tuple[int, Json]] = {}
        self._said: dict[str, list[str]] = {}
        self._logprobs: list[TokenLogprob] = []

    def _event(self, kind: str, fields: Json) -> bytes:
        out = event(encode({"type": kind, "sequence_number": self._number, **fields}), kind)
        self._number += 1
        return out

    def start(self) -> bytes:
        """`response.created` and `response.in_progress`."""
        empty = {**_response(self._head), "status": "in_progress", "output": [], "usage": None}
        empty["incomplete_details"] = None
        return self._event("response.created", {"response": empty}) + self._event(
            "response.in_progress", {"response": empty}
        )

    def delta(self, piece: Delta) -> bytes:
        """One piece."""
        out = b""
        if piece.reasoning:
            item: Json = {"type": "reasoning", "id": "rs_0", "summary": []}
            out += self._piece("reasoning", item, "response.reasoning_summary_text.delta", piece.reasoning)
        message: Json = {"type": "message", "id": "msg_0", "role": "assistant", "content": []}
        if piece.text or piece.logprobs:
            more: Json = {"logprobs": [logprob_json(p) for p in piece.logprobs]}
            out += self._piece("text", message, "response.output_text.delta", piece.text, more)
        if piece.refusal:
            out += self._piece("refusal", message, "response.refusal.delta", piece.refusal)
        if piece.tool >= 0:
            call = {
                "type": "function_call",
                "id": f"fc_{piece.tool}",
                "call_id": piece.tool_id,
                **_name(piece.tool_name),
            }
            kind = "response.function_call_arguments.delta"
            out += self._piece(f"tool {piece.tool}", {**call, "arguments": ""}, kind, piece.arguments)
        return out

    def _piece(self, key: str, item: Json, kind: str, said: str, more: Json | None = None) -> bytes:
        out = b""
        if key not in self._open:
            shared = self._open.get("text" if key == "refusal" else "refusal" if key == "text" else "")
            index = shared[0] if shared else len({i for i, _ in self._open.values()})
            if shared is None:
                out += self._event("response.output_item.added", {"output_index": index, "item": item})
            self._open[key] = (index, item)
        index, item = self._open[key]
        where: Json = {"item_id": item["id"], "output_index": index}
        if key == "reasoning":
            where["summary_index"] = 0
        elif key in ("text", "refusal"):
            where["content_index"] = 0
        if said:
            out += self._event(kind, {**where, "delta": said, **(more or {})})
        return out

    def end(self, reply: Reply) -> bytes:
        """Every item whole, then `response.completed` or `response.incomplete`."""
        response = _response(reply)
        out = b""
        for i, item in enumerate(items(response["output"])):
            out += self._event("response.output_item.done", {"output_index": i, "item": item})
        kind = "response.completed" if response["status"] == "completed" else "response.incomplete"
        return out + self._event(kind, {"response": response})

    def error(self, broken: Fault) -> bytes:
        """`response.failed`; nothing may follow."""
        said = openai_error(broken)
        error = {"code": said["code"] or said["type"], "message": said["message"]}
        failed = {**_response(self._head), "status": "failed", "output": [], "error": error}
        return self._event("response.failed", {"response": failed})


def _output(reply: Reply) -> list[Json]:
    out = opaque_items(reply.reasoning_opaque, ("reasoning",)) if reply.reasoning_opaque else []
    out = [o for o in out if o.get("type") == "reasoning"]
    if reply.reasoning and not out:
        summary = [{"type": "summary_text", "text": reply.reasoning}]
        out.append({"type": "reasoning", "id": "rs_0", "summary": summary})
    content: list[Json] = []
    if reply.text or reply.logprobs:
        part: Json = {"type": "output_text", "text": reply.text, "annotations": []}
        part["logprobs"] = [logprob_json(p) for p in reply.logprobs]
        content.append(part)
    if reply.refusal:
        content.append({"type": "refusal", "refusal": reply.refusal})
    if content or not reply.tool_calls:
        message: Json = {"type": "message", "id": "msg_0", "status": "completed", "role": "assistant"}
        out.append({**message, "content": content})
    out += [
        {"type": "function_call", "id": f"fc_{i}", "call_id": c.id, **_name(c.name), "arguments": c.arguments}
        for i, c in enumerate(reply.tool_calls)
    ]
    return out


def _name(name: str) -> Json:
    """The name of a call: `space:name` is a tool of a namespace, which a function's own name cannot look like."""
    space, _, rest = name.rpartition(":")
    return {"name": rest, "namespace": space} if space else {"name": name}


def _response(reply: Reply) -> Json:
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(reply.finish, "")
    out: Json = {
        "id": reply.response_id,
        "object": "response",
        "created_at": 0,
        "status": "incomplete" if reason else "completed",
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "model": reply.model,
        "output": _output(reply),
        "usage": _usage(reply),
    }
    return out


def _usage(reply: Reply) -> Json | None:
    u = reply.usage
    if u == Usage() and reply.reported_cost_pusd is None:
        return None
    out: Json = {}
    if u.input_tokens is not None:
        out["input_tokens"] = u.input_tokens
    if u.output_tokens is not None:
        out["output_tokens"] = u.output_tokens
    into = {"cached_tokens": u.cached_input_tokens, "cache_write_tokens": u.cache_write_tokens}
    if any(v is not None for v in into.values()):
        out["input_tokens_details"] = {k: v for k, v in into.items() if v is not None}
    if u.reasoning_tokens is not None:
        out["output_tokens_details"] = {"reasoning_tokens": u.reasoning_tokens}
    if u.input_tokens is not None and u.output_tokens is not None:
        out["total_tokens"] = u.input_tokens + u.output_tokens
    if reply.reported_cost_pusd is not None:
        out["cost"] = reply.reported_cost_pusd / 1e12
    return out


def _messages(value: Json) -> tuple[Message, ...]:
    out: list[Message] = []
    if instructions := text(value.get("instructions")):
        out.append(Message("system", whole(instructions)))
    asked = value.get("input")
    if isinstance(asked, str):
        return (*out, Message("user", whole(asked)))
    if not isinstance(asked, list):
        raise bad("`input`: wanted text or an array of items")
    turn = _Turn()
    for i, item in enumerate(map(obj, asked)):
        at = f"`input[{i}]`"
        kind = text(item.get("type")) or "message"
        if kind == "reasoning":
            out += turn.flush(keep_thoughts=True)
            turn.thoughts.append(item)
        elif kind == "function_call":
            id_, name = whole(text(item.get("call_id"))), whole(text(item.get("name")))
            turn.calls.append(ToolCall(id_, name, whole(raw_json(item.get("arguments")))))
        elif kind == "function_call_output":
            out += turn.flush()
            out.append(
                Message(
                    "tool", _content(item.get("output"), at), tool_call_id=whole(text(item.get("call_id")))
                )
            )
        elif kind == "message":
            role = _ROLES.get(text(item.get("role")))
            if role is None:
                raise bad(
                    f"{at}.role: wanted one of {', '.join(_ROLES)}, got {raw_json(item.get('role'))[:60]}"
                )
            content = _content(item.get("content"), at)
            if role == "assistant":
                out += turn.flush(keep_thoughts=True)
                turn.said = content
                turn.spoke = True
            else:
                out += turn.flush()
                out.append(Message(role, content))
        else:
            raise fault(
                "unsupported", f"{at}: wanted a message, function_call, function_call_output or reasoning"
            )
    return (*out, *turn.flush())


class _Turn:
    """The items of one assistant's turn: thoughts, then what was said, then calls."""

    def __init__(self) -> None:
        self.thoughts: list[Json] = []
        self.said: str | tuple[Part, ...] = ""
        self.spoke = False
        self.calls: list[ToolCall] = []

    def flush(self, *, keep_thoughts: bool = False) -> list[Message]:
        """The turn so far as a message, and a fresh start; thoughts alone may wait for what follows them."""
        if not (self.spoke or self.calls or (self.thoughts and not keep_thoughts)):
            return []
        opaque = [
            {k: v for k, v in t.items() if k != "status"} for t in self.thoughts if t.get("encrypted_content")
        ]
        message = Message(
            "assistant",
            self.said,
            tool_calls=tuple(self.calls),
            reasoning=whole("".join(map(thought_of, self.thoughts))),
            reasoning_opaque=whole(raw_json(opaque)) if opaque else "",
        )
        self.thoughts, self.said, self.spoke, self.calls = [], "", False, []
        return [message]


def _content(content: object, at: str) -> str | tuple[Part, ...]:
    if content is None or isinstance(content, str):
        return whole(content or "")
    if not isinstance(content, list):
        raise bad(f"{at}.content: wanted text or an array of parts")
    return tuple([_part(obj(p), at) for p in content])


def _part(part: Json, at: str) -> Part:
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        return TextPart(whole(text(part.get("text"))))
    if kind == "refusal":
        return TextPart(whole(text(part.get("refusal"))))
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        return image_of(whole(text(part.get("image_url"))))
    if kind == "input_audio":
        source = obj(part.get("input_audio"))
        return audio_of(whole(text(source.get("data"))), whole(text(source.get("format"))))
    raise fault(
        "unsupported", f"{at}: wanted a part of text, image_url or input_audio, got {raw_json(kind)[:60]}"
    )


def _tool(tool: Json, i: int) -> ToolSpec:
    if not text(tool.get("name")):
        raise bad(f"`tools[{i}].name`: wanted a name")
    return ToolSpec(
        whole(text(tool["name"])), whole(text(tool.get("description"))), obj(tool.get("parameters"))
    )
