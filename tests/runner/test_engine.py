"""What a session records, and how it ends, over twins of disk and network."""

from __future__ import annotations

import asyncio
import gc

import msgspec
import pytest
from tests.runner.engine_kit import engine_of, make_plan, run, tasks

from steelyard import scorers
from steelyard.contestants.base import Answer, Ask
from steelyard.errors import EndedBy, Fault, LedgerFull
from steelyard.runner.judging import Judging
from steelyard.schema.plan import Caps
from steelyard.schema.price import PUSD, Price
from steelyard.schema.record import Intent, Opened, Result, Scored
from steelyard.schema.reply import Reply, Usage
from steelyard.schema.score import Outcome
from steelyard.testing.runs import MemoryWriter, ScriptedExecutor


def right(c: int, ask: Ask) -> Answer:
    return Answer(Reply(text=f"a{ask.task_id}", usage=Usage(10, 5)))


def test_every_trial_has_intent_result_and_score_in_that_order() -> None:
    writer = MemoryWriter()
    outcome = run(engine_of(make_plan(2, count=3), tasks(7), ScriptedExecutor(right), writer))
    assert (outcome.status, outcome.progress.done) == ("complete", 42)
    assert isinstance(writer.records[0], Opened)
    at: dict[tuple[int, int, int], list[type]] = {}
    for r in writer.records:
        if isinstance(r, Intent | Result | Scored):
            at.setdefault((r.c, r.t, r.k), []).append(type(r))
    assert len(at) == 42
    assert all(kinds == [Intent, Result, Scored] for kinds in at.values())


def test_an_intent_is_durable_before_its_attempt_is_sent() -> None:
    writer = MemoryWriter()
    seen = []

    def script(c: int, ask: Ask) -> Answer:
        on_disk = {(r.c, r.t, r.k) for r in writer.records if isinstance(r, Intent)}
        seen.append((c, int(ask.task_id), ask.trial) in on_disk)
        return right(c, ask)

    run(engine_of(make_plan(count=5), tasks(20), ScriptedExecutor(script), writer))
    assert len(seen) == 100
    assert all(seen)


def test_a_retryable_fault_is_tried_again_and_a_final_one_is_parked() -> None:
    def script(c: int, ask: Ask) -> Answer:
        n = tries[ask.task_id] = tries.get(ask.task_id, 0) + 1
        if ask.task_id == "0":
            raise Fault("no", ended_by=EndedBy.OPERATOR, kind="bad_request", paid=False)
        if ask.task_id == "1" and n < 3:
            raise Fault("busy", ended_by=EndedBy.PROVIDER, kind="rate_limited", retryable=True, paid=False)
        if ask.task_id == "2":
            raise Fault("down", ended_by=EndedBy.PROVIDER, kind="server_error", retryable=True)
        return right(c, ask)

    tries: dict[str, int] = {}
    writer = MemoryWriter()
    outcome = run(engine_of(make_plan(), tasks(5), ScriptedExecutor(script), writer))
    assert tries == {"0": 1, "1": 3, "2": 3, "3": 1, "4": 1}
    assert (outcome.status, outcome.progress.parked) == ("complete", 2)
    scores = {r.t: r.score for r in writer.records if isinstance(r, Scored)}
    passed = {t for t, s in scores.items() if s.outcome is Outcome.PASSED}
    assert passed == {1, 3, 4}
    assert scores[0].outcome is scores[2].outcome is Outcome.UNGRADED
    assert scores[2].cause == "provider:server_error"
    finals = [r for r in writer.records if isinstance(r, Result) and r.final]
    assert sorted(r.t for r in finals) == [0, 1, 2, 3, 4]


def test_a_refusal_and_an_exhausted_budget_are_judged_not_parked() -> None:
    def script(c: int, ask: Ask) -> Answer:
        if ask.task_id == "0":
            return Answer(Reply(text="", finish="refusal", refusal="I will not"))
        raise Fault("too long", ended_by=EndedBy.BUDGET, kind="context_length", paid=False)

    writer = MemoryWriter()
    outcome = run(engine_of(make_plan(), tasks(2), ScriptedExecutor(script), writer))
    ended = {r.t: r.ended_by for r in writer.records if isinstance(r, Result)}
    assert ended == {0: "refusal", 1: "budget"}
    assert outcome.progress.parked == 0
    assert {r.t for r in writer.records if isinstance(r, Scored)} == {0, 1}


