"""A money cap is hard: over random plans, prices, concurrencies and faults the provider never bills more than it."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.hostile.kit import resume, run_plan, write_tasks
from tests.runner.engine_kit import engine_of, make_plan, run, tasks

from steelyard.contestants.base import Answer, Ask
from steelyard.errors import EndedBy, Fault
from steelyard.runner.base import RunOutcome
from steelyard.runner.engine import GRACE_S
from steelyard.schema.plan import Caps
from steelyard.schema.price import PUSD, Price, cost_pusd
from steelyard.schema.reply import Reply, Usage
from steelyard.testing.misbehave import QUICK
from steelyard.testing.runs import MemoryWriter, ScriptedExecutor
from steelyard.testing.stub import Counts, Rule, StubOptions, stub_thread
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


def over_http(
    folder: Path, seed: int, stub: StubOptions, plan: Mapping[str, object]
) -> tuple[Counts, RunOutcome]:
    """One plan against a stub on a socket, with the real client and ledger; what the stub counted, how the run ended."""
    place = folder / str(seed)
    place.mkdir()
    rng = random.Random(seed)
    data = write_tasks(
        place,
        [{"input": f"q{i} " + "x " * rng.randint(0, 80), "target": "B"} for i in range(rng.randint(1, 15))],
    )
    with stub_thread(stub) as served:
        contestants = [
            {"model": f"m{i}", "base_url": served.base_url, "stream": rng.random() < 0.5, **CONTESTANT}
            for i in range(rng.randint(1, 3))
        ]
        whole = {
            "suites": [data],
            "contestants": contestants,
            "retry": {"wait": 0.001, "wait_max": 0.002},
            **plan,
        }
        _, outcome, _ = run_plan(place, whole)
        assert not served.errors
        return served.counts, outcome


PRICE = Price(input=15, output=75, per_call=0.0001)
CONTESTANT = {"max_tokens": 20, "price": {"input": 15, "output": 75, "per_call": 0.0001}}


def bill(counts: Counts) -> int:
    """Picodollars that the provider asks for."""
    cost = cost_pusd(PRICE, Usage(counts.billed_input, counts.billed_output))
    assert is_known(cost)
    return cost + (counts.billed.total() - 1) * round(PRICE.per_call * PUSD)


@pytest.mark.parametrize("plans", [40, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.timeout(1800)
def test_money_spent_over_http_never_exceeds_the_cap(tmp_path: Path, plans: int) -> None:
    reached = 0
    for seed in range(plans):
        rng = random.Random(f"http {seed}")
        cap = rng.choice([0.002, 0.02, 0.2]) * rng.random()
        stub = StubOptions(
            answer=lambda r: "word " * (len(r.model + str(r.seed)) * 7 % 30),
            fault_rate=rng.choice([0, 0.1, 0.5]),
            faults=QUICK,
            seed=seed,
        )
        counts, outcome = over_http(
            tmp_path, seed, stub,
            {"caps": {"money": cap}, "concurrency": rng.choice([1, 4, 64]), "trials": rng.randint(1, 3)},
        )  # fmt: skip
        spent = bill(counts) if counts.billed.total() else 0
        assert spent <= cap * PUSD, (seed, spent, cap, outcome)
        assert outcome.progress.spent_pusd <= spent, "we count no more than the provider does"
        assert outcome.progress.spent_pusd + outcome.progress.held_pusd >= spent, "nor less than it may be"
        reached += outcome.status == "capped"
    assert 0.2 * plans < reached < plans, "the study must meet caps, and runs that end below theirs"
    print(f"{plans} plans over HTTP, {reached} of them capped, none above its cap")


@pytest.mark.parametrize("concurrency", [1, 4, 32])
@pytest.mark.parametrize(("hidden", "factor"), [(700, 1.0), (0, 30.0)])
def test_hidden_prompts_pass_the_cap_by_what_was_in_flight_at_most(
    tmp_path: Path, concurrency: int, hidden: int, factor: float
) -> None:
    """A provider that charges for more than was sent: what its first reply shows holds for every later call."""
    stub = StubOptions(answer=lambda _: "B", hidden_tokens=hidden, token_factor=factor, latency_s=0.01)
    for seed in range(5):
        counts, outcome = over_http(
            tmp_path, seed, stub, {"caps": {"money": 0.06}, "concurrency": concurrency, "trials": 6}
        )
        spent, dearest = bill(counts), cost_pusd(PRICE, Usage(int((82 + hidden) * factor), 20))
        assert is_known(dearest)
        assert outcome.progress.spent_pusd == spent, "what it charged is what is counted"
        assert spent <= 0.06 * PUSD + concurrency * dearest, (seed, spent)
        if concurrency == 1 and hidden:
            assert spent <= 0.06 * PUSD, "one call taught what they all cost"


def test_tokens_used_over_http_never_exceed_the_cap(tmp_path: Path) -> None:
    for seed in range(10):
        rng = random.Random(f"tokens {seed}")
        cap = rng.randint(0, 6000)
        stub = StubOptions(fault_rate=0.2, faults=QUICK, seed=seed)
        counts, _ = over_http(
            tmp_path,
            seed,
            stub,
            {"caps": {"tokens": cap}, "concurrency": rng.choice([1, 4, 64]), "trials": 3},
        )
        assert counts.billed_input + counts.billed_output <= cap, seed


def test_the_time_cap_ends_a_run_whose_provider_hangs(tmp_path: Path) -> None:
    began = time.monotonic()
    stub = StubOptions(rules=(Rule("q1 ", "hang"),), answer=lambda _: "B", latency_s=0.05)
    _, outcome = over_http(tmp_path, 3, stub, {"caps": {"seconds": 1}, "concurrency": 2, "trials": 200})
    assert outcome.status == "capped"
    assert "time cap" in outcome.reason
    assert time.monotonic() - began < 1 + GRACE_S + 5, "calls that hang are given up when the grace is over"


def test_a_cap_on_tokens_holds_over_a_crash_and_over_answers_without_usage(tmp_path: Path) -> None:
    """What was in flight keeps its tokens reserved, and what broke keeps them counted, in every later session."""
    data = write_tasks(tmp_path, [{"id": str(i), "input": f"q{i}", "target": "B"} for i in range(40)])
    stub = StubOptions(answer=lambda _: "B", rules=(Rule("q", "bad_json", times=1),))
    with stub_thread(stub) as served:
        plan = {
            "suites": [data],
            "contestants": [{"model": "m", "base_url": served.base_url, "max_tokens": 20}],
            "caps": {"tokens": 3000},
            "retry": {"attempts": 3, "wait": 0.001, "wait_max": 0.002},
            "concurrency": 4,
        }
        ledger, outcome, _ = run_plan(tmp_path, plan)
        assert outcome.status == "capped"
        before = ledger.resume_state(outcome.run).tokens
        assert before > 2800, "broken answers are counted at their worst"
        sent = served.counts.received.total()
        again, _ = resume(ledger)
        assert again.status == "capped"
        assert served.counts.received.total() - sent <= 1, "nor does a new session begin to count anew"


def test_a_resumed_run_knows_what_its_provider_charges(tmp_path: Path) -> None:
    """A hidden prompt that an earlier session met is reserved for from the first call of the next one on."""
    data = write_tasks(tmp_path, [{"id": str(i), "input": f"q{i}", "target": "B"} for i in range(200)])
    with stub_thread(StubOptions(answer=lambda _: "B", hidden_tokens=5000, latency_s=0.01)) as served:
        plan = {
            "suites": [data],
            "contestants": [{"model": "m", "base_url": served.base_url, **CONTESTANT}],
            "caps": {"money": 0.3},
            "concurrency": 1,
        }
        ledger, first, _ = run_plan(tmp_path, plan)
        assert first.status == "capped"
        assert bill(served.counts) <= 0.3 * PUSD
        cap = 1.3
        again, _ = resume(ledger, caps={"money": int(cap * PUSD)})
        assert again.status == "capped"
        assert bill(served.counts) <= cap * PUSD, "nothing is learnt twice, at the cap's cost"
        state = ledger.resume_state(first.run)
        assert state.learnt[0][2] >= 4900
        assert state.caps == {"money": int(cap * PUSD)}


def test_calls_that_were_lost_without_a_cap_count_against_one_set_later(tmp_path: Path) -> None:
    data = write_tasks(tmp_path, [{"id": str(i), "input": f"q{i}", "target": "B"} for i in range(12)])
    with stub_thread(StubOptions(answer=lambda _: "B", rules=(Rule("q", "bad_json", times=1),))) as served:
        plan = {
            "suites": [data],
            "contestants": [{"model": "m", "base_url": served.base_url, "max_tokens": 1000}],
            "retry": {"attempts": 1},
        }
        ledger, _, _ = run_plan(tmp_path, plan)
        assert ledger.resume_state("last").tokens > 12_000
        again, _ = resume(ledger, retry_ungraded=True, caps={"tokens": 12_000})
    assert again.status == "capped"


def test_the_time_of_all_sessions_counts_against_its_cap(tmp_path: Path) -> None:
    data = write_tasks(tmp_path, [{"id": str(i), "input": f"q{i}", "target": "B"} for i in range(400)])
    with stub_thread(StubOptions(answer=lambda _: "B", latency_s=0.02)) as served:
        plan = {
            "suites": [data],
            "contestants": [{"model": "m", "base_url": served.base_url}],
            "caps": {"seconds": 1},
            "concurrency": 1,
        }
        ledger, first, _ = run_plan(tmp_path, plan)
        assert first.status == "capped"
        assert ledger.resume_state(first.run).seconds >= 1
        sent = served.counts.received.total()
        again, _ = resume(ledger)
        assert (again.status, served.counts.received.total()) == ("capped", sent)
        last, _ = resume(ledger, caps={"seconds": 600})
        assert last.status == "complete"
