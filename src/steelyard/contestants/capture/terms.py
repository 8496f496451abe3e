"""What holds for the calls of one trial: how they are edited, what they cost, where they end."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.contestants.capture.edit import Rules
from steelyard.schema.price import Price


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for the calls of one trial. None: no such limit."""

    rules: Rules
    price: Price | None = None
    turns: int | None = None
    tokens: int | None = None
    money_pusd: int | None = None
    context_tokens: int | None = None
