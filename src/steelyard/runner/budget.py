"""Whole-run caps with reservation: the worst case of whatever is in flight is set aside before it is sent.

Invariant, for money and for tokens alike: spent + held + reserved <= cap, where `spent` is what is known to be
charged, `held` the worst case of attempts whose cost never became known (a crash, a broken reply, usage that was not
reported), and `reserved` the worst case of attempts now in flight.

The one way past a cap: a provider that charges more than the worst case (a hidden prompt, output beyond `max_tokens`,
another price than the plan's). What a reply shows is added to every reservation of that contestant from then on, those
in flight and those that wait included. So the cap can be passed by the excess of calls that were in flight together
before a reply showed it, once, since nothing is sent beyond the cap; `overrun` adds up what went beyond estimates.
What was learnt is handed to `on_learnt`, so that a resumed run begins with it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from steelyard.schema.plan import Caps

CapChanges = Mapping[str, int | float | None]
"""New values of `money` (picodollars), `tokens` and `seconds`, those that change; None takes a cap away."""
Learnt = Mapping[int, tuple[int, int, int, int]]
"""Of a contestant: `Excess.most` and `.largest` of money, then of tokens."""


class CapReachedError(Exception):
    """Nothing more fits under a cap. `which` is money, tokens or time."""

    def __init__(self, which: str) -> None:
        super().__init__(which)
        self.which = which


@dataclass(slots=True, eq=False)
class Hold:
    """A reservation. `pusd` and `tokens` are the worst case, None when not known (no such cap is set then).

    `who` numbers the contestant whose replies teach what it really charges; None: nothing is learnt. The budget widens
    `pusd` and `tokens` by what it has learnt; `estimate` keeps them as they were asked for.
    """

    pusd: int | None
    tokens: int | None
    who: int | None = None
    estimate: tuple[int | None, int | None] = field(init=False)

    def __post_init__(self) -> None:
        self.estimate = self.pusd, self.tokens


@dataclass(slots=True)
class Excess:
    """How far a contestant's replies went beyond their estimates, and the largest estimate that was tried."""

    most: int = 0
    largest: int = 0

    def widened(self, estimate: int) -> int:
        """As much more as was ever seen; in proportion for what is larger than anything seen."""
        if not self.most:
            return estimate
        beyond = max(estimate, self.largest)
        return estimate - (-self.most * beyond // max(self.largest, 1))

    def learn(self, estimate: int, actual: int) -> bool:
        """Take a reply into account; True when it went further than any before."""
        self.largest = max(self.largest, estimate)
        further = actual - estimate > self.most
        self.most = max(self.most, actual - estimate)
        return further


class Budget:
    """Counts money (picodollars) and tokens against the caps of a run; one event loop owns it."""

    def __init__(
        self, caps: Caps, *, spent: int = 0, tokens: int = 0, held: int = 0, seconds: float = 0.0
    ) -> None:
        self.caps = caps
        self.on_learnt: Callable[[Learnt], None] | None = None
        self._began = time.monotonic() - seconds
        self.spent, self.tokens, self.held, self.held_tokens = spent, tokens, held, 0
        self.reserved = self.reserved_tokens = self.in_flight = 0
        self.overrun = 0
        self._unknown_costs = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._live: set[Hold] = set()
        self._excess: dict[int, tuple[Excess, Excess]] = {}

    @property
    def unknown_costs(self) -> int:
        """Attempts whose cost is not known."""
        return self._unknown_costs

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the time cap; None without one."""
        return None if self.caps.seconds is None else self._began + self.caps.seconds - time.monotonic()

    def change(self, changes: CapChanges) -> None:
        """Change caps while running; waiters look again."""
        caps = {"money_pusd" if k == "money" else k: v for k, v in changes.items()}
        self.caps = msgspec.structs.replace(self.caps, **caps)
        self._wake()

    def knows(self, learnt: Learnt) -> None:
        """Begin with what earlier sessions learnt."""
        self._excess = {who: (Excess(*m[:2]), Excess(*m[2:])) for who, m in learnt.items()}

    def _fits(self, hold: Hold) -> bool:
        money, tokens = self.caps.money_pusd, self.caps.tokens
        if money is not None and self.spent + self.held + self.reserved + (hold.pusd or 0) > money:
            return False
        used = self.tokens + self.held_tokens + self.reserved_tokens
        return tokens is None or used + (hold.tokens or 0) <= tokens

    def widen(self, hold: Hold) -> None:
        """Bring a reservation that is not set aside yet up to what its contestant is known to charge."""
        learnt = self._excess.get(hold.who) if hold.who is not None else None
        if learnt is not None:
            pusd, tokens = hold.estimate
            hold.pusd = None if pusd is None else learnt[0].widened(pusd)
            hold.tokens = None if tokens is None else learnt[1].widened(tokens)

    def _learn(self, hold: Hold, cost: int | None, tokens: int | None) -> None:
        if hold.who is None:
            return
        learnt = self._excess.setdefault(hold.who, (Excess(), Excess()))
        further = False
        for excess, estimate, actual in zip(learnt, hold.estimate, (cost, tokens), strict=True):
            if estimate is not None and actual is not None:
                further = excess.learn(estimate, actual) or further
        if further:
            # what is in flight was set aside before this was known
            for live in self._live:
                if live.who == hold.who:
                    self._count(live, -1)
                    self.widen(live)
                    self._count(live, +1)
            if self.on_learnt is not None:
                self.on_learnt(
                    {w: (a.most, a.largest, b.most, b.largest) for w, (a, b) in self._excess.items()}
                )

    def _count(self, hold: Hold, sign: int) -> None:
        self.reserved += sign * (hold.pusd or 0)
        self.reserved_tokens += sign * (hold.tokens or 0)

    async def reserve(self, hold: Hold) -> None:
        """Set `hold` aside, widened by what is learnt; waits while it might still fit once others settle.

        Raises CapReachedError when it cannot fit even then, or the time is up.
        """
        if self.caps.money_pusd is not None and hold.pusd is None:
            raise CapReachedError("money")
        if self.caps.tokens is not None and hold.tokens is None:
            raise CapReachedError("tokens")
        while True:
            if (left := self.seconds_left) is not None and left <= 0:
                raise CapReachedError("time")
            self.widen(hold)
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
        self._live.add(hold)
        self._count(hold, +1)

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
        self._live.discard(hold)
        self._count(hold, -1)
        self._learn(hold, cost, tokens)
        kept = 0
        if cost is not None:
            self.spent += cost
            if hold.estimate[0] is not None and cost > hold.estimate[0]:
                self.overrun += cost - hold.estimate[0]
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
