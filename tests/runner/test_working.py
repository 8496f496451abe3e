"""What an agent's attempt pays from: calls side by side cannot pass the trial's limits together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from steelyard.contestants.base import Ask, Place, Ticket
from steelyard.errors import EndedBy, Fault
from steelyard.runner.attempts import AttemptContext, Trial
from steelyard.runner.base import Progress
from steelyard.runner.budget import Budget
from steelyard.runner.working import TrialPurse
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.plan import Caps, Retry
from steelyard.schema.price import Price
from steelyard.schema.record import Intent, Record


class Slow:
    """A keeper and limits that let other calls run before they answer; remembers what it was told."""

    counts_tokens = False
    closed = False

    def __init__(self) -> None:
        self.intents: list[Intent] = []
        self.acquired = self.released = 0
        self.told: list[tuple[str | None, float | None]] = []

    async def acquire(self, provider: str, tokens: int) -> Callable[[str | None, float | None], None]:
        if self.closed:
            await asyncio.Event().wait()
        await asyncio.sleep(random.Random(f"{provider}{tokens}").random() / 100)
        self.acquired += 1
        return self._release

    def _release(self, kind: str | None, retry_after: float | None) -> None:
        self.released += 1
        self.told.append((kind, retry_after))

    async def room(self) -> None:
        await asyncio.sleep(0.001)

    def record(self, record: Record, **more: object) -> asyncio.Future[None]:
        assert isinstance(record, Intent)
        self.intents.append(record)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.002, done.set_result, None)
        return done


def purse_of(slow: Slow, budget: Budget, **limits: int) -> TrialPurse:
    spec = ContestantSpec("m", "agent", model="m", provider="p", price=Price(1.0, 1.0))
    context = AttemptContext(
        (spec,), None, budget, slow, slow, Retry(), Progress(), random.Random(0), asyncio.Event()  # type: ignore[arg-type] # the parts that a purse uses
    )  # fmt: skip
    place = Place(base="", **limits)  # type: ignore[arg-type] # money_pusd or tokens
    return TrialPurse(context, Trial(0, 0, 0, Ask((), "t", 0, 1, place=place)), 0)


@pytest.mark.parametrize("limits", [{"money_pusd": 1000}, {"tokens": 1000}])
def test_calls_side_by_side_never_hold_more_than_the_trial_may_use(limits: dict[str, int]) -> None:
    async def main() -> None:
        slow, budget = Slow(), Budget(Caps())
        purse = purse_of(slow, budget, **limits)
        asked = [purse.reserve(300 + i, 300 + i) for i in range(12)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        tickets = [t for t in found if isinstance(t, Ticket)]
        faults = [f for f in found if isinstance(f, Fault)]
        assert len(tickets) + len(faults) == 12
        assert 1 <= len(tickets) <= 3
        assert {f.ended_by for f in faults} == {EndedBy.BUDGET}
        held = sum(t.pusd or 0 for t in tickets)
        assert held <= 1000
        assert (budget.reserved, budget.in_flight) == (held, len(tickets))
        for ticket in tickets:
            purse.settle(ticket, 10, 10, paid=True)
        assert (budget.reserved, budget.in_flight, purse.spent) == (0, 0, 10 * len(tickets))
        assert slow.released == slow.acquired
        assert isinstance(await purse.reserve(300, 300), Ticket)

    asyncio.run(main())


def test_what_the_ledger_knows_never_falls() -> None:
    async def main() -> None:
        slow = Slow()
        purse = purse_of(slow, Budget(Caps()), money_pusd=10**6)
        tickets = await asyncio.gather(*(purse.reserve(100 * (i + 1), 7) for i in range(8)))
        for ticket in tickets[:4]:
            purse.settle(ticket, 1, 1, paid=True)
        await purse.reserve(50, 1)
        known = [i.reserved or 0 for i in slow.intents]
        assert known == sorted(known)
        assert known[-1] >= 100 * 36

    asyncio.run(main())


def test_the_limiter_hears_how_each_call_of_an_agent_ended() -> None:
    async def main() -> None:
        slow = Slow()
        purse = purse_of(slow, Budget(Caps()))
        tickets = [await purse.reserve(1, 1) for _ in range(4)]
        limited = Fault(
            "slow down", ended_by=EndedBy.PROVIDER, kind="rate_limited", retry_after=7.0, paid=False
        )
        purse.settle(tickets[0], 1, 1, paid=True)
        purse.settle(tickets[1], 0, 0, paid=False, fault=limited)
        purse.settle(tickets[2], None, None, paid=None)
        purse.close()
        assert slow.told == [(None, None), ("rate_limited", 7.0), ("", None), ("", None)]

    asyncio.run(main())


def test_a_provider_that_lets_nothing_through_is_not_the_agents_limit_of_time() -> None:
    async def main() -> None:
        slow, budget = Slow(), Budget(Caps())
        slow.closed = True
        purse = purse_of(slow, budget, seconds=1)
        with pytest.raises(Fault) as caught:
            await purse.reserve(1, 1)
        assert (caught.value.ended_by, caught.value.kind) == (EndedBy.PROVIDER, "rate_limited")
        assert caught.value.retryable
        assert (budget.reserved, budget.in_flight) == (0, 0)
        assert not slow.intents

    asyncio.run(main())
