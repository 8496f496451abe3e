"""Figures that a contestant reports of itself: what is no plausible number is not known, never a crash and never 0."""

from __future__ import annotations

import math

from steelyard.schema.price import PUSD

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
