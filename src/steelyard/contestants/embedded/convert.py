"""Between the project's nouns and the engine's: a request becomes turns and settings, an answer a reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from steelyard.contestants.embedded import engine, sampler
from steelyard.contestants.embedded.weights import Card
from steelyard.schema.contestant import Sampling
from steelyard.schema.message import Message, ToolSpec, media_of, media_words, text_of
from steelyard.schema.reply import Reply, TokenLogprob, Usage
from steelyard.wire.faults import fault

DEFAULT_MAX_TOKENS = 128

_HARMLESS: Mapping[str, tuple[object, ...]] = {
    "n": (1, None),
    "frequency_penalty": (0, None),
    "presence_penalty": (0, None),
    "logit_bias": ({}, None),
    "response_format": ({"type": "text"}, None),
    "text": ({"format": {"type": "text"}}, None),
    "thinking": ({"type": "disabled"}, None),
    "reasoning": ({}, None),
    "tool_choice": ("none", "auto", {"type": "auto"}, {"type": "none"}, None),
    "parallel_tool_calls": (True, False, None),
    "stream_options": ({}, {"include_usage": True}, {"include_usage": False}, None),
    "background": (False, None),
    "truncation": ("disabled", None),
}
"""Values that ask for nothing that these models lack; any other value is refused."""
_IGNORED = frozenset(
    {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "include"}
)
"""Fields that say nothing about the answer."""


def turns(messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> list[engine.Turn]:
    """(role, text) turns. Raises Fault `bad_request` for what a text model without tools cannot take."""
    if tools:
        raise fault("bad_request", "`tools`: these models call no tools; leave the field out")
    if not messages:
        raise fault("bad_request", "`messages`: wanted at least one message")
    out: list[engine.Turn] = []
    for i, m in enumerate(messages):
        if m.role == "tool" or m.tool_calls:
            raise fault("bad_request", f"`messages[{i}]`: these models know no tool calls and results")
        if found := media_of(m):
            got = media_words(found)
            raise fault("bad_request", f"`messages[{i}]`: these models read text only, got {got}")
        out.append((m.role, text_of(m)))
    return out


def settings(given: Sampling, seed: int | None) -> sampler.Sampling:
    """Settings of a call; temperature and top_p default to 1, max_tokens to 128.

    Raises Fault `bad_request` that names a field which these models cannot honour.
    """
    for name, value in given.extra.items():
        if name not in _IGNORED and value not in _HARMLESS.get(name, (None,)):
            raise fault("bad_request", f"`{name}`: these models cannot honour {value!r:.80}; leave it out")
    if given.reasoning_effort not in ("", "none"):
        raise fault("bad_request", "`reasoning_effort`: these models do not reason apart from their answer")
    return sampler.Sampling(
        max_tokens=DEFAULT_MAX_TOKENS if given.max_tokens is None else given.max_tokens,
        temperature=1.0 if given.temperature is None else given.temperature,
        top_p=1.0 if given.top_p is None else given.top_p,
        seed=seed,
        stop=given.stop,
        top_logprobs=given.logprobs or 0,
    )


def logprob(token: engine.TokenText) -> TokenLogprob:
    """A token as a reply carries it."""
    return TokenLogprob(token.text, token.logprob, token.top)


def reply(card: Card, made: engine.Generated, response_id: str, *, logprobs: bool) -> Reply:
    """A finished answer as a reply; the fingerprint is the beginning of the weights' SHA-256."""
    return Reply(
        text=made.text,
        finish=made.finish,
        usage=Usage(input_tokens=made.prompt_tokens, output_tokens=made.completion_tokens),
        model=card.name,
        response_id=response_id,
        logprobs=tuple(logprob(t) for t in made.tokens) if logprobs else (),
        system_fingerprint=f"fp_{card.sha256[:12]}",
    )
