"""An engine over twins, for tests: no disk, no socket, scripted answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from steelyard.ledger.base import ResumeState
from steelyard.runner.base import RunOutcome, prepared
from steelyard.runner.engine import Engine, Session, SuiteScoring
from steelyard.runner.judging import Judging
from steelyard.runner.keeper import ScoringBackend
from steelyard.runner.limits import ProviderLimits
from steelyard.runner.prepare import Renderer
from steelyard.runner.schedule import Bits
from steelyard.runner.source import FixedSource
from steelyard.schema.contestant import ContestantSpec, Sampling
from steelyard.schema.plan import Caps, Plan, Retry, SuiteUse, Trials
from steelyard.schema.price import Price
from steelyard.schema.score import FAILED, PASSED, Score
from steelyard.schema.task import Task
from steelyard.scorers.base import Item
from steelyard.testing.runs import ListSuite, MemoryWriter, ScriptedExecutor


def exact(item: Item) -> Score:
    return PASSED if item.reply.text == item.task.target else FAILED


def make_plan(
    n_contestants: int = 1,
    *,
    count: int = 1,
    caps: Caps | None = None,
    concurrency: int = 8,
    price: Price | None = None,
    max_tokens: int | None = 20,
) -> Plan:
    return Plan(
        suites=(SuiteUse(source="list", name="list"),),
        contestants=tuple(
            ContestantSpec(
                f"c{i}", "callable", provider=f"p{i}", price=price, sampling=Sampling(max_tokens=max_tokens)
            )
            for i in range(n_contestants)
        ),
        trials=Trials(count=count),
        caps=caps or Caps(),
        retry=Retry(attempts=3, wait_s=0.0, wait_max_s=0.0),
        concurrency=concurrency,
    )


def tasks(n: int) -> list[Task]:
    return [Task(id=str(i), input=f"q{i}", target=f"a{i}") for i in range(n)]


def engine_of(
    plan: Plan,
    some: Sequence[Task],
    executor: ScriptedExecutor,
    writer: MemoryWriter,
    resume: ResumeState | None = None,
    judging: Judging | None = None,
) -> Engine:
    ready = prepared(plan, [ListSuite(some)])
    n, count = ready.n_tasks, plan.trials.count
    finished = Bits(len(plan.contestants) * n * count)
    sources = {
        s.provider: FixedSource([c], n, count, plan.seed, finished) for c, s in enumerate(plan.contestants)
    }
    return Engine(
        Session(
            prepared=ready,
            writer=writer,
            executor=executor,
            limits=ProviderLimits(plan),
            scoring=ScoringBackend({"exact": exact}, lambda batch: []),
            suite_scoring=[
                SuiteScoring("exact" if judging is None else "judged", judged=judging is not None)
            ],
            sources=sources,
            render=Renderer(ready),
            resume=resume or ResumeState(),
            judging=judging,
        )
    )


def run(engine: Engine) -> RunOutcome:
    return asyncio.run(engine.run())
