"""One trial: attempts until there is a measurement or no more are allowed, each with its intent on disk first.

Failure table (kinds are those of the wire's table)::

    reply                          -> Result(final), scored
    Fault, a measurement           -> Result(final), scored by the outcome table (refusal, budget)
    Fault, retryable, tries left   -> Result(not final), wait, next attempt
    Fault, otherwise               -> Result(final), parked: ungraded(cause), the run goes on
    cap reached before sending     -> nothing sent, the run ends as capped
    cancelled (second Ctrl-C)      -> no Result: the intent stays open, shown as possibly paid
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from steelyard.contestants.base import Answer, Ask
from steelyard.errors import EndedBy, Fault, LedgerError, UserError
from steelyard.runner.base import Executor, Progress, worst_case
from steelyard.runner.budget import Budget, Hold
from steelyard.runner.keeper import Keeper
from steelyard.runner.reach import harmless
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.message import Message
from steelyard.schema.plan import Retry
from steelyard.schema.price import cost_pusd
from steelyard.schema.record import Intent, Result
from steelyard.schema.reply import Reply, Usage
from steelyard.scorers.base import Item
from steelyard.unknown import is_known

MOST_PUSD = 1 << 53
"""Of one attempt: 9007 dollars, the most that a row of the ledger holds."""


class Limits(Protocol):
    """Gives slots by provider. `counts_tokens`: some limit needs to know a call's tokens before it is sent."""

    counts_tokens: bool

    async def acquire(self, provider: str, tokens: int) -> Callable[[str | None, float | None], None]:
        """Wait for a place; the function returned gives it back with the fault kind and Retry-After seconds."""
        ...


ItemFor = Callable[[Reply, str], tuple[str, Item] | None]
"""(reply, ended_by) -> what the keeper scores once the result is durable, or None."""


