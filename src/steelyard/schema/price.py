"""Prices: dated, in integer picodollars a token, with cache tiers. An unknown price is None, never zero.

Money is an `int` of picodollars (1e-12 US dollar) wherever it is added up, so that a cap is exact:
1 $ = 10**12; 0.15 $ a million tokens = 150_000 picodollars a token.
"""

from __future__ import annotations

from msgspec import Struct

from steelyard.schema.reply import Usage
from steelyard.unknown import Unknown

PUSD = 10**12
"""Picodollars in a dollar."""


class Price(Struct, frozen=True, omit_defaults=True):
    """US dollars a million tokens, as price lists say it, on `date` (ISO) from `source`; `tier` names the plan.

    `cached_input` and `cache_write` default to the input price when absent. `per_call` is dollars a call.
    `audio_input` and `audio_output` are those of tokens of sound; without them a call with such tokens is unpriced.
    `above_tokens` > 0: the `above_*` prices hold for the whole call when its input is longer than that.
    """

    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None
    per_call: float = 0.0
    date: str = ""
    source: str = ""
    tier: str = ""
    above_tokens: int = 0
    above_input: float | None = None
    above_output: float | None = None
    audio_input: float | None = None
    audio_output: float | None = None


def _per_token(dollars_a_million: float) -> int:
    return round(dollars_a_million * PUSD / 1_000_000)


def cost_pusd(price: Price | None, usage: Usage) -> int | Unknown:
    """Picodollars for one call. Unknown when the price, or a token count that it needs, is not known."""
    if price is None:
        return Unknown("no price")
    if usage.input_tokens is None or usage.output_tokens is None:
        if price.input == 0 and price.output == 0:
            return round(price.per_call * PUSD)
        return Unknown("token counts not reported")
    heard, spoken = usage.audio_input_tokens or 0, usage.audio_output_tokens or 0
    free = is_free(price)
    if ((heard and price.audio_input is None) or (spoken and price.audio_output is None)) and not free:
        return Unknown("tokens of sound have a price of their own: audio_input, audio_output")
    long = 0 < price.above_tokens < usage.input_tokens
    p_in = price.above_input if long and price.above_input is not None else price.input
    p_out = price.above_output if long and price.above_output is not None else price.output
    cached = min(usage.cached_input_tokens or 0, usage.input_tokens)
    written = min(usage.cache_write_tokens or 0, usage.input_tokens - cached)
    p_cached = price.cached_input if price.cached_input is not None else p_in
    p_written = price.cache_write if price.cache_write is not None else p_in
    # a sound that came from the cache is priced as one that did not: the provider does not say which was which
    heard, spoken = min(heard, usage.input_tokens - cached - written), min(spoken, usage.output_tokens)
    return (
        (usage.input_tokens - cached - written - heard) * _per_token(p_in)
        + cached * _per_token(p_cached)
        + written * _per_token(p_written)
        + heard * _per_token(price.audio_input or 0.0)
        + (usage.output_tokens - spoken) * _per_token(p_out)
        + spoken * _per_token(price.audio_output or 0.0)
        + round(price.per_call * PUSD)
    )


def worst_case_pusd(price: Price | None, input_tokens: int, max_output_tokens: int | None) -> int | Unknown:
    """Most that one call can cost: every input token at the dearest input rate, all of the output allowed."""
    if price is None:
        return Unknown("no price")
    rates = [price.input, price.cached_input, price.cache_write, price.above_input, price.audio_input]
    p_in = max(r for r in rates if r is not None)
    p_out = max(r for r in (price.output, price.above_output, price.audio_output) if r is not None)
    if max_output_tokens is None and p_out > 0:
        return Unknown("no bound on output tokens")
    return (
        input_tokens * _per_token(p_in)
        + (max_output_tokens or 0) * _per_token(p_out)
        + round(price.per_call * PUSD)
    )


def is_free(price: Price) -> bool:
    """True when no call can cost anything, whatever its length."""
    paid = (price.input, price.output, price.per_call, price.cached_input, price.cache_write)
    more = (price.above_input, price.above_output, price.audio_input, price.audio_output)
    return not any((*paid, *more))


def dollars(pusd: int) -> float:
    """Picodollars as dollars, for display only."""
    return pusd / PUSD
