"""What came back from a model in one call: text, tool calls, usage, why it stopped, and when each chunk came."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from steelyard.schema.message import AudioPart, ToolCall

FinishReason = Literal["stop", "length", "tool_calls", "refusal", "content_filter", "other"]


class Usage(Struct, frozen=True, omit_defaults=True):
    """Token counts as the provider reported them; None means not reported, never zero (of sound: or none).

    `input_tokens` and `output_tokens` are totals; cached, cache-write, reasoning and audio are parts of them
    (Anthropic reports input without the cached parts: its dialect adds them up).
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None


class TokenLogprob(Struct, frozen=True, array_like=True):
    """A token, its natural log probability, and the most likely alternatives as (token, log probability)."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


class Timing(Struct, frozen=True, array_like=True):
    """Nanoseconds on one monotonic clock, from the moment that the request's last byte was handed over.

    `first_byte_ns` any byte of the reply; `first_token_ns` the first chunk that carries content (None when
    the reply was not streamed); `done_ns` reply fully read; `chunk_ns` when each content chunk came.
    `connect_ns` is the time spent on a new connection before sending, 0 on a kept one.
    """

    first_byte_ns: int
    done_ns: int
    first_token_ns: int | None = None
    chunk_ns: tuple[int, ...] = ()
    connect_ns: int = 0


class Reply(Struct, frozen=True, omit_defaults=True):
    """One reply. `refusal` is the provider's explicit refusal text; `model` what the provider says answered.

    `audio` is what it said aloud, `text` its transcript then; a contestant moves it into the trial's trace.
    """

    text: str = ""
    finish: FinishReason = "stop"
    usage: Usage = Usage()
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    reasoning_opaque: str = ""
    refusal: str = ""
    model: str = ""
    response_id: str = ""
    finish_raw: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    timing: Timing | None = None
    system_fingerprint: str = ""
    reported_cost_pusd: int | None = None
    audio: AudioPart | None = None
