"""The transport under everything at once: faults, cancellations, few connections. No answer reaches another's call."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from steelyard.errors import Fault
from steelyard.schema.contestant import Sampling
from steelyard.schema.message import Message
from steelyard.schema.reply import Reply
from steelyard.testing.misbehave import KINDS, RETRYABLE
from steelyard.testing.stub import Stub, StubOptions, echo
from steelyard.wire.base import Endpoint, Request
from steelyard.wire.client import Client
from steelyard.wire.dialects import SERVERS
from steelyard.wire.faults import TABLE

CALLS = 800


async def storm(dialect: str, seed: int) -> tuple[Counter[str], Stub]:
    """Calls with a unique prompt each; a tenth cancelled at a random moment; a third meets a fault."""
    rng = random.Random(seed)
    kinds: Counter[str] = Counter()
    names = (*RETRYABLE, "trickle", "hang_body")
    options = StubOptions(answer=echo, fault_rate=0.33, faults=names, seed=seed, latency_s=0.001, hang_s=30.0)
    async with Stub(options) as stub:
        base = stub.url if dialect == "anthropic-messages" else stub.base_url
        client = Client(Endpoint(base, dialect, secret="sk-storm-secret", timeout_s=0.5), max_connections=24)

        async def call(i: int) -> None:
            prompt = f"call number {i} " * rng.randint(1, 40)
            ask = Request(
                "m", (Message("user", prompt),), Sampling(max_tokens=10_000), stream=rng.random() < 0.5
            )
            task = asyncio.ensure_future(client.complete(ask))
            if rng.random() < 0.1:
                asyncio.get_running_loop().call_later(rng.random() * 0.02, task.cancel)
            (got,) = await asyncio.gather(task, return_exceptions=True)
            if isinstance(got, Reply):
                assert got.text == prompt, "an answer reached another's call"
                kinds["reply"] += 1
            elif isinstance(got, asyncio.CancelledError):
                kinds["cancelled"] += 1
            else:
                assert isinstance(got, Fault), repr(got)
                assert got.kind in TABLE
                assert "sk-storm-secret" not in str(got)
                kinds[got.kind] += 1

        gate = asyncio.Semaphore(96)

        async def bounded(i: int) -> None:
            async with gate:
                await call(i)

        await asyncio.gather(*(bounded(i) for i in range(CALLS)))
        await client.aclose()
    return kinds, stub


@pytest.mark.parametrize("dialect", SERVERS)
def test_no_answer_reaches_another_call_whatever_breaks(dialect: str) -> None:
    kinds, stub = asyncio.run(storm(dialect, seed=len(dialect)))
    assert sum(kinds.values()) == CALLS
    assert kinds["reply"] > CALLS * 0.5
    assert kinds["cancelled"] > CALLS * 0.02
    met = {KINDS[name].kind for name in stub.counts.faults} - {""}
    assert len(met) > 15, "the storm has to be varied to mean something"
    assert not stub.errors


def test_a_prompt_is_sent_once_for_each_call_whatever_breaks() -> None:
    """The transport never sends again by itself: what was received is at most what was asked."""
    _, stub = asyncio.run(storm("openai-chat", seed=5))
    assert max(stub.counts.received.values()) == 1
