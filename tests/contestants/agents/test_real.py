"""The real agents, against a scripted endpoint: those that are found here, on PATH or in STEELYARD_AGENTS (directories
as in PATH). mini-swe-agent is installed into a scratch environment when a package registry answers.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import structs
from tests.contestants.agents.people import Case

import steelyard
from steelyard.contestants.base import Environment, Place, UserScript, UserTurn
from steelyard.errors import EndedBy
from steelyard.sandbox.pack import unpack
from steelyard.sandbox.profile import MIB, Limits
from steelyard.schema.message import ToolCall, text_of
from steelyard.schema.reply import Reply, Usage
from steelyard.schema.trace import Happened
from steelyard.testing.agentic import state_task
from steelyard.testing.agents import commands, task_tool
from steelyard.testing.stub import StubOptions, stub_thread
from steelyard.wire.base import Request

SHIPPED = Path(steelyard.__file__).parent / "tasks" / "builtin" / "agentic"
SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"


def found(program: str) -> str:
    """The path of an agent's program; the test is skipped when it is not here."""
    search = os.pathsep.join(
        p for p in (os.environ.get("STEELYARD_AGENTS", ""), os.environ.get("PATH", "")) if p
    )
    path = shutil.which(program, path=search)
    if path is None:
        pytest.skip(f"{program} is not installed here (PATH and STEELYARD_AGENTS were searched)")
    return path


@pytest.fixture(scope="session")
def mini(tmp_path_factory: pytest.TempPathFactory) -> str:
    """mini-swe-agent: the one that is here, or the newest from the registry."""
    search = os.pathsep.join((os.environ.get("STEELYARD_AGENTS", ""), os.environ.get("PATH", "")))
    if here := shutil.which("mini", path=search):
        return here
    place = tmp_path_factory.mktemp("mini") / "venv"
    uv = shutil.which("uv")
    make = [uv, "venv", "-q", str(place)] if uv else [sys.executable, "-m", "venv", str(place)]
    pip = (
        [uv, "pip", "install", "-q", "--python", str(place / "bin" / "python")]
        if uv
        else [str(place / "bin" / "pip"), "install", "-q"]
    )
    try:
        subprocess.run(make, check=True, capture_output=True, timeout=120)
        subprocess.run([*pip, "mini-swe-agent", "mcp"], check=True, capture_output=True, timeout=280)
    except (OSError, subprocess.SubprocessError) as e:
        said = getattr(e, "stderr", b"") or b""
        pytest.skip(f"mini-swe-agent cannot be installed here: {said.decode(errors='replace')[-200:] or e}")
    return str(place / "bin" / "mini")


def worked(folder: Path, name: str, program: str, dialect: str, speaks: str) -> None:
    """One small task: the agent does what the model says, and every call is counted."""
    limits = Limits(memory=768 * MIB, workspace=64 * MIB)
    case = Case(folder, dialect, adapter=name, speaks=speaks, settings={"executable": program},
                model=commands("echo hello > out.txt", SUBMIT))  # fmt: skip
    case.place = Place(base=case.base(), limits=limits, seconds=200.0, turns=20)
    answer, trace = case.work()
    last = next(e for e in trace.events if isinstance(e, Happened) and e.kind == "exit")
    assert answer.ended_by is EndedBy.CONTESTANT, last.data
    after = unpack(answer.changes)
    assert "out.txt" in after.after, last.data
    assert after.read("out.txt") == b"hello\n"
    assert sorted(after.after) == ["out.txt"]
    assert case.stub is not None
    assert trace.attributes["calls"] == case.stub.counts.received.total() >= 2
    assert answer.reply.usage.output_tokens == 10 * case.stub.counts.received.total()
    assert any(isinstance(e, Happened) and e.kind == "transcript" for e in trace.events)
    assert trace.attributes["gen_ai.agent.version"]


@pytest.mark.parametrize("speaks", ["anthropic-messages", "openai-chat", "openai-responses"])
def test_claude_code_works(speaks: str, tmp_path: Path) -> None:
    worked(tmp_path, "claude-code", found("claude"), "messages", speaks)


@pytest.mark.parametrize("speaks", ["openai-responses", "openai-chat", "anthropic-messages"])
def test_codex_works(speaks: str, tmp_path: Path) -> None:
    worked(tmp_path, "codex", found("codex"), "responses", speaks)


@pytest.mark.parametrize("speaks", ["openai-chat", "anthropic-messages"])
def test_gemini_cli_works(speaks: str, tmp_path: Path) -> None:
    worked(tmp_path, "gemini-cli", found("gemini"), "chat", speaks)


def test_openhands_works(tmp_path: Path) -> None:
    worked(tmp_path, "openhands", found("openhands"), "chat", "openai-chat")


def test_goose_works(tmp_path: Path) -> None:
    worked(tmp_path, "goose", found("goose"), "chat", "openai-chat")


def test_mini_swe_agent_works(mini: str, tmp_path: Path) -> None:
    worked(tmp_path, "mini-swe-agent", mini, "chat", "openai-chat")


