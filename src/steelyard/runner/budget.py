"""Whole-run caps with reservation: the worst case of whatever is in flight is set aside before it is sent.

Invariant, for money and for tokens alike: spent + held + reserved <= cap, where `spent` is what is known to be
charged, `held` the worst case of attempts whose cost never became known (a crash, a broken reply, usage that was not
reported), and `reserved` the worst case of attempts now in flight. A provider that charges more than the worst case
that its own price list allows is the one way past a cap; `overrun` counts it, and the run stops.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass

from steelyard.schema.plan import Caps


class CapReachedError(Exception):
    """Nothing more fits under a cap. `which` is money, tokens or time."""

    def __init__(self, which: str) -> None:
        super().__init__(which)
        self.which = which


@dataclass(frozen=True, slots=True)
class Hold:
    """A reservation. `pusd` and `tokens` are the worst case, None when not known (no such cap is set then)."""

    pusd: int | None
    tokens: int | None


class Budget:
    """Counts money (picodollars) and tokens against the caps of a run; one event loop owns it."""

    def __init__(self, caps: Caps, *, spent: int = 0, tokens: int = 0, held: int = 0) -> None:
        self.caps = caps
        self.spent, self.tokens, self.held, self.held_tokens = spent, tokens, held, 0
        self.reserved = self.reserved_tokens = self.in_flight = 0
        self.overrun = 0
        self._unknown_costs = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._deadline = None if caps.seconds is None else time.monotonic() + caps.seconds

    @property
    def unknown_costs(self) -> int:
        """Attempts whose cost is not known."""
        return self._unknown_costs

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the time cap; None without one."""
        return None if self._deadline is None else self._deadline - time.monotonic()

    def raise_money(self, cap: int | None) -> None:
        """Change the money cap while running; waiters look again."""
        self.caps = Caps(money_pusd=cap, tokens=self.caps.tokens, seconds=self.caps.seconds)
        self._wake()

    def _fits(self, hold: Hold) -> bool:
        money, tokens = self.caps.money_pusd, self.caps.tokens
        if money is not None and self.spent + self.held + self.reserved + (hold.pusd or 0) > money:
            return False
        used = self.tokens + self.held_tokens + self.reserved_tokens
        return tokens is None or used + (hold.tokens or 0) <= tokens

    async def reserve(self, hold: Hold) -> None:
        """Set `hold` aside; waits while it might still fit once others settle.

        Raises CapReachedError when it cannot fit even then, or the time is up.
        """
        if self.caps.money_pusd is not None and hold.pusd is None:
            raise CapReachedError("money")
        if self.caps.tokens is not None and hold.tokens is None:
            raise CapReachedError("tokens")
        while True:
            if self._deadline is not None and time.monotonic() >= self._deadline:
                raise CapReachedError("time")
            if self._fits(hold):
                break
            if self.in_flight == 0:
                raise CapReachedError(self._blocking(hold))
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                if not waiter.done():
                    waiter.cancel()
        self.in_flight += 1
        self.reserved += hold.pusd or 0
        self.reserved_tokens += hold.tokens or 0

    def _blocking(self, hold: Hold) -> str:
        money = self.caps.money_pusd
        if money is not None and self.spent + self.held + (hold.pusd or 0) > money:
            return "money"
        return "tokens"

    def settle(self, hold: Hold, cost: int | None, tokens: int | None, *, paid: bool | None) -> int:
        """End a reservation; returns what stays held (picodollars).

        `cost` None with `paid` False releases everything; with `paid` True or None (nobody knows) the worst case
        stays counted against the cap.
        """
        self.in_flight -= 1
        self.reserved -= hold.pusd or 0
        self.reserved_tokens -= hold.tokens or 0
        kept = 0
        if cost is not None:
            self.spent += cost
            if hold.pusd is not None and cost > hold.pusd:
                self.overrun += cost - hold.pusd
        elif paid is not False:
            self._unknown_costs += 1
            kept = hold.pusd or 0
            self.held += kept
        if tokens is not None:
            self.tokens += tokens
        elif paid is not False:
            self.held_tokens += hold.tokens or 0
        self._wake()
        return kept

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
