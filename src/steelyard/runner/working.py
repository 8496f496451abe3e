"""One attempt of an agent: many calls, each reserved durably before it is sent.

The attempt's intent stands in the ledger with nothing reserved. Before every call it is written again with what the
attempt has spent and may be spending then; the last one counts. So a kill -9 at any instant leaves at least what was
spent on the books, and what was in flight is possibly paid.

Failure table, besides that of `attempts`::

    a limit of the trial       -> Fault(budget) to the agent, which collects; a measurement, graded
    a cap of the run           -> Fault(operator) to the agent; Result(not final), the run ends as capped
    the agent overruns its time by more than `GRACE_S` -> Fault(sandbox), never a wrong answer
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from steelyard.contestants.base import Answer, Ask, Purse, Ticket
from steelyard.errors import EndedBy, Fault, LedgerError, UserError
from steelyard.runner.attempts import AttemptContext, Ended, StoppedError, Trial, wait_before_retry
from steelyard.runner.budget import CapReachedError, Hold
from steelyard.runner.local import LocalExecutor
from steelyard.schema.message import Message
from steelyard.schema.record import Intent, Result
from steelyard.schema.reply import Reply

GRACE_S = 180.0
"""Seconds beyond its own that an attempt may take to open and collect its workspace."""
MOST_PUSD = 1 << 53
Release = Callable[[str | None, float | None], None]
"""Gives a place at a provider back: the fault's kind (None: well, "": says nothing of it) and Retry-After seconds."""


@runtime_checkable
class Works(Protocol):
    """An executor whose contestants can be agents."""

    async def work(self, c: int, ask: Ask, purse: Purse) -> Answer:
        """One attempt of contestant `c`. Raises Fault."""
        ...