def test_aider_edits_a_file(tmp_path: Path) -> None:
    program = found("aider")
    said = "README\n```\nhello from aider\n```\n"
    case = Case(tmp_path, adapter="aider", settings={"executable": program}, task="Change README.",
                model=lambda r: Reply(text=said, usage=commands()(r).usage))  # fmt: skip
    case.place = Place(base=case.base(), limits=Limits(memory=768 * MIB), seconds=200.0, turns=10)
    answer, trace = case.work()
    after = unpack(answer.changes)
    assert sorted(after.after) == ["README"], trace.events[-1]
    assert after.read("README") == b"hello from aider\n"


def overlay(folder: Path) -> str:
    """A shell command that lays a solution over the workspace."""
    out = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != ".delete"):
        name = path.relative_to(folder)
        text = base64.b64encode(path.read_bytes()).decode()
        out.append(
            f"mkdir -p '{name.parent}'; echo {text} | base64 -d > '{name}'; chmod {path.stat().st_mode & 0o777:o} '{name}'"
        )
    return "; ".join(out)


@pytest.mark.timeout(600)
def test_mini_swe_agent_does_shipped_tasks_end_to_end(mini: str, tmp_path: Path) -> None:
    right = {"repo-calculator": "solution", "doc-action-items": "solution", "repo-money-rounding": "solution"}
    chosen = {
        **right,
        "repo-cache-expiry": "wrong/" + min(p.name for p in (SHIPPED / "repo-cache-expiry/wrong").iterdir()),
    }
    suite = tmp_path / "suite"
    said = {}
    for name, answer in chosen.items():
        shutil.copytree(SHIPPED / name, suite / name)
        told = (SHIPPED / name / "instruction.md").read_text(encoding="utf-8").strip()[:80]
        said[told] = commands(overlay(SHIPPED / name / answer), SUBMIT)

    def model(request: Request) -> Reply:
        talk = "".join(text_of(m) for m in request.messages)
        return next(reply for told, reply in said.items() if told in talk)(request)

    with stub_thread(StubOptions(answer=model)) as stub:
        plan = tmp_path / "plan.json"
        contestant = {"name": "mini", "agent": "mini-swe-agent", "executable": mini, "model": "some-model",
                      "base_url": stub.base_url, "price": {"input": 1.0, "output": 2.0}, "limits": {"turns": 10}}  # fmt: skip
        plan.write_text(
            json.dumps({"suites": [{"source": str(suite)}], "contestants": [contestant], "concurrency": 2})
        )
        done = subprocess.run(
            [sys.executable, "-m", "steelyard", "run", str(plan), "--json", "--ledger", str(tmp_path / "ledger")],
            capture_output=True, text=True, timeout=500,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        shown = subprocess.run(
            [sys.executable, "-m", "steelyard", "show", "last", "--contestant", "mini", "--json", "--ledger", str(tmp_path / "ledger")],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        outcomes = {t["task"]: t["outcome"] for t in json.loads(shown.stdout)}
        assert outcomes == {name: "passed" if name in right else "failed" for name in chosen}
        assert stub.counts.received.total() == 2 * len(chosen)


@pytest.mark.parametrize(
    ("name", "program", "dialect", "speaks"),
    [
        ("claude-code", "claude", "messages", "anthropic-messages"),
        ("codex", "codex", "responses", "openai-responses"),
        ("codex", "codex", "responses", "openai-chat"),
        ("gemini-cli", "gemini", "chat", "openai-chat"),
    ],
)
def test_the_tools_and_the_user_of_a_task_reach_it_by_mcp(
    name: str, program: str, dialect: str, speaks: str, tmp_path: Path
) -> None:
    usage = Usage(input_tokens=10, output_tokens=5)
    state_task(tmp_path / "t")

    def model(request: Request) -> Reply:
        native = speaks == "openai-responses"  # a scripted provider does not read Codex' namespaces
        if not native and not any(t.name.endswith("cancel_order") for t in request.tools):
            return Reply(text="a title", usage=usage, model=request.model)
        n = sum(m.role == "tool" for m in request.messages)
        steps = (("cancel_order", {"order_id": "A1"}), ("say_to_user", {"message": "It is done."}))
        if n >= len(steps):
            return Reply(text="All done.", usage=usage, model=request.model)
        call = structs.replace(task_tool(request, steps[n][0], **steps[n][1]), id=f"c{n}")
        if native:
            call = ToolCall(f"c{n}", f"mcp__task:{steps[n][0]}", json.dumps(steps[n][1]))
        return Reply(finish="tool_calls", tool_calls=(call,), usage=usage, model=request.model)

    case = Case(
        tmp_path, dialect, adapter=name, speaks=speaks, settings={"executable": found(program)}, model=model
    )
    folder = tmp_path / "t" / "environment"
    shop = Environment(str(folder), (folder / "database.json").read_bytes())
    user = UserScript((UserTurn("Please cancel A1."), UserTurn("Thanks.", when="done")))
    case.place = Place(base=case.base(), limits=Limits(memory=768 * MIB), seconds=200.0, turns=20, environment=shop,
                       user=user)  # fmt: skip
    answer, trace = case.work()
    used = [
        (e.detail, e.data.get("result"))
        for e in trace.events
        if isinstance(e, Happened) and e.kind == "task_tool"
    ]
    assert used == [("cancel_order", "done"), ("say_to_user", "Thanks.")], trace.events[-1]
    assert json.loads(answer.state)["orders"]["A1"]["status"] == "cancelled"
    assert answer.changes == b"" or not unpack(answer.changes).after