def _nothing(_reply: Reply, _ended_by: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial to be done: its key, what to ask, and what to judge it with.

    `via` is who answers when that is not contestant `c` itself: the judge that scores c's trial.
    """

    c: int
    t: int
    k: int
    ask: Ask
    order: tuple[int, ...] = ()
    role: str = ""
    first_attempt: int = 0
    item_for: ItemFor = _nothing
    via: int | None = None

    @property
    def who(self) -> int:
        """Index of whoever answers."""
        return self.c if self.via is None else self.via


@dataclass(slots=True)
class _Try:
    """One attempt under way."""

    a: int
    is_last: bool
    hold: Hold
    wait_ns: int = 0


@dataclass(slots=True)
class AttemptContext:
    """What all trials of a session share."""

    specs: tuple[ContestantSpec, ...]
    executor: Executor
    budget: Budget
    keeper: Keeper
    limits: Limits
    retry: Retry
    progress: Progress
    jitter: random.Random
    stop: asyncio.Event
    places: asyncio.Semaphore | None = None
    """Attempts of agents at work at once: each has a sandbox."""
    work: Attempting | None = None
    """How an attempt of an agent is done (`working.work_attempt`)."""
    consult: Consult | None = None
    waiting: set[asyncio.Task[object]] = field(default_factory=set)
    """Tasks that wait for a place at their provider and have nothing in flight: cancelled when the run stops."""
    slots: asyncio.Semaphore | None = None
    """Calls in flight over all providers; taken after the provider's own limit, so that nobody waits holding one."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a trial ended: the last attempt's number, a reply or the fault that parked it, and who ended it."""

    a: int
    reply: Reply | None
    fault: Fault | None
    ended_by: str


class StoppedError(Exception):
    """The run is stopping; this trial was not sent (again)."""


class Attempting(Protocol):
    """Does one attempt: (how it ended, seconds to wait before the next or None)."""

    async def __call__(
        self, ctx: AttemptContext, trial: Trial, a: int, *, is_last: bool
    ) -> tuple[Ended, float | None]:
        """Raises CapReachedError, StoppedError, or the ledger's error."""
        ...


class Consult(Protocol):
    """A call of the model in another role (a simulated user) within a trial."""

    async def __call__(
        self, trial: Trial, call: str, role: str, messages: tuple[Message, ...], seed: int
    ) -> Reply:
        """The reply of the model cast as `role`; `call` names the call in the ledger. Raises Fault."""
        ...


def _tokens(usage: Usage) -> int | None:
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return usage.input_tokens + usage.output_tokens


async def run_trial(ctx: AttemptContext, trial: Trial) -> Ended:
    """Do one trial. Raises CapReachedError, StoppedError, or the ledger's error."""
    last = trial.first_attempt + ctx.retry.attempts - 1
    a = trial.first_attempt
    works = ctx.work is not None and ctx.specs[trial.who].kind in ("agent", "policy")
    attempt = ctx.work if works and ctx.work is not None else _one_attempt
    while True:
        ended, retry_in = await attempt(ctx, trial, a, is_last=a >= last)
        if retry_in is None:
            return ended
        ctx.progress.retries += 1
        try:
            await asyncio.wait_for(ctx.stop.wait(), retry_in)
        except TimeoutError:
            a += 1
            continue
        raise StoppedError


def wait_before_retry(ctx: AttemptContext, fault: Fault, tries: int) -> float:
    """Full-jitter exponential backoff, never before Retry-After."""
    top = min(ctx.retry.wait_max_s, ctx.retry.wait_s * float(2 ** min(tries, 30)))
    return max(fault.retry_after or 0.0, top * (0.5 + 0.5 * ctx.jitter.random()))


async def _one_attempt(
    ctx: AttemptContext, trial: Trial, a: int, *, is_last: bool
) -> tuple[Ended, float | None]:
    """One attempt; (how it ended, seconds to wait before the next or None)."""
    this = _Try(a, is_last, _hold(ctx, trial))
    queued = time.monotonic_ns()
    release = await _place(ctx, trial, this.hold)
    kind: str | None = ""
    retry_after: float | None = None
    reserved = sent = slotted = False
    try:
        if ctx.slots is not None:
            slotted = await ctx.slots.acquire()
        await ctx.budget.reserve(this.hold)
        reserved = True
        if ctx.stop.is_set():
            raise StoppedError
        await ctx.keeper.room()
        now = time.time_ns()
        intent = Intent(
            trial.c, trial.t, trial.k, a, now, trial.ask.seed, this.hold.pusd, trial.order, trial.role,
            this.hold.tokens or 0,
        )  # fmt: skip
        durable = ctx.keeper.record(intent, wait=True)
        if durable is not None:
            await durable
        this.wait_ns = time.monotonic_ns() - queued
        ctx.progress.attempts += 1
        sent = True
        try:
            answer = await _answer(ctx, trial)
        except Fault as fault:
            kind, retry_after = fault.kind, fault.retry_after
            reserved = False
            return _failed(ctx, trial, this, fault)
        kind, reserved = None, False
        return _answered(ctx, trial, this, answer), None
    finally:
        if reserved:
            ctx.budget.settle(this.hold, None, None, paid=None if sent else False)
        if slotted and ctx.slots is not None:
            ctx.slots.release()
        release(kind, retry_after)


async def _place(ctx: AttemptContext, trial: Trial, hold: Hold) -> Callable[[str | None, float | None], None]:
    """A place at the provider. Who waits for one (`Retry-After` may say a day) is let go when the run stops."""
    task = asyncio.current_task()
    assert task is not None
    ctx.waiting.add(task)
    try:
        return await ctx.limits.acquire(ctx.specs[trial.who].provider, hold.tokens or 0)
    finally:
        ctx.waiting.discard(task)


async def _answer(ctx: AttemptContext, trial: Trial) -> Answer:
    """The contestant's answer. Raises Fault, and nothing else: one bad answer never stops a run."""
    try:
        return await ctx.executor.answer(trial.who, trial.ask)
    except (Fault, UserError, LedgerError):
        raise
    except Exception as e:
        said = f"{type(e).__name__}: {e}"[:400]
        raise Fault(f"an answer could not be read: {said}", ended_by=EndedBy.US, kind="unexpected") from e


def _hold(ctx: AttemptContext, trial: Trial) -> Hold:
    # without a cap, too: one may be set while the run is live or when it is resumed, and counts what was sent before
    pusd, tokens = worst_case(ctx.specs[trial.who], trial.ask)
    hold = Hold(pusd if is_known(pusd) else None, tokens if is_known(tokens) else None, trial.who)
    ctx.budget.widen(hold)
    return hold


def _answered(ctx: AttemptContext, trial: Trial, this: _Try, answer: Answer) -> Ended:
    reply = answer.reply
    cost = answer.cost_pusd if answer.cost_pusd is not None else reply.reported_cost_pusd
    if cost is None:
        priced = cost_pusd(ctx.specs[trial.who].price, reply.usage)
        cost = priced if is_known(priced) else None
    if cost is not None and not 0 <= cost <= MOST_PUSD:
        cost = None  # what a provider counted cannot be: not known, so the worst case stays set aside
    held = ctx.budget.settle(this.hold, cost, _tokens(reply.usage), paid=True)
    refused = reply.finish in ("refusal", "content_filter") or bool(reply.refusal)
    ended_by = (EndedBy.REFUSAL if refused else EndedBy.CONTESTANT).value
    result = Result(
        trial.c,
        trial.t,
        trial.k,
        this.a,
        time.time_ns(),
        ended_by,
        True,
        cost,
        reply,
        trace=hashlib.sha256(answer.trace).hexdigest() if answer.trace else "",
        wait_ns=this.wait_ns,
        role=trial.role,
        held=held,
        tokens=this.hold.tokens or 0 if _tokens(reply.usage) is None else 0,
    )
    ctx.keeper.record(result, payloads=(answer.trace,), wait=False, to_score=trial.item_for(reply, ended_by))
    return Ended(this.a, reply, None, ended_by)


def _failed(ctx: AttemptContext, trial: Trial, this: _Try, fault: Fault) -> tuple[Ended, float | None]:
    free = 0 if fault.paid is False else None
    held = ctx.budget.settle(this.hold, free, free, paid=fault.paid)
    ctx.progress.faults[fault.kind] = ctx.progress.faults.get(fault.kind, 0) + 1
    ctx.progress.last_fault = harmless(fault, "held_out")
    final = this.is_last or not fault.retryable
    result = Result(
        trial.c,
        trial.t,
        trial.k,
        this.a,
        time.time_ns(),
        fault.ended_by.value,
        final,
        free,
        None,
        fault.kind,
        str(fault)[:500],
        wait_ns=this.wait_ns,
        role=trial.role,
        held=held,
        tokens=this.hold.tokens or 0 if free is None else 0,
    )
    measured = final and fault.ended_by.is_measurement
    to_score = trial.item_for(Reply(), fault.ended_by.value) if measured else None
    ctx.keeper.record(result, wait=False, to_score=to_score)
    wait = None if final else wait_before_retry(ctx, fault, this.a - trial.first_attempt)
    return Ended(this.a, None, fault, fault.ended_by.value), wait
