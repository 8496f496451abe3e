"""Command-line agents in runs: beside the built-in loop on the same tasks, under the run's caps, and what they cannot do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs

from steelyard import ledger as ledgers
from steelyard.errors import PlanError
from steelyard.ledger.base import Ledger
from steelyard.runner.base import RunOutcome
from steelyard.runner.planfile import read_plan
from steelyard.runner.prepare import prepare
from steelyard.runner.session import Options, begin
from steelyard.sandbox.selfcheck import self_check
from steelyard.schema.message import text_of
from steelyard.schema.reply import Reply, Usage
from steelyard.schema.score import Outcome
from steelyard.schema.trace import Happened, decode_trace
from steelyard.testing.agent import bash, scripted, submit
from steelyard.testing.agentic import fix_task, small_suite, state_task
from steelyard.testing.agents import commands, task_tool, write_adapter
from steelyard.testing.stub import Rule, Stub, StubOptions
from steelyard.wire.base import Request

pytestmark = pytest.mark.skipif(self_check().rung is None, reason="no sandbox can be had on this machine")

MEND = "sed -i s/-/+/ calc.py"


def run_plan(
    place: Path,
    model: Callable[[Request], Reply],
    *,
    own: bool = False,
    only: str = "",
    top: str = "",
    more: str = "",
    rules: tuple[Rule, ...] = (),
    mcp: bool = True,
    retry_after_s: float = 0.01,
) -> tuple[Ledger, RunOutcome, Stub]:
    """Run the tiny agent, and the built-in loop with `own`, on the suite in `place`."""
    tiny = write_adapter(place / "tiny.toml", "chat", "--retries=3")
    if not mcp:
        tiny.write_text(tiny.read_text().partition("[mcp]")[0])

    async def go() -> tuple[Ledger, RunOutcome, Stub]:
        async with Stub(StubOptions(answer=model, rules=rules, retry_after_s=retry_after_s)) as stub:
            shared = f"  model: m\n  base_url: {stub.base_url}\n  max_tokens: 400\n  price: {{input: 1, output: 2}}\n{more}"
            each = [f"- agent: ./tiny.toml\n  name: tiny\n{shared}"]
            each += [f"- agent: steelyard\n  name: own\n{shared}"] if own else []
            chosen = [e for e in each if f"name: {only}" in e]
            text = f"suites: [suite]\n{top}contestants:\n{''.join(chosen)}"
            (place / "plan.yaml").write_text(text)
            ready = prepare(read_plan(place / "plan.yaml", {}))
            ledger = ledgers.open_ledger(str(place / "L"))
            return ledger, await begin(ready, ledger, Options({}, signals=False, control=False)), stub

    return asyncio.run(go())


def test_an_agent_and_the_built_in_loop_are_paired_on_the_same_task(tmp_path: Path) -> None:
    fix_task(tmp_path / "suite")
    tiny, loop = commands(MEND), scripted({"Mend `add`": [bash(MEND), submit()]})

    def model(request: Request) -> Reply:
        return (tiny if any(t.name == "sh" for t in request.tools) else loop)(request)

    ledger, outcome, _ = run_plan(tmp_path, model, own=True)
    assert outcome.status == "complete"
    run = ledger.find("last").run
    rows = {r.c: r for r in ledger.trials(run)}
    assert {c: r.score.outcome for c, r in rows.items() if r.score} == {0: Outcome.PASSED, 1: Outcome.PASSED}
    for row in rows.values():
        assert row.trace
        assert row.cost_pusd is not None
        assert row.cost_pusd > 0
    assert decode_trace(ledger.payload(rows[0].trace)).attributes["gen_ai.agent.name"] == "agent-cli"


def test_the_cap_of_the_run_holds_over_the_calls_of_agents_at_once(tmp_path: Path) -> None:
    for i in range(6):
        fix_task(tmp_path / "suite" / f"t{i}")
    model = commands(*["true"] * 30, usage=Usage(300, 400))  # 1.1 milli-dollars a call
    _, outcome, stub = run_plan(
        tmp_path, model, top="caps: {money: 0.02}\nconcurrency: 6\n", more="  limits: {money: 0.018}\n"
    )
    assert outcome.status == "capped"
    called = stub.counts.received.total()
    assert 10 <= called <= 18
    assert outcome.progress.spent_pusd == called * 1_100_000_000 <= 20_000_000_000


def test_a_limit_of_the_contestant_is_a_measurement(tmp_path: Path) -> None:
    fix_task(tmp_path / "suite")
    ledger, outcome, _ = run_plan(tmp_path, commands(MEND, *["true"] * 20), more="  limits: {turns: 3}\n")
    assert outcome.status == "complete"
    row = next(iter(ledger.trials(ledger.find("last").run)))
    assert row.ended_by == "budget"
    assert row.score is not None
    assert row.score.outcome is Outcome.PASSED  # what stood in the workspace then was right


def test_a_provider_that_fails_is_tried_again_and_the_trace_of_the_failure_is_kept(tmp_path: Path) -> None:
    fix_task(tmp_path / "suite")
    rules = (Rule("Mend", "500", 1),)
    ledger, outcome, _ = run_plan(
        tmp_path, commands(MEND), rules=rules, top="retry: {attempts: 2, wait: 0.01}\n"
    )
    assert outcome.status == "complete"
    row = next(iter(ledger.trials(ledger.find("last").run)))
    assert row.score is not None
    assert row.score.outcome is Outcome.PASSED
    assert row.attempts == 2
    trace = decode_trace(ledger.payload(row.trace))
    assert next(e.kind for e in trace.events if isinstance(e, Happened)) == "agent"


@pytest.mark.parametrize("who", ["tiny", "own"])
def test_a_429_in_the_middle_of_an_agents_work_holds_all_agents_back_together(
    tmp_path: Path, who: str
) -> None:
    """One of four agents at once is told to wait 2 s; nobody calls before, nothing is paid twice, all are graded."""
    for i in range(4):
        fix_task(tmp_path / "suite" / f"t{i}")
    called: list[tuple[float, bool]] = []
    steps = ("echo half''way; sleep 0.2", *["sleep 0.2"] * 4, MEND)
    tiny = commands(*steps)
    loop = scripted({"Mend `add`": [*(bash(s) for s in steps), submit()]})

    def model(request: Request) -> Reply:
        called.append((time.monotonic(), "halfway" in text_of(request.messages[-1])))
        return (tiny if any(t.name == "sh" for t in request.tools) else loop)(request)

    ledger, outcome, stub = run_plan(
        tmp_path, model, own=who == "own", only=who, rules=(Rule("halfway", "429", 1),), retry_after_s=2.0
    )
    assert outcome.status == "complete"
    assert stub.counts.faults.total() == 1
    told = next(at for at, half in called if half)
    assert not [at - told for at, _ in called if 0.15 < at - told < 1.9]
    rows = list(ledger.trials(ledger.find("last").run))
    assert [r.score.outcome for r in rows if r.score] == [Outcome.PASSED] * 4
    assert [r.attempts for r in rows] == [1] * 4
    billed = stub.counts.billed_input + 2 * stub.counts.billed_output
    assert sum(r.cost_pusd or 0 for r in rows) == billed * 1_000_000
    for row in rows:
        assert row.reply is not None
        assert row.reply.timing is not None
        assert row.reply.timing.done_ns > 1_000_000_000


def test_an_agent_without_mcp_is_refused_tasks_with_tools_of_their_own_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    small_suite(tmp_path / "suite")
    with pytest.raises(PlanError) as caught:
        run_plan(tmp_path, commands(), mcp=False)
    assert "agent: steelyard" in str(caught.value)
    assert "[mcp]" in str(caught.value)


def test_an_agent_does_tasks_with_tools_and_a_user_by_the_tasks_mcp_server(tmp_path: Path) -> None:
    state_task(tmp_path / "suite" / "t", user=True)

    def model(request: Request) -> Reply:
        n = sum(m.role == "tool" for m in request.messages)
        usage = Usage(input_tokens=10, output_tokens=5)
        if n == 0:
            told = text_of(request.messages[-1])
            assert "Please cancel A1." in told
            assert "`get_order`" in told
        steps = (
            lambda: task_tool(request, "get_order", order_id="A1"),
            lambda: task_tool(request, "cancel_order", order_id="A1"),
            lambda: task_tool(request, "say_to_user", message="It is done."),
            lambda: task_tool(request, "say_to_user", message="Are you there?"),
        )
        if n < len(steps):
            call = structs.replace(steps[n](), id=f"c{n}")
            return Reply(text="", finish="tool_calls", tool_calls=(call,), usage=usage, model=request.model)
        return Reply(text=text_of(request.messages[-1]), usage=usage, model=request.model)

    ledger, outcome, stub = run_plan(tmp_path, model)
    assert outcome.status == "complete"
    row = next(iter(ledger.trials(outcome.run)))
    assert row.score is not None
    assert row.score.outcome is Outcome.PASSED
    trace = decode_trace(ledger.payload(row.trace))
    used = [e for e in trace.events if isinstance(e, Happened) and e.kind == "task_tool"]
    assert [e.detail for e in used] == ["get_order", "cancel_order", "say_to_user", "say_to_user"]
    assert str(used[2].data["result"]).startswith("Thanks.")
    assert "has left" in str(used[3].data["result"])
    assert stub.counts.received.total() == 5


def test_a_tasks_tools_that_break_are_the_graders_fault_and_no_measurement(tmp_path: Path) -> None:
    state_task(tmp_path / "suite" / "t")
    tools = (tmp_path / "suite/t/environment/tools.py").read_text()
    broken = tools.replace('order["status"] = "cancelled"', "import os; os._exit(3)")
    (tmp_path / "suite/t/environment/tools.py").write_text(broken)

    def model(request: Request) -> Reply:
        call = task_tool(request, "cancel_order", order_id="A1")
        usage = Usage(input_tokens=10, output_tokens=5)
        return Reply(
            finish="tool_calls",
            tool_calls=(structs.replace(call, id=f"c{len(request.messages)}"),),
            usage=usage,
        )

    ledger, outcome, _ = run_plan(tmp_path, model, top="retry: {attempts: 1}\n")
    row = next(iter(ledger.trials(outcome.run)))
    assert row.ended_by == "grader"
    assert row.score is None or row.score.outcome is Outcome.UNGRADED
