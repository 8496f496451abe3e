"""Agents that work elsewhere: what they are paid comes from here, whatever breaks on either side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from steelyard import ledger as ledgers
from steelyard.contestants.base import Answer, Ask, Place, Purse, Ticket
from steelyard.errors import EndedBy, Fault, LedgerFull
from steelyard.runner.local import LocalExecutor
from steelyard.runner.planfile import read_plan
from steelyard.runner.prepare import prepare
from steelyard.runner.remote import Event, Jobs, drive
from steelyard.runner.session import Options, begin
from steelyard.sandbox.selfcheck import self_check
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.message import Message
from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome
from steelyard.testing.agent import bash, scripted, submit
from steelyard.testing.agentic import fix_task
from steelyard.testing.purse import ScriptedPurse
from steelyard.testing.stub import Stub, StubOptions

Work = Callable[[Ask, Purse], Awaitable[Answer]]
ASK = Ask((Message("user", "do it"),), "t", 0, 1)


class Agent:
    """A worker that does what it is given."""

    spec = ContestantSpec("agent", "agent")

    def __init__(self, work: Work) -> None:
        self._work = work

    async def open(self) -> None:
        """Nothing."""

    async def aclose(self) -> None:
        """Nothing."""

    async def answer(self, ask: Ask) -> Answer:
        return Answer(Reply("asked"))

    async def work(self, ask: Ask, purse: Purse) -> Answer:
        return await self._work(ask, purse)


class Near:
    """A line to jobs of this process; what passes is copied as bytes are."""

    def __init__(self, jobs: Jobs, agent: Agent) -> None:
        self.jobs, self.agent, self.given_up = jobs, agent, False

    async def begin(self, c: int, ask: Ask) -> None:
        await self.jobs.begin(1, self.agent, ask)

    def events(self) -> Coroutine[None, None, list[Event]]:
        return self.jobs.events(1)

    async def reply(self, ask: int, value: object) -> None:
        await self.jobs.reply(1, ask, value)

    async def give_up(self) -> None:
        self.given_up = True
        await self.jobs.give_up(1)


def driven(work: Work, purse: Purse, ask: Ask = ASK) -> tuple[Answer | BaseException, Near]:
    async def go() -> tuple[Answer | BaseException, Near]:
        line = Near(Jobs(), Agent(work))
        (found,) = await asyncio.gather(drive(line, 0, ask, purse), return_exceptions=True)
        return found, line

    return asyncio.run(go())


def test_calls_are_reserved_consulted_and_settled_in_order() -> None:
    async def work(ask: Ask, purse: Purse) -> Answer:
        one, two = await asyncio.gather(purse.reserve(10, 5), purse.reserve(20, 5))
        purse.settle(one, 7, 3, paid=True)
        limited = Fault("slow", ended_by=EndedBy.PROVIDER, kind="rate_limited", retry_after=3.0)
        purse.settle(two, None, None, paid=None, fault=limited)
        said = await purse.consult("user", (Message("user", "well?"),), 3)
        return Answer(Reply(said.text), trace=b"{}", changes=b"c")

    purse = ScriptedPurse(replies=[Reply("fine")])
    found, line = driven(work, purse)
    assert found == Answer(Reply("fine"), trace=b"{}", changes=b"c")
    assert sorted(purse.reserved) == [(10, 5), (20, 5)]
    assert (purse.spent, purse.held) == (7, 20)
    assert purse.faults == [("rate_limited", 3.0)]
    assert not line.given_up


@pytest.mark.parametrize("run_cap", [False, True])
def test_a_limit_is_a_fault_where_the_agent_is_and_may_be_collected(run_cap: bool) -> None:
    async def work(ask: Ask, purse: Purse) -> Answer:
        try:
            await purse.reserve(100, 5)
        except Fault as fault:
            if fault.ended_by is not EndedBy.BUDGET:
                raise
            return Answer(Reply("so far"), ended_by=EndedBy.BUDGET, limit="money")
        raise AssertionError("nothing may be reserved")

    found, _ = driven(work, ScriptedPurse(limit=50, run_cap=run_cap))
    if run_cap:
        assert isinstance(found, Fault)
        assert (found.kind, found.ended_by, found.paid) == ("run_cap", EndedBy.OPERATOR, False)
    else:
        assert found == Answer(Reply("so far"), ended_by=EndedBy.BUDGET, limit="money")


def test_a_fault_keeps_its_trace_and_a_defect_is_ours() -> None:
    async def fails(ask: Ask, purse: Purse) -> Answer:
        fault = Fault("busy", ended_by=EndedBy.PROVIDER, kind="overloaded", retryable=True, retry_after=3.0)
        fault.trace = b"{1}"
        raise fault

    async def breaks(ask: Ask, purse: Purse) -> Answer:
        raise KeyError("x")

    found, _ = driven(fails, ScriptedPurse())
    assert isinstance(found, Fault)
    assert (found.retryable, found.retry_after, found.trace) == (True, 3.0, b"{1}")
    found, _ = driven(breaks, ScriptedPurse())
    assert isinstance(found, Fault)
    assert (found.ended_by, found.kind) == (EndedBy.US, "unexpected")


class Full(ScriptedPurse):
    """The ledger cannot note the reservation."""

    async def reserve(self, pusd: int | None, tokens: int | None) -> Ticket:
        raise LedgerFull("no space")


def test_a_ledger_that_breaks_ends_the_attempt_and_the_job() -> None:
    ended = []

    async def work(ask: Ask, purse: Purse) -> Answer:
        try:
            await purse.reserve(1, 1)
        finally:
            ended.append("job")
        raise AssertionError("no answer may come")

    found, line = driven(work, Full())
    assert isinstance(found, LedgerFull)
    assert line.given_up
    assert ended == ["job"]


def test_an_attempt_that_is_given_up_here_ends_there() -> None:
    ended = []

    async def work(ask: Ask, purse: Purse) -> Answer:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("job")
        raise AssertionError("no answer may come")

    async def go() -> None:
        line = Near(Jobs(), Agent(work))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(drive(line, 0, ASK, ScriptedPurse()), 0.05)
        await asyncio.sleep(0)
        assert line.given_up

    asyncio.run(go())
    assert ended == ["job"]


def test_a_tree_that_is_not_there_is_told_and_free() -> None:
    async def work(ask: Ask, purse: Purse) -> Answer:
        raise AssertionError("it must not begin")

    place = Place(base="/nowhere/at/all")
    found, _ = driven(work, ScriptedPurse(), replace(ASK, place=place))
    assert isinstance(found, Fault)
    assert (found.ended_by, found.kind, found.paid) == (EndedBy.SANDBOX, "place", False)


class FarExecutor(LocalExecutor):
    """Agents work behind messages, as they do on a cluster."""

    async def work(self, c: int, ask: Ask, purse: Purse) -> Answer:
        near = Near(Jobs(), self._live[c])  # type: ignore[arg-type]  # any contestant
        return await drive(near, c, ask, purse)


@pytest.mark.skipif(self_check().rung is None, reason="no sandbox can be had on this machine")
def test_a_plan_with_an_agent_runs_and_pays_through_messages(tmp_path: Path) -> None:
    fix_task(tmp_path / "suite" / "t")
    steps = {"": [bash("sed -i s/-/+/ calc.py"), submit()]}

    async def go() -> None:
        async with Stub(StubOptions(answer=scripted(steps))) as stub:
            plan = tmp_path / "plan.yaml"
            plan.write_text(
                f"suites: [suite]\ncontestants:\n- {{agent: steelyard, model: m, base_url: '{stub.base_url}', "
                "max_tokens: 150, price: {input: 1, output: 2}}\n- {policy: gold}\ncaps: {money: 1}\n"
            )
            ready = prepare(read_plan(plan, {}))
            place = ledgers.open_ledger(str(tmp_path / "led"), create=True)
            options = Options({}, signals=False, control=False, executor=FarExecutor({}))
            outcome = await begin(ready, place, options)
            assert outcome.status == "complete"

    asyncio.run(go())
    rows = list(ledgers.open_ledger(str(tmp_path / "led")).trials("last"))
    assert [r.score.outcome for r in rows if r.score is not None] == [Outcome.PASSED] * 2
    assert rows[0].cost_pusd is not None
    assert rows[0].cost_pusd > 0
    assert msgspec.json.decode(ledgers.open_ledger(str(tmp_path / "led")).payload(rows[0].trace))
