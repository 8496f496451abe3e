"""Who ended an attempt: the agent, the budget, the provider, the sandbox, the operator."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
from tests.contestants.agents.people import Case

from steelyard.contestants.base import Place, UserScript
from steelyard.errors import EndedBy, Fault, PlanError
from steelyard.sandbox.pack import unpack
from steelyard.schema.price import Price
from steelyard.schema.reply import Reply, Usage
from steelyard.schema.trace import Happened, Trace, decode_trace
from steelyard.testing.agents import commands, write_adapter
from steelyard.testing.purse import ScriptedPurse
from steelyard.testing.stub import Rule, StubOptions

LONG = commands(*[f"echo {i} > file{i}" for i in range(20)])


def happened(trace: Trace, kind: str) -> list[Happened]:
    return [e for e in trace.events if isinstance(e, Happened) and e.kind == kind]


def limited(folder: Path, **limits: object) -> Place:
    return dataclasses.replace(Place(base=Case(folder).base()), **limits)  # type: ignore[arg-type]


def test_a_limit_of_turns_is_the_budget_and_what_stands_is_collected(tmp_path: Path) -> None:
    answer, trace = Case(tmp_path, model=LONG, place=limited(tmp_path, turns=3)).work()
    assert (answer.ended_by, answer.limit) == (EndedBy.BUDGET, "turns")
    assert sorted(unpack(answer.changes).after) == ["file0", "file1", "file2"]
    assert trace.attributes["calls"] == 3
    assert [e.data["limit"] for e in happened(trace, "limit")] == ["turns"]
    assert happened(trace, "exit")[0].data["status"] == 3  # the tiny agent's own word for a refusal


def test_a_limit_of_money_is_the_budget(tmp_path: Path) -> None:
    place = limited(tmp_path, money_pusd=1_800_000_000)
    answer, _ = Case(tmp_path, model=LONG, place=place, price=Price(1.0, 1.0)).work()
    assert (answer.ended_by, answer.limit) == (EndedBy.BUDGET, "money")
    assert answer.cost_pusd is not None
    assert 0 < answer.cost_pusd <= 1_800_000_000


def test_a_limit_of_tokens_is_the_budget(tmp_path: Path) -> None:
    answer, _ = Case(tmp_path, model=LONG, place=limited(tmp_path, tokens=1800)).work()
    assert (answer.ended_by, answer.limit) == (EndedBy.BUDGET, "tokens")
    usage = answer.reply.usage
    assert (usage.input_tokens or 0) + (usage.output_tokens or 0) <= 1800


def test_a_limit_of_time_is_the_budget(tmp_path: Path) -> None:
    model = commands("echo early > out", "sleep 60")
    answer, trace = Case(tmp_path, model=model, place=limited(tmp_path, seconds=3.0)).work()
    assert (answer.ended_by, answer.limit) == (EndedBy.BUDGET, "seconds")
    assert list(unpack(answer.changes).after) == ["out"]
    assert happened(trace, "exit")[0].detail == "wall_time"


def test_an_agent_that_does_not_take_no_for_an_answer_is_ended(tmp_path: Path) -> None:
    script = tmp_path / "stubborn.py"
    script.write_text(
        "import sys, time, urllib.request, json\n"
        "url = next(a for a in sys.argv if a.startswith('--url'))[6:]\n"
        "while True:\n"
        "    body = json.dumps({'messages': [{'role': 'user', 'content': 'x'}], 'max_tokens': 5}).encode()\n"
        "    try: urllib.request.urlopen(urllib.request.Request(url + '/v1/chat/completions', body), timeout=30).read()\n"
        "    except OSError: time.sleep(0.05)\n"
    )
    answer, trace = Case(tmp_path, script=script, place=limited(tmp_path, turns=2)).work()
    assert (answer.ended_by, answer.limit) == (EndedBy.BUDGET, "turns")
    assert happened(trace, "exit")[0].detail == "killed"
    assert len(happened(trace, "refused")) == 1


@pytest.mark.parametrize("kind", ["500", "529", "429"])
def test_a_provider_that_fails_spoils_the_attempt(kind: str, tmp_path: Path) -> None:
    options = StubOptions(rules=(Rule("Write", kind),))
    with pytest.raises(Fault) as caught:
        Case(tmp_path, options=options).work()
    assert caught.value.ended_by is EndedBy.PROVIDER
    assert caught.value.retryable


@pytest.mark.parametrize(("kind", "ended_by"), [("401", EndedBy.OPERATOR), ("404", EndedBy.OPERATOR)])
def test_a_wrong_key_or_model_is_the_operators(kind: str, ended_by: EndedBy, tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        Case(tmp_path, options=StubOptions(rules=(Rule("Write", kind),))).work()
    assert caught.value.ended_by is ended_by


def test_a_request_that_the_provider_never_takes_says_that_the_two_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        Case(tmp_path, options=StubOptions(rules=(Rule("Write", "400"),))).work()
    assert (caught.value.ended_by, caught.value.kind) == (EndedBy.OPERATOR, "bad_request")


def test_a_request_that_breaks_later_is_the_agents_own(tmp_path: Path) -> None:
    model = commands("echo hello > out.txt; echo BREAK", "true")
    answer, trace = Case(tmp_path, model=model, options=StubOptions(rules=(Rule("BREAK", "400"),))).work()
    assert answer.ended_by is EndedBy.CONTESTANT
    assert list(unpack(answer.changes).after) == ["out.txt"]
    assert trace.attributes["faults"] == {"bad_request": 1}


def test_a_cap_of_the_run_passes_through(tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        Case(tmp_path, purse=ScriptedPurse(limit=1, run_cap=True)).work()
    assert (caught.value.ended_by, caught.value.kind) == (EndedBy.OPERATOR, "run_cap")


def test_an_agent_that_crashes_in_its_work_is_judged_by_what_it_left(tmp_path: Path) -> None:
    script = tmp_path / "crash.py"
    script.write_text("import os\nopen('half','w').write('x')\nos.abort()\n")
    answer, trace = Case(tmp_path, script=script).work()
    assert answer.ended_by is EndedBy.CONTESTANT
    assert list(unpack(answer.changes).after) == ["half"]
    assert happened(trace, "exit")[0].detail == "signal 6"


def test_an_agent_that_never_started_is_no_measurement(tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text("import a_module_that_is_not_there\n")
    with pytest.raises(Fault) as caught:
        Case(tmp_path, script=script).work()
    assert (caught.value.ended_by, caught.value.kind) == (EndedBy.OPERATOR, "agent_broken")
    assert "a_module_that_is_not_there" in str(caught.value)


def test_an_agent_that_is_not_installed_is_refused_with_its_install_command(tmp_path: Path) -> None:
    case = Case(tmp_path, adapter="goose", settings={"executable": str(tmp_path / "no-goose")})
    with pytest.raises(PlanError) as caught:
        case.work()
    assert "goose is not installed" in str(caught.value)
    assert "brew install" in caught.value.fix
    assert case.stub is not None
    assert case.stub.counts.received.total() == 0


def test_an_unpriced_contestant_has_an_unknown_cost_not_a_free_one(tmp_path: Path) -> None:
    answer, _ = Case(tmp_path, price=None).work()
    assert answer.cost_pusd is None
    assert answer.reply.usage.output_tokens == 20


def test_usage_that_is_not_reported_is_unknown(tmp_path: Path) -> None:
    model = commands("echo hello > out.txt", usage=Usage())
    answer, trace = Case(tmp_path, model=model).work()
    assert answer.cost_pusd is None
    assert answer.reply.usage.input_tokens is None
    assert trace.usage == answer.reply.usage


def test_a_refusal_of_the_provider_is_a_refusal(tmp_path: Path) -> None:
    options = StubOptions(rules=(Rule("Write", "content_policy"),))
    answer, _ = Case(tmp_path, options=options).work()
    assert answer.ended_by is EndedBy.REFUSAL
    assert answer.reply.finish == "content_filter"


def test_what_looks_like_cheating_is_on_the_trace(tmp_path: Path) -> None:
    model = commands(
        "ls /hidden_tests; echo x > conftest.py",
        "python3 -c \"import socket; s=socket.socket(); s.settimeout(1); s.connect(('1.1.1.1', 80))\"",
    )
    place = limited(tmp_path, decoys=("/hidden_tests",))
    _, trace = Case(tmp_path, model=model, place=place).work()
    assert {e.data["what"] for e in happened(trace, "flag")} == {"decoy", "network", "test_infrastructure"}


def test_an_allowed_host_is_reached_through_the_proxy_and_recorded(tmp_path: Path) -> None:
    case = Case(tmp_path)
    got = []

    def model(request: object) -> Reply:
        return inner(request)  # type: ignore[arg-type]

    inner = commands("true")

    def prepare(stub: object) -> None:
        nonlocal inner
        port = stub.base_url.split(":")[2].split("/")[0]  # type: ignore[attr-defined]
        got.append(port)
        case.place = limited(tmp_path, hosts=(f"127.0.0.1:{port}",))
        inner = commands(
            f'http_proxy=$HTTP_PROXY no_proxy= NO_PROXY= python3 -c "import urllib.request as u; '
            f"print(u.urlopen('http://127.0.0.1:{port}/stub/counts').status)\" > status"
        )

    case.model, case.prepare = model, prepare
    answer, trace = case.work()
    assert unpack(answer.changes).read("status") == b"200\n"
    assert [e.data["allowed"] for e in happened(trace, "network")] == [True]


def test_what_the_agent_keeps_for_itself_is_left_out_but_not_what_was_there(tmp_path: Path) -> None:
    path = write_adapter(tmp_path / "own.toml")
    path.write_text(path.read_text().replace("[run]\n", '[run]\nignore = [".own*", ".kept"]\n'))
    case = Case(
        tmp_path,
        adapter=str(path),
        model=commands("mkdir .owned && touch .own .owned/x; echo more >> .kept; echo 1 > .mine"),
    )
    Path(case.base(), ".kept").write_text("there before\n")
    answer, _ = case.work()
    assert sorted(unpack(answer.changes).after) == [".kept", ".mine"]


def test_a_fault_carries_what_was_done_until_then(tmp_path: Path) -> None:
    model = commands("echo hello > out.txt; echo BREAK", "true")
    with pytest.raises(Fault) as caught:
        Case(tmp_path, model=model, options=StubOptions(rules=(Rule("BREAK", "500"),))).work()
    trace = decode_trace(caught.value.trace)
    assert trace.attributes["calls"] == 1
    assert happened(trace, "exit")
    unknown = happened(trace, "exit")[0].data["usage"]
    assert isinstance(unknown, dict)
    assert list(unknown["memory_peak"]) == ["unknown"]


def test_a_task_with_a_simulated_user_is_not_for_an_agent_without_mcp(tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        place = limited(tmp_path, user=UserScript())
        Case(tmp_path, adapter="aider", settings={"executable": sys.executable}, place=place).work()
    assert (caught.value.ended_by, caught.value.kind) == (EndedBy.OPERATOR, "agent_arguments")
    assert "MCP" in str(caught.value)


@pytest.mark.parametrize("task", ["", "x\0y", "\ud800 half", "émoji 🙂\r\n\x1b[31m", "--help", "x" * 120_000])
def test_any_instruction_reaches_the_agent_or_is_refused_as_ours(task: str, tmp_path: Path) -> None:
    case = Case(tmp_path, task=task)
    try:
        answer, _ = case.work()
    except Fault as broken:
        assert broken.ended_by is EndedBy.OPERATOR, broken  # noqa: PT017 - either way is right
    else:
        assert answer.ended_by is EndedBy.CONTESTANT
