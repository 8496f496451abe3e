"""How many calls a provider may have at once, and how fast they may come: learnt from its answers.

`Gate` decides, on times that it is given; no clock, no waiting, so it is tested on made-up time. `Limiter` waits.
The rule is TCP's with BIC's way back: a 429 multiplies the limit by 0.7, once for all calls that were in flight
together; a round of successes at the limit takes back a quarter of the way to where the 429 came, later one at a
time. A `Retry-After` stops new calls until then; a 5xx, a timeout or a lost connection stops
growth for some seconds.

Not covered: limits shared with other processes, which show as 429s and are adapted to like any other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from steelyard.errors import Fault

SHRINK = 0.7
_HOLD_S = 5.0
_BURST_S = 6.0
"""A minute's allowance is handed out evenly; at most this many seconds of it may be saved up."""
_FOREVER = float("inf")
_STRAIN = frozenset(
    {
        "server_error",
        "overloaded",
        "timeout_first_byte",
        "timeout_body",
        "connect_timeout",
        "refused",
        "connection_lost",
    }
)


@dataclass(frozen=True, slots=True)
class Rates:
    """Limits of one provider. `most` is the ceiling of calls at once, where it also begins."""

    most: int = 64
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of a limit's history: when (the caller's clock), the new limit, why."""

    at: float
    limit: int
    why: str


class _Bucket:
    """A token bucket that may go into debt by one call, so that a call larger than the bucket still passes."""

    __slots__ = ("_at", "_level", "_rate", "_size")

    def __init__(self, per_minute: float, now: float) -> None:
        self._rate = per_minute / 60.0
        self._size = max(1.0, self._rate * _BURST_S)
        self._level, self._at = self._size, now

    def wait(self, now: float, amount: float) -> float:
        """Seconds until `amount` may be taken."""
        self._level = min(self._size, self._level + (now - self._at) * self._rate)
        self._at = now
        missing = min(amount, self._size) - self._level
        # a hair of rounding must not cost another round of waiting
        return missing / self._rate if missing > 1e-9 else 0.0

    def take(self, amount: float) -> None:
        """Take, or give back when negative."""
        self._level = min(self._size, self._level - amount)


class Gate:
    """The decision without the waiting. Times are seconds on any one clock that does not go back."""

    __slots__ = (
        "_generation", "_grow_after", "_last_most", "_requests", "_successes", "_tokens",
        "history", "in_flight", "limit", "paused_until", "rates",
    )  # fmt: skip

    def __init__(self, rates: Rates, now: float) -> None:
        self.rates = rates
        self.limit = max(1, rates.most)
        self.in_flight = 0
        self.paused_until = now
        self.history: deque[Change] = deque([Change(now, self.limit, "start")], maxlen=1000)
        self._requests = _Bucket(rates.requests_per_minute, now) if rates.requests_per_minute else None
        self._tokens = _Bucket(rates.tokens_per_minute, now) if rates.tokens_per_minute else None
        self._generation = 0
        self._grow_after = now
        self._last_most = self.limit
        self._successes = 0

    def wait(self, now: float, tokens: int) -> float:
        """0 when a call may start now; seconds to wait; infinity when another must end first."""
        if self.in_flight >= self.limit:
            return _FOREVER
        wait = self.paused_until - now if self.paused_until > now else 0.0
        if self._requests is not None:
            wait = max(wait, self._requests.wait(now, 1))
        if self._tokens is not None and tokens:
            wait = max(wait, self._tokens.wait(now, tokens))
        return wait

    def enter(self, tokens: int) -> int:
        """A call starts (after `wait` said 0). Gives what `leave` must be told."""
        self.in_flight += 1
        if self._requests is not None:
            self._requests.take(1)
        if self._tokens is not None:
            self._tokens.take(tokens)
        return self._generation

    def leave(self, now: float, generation: int, kind: str | None, retry_after: float | None) -> None:
        """A call ended: `kind` of its fault, None after a success, "" when its end says nothing of the provider."""
        was_full = self.in_flight >= self.limit
        self.in_flight -= 1
        if kind is None:
            self._grow(now, generation, was_full=was_full)
        elif kind == "rate_limited":
            self._pause(now, retry_after)
            if generation == self._generation:
                self._last_most = self.limit
                self._generation += 1
                self._successes = 0
                self._set(now, max(1, int(self.limit * SHRINK)), "429")
        elif kind in _STRAIN:
            self._pause(now, retry_after)
            self._grow_after = max(self._grow_after, now + _HOLD_S)
            self._successes = 0

    def refund(self, tokens: int) -> None:
        """The call used fewer tokens than it was let in with (or more, when negative)."""
        if self._tokens is not None:
            self._tokens.take(-tokens)

    def _pause(self, now: float, retry_after: float | None) -> None:
        if retry_after is not None:
            self.paused_until = max(self.paused_until, now + retry_after)

    def _grow(self, now: float, generation: int, *, was_full: bool) -> None:
        # successes of calls that began before the last 429 say nothing of the new limit
        if generation != self._generation or self.limit >= self.rates.most or now < self._grow_after:
            return
        self._successes += 1
        if self._successes >= self.limit and was_full:
            self._successes = 0
            step = max(1, (self._last_most - self.limit) // 4)
            self._set(now, min(self.rates.most, self.limit + step), "round of successes")

    def _set(self, now: float, limit: int, why: str) -> None:
        if limit != self.limit:
            self.limit = limit
            self.history.append(Change(now, limit, why))


class Slot:
    """A place at a provider: ``async with limiter.slot(tokens=n) as slot: ...; slot.outcome(kind, retry_after)``.

    Without `outcome`, a Fault that leaves the block is the outcome, no exception is a success, and any other
    exception (a cancellation) says nothing.
    """

    __slots__ = ("_generation", "_kind", "_limiter", "_retry_after", "_tokens", "_told")

    def __init__(self, limiter: Limiter, tokens: int) -> None:
        self._limiter, self._tokens = limiter, tokens
        self._generation = 0
        self._told = False
        self._kind: str | None = None
        self._retry_after: float | None = None

    def outcome(
        self, kind: str | None, retry_after: float | None = None, *, tokens: int | None = None
    ) -> None:
        """How the call ended (None: well), and the tokens that it used when they are known."""
        self._told, self._kind, self._retry_after = True, kind, retry_after
        if tokens is not None:
            self._limiter.gate.refund(self._tokens - tokens)

    async def __aenter__(self) -> Self:
        self._generation = await self._limiter.acquire(self._tokens)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: object
    ) -> None:
        if not self._told and exc is not None:
            self._kind = exc.kind if isinstance(exc, Fault) else ""
            self._retry_after = exc.retry_after if isinstance(exc, Fault) else None
        self._limiter.release(self._generation, self._kind, self._retry_after)


class Limiter:
    """A gate with a queue in front of it, first come, first served, on the running event loop."""

    __slots__ = ("_loop", "_timer", "_waiting", "gate")

    def __init__(self, rates: Rates) -> None:
        self._loop = asyncio.get_running_loop()
        self.gate = Gate(rates, self._loop.time())
        self._waiting: deque[tuple[asyncio.Future[int], int]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def slot(self, tokens: int = 0) -> Slot:
        """A place for one call that is expected to use so many tokens."""
        return Slot(self, tokens)

    async def acquire(self, tokens: int = 0) -> int:
        """Wait for a place; gives what `release` must be told."""
        if not self._waiting and self.gate.wait(self._loop.time(), tokens) <= 0:
            return self.gate.enter(tokens)
        future: asyncio.Future[int] = self._loop.create_future()
        self._waiting.append((future, tokens))
        self._pump()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.release(future.result(), "", None)
            else:
                self._pump()
            raise

    def release(self, generation: int, kind: str | None, retry_after: float | None) -> None:
        """Give the place back. See `Gate.leave`."""
        self.gate.leave(self._loop.time(), generation, kind, retry_after)
        if self._waiting:
            self._pump()

    def _pump(self) -> None:
        """Let in whoever may come in now; look again when the first in the queue may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            future, tokens = self._waiting[0]
            if future.done():
                self._waiting.popleft()
                continue
            wait = self.gate.wait(self._loop.time(), tokens)
            if wait > 0:
                if wait < _FOREVER:
                    self._timer = self._loop.call_later(wait, self._pump)
                return
            self._waiting.popleft()
            future.set_result(self.gate.enter(tokens))


class Limiters:
    """One limiter for each provider, made when it is first asked for."""

    def __init__(self, rates: dict[str, Rates], *, default: Rates | None = None) -> None:
        self._rates, self._default = rates, default or Rates()
        self._limiters: dict[str, Limiter] = {}

    def of(self, provider: str) -> Limiter:
        """The provider's limiter."""
        found = self._limiters.get(provider)
        if found is None:
            found = self._limiters[provider] = Limiter(self._rates.get(provider, self._default))
        return found

    async def acquire(self, provider: str, tokens: int) -> Callable[[str | None, float | None], None]:
        """Wait for a place; the function returned gives it back with the fault's kind (None: well, "": says nothing
        of the provider) and its Retry-After seconds."""
        limiter = self.of(provider)
        generation = await limiter.acquire(tokens)

        def release(kind: str | None, retry_after: float | None) -> None:
            limiter.release(generation, kind, retry_after)

        return release

    def histories(self) -> dict[str, tuple[Change, ...]]:
        """How each provider's limit changed, for display."""
        return {name: tuple(limiter.gate.history) for name, limiter in self._limiters.items()}
