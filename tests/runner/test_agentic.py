"""Runs of agentic suites: places cast, changes kept, graded after the last process, resumed and judged again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard import ledger as ledgers
from steelyard.contestants.base import Answer, Ask, Purse, Ticket
from steelyard.contestants.policies import Policy
from steelyard.errors import EndedBy, Fault, PlanError
from steelyard.ledger.base import Ledger, TrialRow
from steelyard.runner.planfile import read_plan
from steelyard.runner.prepare import prepare
from steelyard.runner.rescore import rescore
from steelyard.runner.session import Options, begin, take_up
from steelyard.runner.trials import Filter, trial_views
from steelyard.sandbox.pack import unpack
from steelyard.sandbox.selfcheck import self_check
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.reply import Reply, Usage
from steelyard.schema.score import Outcome
from steelyard.schema.trace import Happened, decode_trace
from steelyard.testing.agentic import fix_task, small_suite, write

pytestmark = pytest.mark.skipif(self_check().rung is None, reason="no sandbox can be had on this machine")

POLICIES = "contestants:\n- {policy: gold}\n- {policy: null}\n"
AGENT = (
    "contestants:\n- {name: worker, agent: steelyard, model: m, base_url: 'http://127.0.0.1:9/v1', max_tokens: 100, "
    "price: {input: 1, output: 1}}\n"
)


class Agents:
    """An executor whose agents make calls of a scripted price, then do what the gold policy does."""

    def __init__(self, mended: Path, calls: int = 3, worst: int = 100, cost: int | None = 40) -> None:
        step = {"action": "sed -i s/-/+/ calc.py"}
        self.mended = write(mended, {"mend.traj": json.dumps({"trajectory": [step]})}) / "mend.traj"
        self.calls, self.worst, self.cost = calls, worst, cost
        self.fault: Fault | None = None
        self.purses: list[Purse] = []

    async def start(self, specs: Sequence[ContestantSpec]) -> None:
        """Nothing to open."""

    async def answer(self, c: int, ask: Ask) -> Answer:
        """No ordinary questions here."""
        raise Fault("no ordinary question", ended_by=EndedBy.US, kind="unexpected")

    async def stop(self) -> None:
        """Nothing to close."""

    async def work(self, c: int, ask: Ask, purse: Purse) -> Answer:
        """Pay for calls one after the other; a limit of the trial ends the work."""
        self.purses.append(purse)
        ended, limit = EndedBy.CONTESTANT, ""
        for _ in range(self.calls):
            try:
                ticket: Ticket = await purse.reserve(self.worst, 10)
            except Fault as f:
                if f.ended_by is not EndedBy.BUDGET:
                    raise
                ended, limit = EndedBy.BUDGET, "money"
                break
            purse.settle(ticket, self.cost, 7, paid=True)
        if self.fault is not None:
            raise self.fault
        policy = Policy(
            ContestantSpec("r", "policy", config={"policy": "replay", "trace": str(self.mended)}), {}
        )
        found = await policy.work(ask, purse)
        usage = Usage(5 * self.calls, 2 * self.calls)
        return replace(found, reply=Reply("done", usage=usage), cost_pusd=None, ended_by=ended, limit=limit)


def run_plan(place: Path, text: str, executor: Agents | None = None) -> tuple[Ledger, str]:
    (place / "plan.yaml").write_text(f"suites: [suite]\n{text}")
    ready = prepare(read_plan(place / "plan.yaml", {}))
    ledger = ledgers.open_ledger(str(place / "L"))
    options = Options({}, signals=False, control=False, executor=executor)
    outcome = asyncio.run(begin(ready, ledger, options))
    return ledger, outcome.status


def rows(ledger: Ledger, contestant: int = 0) -> dict[str, TrialRow]:
    run = ledger.find("last").run
    tasks = ledger.suites(run)[0]
    return {tasks.task(r.t).id: r for r in ledger.trials(run, {"c": contestant})}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    small_suite(tmp_path / "suite")
    return tmp_path


def test_gold_passes_and_null_fails_on_every_kind_of_task(place: Path) -> None:
    ledger, status = run_plan(place, POLICIES)
    assert status == "complete"
    gold, null = rows(ledger, 0), rows(ledger, 1)
    assert {k: r.score.outcome for k, r in gold.items() if r.score} == dict.fromkeys(gold, Outcome.PASSED)
    assert {k: r.score.outcome for k, r in null.items() if r.score} == dict.fromkeys(null, Outcome.FAILED)
    assert len(gold) == len(null) == 4


def test_what_was_left_is_kept_and_judged_again_without_the_directory(place: Path) -> None:
    ledger, _ = run_plan(place, POLICIES)
    row = rows(ledger)["fix-add"]
    assert unpack(ledger.payload(row.changes)).read("calc.py") == b"def add(a, b):\n    return a + b\n"
    state = rows(ledger)["cancel-order"].state
    assert json.loads(ledger.payload(state))["orders"]["A1"]["status"] == "cancelled"
    (place / "suite").rename(place / "gone")
    again = rescore(ledger, "last", {})
    assert (again.judged, again.changed) == (8, 0)


def test_a_trace_holds_what_was_done(place: Path) -> None:
    ledger, _ = run_plan(place, "contestants:\n- {policy: random}\n")
    trace = decode_trace(ledger.payload(rows(ledger)["fix-add"].trace))
    assert trace.source == "steelyard policy random"
    assert len(trace.events) >= 3


def test_an_endpoint_is_told_to_become_an_agent(place: Path) -> None:
    with pytest.raises(PlanError, match="agent: steelyard"):
        run_plan(place, "contestants:\n- {model: m, base_url: 'http://127.0.0.1:9/v1'}\n")


def test_a_task_that_needs_more_than_the_machine_has_is_refused(tmp_path: Path) -> None:
    fix_task(tmp_path / "suite/t", "[limits]\nmemory_mib = 100000000\n")
    with pytest.raises(PlanError, match="more memory than this machine has"):
        run_plan(tmp_path, POLICIES)


def test_a_user_that_a_model_plays_must_be_cast(tmp_path: Path) -> None:
    fix_task(
        tmp_path / "suite/t",
        '[roles]\nuser = "user.yaml"\n',
        **{"user.yaml": "role: customer\nbrief: Be terse.\n"},
    )
    with pytest.raises(PlanError, match="role `customer` of suite `suite` is not cast"):
        run_plan(tmp_path, POLICIES)


def test_costs_and_tokens_of_all_calls_are_summed(tmp_path: Path) -> None:
    fix_task(tmp_path / "suite/t")
    ledger, status = run_plan(tmp_path, AGENT, Agents(tmp_path, calls=3, cost=40))
    row = rows(ledger)["t"]
    assert status == "complete"
    assert row.cost_pusd == 120
    assert row.score is not None
    assert row.score.outcome is Outcome.PASSED
    state = ledger.resume_state(ledger.find("last").run)
    assert (state.spent_pusd, state.held_pusd, state.tokens) == (120, 0, 21)


def test_a_cost_that_is_not_known_keeps_its_worst_case(tmp_path: Path) -> None:
    fix_task(tmp_path / "suite/t")
    ledger, _ = run_plan(tmp_path, AGENT, Agents(tmp_path, calls=2, cost=None))
    assert rows(ledger)["t"].cost_pusd is None
    state = ledger.resume_state(ledger.find("last").run)
    assert state.spent_pusd + state.held_pusd == 200


def test_what_a_broken_attempt_has_spent_stays_spent(tmp_path: Path) -> None:
    fix_task(tmp_path / "suite/t")
    agents = Agents(tmp_path, calls=3, cost=40)
    agents.fault = Fault("the box broke", ended_by=EndedBy.SANDBOX, kind="sandbox")
    ledger, _ = run_plan(tmp_path, AGENT, agents)
    row = rows(ledger)["t"]
    assert row.cost_pusd == 120
    assert row.score is not None
    assert (row.score.outcome, row.score.cause) == (Outcome.UNGRADED, "sandbox:sandbox")
    state = ledger.resume_state(ledger.find("last").run)
    assert (state.spent_pusd, state.tokens) == (120, 21)


def test_a_limit_of_the_trial_is_a_measurement_and_graded(tmp_path: Path) -> None:
    fix_task(tmp_path / "suite/t", "[limits]\nmoney = 0.00000000015\n")
    ledger, status = run_plan(tmp_path, AGENT, Agents(tmp_path, calls=10, worst=100, cost=40))
    row = rows(ledger)["t"]
    assert status == "complete"
    assert (row.ended_by, row.fault, row.cost_pusd) == ("budget", "money", 80)
    assert row.score is not None
    assert row.score.outcome is Outcome.PASSED


def test_a_task_may_refuse_what_stands_at_a_limit(tmp_path: Path) -> None:
    limits = "[limits]\nmoney = 0.00000000015\n[grader]\ngrade_at_limit = false\n"
    fix_task(tmp_path / "suite/t", limits)
    ledger, _ = run_plan(tmp_path, AGENT, Agents(tmp_path, calls=10, worst=100, cost=40))
    score = rows(ledger)["t"].score
    assert score is not None
    assert (score.outcome, score.explanation) == (Outcome.FAILED, "a limit was reached: money")


def test_a_cap_of_the_run_is_never_crossed_and_the_trial_is_taken_up_again(tmp_path: Path) -> None:
    fix_task(tmp_path / "suite/t")
    cap = "caps: {money: 0.00000000025}\n"
    ledger, status = run_plan(tmp_path, AGENT + cap, Agents(tmp_path, calls=6, worst=100, cost=40))
    assert status == "capped"
    state = ledger.resume_state(ledger.find("last").run)
    assert state.spent_pusd == 160
    assert state.attempts == {(0, 0, 0): 1}
    options = Options(
        {},
        signals=False,
        control=False,
        executor=Agents(tmp_path, calls=2, worst=100, cost=40),
        caps={"money": 10**6},
    )
    outcome = asyncio.run(take_up(ledger, "last", options))
    assert outcome.status == "complete"
    row = rows(ledger)["t"]
    assert (row.attempts, row.cost_pusd) == (2, 240)


def test_looking_for_the_tests_is_a_flag_on_the_trace(tmp_path: Path) -> None:
    fix_task(tmp_path / "suite/t")
    trace = {
        "events": [
            {
                "event": "said",
                "message": {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "1",
                            "name": "bash",
                            "arguments": json.dumps({"command": "ls /tests; echo > conftest.py"}),
                        }
                    ],
                },
            }
        ]
    }
    write(tmp_path, {"look.json": json.dumps(trace)})
    ledger, _ = run_plan(tmp_path, f"contestants:\n- {{policy: replay, trace: '{tmp_path}/look.json'}}\n")
    events = decode_trace(ledger.payload(rows(ledger)["t"].trace)).events
    flags = [e.data["what"] for e in events if isinstance(e, Happened) and e.kind == "flag"]
    assert flags == ["decoy", "test_infrastructure"]
    view = next(trial_views(ledger, "last", Filter(), reveal=False))
    assert [flag.split(" ")[0] for flag in view.flags] == ["a", "changed"]
    assert view.changed == ("conftest.py",)
