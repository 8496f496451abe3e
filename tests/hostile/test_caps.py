"""A money cap is hard: over random plans, prices, concurrencies and faults the provider never bills more than it."""

from __future__ import annotations

import random

import pytest
from tests.runner.engine_kit import engine_of, make_plan, run, tasks

from steelyard.contestants.base import Answer, Ask
from steelyard.errors import EndedBy, Fault
from steelyard.schema.plan import Caps
from steelyard.schema.price import PUSD, Price, cost_pusd
from steelyard.schema.reply import Reply, Usage
from steelyard.testing.runs import MemoryWriter, ScriptedExecutor
from steelyard.unknown import is_known

PLANS = 1000


class Provider:
    """Bills honestly: whatever it made is paid, whether or not the answer arrives."""

    def __init__(self, rng: random.Random, price: Price, max_tokens: int, fault_rate: float) -> None:
        self.rng, self.price, self.max_tokens, self.fault_rate = rng, price, max_tokens, fault_rate
        self.billed = 0
        self.tokens = 0

    def __call__(self, c: int, ask: Ask) -> Answer:
        draw = self.rng.random()
        if draw < self.fault_rate / 2:
            raise Fault("busy", ended_by=EndedBy.PROVIDER, kind="rate_limited", retryable=True, paid=False)
        n_in = self.rng.randint(1, 60)
        usage = Usage(
            n_in, self.rng.randint(0, self.max_tokens), cached_input_tokens=self.rng.randint(0, n_in)
        )
        cost = cost_pusd(self.price, usage)
        assert is_known(cost)
        self.billed += cost
        self.tokens += n_in + (usage.output_tokens or 0)
        if draw < self.fault_rate:
            raise Fault("broken", ended_by=EndedBy.PROVIDER, kind="broken_body", retryable=True, paid=None)
        reported = usage if self.rng.random() < 0.9 else Usage()
        return Answer(Reply(text="x", usage=reported))


@pytest.mark.parametrize("block", range(10))
def test_money_spent_never_exceeds_the_cap(block: int) -> None:
    bad = []
    for seed in range(block * PLANS // 10, (block + 1) * PLANS // 10):
        rng = random.Random(seed)
        price = Price(
            input=rng.choice([0.1, 1, 15]),
            output=rng.choice([0.4, 5, 75]),
            cached_input=rng.choice([None, 0.05]),
            per_call=rng.choice([0, 0, 0.001]),
        )
        max_tokens = rng.randint(1, 200)
        cap = int(rng.choice([0.0, 0.0003, 0.003, 0.03]) * rng.random() * PUSD)
        provider = Provider(rng, price, max_tokens, rng.choice([0, 0.1, 0.5]))
        plan = make_plan(
            rng.randint(1, 3),
            count=rng.randint(1, 3),
            caps=Caps(money_pusd=cap),
            concurrency=rng.choice([1, 4, 64]),
            price=price,
            max_tokens=max_tokens,
        )
        outcome = run(engine_of(plan, tasks(rng.randint(1, 15)), ScriptedExecutor(provider), MemoryWriter()))
        if provider.billed > cap or outcome.progress.spent_pusd > provider.billed:
            bad.append((seed, provider.billed, cap, outcome))
        assert outcome.status in ("complete", "capped")
    assert not bad


def test_tokens_used_never_exceed_the_cap() -> None:
    for seed in range(100):
        rng = random.Random(seed)
        provider = Provider(rng, Price(0, 0), 50, 0.2)
        cap = rng.randint(0, 5000)
        plan = make_plan(caps=Caps(tokens=cap), concurrency=16, price=Price(0, 0), max_tokens=50)
        run(engine_of(plan, tasks(60), ScriptedExecutor(provider), MemoryWriter()))
        assert provider.tokens <= cap, seed
