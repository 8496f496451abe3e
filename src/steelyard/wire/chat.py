"""The `openai-chat` dialect, client side: OpenAI chat completions and every compatible endpoint. No I/O.

Not covered: predicted outputs, more than one choice (only the first is read). Reasoning text is sent back
only with a turn that called tools (providers refuse or ignore it elsewhere). `max_tokens` is called
`max_completion_tokens` for OpenAI's reasoning models. A value of None in `sampling.extra` takes a field out.
"""

from __future__ import annotations

from steelyard.schema.message import AudioPart, Message, Part, TextPart, ToolCall
from steelyard.schema.reply import FinishReason, Reply, TokenLogprob, Usage
from steelyard.wire.base import HttpRequest, ReplyParser, Request
from steelyard.wire.body import BodyParser
from steelyard.wire.faults import fault
from steelyard.wire.media import input_audio, spoken
from steelyard.wire.values import (
    JSON_HEADERS,
    Json,
    add_extra,
    count,
    decode,
    encode,
    error_fault,
    image_url,
    is_error,
    is_reasoner,
    items,
    obj,
    opaque_items,
    pusd,
    raw_json,
    text,
    token_logprob,
    whole,
)  # fmt: skip

FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "eos": "stop",
    "end_turn": "stop",
    "refusal": "refusal",
}


class ChatDialect:
    """OpenAI chat completions."""

    name = "openai-chat"
    path = "/chat/completions"

    def encode(self, request: Request) -> HttpRequest:
        """The HTTP request, without credentials."""
        s = request.sampling
        body: Json = {"model": request.model, "messages": [_message(m) for m in request.messages]}
        if s.max_tokens is not None:
            modern = s.reasoning_effort or is_reasoner(request.model)
            body["max_completion_tokens" if modern else "max_tokens"] = s.max_tokens
        if s.temperature is not None:
            body["temperature"] = s.temperature
        if s.top_p is not None:
            body["top_p"] = s.top_p
        if s.stop:
            body["stop"] = s.stop
        if s.logprobs is not None:
            body["logprobs"] = True
            body["top_logprobs"] = s.logprobs
        if s.reasoning_effort:
            body["reasoning_effort"] = s.reasoning_effort
        if request.seed is not None and s.send_seed:
            body["seed"] = request.seed
        if request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {"name": t.name, "description": t.description, "parameters": t.parameters},
                }
                for t in request.tools
            ]
        if request.stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        add_extra(body, s.extra)
        return HttpRequest("POST", self.path, JSON_HEADERS, encode(body))

    def parser(self, request: Request) -> ReplyParser:
        """A fresh parser for the answer to `request`."""
        return BodyParser(self, stream=request.stream)

    def auth(self, secret: str) -> tuple[tuple[str, str], ...]:
        """A bearer token."""
        return (("authorization", f"Bearer {secret}"),)

    def reply(self, value: Json) -> Reply:
        """A `chat.completion` object as a Reply. Raises Fault."""
        choices = value.get("choices")
        if not isinstance(choices, list):
            raise fault("bad_shape", "the reply has no `choices`")
        if not choices:
            raise fault("empty_choices", "the `choices` of the reply is empty")
        choice = obj(choices[0])
        message = choice.get("message")
        if not isinstance(message, dict):
            if not isinstance(choice.get("text"), str):
                raise fault("bad_shape", "the first choice has no `message`")
            message = {"content": choice["text"]}  # the older completions shape
        check_choice(choice)
        parts = _Parts()
        parts.add_message(message)
        parts.logprobs = _logprobs(choice)
        parts.identity(value)
        return parts.reply(text(choice.get("finish_reason")), obj(value.get("usage")))

    def stream(self) -> ChatStream:
        """A fresh state for a streamed reply."""
        return ChatStream()


def check_choice(choice: Json) -> None:
    """A choice may carry an error of its own (OpenRouter). Raises Fault."""
    if choice.get("error") or choice.get("finish_reason") == "error":
        raise error_fault(200, choice, retry_after=None, otherwise="error_body")