def test_a_full_disk_ends_the_run_with_its_error_and_loses_nothing_acknowledged() -> None:
    writer = MemoryWriter(full_after=50)
    executor = ScriptedExecutor(right)
    with pytest.raises(LedgerFull):
        run(engine_of(make_plan(), tasks(200), executor, writer))
    assert len(executor.asked) <= sum(isinstance(r, Intent) for r in writer.records)


def test_a_full_disk_amid_judging_leaves_no_worker_whose_error_nobody_takes() -> None:
    plan = make_plan()
    plan = msgspec.structs.replace(plan, judges=(msgspec.structs.replace(plan.contestants[0], name="judge"),))
    rubric = scorers.build({"type": "rubric", "criteria": [{"name": "good"}]})
    said: list[str] = []

    def script(c: int, ask: Ask) -> Answer:
        return right(c, ask) if c == 0 else Answer(Reply(text='{"scores": {"good": 1}}', usage=Usage(1, 1)))

    async def go() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(str(context)))
        writer = MemoryWriter(full_after=150)
        judging = Judging({"judged": rubric}, {"judge": 1}, {}, 4)
        engine = engine_of(plan, tasks(200), ScriptedExecutor(script), writer, judging=judging)
        with pytest.raises(LedgerFull):
            await engine.run()
        del engine, judging
        gc.collect()

    asyncio.run(go())
    gc.collect()
    assert said == []


def test_money_is_capped_and_the_run_says_so() -> None:
    caps = Caps(money_pusd=int(0.002 * PUSD))
    plan = make_plan(caps=caps, price=Price(input=1.0, output=1.0))
    outcome = run(engine_of(plan, tasks(500), ScriptedExecutor(right), MemoryWriter()))
    assert outcome.status == "capped"
    assert "money" in outcome.reason
    assert 0 < outcome.progress.spent_pusd <= int(0.002 * PUSD)


def test_the_time_cap_stops_the_run() -> None:
    plan = make_plan(caps=Caps(seconds=0.3), concurrency=2)
    slow = ScriptedExecutor(right, delay=lambda c, ask: 0.05)
    outcome = run(engine_of(plan, tasks(500), slow, MemoryWriter()))
    assert outcome.status == "capped"
    assert 2 <= outcome.progress.done < 100


def test_stop_lets_what_is_in_flight_finish() -> None:
    async def go() -> tuple[str, int, int]:
        executor = ScriptedExecutor(right, delay=lambda c, ask: 0.02)
        engine = engine_of(make_plan(concurrency=4), tasks(1000), executor, MemoryWriter())
        running = asyncio.create_task(engine.run())
        await asyncio.sleep(0.15)
        engine.stop("enough")
        outcome = await running
        return outcome.status, outcome.progress.done, len(executor.asked)

    status, done, asked = asyncio.run(go())
    assert status == "stopped"
    assert done == asked > 0


def test_pause_takes_no_new_trials_and_resume_goes_on() -> None:
    async def go() -> tuple[int, int, str]:
        executor = ScriptedExecutor(right, delay=lambda c, ask: 0.005)
        engine = engine_of(make_plan(concurrency=4), tasks(200), executor, MemoryWriter())
        running = asyncio.create_task(engine.run())
        await asyncio.sleep(0.05)
        engine.pause()
        await asyncio.sleep(0.05)
        first = len(executor.asked)
        await asyncio.sleep(0.1)
        second = len(executor.asked)
        engine.go_on()
        outcome = await running
        return first, second, outcome.status

    first, second, status = asyncio.run(go())
    assert first == second
    assert status == "complete"


def test_never_more_in_flight_than_the_plan_allows() -> None:
    executor = ScriptedExecutor(right, delay=lambda c, ask: 0.001)
    run(engine_of(make_plan(3, concurrency=5), tasks(50), executor, MemoryWriter()))
    assert executor.most_in_flight <= 5
