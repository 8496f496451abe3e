"""An agent that works elsewhere and is paid from here: its purse as messages, over anything that calls and waits.

`Jobs` lives where agents work, `drive` beside the budget and the ledger. What an agent wants of its purse comes back
from `events`, in order; `reply` answers it. So a call is set aside durably before it is sent, wherever that is from.

Not covered: trees. `Place.base` names a folder of the machine that runs the plan; a worker elsewhere must see the same
folder (a machine of its own shares it, or is the same one).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from steelyard.contestants.base import Answer, Ask, Contestant, Purse, Ticket, Worker
from steelyard.errors import EndedBy, Fault
from steelyard.schema.message import Message
from steelyard.schema.reply import Reply

Fields = dict[str, object]
"""A Fault as plain data: an exception itself may be wrapped, or retried, on its way."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a job says: `reserve`, `consult` (answered by number), `settle`, and at last `done`."""

    what: str
    number: int = 0
    args: tuple[object, ...] = ()


def as_fields(fault: Fault) -> Fields:
    """A Fault as plain data."""
    return {
        "message": str(fault), "ended_by": fault.ended_by.value, "kind": fault.kind, "retryable": fault.retryable,
        "retry_after": fault.retry_after, "paid": fault.paid, "trace": fault.trace,
    }  # fmt: skip


def as_fault(fields: Fields) -> Fault:
    """The Fault that these fields were."""
    wait, paid, trace = fields["retry_after"], fields["paid"], fields.get("trace", b"")
    fault = Fault(
        str(fields["message"]),
        ended_by=EndedBy(str(fields["ended_by"])),
        kind=str(fields["kind"]),
        retryable=bool(fields["retryable"]),
        retry_after=wait if isinstance(wait, int | float) else None,
        paid=paid if isinstance(paid, bool) else None,
    )
    fault.trace = trace if isinstance(trace, bytes) else b""
    return fault


class _FarPurse:
    """The purse as the agent sees it: asks are events, answers come by `told`."""

    def __init__(self, said: asyncio.Queue[Event]) -> None:
        self._said = said
        self._asked: dict[int, asyncio.Future[object]] = {}

    async def _ask(self, what: str, *args: object) -> object:
        number = len(self._asked) + 1
        self._asked[number] = asyncio.get_running_loop().create_future()
        self._said.put_nowait(Event(what, number, args))
        return await self._asked[number]

    def told(self, number: int, value: object) -> None:
        """The answer to an ask; a Fault comes as its fields."""
        future = self._asked[number]
        if future.done():
            return
        if isinstance(value, dict):
            future.set_exception(as_fault(value))
        else:
            future.set_result(value)

    async def reserve(self, pusd: int | None, tokens: int | None) -> Ticket:
        """As `Purse.reserve`."""
        ticket = await self._ask("reserve", pusd, tokens)
        assert isinstance(ticket, Ticket)
        return ticket

    def settle(
        self,
        ticket: Ticket,
        cost: int | None,
        tokens: int | None,
        *,
        paid: bool | None,
        fault: Fault | None = None,
    ) -> None:
        """As `Purse.settle`."""
        fields = None if fault is None else as_fields(fault)
        self._said.put_nowait(Event("settle", 0, (ticket, cost, tokens, paid, fields)))

    async def consult(self, role: str, messages: tuple[Message, ...], seed: int) -> Reply:
        """As `Purse.consult`."""
        reply = await self._ask("consult", role, messages, seed)
        assert isinstance(reply, Reply)
        return reply


@dataclass(slots=True)
class _Job:
    said: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)
    task: asyncio.Task[None] | None = None
    purse: _FarPurse | None = None


def _check_tree(ask: Ask) -> None:
    base = "" if ask.place is None else ask.place.base
    if base and not Path(base).is_dir():
        raise Fault(
            f"the task's tree is not on this node: {base}; share the folder, or run on one machine",
            ended_by=EndedBy.SANDBOX,
            kind="place",
            paid=False,
        )


