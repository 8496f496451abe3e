"""One model call of a trial: set aside, send, settle; transient faults are tried again, a bounded number of times.

Every call is reserved in the purse before it is sent. A fault that the wire's table calls retryable is waited out
(full jitter, never before Retry-After); any other, and the last one, ends the attempt with its own blame.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from steelyard.contestants.base import Purse, Ticket
from steelyard.contestants.harness.clock import Clock
from steelyard.contestants.harness.meter import A_MESSAGE, LimitReachedError, Meter
from steelyard.contestants.harness.record import Recorder
from steelyard.errors import EndedBy, Fault
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.message import Message, ToolSpec
from steelyard.schema.reply import Reply
from steelyard.wire.base import Request

_WAIT_S, _WAIT_MOST_S = 0.5, 30.0


class Completes(Protocol):
    """A client of an endpoint."""

    async def complete(self, request: Request) -> Reply:
        """One call. Raises Fault."""
        ...


@dataclass(slots=True)
class Model:
    """The contestant's model in one trial."""

    spec: ContestantSpec
    client: Completes
    purse: Purse
    meter: Meter
    recorder: Recorder
    seed: int
    clock: Clock
    retries: int = 4
    counted: tuple[int, int] | None = None
    """Of this conversation: messages that the provider has counted, the reply to them included, and their tokens."""

    def another(self) -> Model:
        """The same model, purse and limits for another conversation."""
        return replace(self, counted=None)

    @property
    def seconds_left(self) -> float:
        """Until the trial's time limit."""
        return self.clock.left

    async def ask(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> tuple[Reply, int]:
        """The reply, and the nanoseconds that it took. Raises Fault or LimitReachedError."""
        waited = random.Random(self.seed + self.meter.turns)
        for tries in range(self.retries + 1):
            try:
                return await self._once(messages, tools)
            except Fault as fault:
                if not fault.retryable or tries == self.retries:
                    raise
                top = min(_WAIT_MOST_S, _WAIT_S * 2.0**tries)
                wait = max(fault.retry_after or 0.0, top * (0.5 + 0.5 * waited.random()))
                self.recorder.happened(
                    "retry", str(fault)[:300], {"kind": fault.kind, "wait_s": round(wait, 3)}
                )
                if wait >= self.seconds_left:
                    raise
                await asyncio.sleep(wait)
        raise AssertionError("the loop returns or raises")

    async def _once(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> tuple[Reply, int]:
        meter, sampling = self.meter, self.spec.sampling
        bound = meter.input_bound(messages, tools, self.counted)
        most = meter.output_room(bound, sampling.max_tokens)
        worst = meter.worst(bound, most)
        ticket = await self._reserve(worst)
        request = Request(
            model=self.spec.model,
            messages=tuple(messages),
            sampling=msgspec.structs.replace(sampling, max_tokens=most),
            tools=tuple(tools),
            seed=self.seed if sampling.send_seed else None,
            stream=self.spec.stream,
        )
        began = time.monotonic_ns()
        try:
            async with asyncio.timeout(max(0.0, self.seconds_left)):
                reply = await self.client.complete(request)
        except Fault as fault:
            self._lost(ticket, worst, paid=fault.paid, fault=fault)
            raise
        except TimeoutError:
            self._lost(ticket, worst, paid=None)
            raise LimitReachedError("seconds") from None
        except BaseException:  # cancelled: the call may have been paid, and its place must not be lost
            self._lost(ticket, worst, paid=None)
            raise
        cost = meter.settle(reply, worst)
        usage, spent = reply.usage, None
        self.counted = None
        if usage.input_tokens is not None and usage.output_tokens is not None:
            spent = usage.input_tokens + usage.output_tokens
            self.counted = (len(messages) + 1, spent + A_MESSAGE)
        self.purse.settle(ticket, cost, spent, paid=True)
        return reply, time.monotonic_ns() - began

    async def _reserve(self, worst: tuple[int | None, int | None]) -> Ticket:
        try:
            async with asyncio.timeout(max(0.0, self.seconds_left)):
                return await self.purse.reserve(*worst)
        except TimeoutError:
            raise LimitReachedError("seconds") from None
        except Fault as fault:
            if fault.ended_by is EndedBy.BUDGET:
                raise LimitReachedError("tokens" if "tokens" in str(fault) else "money") from fault
            raise

    def _lost(
        self,
        ticket: Ticket,
        worst: tuple[int | None, int | None],
        *,
        paid: bool | None,
        fault: Fault | None = None,
    ) -> None:
        self.meter.lost(worst, paid=paid)
        self.purse.settle(ticket, None, None, paid=paid, fault=fault)