@dataclass
class TrialPurse:
    """What one attempt pays from: the run's budget, the trial's own limits, and the ledger that knows first."""

    ctx: AttemptContext
    trial: Trial
    a: int
    spent: int = 0
    tokens: int = 0
    unknown: int = 0
    held: int = 0
    held_tokens: int = 0
    capped: str = ""
    calls: int = 0
    began: float = field(default_factory=time.monotonic)
    _open: dict[int, tuple[Hold, Release]] = field(default_factory=dict)
    _durable: tuple[int, int] = (0, 0)
    _consulted: int = 0

    async def reserve(self, pusd: int | None, tokens: int | None) -> Ticket:
        """As `Purse.reserve`."""
        hold = Hold(pusd, tokens, self.trial.who)
        self.ctx.budget.widen(hold)
        self._check(hold)
        release = await self._place(tokens or 0)
        try:
            await self._set_aside(hold)
        except BaseException:
            release("", None)
            raise
        try:
            self._check(hold)  # another call of this trial may have been let in while this one waited
        except Fault:
            self.ctx.budget.settle(hold, None, None, paid=False)
            release("", None)
            raise
        self.calls += 1
        number = self.calls
        self._open[number] = (hold, release)
        try:
            await self._grow(pusd)
        except BaseException:
            self.settle(Ticket(number, pusd, tokens), None, None, paid=False)
            raise
        return Ticket(number, pusd, tokens)

    async def _place(self, tokens: int) -> Release:
        """A place at the provider. Raises Fault when its limits give none within the trial's time: that is the
        provider's doing, and no agent is judged by it."""
        try:
            async with asyncio.timeout(max(0.0, self.began + self.seconds - time.monotonic())):
                return await self.ctx.limits.acquire(self.ctx.specs[self.trial.who].provider, tokens)
        except TimeoutError:
            raise Fault(
                "no call was let through to the provider in the time that the trial had left: its rate limits hold",
                ended_by=EndedBy.PROVIDER,
                kind="rate_limited",
                retryable=True,
                paid=False,
            ) from None

    @property
    def seconds(self) -> float:
        """What the trial may take, with what an operator who is asked may."""
        executor = self.ctx.executor
        own = self.trial.ask.place.seconds if self.trial.ask.place is not None else 3600.0
        return own + (executor.patience if isinstance(executor, LocalExecutor) else 0.0)

    def _standing(self) -> tuple[int, int]:
        """(picodollars, tokens) that this attempt has used, at the worst."""
        return (
            self.spent + self.held + sum(h.pusd or 0 for h, _ in self._open.values()),
            self.tokens + self.held_tokens + sum(h.tokens or 0 for h, _ in self._open.values()),
        )

    def _check(self, hold: Hold) -> None:
        """Raises Fault when a call with this hold would go beyond the trial's own limits."""
        place = self.trial.ask.place
        if place is not None:
            money, tokens = self._standing()
            _within("money", place.money_pusd, money + (hold.pusd or 0), known=hold.pusd is not None)
            _within("tokens", place.tokens, tokens + (hold.tokens or 0), known=hold.tokens is not None)

    async def _set_aside(self, hold: Hold) -> None:
        try:
            await self.ctx.budget.reserve(hold)
        except CapReachedError as e:
            self.capped = e.which
            raise Fault(
                f"the {e.which} cap of the run is reached",
                ended_by=EndedBy.OPERATOR,
                kind="run_cap",
                paid=False,
            ) from e

    async def _grow(self, pusd: int | None) -> None:
        """Have the ledger know what may be spent. What is written never falls: calls may grow it side by side."""
        await self.ctx.keeper.room()
        money, tokens = (max(pair) for pair in zip(self._standing(), self._durable, strict=True))
        if (money, tokens) == self._durable:
            return
        t, counted = self.trial, pusd is not None or self.ctx.specs[self.trial.who].price is not None
        reserved = money if counted else None
        intent = Intent(t.c, t.t, t.k, self.a, time.time_ns(), t.ask.seed, reserved, t.order, t.role, tokens)
        durable = self.ctx.keeper.record(intent, wait=True)
        if durable is not None:
            await durable
        self._durable = (max(money, self._durable[0]), max(tokens, self._durable[1]))

    def settle(
        self,
        ticket: Ticket,
        cost: int | None,
        tokens: int | None,
        *,
        paid: bool | None,
        fault: Fault | None = None,
    ) -> None:
        """As `Purse.settle`; a ticket settled twice is settled once."""
        found = self._open.pop(ticket.number, None)
        if found is None:
            return
        hold, release = found
        if cost is not None and not 0 <= cost <= MOST_PUSD:
            cost = None
        self.held += self.ctx.budget.settle(hold, cost, tokens, paid=paid)
        if cost is not None:
            self.spent += cost
        elif paid is not False:
            self.unknown += 1
        if tokens is not None:
            self.tokens += tokens
        elif paid is not False:
            self.held_tokens += hold.tokens or 0
        if fault is not None:
            release(fault.kind, fault.retry_after)
        else:
            release(None if paid else "", None)

    async def consult(self, role: str, messages: tuple[Message, ...], seed: int) -> Reply:
        """As `Purse.consult`."""
        consult = self.ctx.consult
        if consult is None:
            raise Fault(f"nobody is cast as {role!r}", ended_by=EndedBy.OPERATOR, kind="no_role", paid=False)
        n, self._consulted = self._consulted, self._consulted + 1
        try:
            return await consult(self.trial, f"user:{role}#{self.a}.{n}", role, messages, seed)
        except CapReachedError as e:
            self.capped = e.which
            raise Fault(
                f"the {e.which} cap of the run is reached",
                ended_by=EndedBy.OPERATOR,
                kind="run_cap",
                paid=False,
            ) from e

    def close(self) -> None:
        """The attempt is over: what was not settled may have been paid."""
        for number, (hold, _) in list(self._open.items()):
            self.settle(Ticket(number, hold.pusd, hold.tokens), None, None, paid=None)

    @property
    def cost(self) -> tuple[int | None, int]:
        """(cost or None when a part is not known, what stays held then)."""
        return (self.spent, 0) if not self.unknown else (None, self.spent + self.held)


def _within(what: str, limit: int | None, most: int, *, known: bool) -> None:
    if limit is None or (known and most <= limit):
        return
    raise Fault(
        f"the trial's limit of {what} is reached"
        if known
        else f"a call without a worst case, and a limit of {what}",
        ended_by=EndedBy.BUDGET,
        kind="budget",
        paid=False,
    )