class Jobs:
    """Agents at work in this process, by a number that the driver gives."""

    def __init__(self) -> None:
        self._jobs: dict[int, _Job] = {}

    async def begin(self, number: int, contestant: Contestant, ask: Ask) -> None:
        """Start one attempt."""
        job = self._jobs[number] = _Job()
        job.purse = _FarPurse(job.said)
        job.task = asyncio.create_task(self._work(job, contestant, ask, job.purse))

    async def _work(self, job: _Job, contestant: Contestant, ask: Ask, purse: _FarPurse) -> None:
        try:
            _check_tree(ask)
            answer = (
                await contestant.work(ask, purse)
                if isinstance(contestant, Worker)
                else await contestant.answer(ask)
            )
            job.said.put_nowait(Event("done", 0, (answer,)))
        except Fault as fault:
            job.said.put_nowait(Event("done", 0, (as_fields(fault),)))
        except Exception as e:  # noqa: BLE001 - the driver tells a defect from a fault, and records it
            broke = Fault(f"{type(e).__name__}: {e}"[:400], ended_by=EndedBy.US, kind="unexpected")
            job.said.put_nowait(Event("done", 0, (as_fields(broke),)))

    async def events(self, number: int) -> list[Event]:
        """What the job has said since; waits for something."""
        said = self._jobs[number].said
        found = [await said.get()]
        while not said.empty():
            found.append(said.get_nowait())
        if found[-1].what == "done":
            del self._jobs[number]
        return found

    async def reply(self, number: int, ask: int, value: object) -> None:
        """Answer what the job asked."""
        job = self._jobs.get(number)
        if job is not None and job.purse is not None:
            job.purse.told(ask, value)

    async def give_up(self, number: int) -> None:
        """End a job whose answer nobody waits for any more."""
        job = self._jobs.pop(number, None)
        if job is not None and job.task is not None:
            job.task.cancel()


class Line(Protocol):
    """The way to one job: the methods of `Jobs`, with the job's number filled in."""

    async def begin(self, c: int, ask: Ask) -> None:
        """As `Jobs.begin`, with the contestant's index."""

    def events(self) -> Coroutine[None, None, list[Event]]:
        """As `Jobs.events`."""
        ...

    async def reply(self, ask: int, value: object) -> None:
        """As `Jobs.reply`."""

    async def give_up(self) -> None:
        """As `Jobs.give_up`."""


async def drive(line: Line, c: int, ask: Ask, purse: Purse) -> Answer:
    """One attempt of an agent at the other end of `line`, paid from `purse`. Raises Fault, and the ledger's errors."""
    serving: set[asyncio.Task[None]] = set()
    broke: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def served(task: asyncio.Task[None]) -> None:
        serving.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not broke.done():
            broke.set_exception(error)

    over = False
    try:
        await line.begin(c, ask)
        while True:
            for event in await _first(line.events(), broke):
                if event.what == "settle":
                    ticket, cost, tokens, paid, said = event.args
                    fault = as_fault(said) if isinstance(said, dict) else None
                    purse.settle(ticket, cost, tokens, paid=paid, fault=fault)  # type: ignore[arg-type]  # as they were sent
                elif event.what == "done":
                    over = True
                    if isinstance(event.args[0], Answer):
                        return event.args[0]
                    raise as_fault(event.args[0])  # type: ignore[arg-type]  # a Fault's fields otherwise
                else:
                    task = asyncio.create_task(_serve(line, event, _asked_of(purse, event)))
                    serving.add(task)
                    task.add_done_callback(served)
    finally:
        for task in serving:
            task.cancel()
        if not over:
            await line.give_up()


async def _first(events: Coroutine[None, None, list[Event]], broke: asyncio.Future[None]) -> list[Event]:
    """The next events; raises what broke here first (a disk that is full), which the other end would wait for."""
    waiting = asyncio.ensure_future(events)
    try:
        both: set[asyncio.Future[Any]] = {waiting, broke}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if broke.done():
            broke.result()
        return waiting.result()
    finally:
        waiting.cancel()


def _asked_of(purse: Purse, event: Event) -> Callable[[], Awaitable[object]]:
    ask = purse.reserve if event.what == "reserve" else purse.consult
    return lambda: ask(*event.args)  # type: ignore[arg-type]  # the arguments of this very method


async def _serve(line: Line, event: Event, ask: Callable[[], Awaitable[object]]) -> None:
    try:
        value = await ask()
    except Fault as fault:
        value = as_fields(fault)
    await line.reply(event.number, value)
