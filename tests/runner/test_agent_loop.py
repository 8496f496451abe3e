"""The built-in loop in whole runs: shipped kinds of tasks on a scripted endpoint, environments, a user that a model plays."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from steelyard.ledger import open_ledger
from steelyard.ledger.base import Ledger, TrialRow
from steelyard.runner.planfile import read_plan
from steelyard.runner.prepare import prepare
from steelyard.runner.session import Options, begin
from steelyard.sandbox.selfcheck import self_check
from steelyard.sandbox.snapshot import Snapshot
from steelyard.sandbox.tree import Tree
from steelyard.schema.message import text_of
from steelyard.schema.record import Result
from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome
from steelyard.testing.agent import Step, bash, call, reply_of, scripted, submit, turn_of
from steelyard.testing.agentic import file_task, fix_task, small_suite, state_task, write
from steelyard.testing.demo_model import commands_of, errs, thinking
from steelyard.testing.stub import StubOptions, stub_thread
from steelyard.wire.base import Request

pytestmark = pytest.mark.skipif(self_check().rung is None, reason="no sandbox can be had on this machine")
LOOP = "agent: steelyard, max_tokens: 300, price: {input: 1, output: 1}, limits: {turns: 12, seconds: 100}"


def measured(place: Path, contestants: str, more: str = "") -> tuple[Ledger, dict[str, TrialRow]]:
    write(place, {"plan.yaml": f"suites: [suite]\ncontestants:\n{contestants}\n{more}"})
    ledger = open_ledger(str(place / "L"))
    ready = prepare(read_plan(place / "plan.yaml", {}))
    asyncio.run(begin(ready, ledger, Options({}, signals=False, control=False)))
    run = ledger.find("last").run
    suite = ledger.suites(run)[0]
    return ledger, {suite.task(r.t).id: r for r in ledger.trials(run)}


def outcomes(rows: dict[str, TrialRow]) -> dict[str, Outcome]:
    return {name: r.score.outcome for name, r in rows.items() if r.score is not None}


def test_the_loop_does_every_kind_of_task(tmp_path: Path) -> None:
    small_suite(tmp_path / "suite")
    scripts: dict[str, list[Step]] = {
        "Mend `add`": [bash("sed -i 's/a - b/a + b/' calc.py"), submit("mended")],
        "Write the number": [bash("wc -l < words.txt > count.txt"), submit()],
        "cancel order A1": [
            call("get_order", order_id="A1"),
            call("cancel_order", order_id="A1"),
            submit("cancelled"),
        ],
        "What number": [bash("cat secret.txt"), submit("42")],
    }
    with stub_thread(StubOptions(answer=scripted(scripts))) as stub:
        _, rows = measured(tmp_path, f"- {{name: a, model: m, base_url: '{stub.base_url}', {LOOP}}}")
    assert outcomes(rows) == dict.fromkeys(rows, Outcome.PASSED), [r.score for r in rows.values()]
    assert all(r.cost_pusd for r in rows.values())


def test_a_user_that_a_model_plays_is_paid_and_recorded_apart(tmp_path: Path) -> None:
    state_task(tmp_path / "suite/t")
    toml = (tmp_path / "suite/t/task.toml").read_text() + '[roles]\nuser = "user.yaml"\n'
    brief = "role: customer\nbrief: You are a customer with order A1.\n"
    write(tmp_path / "suite/t", {"task.toml": toml, "user.yaml": brief})

    def answer(request: Request) -> Reply:
        n = turn_of(request)
        if any(m.role == "system" and "You are a customer" in text_of(m) for m in request.messages):
            words = ["Hello, I need help.", "Please cancel A1.", "###STOP###"]
            return reply_of(request, words[min(n, 2)], n, request.model)
        steps: list[Step] = [
            "What may I do for you?",
            call("cancel_order", order_id="A1"),
            "It is cancelled.",
        ]
        return reply_of(request, steps[min(n, 2)], n, request.model)

    with stub_thread(StubOptions(answer=answer)) as stub:
        url = stub.base_url
        judges = f"judges: {{customer: {{model: u, base_url: '{url}', max_tokens: 50, price: {{input: 2, output: 2}}}}}}\n"
        ledger, rows = measured(tmp_path, f"- {{name: a, model: m, base_url: '{url}', {LOOP}}}", judges)
    assert outcomes(rows) == {"t": Outcome.PASSED}, rows["t"].score
    results = [r for r in ledger.records(ledger.find("last").run) if isinstance(r, Result)]
    said = [r.role for r in results if r.role]
    assert len(said) >= 1
    assert all(role.startswith("user:customer#0.") for role in said)
    state = ledger.resume_state("last")
    assert state.spent_pusd == sum(r.cost or 0 for r in results)
    assert json.loads(ledger.payload(rows["t"].state))["orders"]["A1"]["status"] == "cancelled"


def test_an_agent_does_an_ordinary_suite(tmp_path: Path) -> None:
    write(tmp_path, {"suite.jsonl": '{"input": "Say four.", "target": "4"}\n'})
    (tmp_path / "suite.jsonl").rename(tmp_path / "s.jsonl")
    with stub_thread(StubOptions(answer=scripted({"Say four": [submit("4")]}))) as stub:
        write(
            tmp_path,
            {
                "plan.yaml": f"suites: [s.jsonl]\ncontestants: [{{name: a, model: m, base_url: '{stub.base_url}', {LOOP}}}, {{policy: gold}}, {{policy: null}}]\n"
            },
        )
        ledger = open_ledger(str(tmp_path / "L"))
        asyncio.run(
            begin(
                prepare(read_plan(tmp_path / "plan.yaml", {})),
                ledger,
                Options({}, signals=False, control=False),
            )
        )
    scores = [r.score.outcome for r in ledger.trials("last") if r.score is not None]
    assert scores == [Outcome.PASSED, Outcome.PASSED, Outcome.FAILED]


def test_the_demos_models_solve_what_they_know_and_err_where_they_should(tmp_path: Path) -> None:
    fix_task(tmp_path / "suite/t1")
    file_task(tmp_path / "suite/t2")
    models = ("scripted-careful", "scripted-hasty")
    with stub_thread(StubOptions(answer=thinking(str(tmp_path / "suite")))) as stub:
        for model in models:
            _, rows = measured(
                tmp_path, f"- {{name: a, model: {model}, base_url: '{stub.base_url}', {LOOP}}}"
            )
            right = {name: Outcome.FAILED if errs(model, name) else Outcome.PASSED for name in rows}
            assert outcomes(rows) == right


def test_an_overlay_becomes_a_command(tmp_path: Path) -> None:
    write(tmp_path, {"d/a b.txt": "x'y\n", ".delete": "old\n"})
    told = commands_of(Snapshot.take(Tree.at(tmp_path)))
    assert told.splitlines()[:2] == ["rm -r old", "mkdir -p d"]
    assert "base64 -d > 'd/a b.txt'" in told


def test_a_host_that_cannot_lay_a_workspace_out_parks_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fix_task(tmp_path / "suite/t", "[workspace]\ngit = true\n")
    write(tmp_path, {"plan.yaml": "suites: [suite]\ncontestants: [{policy: gold}]\n"})
    ready = prepare(read_plan(tmp_path / "plan.yaml", {}))
    ledger = open_ledger(str(tmp_path / "L"))
    monkeypatch.setenv("PATH", "/nowhere")
    asyncio.run(begin(ready, ledger, Options({}, signals=False, control=False)))
    row = next(ledger.trials("last"))
    assert row.score is not None
    assert (row.score.outcome, row.score.cause) == (Outcome.UNGRADED, "sandbox:place")
