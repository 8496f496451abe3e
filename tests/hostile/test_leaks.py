"""Credentials in a plan are refused before they reach a ledger; those named by a variable never reach it either."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tests.hostile.kit import run_plan, write_plan, write_tasks

from steelyard.cli.common import _shown
from steelyard.errors import PlanError
from steelyard.ledger import open_ledger
from steelyard.runner.planfile import read_plan
from steelyard.runner.prepare import prepare
from steelyard.testing.stub import StubOptions, stub_thread
from steelyard.wire.serve import Incoming, Outgoing, Server

TEAM = "correct horse battery"
"""A secret that does not look like one."""
KEY = "sk-very-secret-0123456789"
URL = "http://127.0.0.1:1/v1"
WRONG: dict[str, dict[str, object]] = {
    "authorization": {"model": "m", "base_url": URL, "headers": {"Authorization": f"Bearer {KEY}"}},
    "x-api-key": {"model": "m", "base_url": URL, "headers": {"X-Api-Key": KEY}},
    "application's header": {"url": URL, "headers": {"api-key": KEY}},
    "query": {"url": f"{URL}?api_key={KEY}"},
    "query of base_url": {"model": "m", "base_url": f"{URL}?key={KEY}"},
    "request": {"url": URL, "request": {"auth": {"api_key": KEY}, "input": "{input}"}},
    "extra": {"model": "m", "base_url": URL, "extra": {"api_key": KEY}},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_credential_in_a_plan_is_refused_and_not_repeated(name: str, tmp_path: Path) -> None:
    data = write_tasks(tmp_path, [{"id": "0", "input": "q", "target": "B"}])
    with pytest.raises(PlanError, match="would be kept in the ledger") as caught:
        prepare(read_plan(write_plan(tmp_path, {"suites": [data], "contestants": [WRONG[name]]}), {}))
    assert KEY not in str(caught.value)
    assert "plan.yaml:1" in str(caught.value)
    assert "VARIABLE" in str(caught.value)


def test_a_credential_in_the_base_url_of_the_environment_is_refused(tmp_path: Path) -> None:
    data = write_tasks(tmp_path, [{"id": "0", "input": "q", "target": "B"}])
    path = write_plan(tmp_path, {"suites": [data], "contestants": [{"model": "m"}]})
    for wrong in (f"http://user:{KEY}@127.0.0.1:1/v1", "localhost:8000/v1"):
        with pytest.raises(PlanError, match="OPENAI_BASE_URL") as caught:
            read_plan(path, {"OPENAI_BASE_URL": wrong})
        assert KEY not in str(caught.value)


def test_a_header_may_name_a_variable_whose_value_stays_outside(tmp_path: Path) -> None:
    data = write_tasks(tmp_path, [{"id": str(i), "input": f"q{i}", "target": "B"} for i in range(3)])
    with stub_thread(StubOptions(answer=lambda _: "B")) as stub:
        contestant = {"model": "m", "base_url": stub.base_url, "headers": {"X-Api-Key": "${TEAM_KEY}"}}
        plan = {"suites": [data], "contestants": [contestant]}
        with pytest.raises(PlanError, match="TEAM_KEY is not set"):
            run_plan(tmp_path, plan)
        ledger, outcome, found = run_plan(tmp_path, plan, {"TEAM_KEY": KEY})
    assert found.board.overall[0].n_graded == 3
    assert ledger.plan(outcome.run).contestants[0].config["headers"] == {"X-Api-Key": "${TEAM_KEY}"}
    for path in (tmp_path / "led").rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


def nowhere(folder: Path, key: str) -> None:
    """The key stands in no file of the ledger, compressed or not."""
    ledger = open_ledger(str(folder / "led"))
    run = ledger.find("last").run
    said = [repr(r) for r in ledger.records(run)] + [repr(ledger.plan(run))]
    assert not [text for text in said if key in text]
    for path in (folder / "led").rglob("*"):
        assert path.is_dir() or key.encode() not in path.read_bytes(), path


def test_a_key_that_is_sent_back_is_kept_nowhere(tmp_path: Path) -> None:
    """Whatever the header is called, in an answer as in an error."""
    data = write_tasks(tmp_path, [{"id": str(i), "input": f"q{i}", "target": "B"} for i in range(4)])

    async def echo(incoming: Incoming) -> Outgoing:
        said = f"you sent {incoming.headers.get('x-team')} and {incoming.headers.get('authorization')}"
        if b"q1" in incoming.body:
            return Outgoing(400, json.dumps({"error": {"message": said}}).encode())
        if b"q2" in incoming.body:
            return Outgoing(500, said.encode(), "text/plain")
        message = {"role": "assistant", "content": said}
        return Outgoing(
            200, json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()
        )

    async def go() -> None:
        async with Server(echo) as server:
            shared = {"headers": {"X-Team": "${TEAM}"}, "key_env": "MINE"}
            plan = {
                "suites": [data],
                "contestants": [
                    {"model": "m", "base_url": server.url, **shared},
                    {"name": "app", "url": server.url, "response": "choices.0.message.content", **shared},
                ],
                "retry": {"attempts": 1},
            }
            await asyncio.to_thread(run_plan, tmp_path, plan, {"TEAM": TEAM, "MINE": KEY})

    asyncio.run(go())
    nowhere(tmp_path, KEY)
    nowhere(tmp_path, TEAM)
    ledger = open_ledger(str(tmp_path / "led"))
    texts = [row.reply.text for row in ledger.trials("last") if row.reply is not None]
    assert len(texts) == 4
    assert all("[key]" in t for t in texts)


def test_a_key_that_an_application_raises_or_returns_is_kept_nowhere(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        f'def answer(task_id):\n    if task_id == "0":\n        raise ValueError("bad key {TEAM}")\n'
        f'    return "used {TEAM}"\n'
    )
    data = write_tasks(tmp_path, [{"id": str(i), "input": f"q{i}", "target": "B"} for i in range(2)])
    plan = {"suites": [data], "contestants": [{"name": "app", "callable": "app.py:answer"}]}
    ledger, outcome, _ = run_plan(tmp_path, plan, {"OUR_API_KEY": TEAM})
    nowhere(tmp_path, TEAM)
    rows = list(ledger.trials(outcome.run))
    assert "[key]" in rows[0].detail
    assert rows[1].reply is not None
    assert rows[1].reply.text == "used [key]"


def test_the_password_of_a_database_is_not_repeated() -> None:
    assert _shown("postgresql://me:hush@db/x") == "'postgresql://me:***@db/x'"
    assert _shown("my led") == "'my led'"


def test_no_request_goes_to_a_provider_without_its_key(tmp_path: Path) -> None:
    data = write_tasks(tmp_path, [{"id": "0", "input": "q", "target": "B"}])
    for model, variable in (("openai/m", "OPENAI_API_KEY"), ("anthropic/m", "ANTHROPIC_API_KEY")):
        with pytest.raises(PlanError, match=f"{variable} is not set"):
            run_plan(tmp_path, {"suites": [data], "contestants": [{"model": model, "max_tokens": 5}]})
