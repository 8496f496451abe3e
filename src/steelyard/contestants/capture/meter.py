"""What a trial may still spend: turns, tokens and money, with what is in flight set aside. Nothing here is sent.

The purse of the runner is asked besides, with the same worst case: its word is what is durable.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from steelyard.contestants.capture.bound import InputBound
from steelyard.errors import Fault
from steelyard.schema.price import Price, worst_case_pusd
from steelyard.unknown import is_known

LEAST_OUTPUT = 256
"""A call whose output would be bounded below this, and below what it asked for, is not worth sending."""


class LimitReached(Exception):
    """A limit of the trial: turns, tokens or money."""

    def __init__(self, which: str) -> None:
        super().__init__(which)
        self.which = which


@dataclass(frozen=True, slots=True)
class Share:
    """What one call may use: input and output tokens at the most, and what they cost then (None: not known)."""

    tokens: int
    output: int
    pusd: int | None


class Meter:
    """The trial's own limits; None is none."""

    def __init__(
        self, price: Price | None, *, turns: int | None, tokens: int | None, money_pusd: int | None
    ) -> None:
        self._price, self._turns, self._tokens, self._money = price, turns, tokens, money_pusd
        self._used_turns = self._used_tokens = self._used_pusd = 0
        self._held_turns = self._held_tokens = self._held_pusd = 0
        self._settled = asyncio.Event()

    async def take(self, bound: InputBound, body: bytes, output: int, choices: int) -> Share:
        """Set a call's worst case aside, its output bounded by what is left. Waits for calls in flight when they may
        leave enough. Raises LimitReached."""
        while True:
            share = self._share(bound.of(body), output, choices)
            if isinstance(share, Share):
                self._held_turns += 1
                self._held_tokens += share.tokens
                self._held_pusd += share.pusd or 0
                return share
            if not self._held_turns:
                raise LimitReached(share)
            self._settled.clear()
            await self._settled.wait()

    def settle(self, share: Share, *, replied: bool, tokens: int | None, pusd: int | None) -> None:
        """The call ended; figures that are not known count as the worst case."""
        self._held_turns -= 1
        self._held_tokens -= share.tokens
        self._held_pusd -= share.pusd or 0
        self._used_turns += int(replied)
        self._used_tokens += share.tokens if tokens is None else tokens
        self._used_pusd += (share.pusd or 0) if pusd is None else pusd
        self._settled.set()

    def _share(self, tokens_in: int, output: int, choices: int) -> Share | str:
        """What a call may use now, or the limit that does not allow it."""
        if self._turns is not None and self._used_turns + self._held_turns >= self._turns:
            return "turns"
        least, granted = min(output, LEAST_OUTPUT), output
        if self._tokens is not None:
            left = self._tokens - self._used_tokens - self._held_tokens - tokens_in
            granted = min(granted, left // choices)
            if granted < least:
                return "tokens"
        base = worst_case_pusd(self._price, tokens_in, 0)
        if self._money is not None and is_known(base):
            each = worst_case_pusd(self._price, tokens_in, choices)
            a_token = each - base if is_known(each) else 0
            left = self._money - self._used_pusd - self._held_pusd - base
            if left < 0:
                return "money"
            granted = min(granted, left // a_token) if a_token else granted
            if granted < least:
                return "money"
        worst = worst_case_pusd(self._price, tokens_in, granted * choices)
        return Share(tokens_in + granted * choices, granted, worst if is_known(worst) else None)


def which_limit(broken: Fault) -> str:
    """The limit of a trial that a purse's refusal names."""
    return next((w for w in ("tokens", "turns", "money") if w in str(broken)), "money")
