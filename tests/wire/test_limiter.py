"""The limiter on made-up time (Gate) and on a real loop (Limiter)."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import EndedBy, Fault
from steelyard.schema.message import Message
from steelyard.testing.stub import Stub, StubOptions
from steelyard.wire.base import Endpoint, Request
from steelyard.wire.client import Client
from steelyard.wire.limiter import Gate, Limiter, Limiters, Rates


def fill(gate: Gate, now: float) -> list[int]:
    """Start as many calls as may start."""
    out = []
    while gate.wait(now, 0) <= 0:
        out.append(gate.enter(0))
    return out


def test_one_429_among_many_in_flight_shrinks_once_and_later_ones_do_not() -> None:
    gate = Gate(Rates(most=64), 0.0)
    places = fill(gate, 0.0)
    assert len(places) == 64
    for place in places[:30]:
        gate.leave(1.0, place, "rate_limited", None)
    assert gate.limit == 44
    fresh = gate.enter(0)
    gate.leave(2.0, fresh, "rate_limited", None)
    assert gate.limit == 30
    assert [c.limit for c in gate.history] == [64, 44, 30]


def test_the_limit_comes_back_after_429s_end() -> None:
    gate = Gate(Rates(most=64), 0.0)
    for place in fill(gate, 0.0):
        gate.leave(0.0, place, "rate_limited", None)
    now, calls = 0.0, 0
    while gate.limit < 64:
        now += 1.0
        for place in fill(gate, now):
            gate.leave(now, place, None, None)
            # the next one waits already, so that the gate stays full
            gate.leave(now, gate.enter(0), None, None)
            calls += 1
        assert calls < 3_000, f"still at {gate.limit} after {calls} successes"
    assert gate.limit == 64


def test_it_settles_near_what_a_provider_bears() -> None:
    """A provider that refuses above 20 at once: the limit must hover there and not collapse."""
    gate = Gate(Rates(most=64), 0.0)
    seen = []
    for second in range(400):
        now = float(second)
        places = fill(gate, now)
        seen.append(len(places))
        for i, place in enumerate(places):
            gate.leave(now + 0.5, place, "rate_limited" if i >= 20 else None, None)
    late = seen[100:]
    assert 12 <= sum(late) / len(late) <= 22, f"mean calls at once {sum(late) / len(late)}"


def test_retry_after_stops_everything_until_then() -> None:
    gate = Gate(Rates(most=4), 0.0)
    gate.leave(10.0, gate.enter(0), "rate_limited", 7.0)
    assert gate.wait(10.0, 0) == pytest.approx(7.0)
    gate.leave(11.0, gate.enter(0), "overloaded", 1.0)
    assert gate.wait(11.0, 0) == pytest.approx(6.0), "a shorter wait does not undo a longer one"
    assert gate.wait(17.0, 0) == 0


def test_a_5xx_stops_growth_and_shrinks_nothing() -> None:
    gate = Gate(Rates(most=10), 0.0)
    for place in fill(gate, 0.0):
        gate.leave(0.0, place, "rate_limited", None)
    assert gate.limit == 7
    gate.leave(1.0, gate.enter(0), "server_error", None)
    for _ in range(20):
        for place in fill(gate, 2.0):
            gate.leave(2.0, place, None, None)
    assert gate.limit == 7
    for _ in range(30):
        gate.leave(7.0, gate.enter(0), None, None)
    assert gate.limit == 7, "one call at a time says nothing of the limit"
    for _ in range(2):
        for place in fill(gate, 8.0):
            gate.leave(8.0, place, None, None)
    assert gate.limit > 7


def test_requests_a_minute_are_spread_evenly() -> None:
    gate = Gate(Rates(most=1000, requests_per_minute=60), 0.0)
    started, now = [], 0.0
    for _ in range(100):
        now += gate.wait(now, 0)
        gate.leave(now, gate.enter(0), None, None)
        started.append(now)
    for i in range(len(started)):
        within = [t for t in started if started[i] <= t < started[i] + 60]
        assert len(within) <= 60 + 6, "a minute's worth, and what was saved up"
    assert started[-1] == pytest.approx(94.0, abs=0.01)


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=60))
def test_tokens_a_minute_hold_whatever_the_sizes(sizes: list[int]) -> None:
    rate = 6_000
    gate = Gate(Rates(most=1000, tokens_per_minute=rate), 0.0)
    now = 0.0
    for size in sizes:
        now += gate.wait(now, size)
        assert gate.wait(now, size) <= 1e-6
        gate.leave(now, gate.enter(size), None, None)
    # all but the last were paid for by time, or by what was saved up
    assert sum(sizes[:-1]) <= now * rate / 60 + max(sizes) + rate / 10 + 1


def test_a_call_larger_than_the_bucket_passes_and_is_paid_back() -> None:
    gate = Gate(Rates(tokens_per_minute=600), 0.0)
    gate.enter(1_000)
    wait = gate.wait(0.0, 60)
    assert wait == pytest.approx(100.0)
    gate.refund(900)
    assert gate.wait(0.0, 60) == pytest.approx(10.0)


@given(st.lists(st.tuples(st.sampled_from(["in", "out", "429", "500", ""]), st.floats(0, 3)), max_size=200))
def test_the_limit_stays_between_one_and_the_most(steps: list[tuple[str, float]]) -> None:
    gate = Gate(Rates(most=9), 0.0)
    now, places = 0.0, list[int]()
    for step, passed in steps:
        now += passed
        if step == "in":
            if gate.wait(now, 0) <= 0:
                places.append(gate.enter(0))
        elif places:
            kind = {"out": None, "429": "rate_limited", "500": "server_error", "": ""}[step]
            gate.leave(now, places.pop(0), kind, passed if step == "429" else None)
        assert 1 <= gate.limit <= 9
        assert gate.in_flight == len(places) <= 9


def test_slots_are_given_first_come_first_served_and_cancelled_ones_are_skipped() -> None:
    async def main() -> None:
        limiter = Limiter(Rates(most=1))
        order: list[int] = []

        async def call(i: int) -> None:
            async with limiter.slot():
                order.append(i)
                await asyncio.sleep(0.001)

        tasks = [asyncio.create_task(call(i)) for i in range(6)]
        await asyncio.sleep(0)
        tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert order == [0, 1, 3, 4, 5]
        assert limiter.gate.in_flight == 0

    asyncio.run(main())


def test_a_fault_that_leaves_the_block_is_the_outcome() -> None:
    async def main() -> None:
        limiter = Limiter(Rates(most=10))
        broken = Fault("x", ended_by=EndedBy.PROVIDER, kind="rate_limited", retry_after=0.02)
        with pytest.raises(Fault):
            async with limiter.slot():
                raise broken
        assert limiter.gate.limit == 7
        before = time.monotonic()
        async with limiter.slot():
            assert time.monotonic() - before >= 0.015
        async with limiter.slot(tokens=5) as slot:
            slot.outcome("rate_limited", 0.0, tokens=3)
        assert limiter.gate.limit == 4
        with pytest.raises(ValueError, match="ours"):
            async with limiter.slot():
                raise ValueError("ours")
        assert (limiter.gate.limit, limiter.gate.in_flight) == (4, 0)

    asyncio.run(main())


def test_cancelling_everybody_leaks_no_place() -> None:
    async def main() -> None:
        limiter = Limiter(Rates(most=2, requests_per_minute=6_000))
        for _ in range(20):
            tasks = [asyncio.create_task(hold(limiter)) for _ in range(8)]
            await asyncio.sleep(0.002)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert limiter.gate.in_flight == 0

    async def hold(limiter: Limiter) -> None:
        async with limiter.slot():
            await asyncio.sleep(0.001)

    asyncio.run(main())


def test_providers_have_limits_of_their_own() -> None:
    async def main() -> None:
        limits = Limiters({"a": Rates(most=1)}, default=Rates(most=5))
        release = await limits.acquire("a", 0)
        others = [await limits.acquire("b", 0) for _ in range(5)]
        assert len(others) == 5
        waiting = asyncio.create_task(limits.acquire("a", 0))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        release("rate_limited", None)
        (await waiting)(None, None)
        assert {k: v[-1].limit for k, v in limits.histories().items()} == {"a": 1, "b": 5}

    asyncio.run(main())


def test_against_a_provider_that_bears_eight_calls_at_once() -> None:
    """64 workers, a limit of 8, every 429 sent again: few refusals, and everything answered."""

    async def main() -> tuple[int, int]:
        options = StubOptions(max_in_flight=8, latency_s=0.002, retry_after_s=0.005)
        async with Stub(options) as stub:
            client = Client(Endpoint(stub.base_url))
            limiter = Limiter(Rates(most=64))

            async def call(i: int) -> None:
                while True:
                    try:
                        async with limiter.slot():
                            await client.complete(Request("m", (Message("user", str(i)),)))
                            return
                    except Fault as broken:
                        assert broken.kind == "rate_limited"  # noqa: PT017

            await asyncio.gather(*(call(i) for i in range(600)))
            await client.aclose()
            return stub.counts.faults["429"], stub.counts.answered.total()

    refused, answered = asyncio.run(main())
    assert answered == 600
    assert refused < 300, f"{refused} refusals for 600 answers"


def test_a_slot_costs_little_when_nothing_limits() -> None:
    async def main() -> float:
        limiter = Limiter(Rates(most=64))
        best = float("inf")
        for _ in range(5):
            begun = time.perf_counter()
            for _ in range(2_000):
                async with limiter.slot() as slot:
                    slot.outcome(None)
            best = min(best, (time.perf_counter() - begun) / 2_000)
        return best

    cost = asyncio.run(main())
    assert cost < 30e-6, f"{cost * 1e6:.1f} us a slot; about 2 us on a quiet machine, and the promise is 10"