class _Parts:
    """What one reply is made of, from a message or from the deltas of a stream."""

    __slots__ = (
        "_by_index",
        "audio",
        "calls",
        "details",
        "fingerprint",
        "id",
        "logprobs",
        "model",
        "reasoning",
        "refusal",
        "text",
    )

    def __init__(self) -> None:
        self.text: list[str] = []
        self.refusal: list[str] = []
        self.audio: list[str] = []
        self.reasoning: list[str] = []
        self.details: list[Json] = []
        self.calls: list[list[str]] = []  # id, name, arguments
        self._by_index: dict[int, list[str]] = {}
        self.logprobs: list[TokenLogprob] = []
        self.model = self.id = self.fingerprint = ""

    def identity(self, value: Json) -> None:
        """Who answered."""
        self.model = self.model or text(value.get("model"))
        self.id = self.id or text(value.get("id"))
        self.fingerprint = text(value.get("system_fingerprint")) or self.fingerprint

    def add_message(self, message: Json) -> bool:
        """A message, or a delta, which has the same shape. True when it carried content."""
        before = self._size()
        content = message.get("content")
        if isinstance(content, str):
            if content:
                self.text.append(content)
        elif content is not None:
            self._content_parts(items(content))
        aloud = obj(message.get("audio"))
        if transcript := text(aloud.get("transcript")):
            self.text.append(transcript)
        if piece := text(aloud.get("data")):
            self.audio.append(piece)
        if refusal := text(message.get("refusal")):
            self.refusal.append(refusal)
        if thought := text(message.get("reasoning_content")) or text(message.get("reasoning")):
            self.reasoning.append(thought)
        for detail in items(message.get("reasoning_details")):
            self._detail(obj(detail))
        found = self._size() > before
        for call in items(message.get("tool_calls")):
            found |= self._call(obj(call))
        legacy = message.get("function_call")
        if isinstance(legacy, dict):
            found |= self._call({"index": 0, "function": legacy})
        return found

    def _size(self) -> int:
        return len(self.text) + len(self.refusal) + len(self.reasoning) + len(self.audio)

    def _content_parts(self, parts: list[object]) -> None:
        """Content as an array of parts, some of which may be thoughts (Mistral)."""
        for part in map(obj, parts):
            if part.get("type") == "thinking":
                inner = part.get("thinking")
                self.reasoning.append(text(inner) or "".join(text(obj(p).get("text")) for p in items(inner)))
            elif part.get("type") == "refusal":
                self.refusal.append(text(part.get("refusal")))
            else:
                self.text.append(text(part.get("text")))

    def _call(self, call: Json) -> bool:
        """A tool call or a piece of one. Pieces belong together by `index`; servers that leave it out, or give
        every call the same, start a new call with a new id."""
        function = obj(call.get("function"))
        id_, name = text(call.get("id")), text(function.get("name"))
        index = call.get("index")
        entry: list[str] | None
        if isinstance(index, int):
            entry = self._by_index.get(index)
        else:
            entry = self.calls[-1] if self.calls and not id_ and not name else None
        if entry is None or (id_ and entry[0] and id_ != entry[0]):
            entry = [id_, "", ""]
            self.calls.append(entry)
            if isinstance(index, int):
                self._by_index[index] = entry
        entry[0] = entry[0] or id_
        if name != entry[1]:
            entry[1] += name
        arguments = raw_json(function.get("arguments"))
        entry[2] += arguments
        return bool(name or arguments)

    def _detail(self, detail: Json) -> None:
        """OpenRouter's reasoning details, which come in pieces and must go back whole."""
        last = self.details[-1] if self.details else None
        same = (
            last is not None
            and all(last.get(k) == detail.get(k) for k in ("type", "index"))
            and "index" in detail
        )
        if last is None or not same:
            self.details.append(dict(detail))
            return
        for key, value in detail.items():
            if key in ("text", "summary", "data") and isinstance(value, str):
                last[key] = text(last.get(key)) + value
            elif value is not None:
                last[key] = value

    def reply(self, raw: str, usage: Json) -> Reply:
        """All of it as a Reply."""
        refusal = whole("".join(self.refusal))
        calls = tuple([ToolCall(whole(i), whole(n), whole(a)) for i, n, a in self.calls])
        finish = FINISH.get(raw, "other")
        if refusal:
            finish = "refusal"
        elif calls and finish in ("stop", "other"):
            finish = "tool_calls"
        return Reply(
            text=whole("".join(self.text)),
            finish=finish,
            usage=usage_of(usage),
            tool_calls=calls,
            reasoning=whole("".join(self.reasoning)),
            reasoning_opaque=whole(raw_json(self.details)) if self.details else "",
            refusal=refusal,
            model=whole(self.model),
            response_id=whole(self.id),
            finish_raw=whole(raw),
            logprobs=tuple(self.logprobs),
            system_fingerprint=whole(self.fingerprint),
            reported_cost_pusd=pusd(usage.get("cost")),
            audio=spoken(self.audio) if self.audio else None,
        )


