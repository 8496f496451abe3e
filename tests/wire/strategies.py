"""Requests and replies that each dialect can say, for the tests that hold both sides equal."""

from __future__ import annotations

from hypothesis import strategies as st
from msgspec import json

from steelyard.schema.contestant import Sampling
from steelyard.schema.message import ImagePart, Message, TextPart, ToolCall, ToolSpec
from steelyard.schema.reply import Reply, TokenLogprob, Usage
from steelyard.wire.base import Request

words = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
some = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
arguments = st.dictionaries(names, words | st.integers(-9, 9) | st.none(), max_size=3).map(
    lambda d: json.encode(d).decode()
)
calls = st.lists(st.builds(ToolCall, some, names, arguments), max_size=3, unique_by=lambda c: c.id).map(tuple)
counts = st.integers(0, 10**7)
schemas = st.dictionaries(names, words, min_size=1, max_size=2)
tools = st.lists(st.builds(ToolSpec, names, words, schemas), max_size=2).map(tuple)
probability = st.floats(-50, 0)
alternatives = st.lists(st.tuples(words, probability), max_size=2).map(tuple)
logprobs = st.lists(st.builds(TokenLogprob, words, probability, alternatives), max_size=3).map(tuple)
images = st.builds(
    ImagePart, media_type=st.sampled_from(["image/png", "image/jpeg"]), data=st.just("aGk=")
) | st.builds(ImagePart, url=st.just("https://example.com/a.png"))
parts = st.lists(st.builds(TextPart, words) | images, min_size=1, max_size=3).map(tuple)
text_parts = st.lists(st.builds(TextPart, words), min_size=1, max_size=2).map(tuple)
extras = st.dictionaries(st.sampled_from(["top_k", "custom"]), counts | words, max_size=2)


ENDS = ("stop", "length", "tools", "refusal", "filter")
RAW = {
    "openai-chat": dict(zip(ENDS, ("stop", "length", "tool_calls", "stop", "content_filter"), strict=True)),
    "openai-responses": dict(
        zip(ENDS, ("completed", "max_output_tokens", "completed", "completed", "content_filter"), strict=True)
    ),
    "anthropic-messages": dict(
        zip(ENDS, ("end_turn", "max_tokens", "tool_use", "refusal", "pause_turn"), strict=True)
    ),
}


def opaque(dialect: str, thought: str, signature: str) -> str:
    """An opaque reasoning as the dialect writes it."""
    block: dict[str, object] = {
        "openai-chat": {"type": "reasoning.text", "text": thought, "signature": signature, "index": 0},
        "openai-responses": {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": thought}],
            "encrypted_content": signature,
        },
        "anthropic-messages": {"type": "thinking", "thinking": thought, "signature": signature},
    }[dialect]
    return json.encode([block]).decode()


@st.composite
def assistants(draw: st.DrawFn, dialect: str) -> Message:
    """A turn of the assistant."""
    called = draw(calls)
    thought, signed = draw(some), draw(st.booleans())
    content = draw(words)
    if dialect == "openai-chat":
        # reasoning goes back with calls only
        return Message(
            "assistant",
            content,
            called,
            reasoning=thought if called else "",
            reasoning_opaque=opaque(dialect, thought, "sig") if signed else "",
        )
    return Message(
        "assistant",
        content,
        called,
        reasoning=thought if signed else "",
        reasoning_opaque=opaque(dialect, thought, "sig") if signed else "",
    )


@st.composite
def requests(draw: st.DrawFn, dialect: str) -> Request:
    """A request that the dialect can say."""
    messages = []
    if draw(st.booleans()):
        messages.append(Message("system", draw(some | text_parts)))
    for _ in range(draw(st.integers(0, 3))):
        messages.append(Message("user", draw(some | parts)))
        if draw(st.booleans()):
            said = draw(assistants(dialect))
            messages.append(said)
            messages += [
                Message("tool", draw(words | text_parts), tool_call_id=c.id) for c in said.tool_calls
            ]
    chat, claude = dialect == "openai-chat", dialect == "anthropic-messages"
    number = st.none() | st.floats(0, 2)
    sampling = Sampling(
        max_tokens=draw(counts if claude else st.none() | counts),
        temperature=draw(number),
        top_p=draw(number),
        stop=() if dialect == "openai-responses" else tuple(draw(st.lists(words, max_size=2))),
        logprobs=None if claude else draw(st.none() | st.integers(0, 20)),
        reasoning_effort=draw(st.sampled_from(["", "low", "high"])),
        extra=draw(extras),
    )
    seed = draw(st.none() | st.integers(-(2**40), 2**60)) if chat else None
    model = draw(st.sampled_from(["m", "o3-mini", "vendor/gpt-5", "claude-x"]))
    return Request(model, tuple(messages), sampling, draw(tools), seed, draw(st.booleans()))


@st.composite
def replies(draw: st.DrawFn, dialect: str) -> Reply:
    """A reply that the dialect can say."""
    chat, claude = dialect == "openai-chat", dialect == "anthropic-messages"
    end = draw(st.sampled_from(ENDS))
    called = draw(calls.filter(bool)) if end == "tools" else ()
    thought, signed = draw(words), draw(st.booleans())
    into, cached, written = draw(counts), draw(st.none() | counts), draw(st.none() | counts)
    raw = RAW[dialect][end]
    finish = {"stop": "stop", "length": "length", "tools": "tool_calls", "refusal": "refusal"}.get(
        end, "other" if claude else "content_filter"
    )
    return Reply(
        text=draw(words),
        finish=finish,  # type: ignore[arg-type]  # one of the literals above
        usage=Usage(
            into + (cached or 0) + (written or 0),
            draw(counts),
            cached,
            written,
            None if claude else draw(st.none() | counts),
        ),
        tool_calls=called,
        reasoning=thought,
        reasoning_opaque=opaque(dialect, thought, "sig") if signed else "",
        refusal=draw(some) if end == "refusal" else "",
        model=draw(words),
        response_id=draw(words),
        finish_raw=raw,
        logprobs=() if claude else draw(logprobs),
        system_fingerprint=draw(words) if chat else "",
        reported_cost_pusd=None if claude else draw(st.none() | st.integers(0, 10**13)),
    )
