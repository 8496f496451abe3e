"""What a contestant reports of itself: a figure that is no plausible number is not known, never a crash and never
0; a text that cannot be written in UTF-8 is mended."""

from __future__ import annotations

import math

import msgspec

from steelyard.schema.price import PUSD
from steelyard.schema.reply import Reply
from steelyard.wire.values import mended

MOST_TOKENS = 1 << 40
MOST_DOLLARS = 9_000
"""Of one answer. The ledger keeps picodollars in 53 bits, which is 9007 dollars."""


def number_of(value: object) -> float | None:
    """A finite number, 0 or more, from a number or its text; None for anything else (NaN, inf, negative, a word)."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and found >= 0 else None


def count_of(value: object) -> int | None:
    """A token count; None when it is none."""
    found = number_of(value)
    return int(found) if found is not None and found <= MOST_TOKENS else None


def pusd_of(dollars: object) -> int | None:
    """Dollars as picodollars; None when they are no plausible cost of one answer."""
    found = number_of(dollars)
    return round(found * PUSD) if found is not None and found <= MOST_DOLLARS else None


def writable(reply: Reply) -> Reply:
    """The reply as it can be kept: stray halves of surrogate pairs, which Python texts may hold, are U+FFFD."""
    try:
        msgspec.msgpack.encode(reply)
    except UnicodeEncodeError:
        return msgspec.convert(mended(msgspec.to_builtins(reply)), Reply)
    return reply