async def work_attempt(
    ctx: AttemptContext, trial: Trial, a: int, *, is_last: bool
) -> tuple[Ended, float | None]:
    """One attempt of an agent; as `attempts` does one of a call."""
    assert ctx.places is not None
    queued = time.monotonic_ns()
    async with ctx.places:
        if ctx.stop.is_set():
            raise StoppedError
        await ctx.keeper.room()
        reserved = 0 if ctx.specs[trial.who].price is not None else None
        intent = Intent(
            trial.c, trial.t, trial.k, a, time.time_ns(), trial.ask.seed, reserved, trial.order, trial.role
        )
        durable = ctx.keeper.record(intent, wait=True)
        if durable is not None:
            await durable
        wait_ns = time.monotonic_ns() - queued
        ctx.progress.attempts += 1
        purse = TrialPurse(ctx, trial, a)
        try:
            answer: Answer | Fault = await _worked(ctx, trial, purse)
        except Fault as fault:
            answer = fault
        finally:
            purse.close()
    row = _Row(ctx, trial, a, wait_ns, purse)
    if purse.capped:
        row.record(EndedBy.OPERATOR.value, final=False, fault="run_cap", detail=f"the {purse.capped} cap")
        raise CapReachedError(purse.capped)
    if isinstance(answer, Answer):
        return row.answered(answer), None
    return row.failed(answer, is_last=is_last)


async def _worked(ctx: AttemptContext, trial: Trial, purse: TrialPurse) -> Answer:
    """The agent's answer. Raises Fault, and nothing else but what ends the run."""
    seconds = purse.seconds
    if not isinstance(ctx.executor, Works):
        raise Fault("this executor runs no agents", ended_by=EndedBy.US, kind="no_agents", paid=False)
    try:
        return await asyncio.wait_for(ctx.executor.work(trial.who, trial.ask, purse), seconds + GRACE_S)
    except (Fault, UserError, LedgerError):
        raise
    except TimeoutError:
        raise Fault(
            f"the attempt did not end within {seconds + GRACE_S:g} s",
            ended_by=EndedBy.SANDBOX,
            kind="overran",
        ) from None
    except Exception as e:
        said = f"{type(e).__name__}: {e}"[:400]
        raise Fault(f"an attempt broke: {said}", ended_by=EndedBy.US, kind="unexpected") from e


@dataclass(frozen=True)
class _Row:
    """Writes down how an attempt ended."""

    ctx: AttemptContext
    trial: Trial
    a: int
    wait_ns: int
    purse: TrialPurse

    def record(
        self,
        ended_by: str,
        *,
        final: bool,
        fault: str = "",
        detail: str = "",
        answer: Answer | None = None,
        trace: bytes = b"",
    ) -> None:
        """The Result, with what it names."""
        t, reply = self.trial, None if answer is None else answer.reply
        cost, held = self.purse.cost
        if answer is not None and not self.purse.calls and answer.cost_pusd is not None:
            cost = answer.cost_pusd
        payloads = (trace, b"", b"") if answer is None else (answer.trace, answer.changes, answer.state)
        names = [hashlib.sha256(p).hexdigest() if p else "" for p in payloads] or ["", "", ""]
        told = (
            reply is not None
            and reply.usage.input_tokens is not None
            and reply.usage.output_tokens is not None
        )
        result = Result(
            t.c, t.t, t.k, self.a, time.time_ns(), ended_by, final, cost, reply, fault, detail[:500], names[0],
            self.wait_ns, t.role, held, names[1], names[2], 0 if told else self.purse.tokens + self.purse.held_tokens,
        )  # fmt: skip
        to_score = (
            t.item_for(reply or Reply(), ended_by) if final and EndedBy(ended_by).is_measurement else None
        )
        if to_score is not None and answer is not None:
            name, item = to_score
            to_score = name, replace(item, changes=answer.changes, state=answer.state, limit=answer.limit)
        self.ctx.keeper.record(result, payloads=payloads, wait=False, to_score=to_score)

    def answered(self, answer: Answer) -> Ended:
        """An answer, whether by itself or at a limit."""
        reply = answer.reply
        refused = reply.finish in ("refusal", "content_filter") or bool(reply.refusal)
        ended_by = EndedBy.REFUSAL.value if refused else answer.ended_by.value
        self.record(ended_by, final=True, fault=answer.limit, answer=answer)
        return Ended(self.a, reply, None, ended_by)

    def failed(self, fault: Fault, *, is_last: bool) -> tuple[Ended, float | None]:
        """A fault: what was spent until then stays spent."""
        ctx = self.ctx
        ctx.progress.faults[fault.kind] = ctx.progress.faults.get(fault.kind, 0) + 1
        final = is_last or not fault.retryable
        self.record(fault.ended_by.value, final=final, fault=fault.kind, detail=str(fault), trace=fault.trace)
        wait = None if final else wait_before_retry(ctx, fault, self.a - self.trial.first_attempt)
        return Ended(self.a, None, fault, fault.ended_by.value), wait