class ChatStream:
    """A streamed chat completion. Its finish marker is a `finish_reason`: a `[DONE]` without one ends a broken stream
    as well."""

    __slots__ = ("_parts", "_raw", "_usage", "ended", "finished")

    def __init__(self) -> None:
        self._parts = _Parts()
        self._raw = ""
        self._usage: Json = {}
        self.ended = self.finished = False

    def event(self, name: str, data: bytes) -> bool:
        """One chunk."""
        if data.strip() == b"[DONE]":
            self.ended = True
            return False
        value = obj(decode(data))
        if name == "error" or is_error(value):
            raise error_fault(200, value, retry_after=None, otherwise="error_event")
        self._parts.identity(value)
        usage = value.get("usage")
        if isinstance(usage, dict):
            self._usage = usage
        found = False
        for choice in map(obj, items(value.get("choices"))):
            if choice.get("index") not in (0, None):
                continue
            if choice.get("error") or choice.get("finish_reason") == "error":
                raise error_fault(200, choice, retry_after=None, otherwise="error_event")
            delta = choice.get("delta", choice.get("message"))
            here = self._parts.add_message(obj(delta))
            if not isinstance(delta, dict) and isinstance(choice.get("text"), str):
                here = self._parts.add_message({"content": choice["text"]})
            self._parts.logprobs.extend(_logprobs(choice))
            found = found or here
            if reason := text(choice.get("finish_reason")):
                self._raw, self.finished = reason, True
        return found

    def reply(self) -> Reply:
        """The reply that the chunks add up to."""
        return self._parts.reply(self._raw, self._usage)


def usage_of(usage: Json) -> Usage:
    """Token counts of a chat completion.

    Some providers leave reasoning out of `completion_tokens` (xAI); their total tells, and the output is then the
    sum, because that is what is billed.
    """
    into, out = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    details, more = obj(usage.get("completion_tokens_details")), obj(usage.get("prompt_tokens_details"))
    thought = count(details.get("reasoning_tokens"))
    if (
        into is not None
        and out is not None
        and thought
        and count(usage.get("total_tokens")) == into + out + thought
    ):
        out += thought
    cached = count(more.get("cached_tokens"))
    return Usage(
        input_tokens=into,
        output_tokens=out,
        cached_input_tokens=count(usage.get("prompt_cache_hit_tokens")) if cached is None else cached,
        cache_write_tokens=count(more.get("cache_write_tokens")),
        reasoning_tokens=thought,
        audio_input_tokens=count(more.get("audio_tokens")) or None,
        audio_output_tokens=count(details.get("audio_tokens")) or None,
    )


def _logprobs(choice: Json) -> list[TokenLogprob]:
    return [p for p in map(token_logprob, items(obj(choice.get("logprobs")).get("content"))) if p is not None]


def _part(part: Part) -> Json:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, AudioPart):
        return input_audio(part)
    return {"type": "image_url", "image_url": {"url": image_url(part)}}


def _message(m: Message) -> Json:
    content: object = m.content if isinstance(m.content, str) else [_part(p) for p in m.content]
    out: Json = {"role": m.role, "content": content}
    if m.name:
        out["name"] = m.name
    if m.role == "tool":
        out["tool_call_id"] = m.tool_call_id
    if m.tool_calls:
        out["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in m.tool_calls
        ]
        if not m.content:
            out["content"] = None
        if m.reasoning:
            out["reasoning_content"] = m.reasoning
    if m.reasoning_opaque and (details := opaque_items(m.reasoning_opaque, ("reasoning.",))):
        out["reasoning_details"] = details
    return out
