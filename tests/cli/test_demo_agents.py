"""`steelyard demo --agents --also`: the built-in loop, the policies and command-line agents on the shipped tasks, from one
plan; a paired verdict with cost, and every trace open to the reader."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner

from steelyard.cli.demo import ALSO
from steelyard.cli.main import main
from steelyard.sandbox.selfcheck import self_check
from steelyard.testing.agents import write_adapter

pytestmark = pytest.mark.skipif(self_check().rung is None, reason="no sandbox can be had on this machine")
FIND = os.pathsep.join(p for p in (os.environ.get("STEELYARD_AGENTS", ""), os.environ.get("PATH", "")) if p)
PROGRAMS = {"mini-swe-agent": "mini", "claude-code": "claude", "codex": "codex", "gemini-cli": "gemini",
            "aider": "aider"}  # fmt: skip
NEEDS_COMMANDS = {"files-photos-by-month", "files-remove-duplicates", "files-restore-backup", "shell-check-env",
                  "shell-csv-to-markdown", "shell-rotate-logs", "shell-top-addresses"}  # fmt: skip
"""Tasks that aider cannot do: it edits files, and can neither remove one nor make one a program."""


def steelyard(place: Path, *args: str, seconds: float = 120.0) -> str:
    """What a command prints; it must end with 0."""
    done = subprocess.run([sys.executable, "-m", "steelyard", *args, "--ledger", str(place / "L")], cwd=place,
                          env={**os.environ, "PATH": FIND}, capture_output=True, text=True, timeout=seconds)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def outcomes(place: Path, contestant: str) -> dict[str, str]:
    shown = json.loads(
        steelyard(place, "show", "last", "--contestant", contestant, "--limit", "99", "--json")
    )
    return {t["task"]: t["outcome"] for t in shown}


def looked_at(place: Path, names: list[str], tasks: int) -> None:
    """The verdict is paired, everything has a cost, and each trace can be read step by step."""
    board = json.loads(steelyard(place, "show", "last", "--json"))
    lines = {row["contestant"]: row for row in board["overall"]}
    compared = json.loads(steelyard(place, "compare", "last", "--baseline", "careful", "--json"))
    verdicts = {c["contestant"]: c["verdict"] for c in compared["items"]}
    assert tasks < 20 or verdicts["null"] == "worse"
    right = {t for t, how in outcomes(place, "careful").items() if how == "passed"}
    for name in names:
        found = outcomes(place, name)
        assert len(found) >= tasks
        passed = {t for t, how in found.items() if how == "passed"}
        wanted = right - NEEDS_COMMANDS if name == "aider" else right
        assert wanted <= passed, wanted - passed
        assert passed <= right
        assert name in verdicts
        assert lines[name]["cost_dollars"] > 0, lines[name]
    for name in ("careful", *names):
        text = steelyard(place, "show", "last", "--contestant", name, "--task", min(right), "--trace")
        assert "tokens in" in text
        assert "changed: " in text
        assert "calls " in text or name == "aider"
        trace = json.loads(
            steelyard(place, "show", "last", "--contestant", name, "--task", min(right), "--trace", "--json")
        )[0]["trace"]  # fmt: skip
        assert {"said", "happened"} >= {e["event"] for e in trace["events"]}


def test_the_demos_plan_with_an_agent_of_ones_own_on_some_tasks(tmp_path: Path) -> None:
    write_adapter(tmp_path / "tiny.toml")
    served = [sys.executable, "-m", "steelyard.testing.demo_model"]
    with subprocess.Popen(served, stdout=subprocess.PIPE) as model:
        try:
            assert model.stdout is not None
            url = json.loads(model.stdout.readline())["base_url"]
            plan = files("steelyard.cli").joinpath("demo_agents.yaml").read_text(encoding="utf-8")
            chosen = '[{source: "builtin:agentic", limit: 6}]'
            plan = plan.replace('["builtin:agentic"]', chosen).replace("BASE_URL", url)
            (tmp_path / "plan.yaml").write_text(
                plan + ALSO.replace("AGENT", "./tiny.toml").replace("BASE_URL", url)
            )
            steelyard(tmp_path, "run", "plan.yaml", "--no-live", "--json", seconds=280)
        finally:
            model.terminate()
    looked_at(tmp_path, ["./tiny.toml"], 6)


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_every_agent_that_is_installed_here_does_the_shipped_tasks(tmp_path: Path) -> None:
    found = [name for name, program in PROGRAMS.items() if shutil.which(program, path=FIND)]
    if not found:
        pytest.skip("no command-line agent is installed here (PATH and STEELYARD_AGENTS were searched)")
    more = [word for name in found for word in ("--also", name)]
    steelyard(tmp_path, "demo", "--agents", *more, "--no-live", "--json", seconds=5000)
    looked_at(tmp_path, found, 20)


def test_an_agent_is_wanted_with_agents_alone(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["demo", "--also", "codex", "--ledger", str(tmp_path / "L")])
    assert result.exit_code == 3
    assert "--agents" in result.stderr


def test_an_agent_that_is_not_installed_is_said_before_anything_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "steelyard", "demo", "--agents", "--also", "codex", "--no-live", "--ledger", "L"],
        cwd=tmp_path, env={**os.environ, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if "Codex CLI is not installed" not in done.stderr:
        pytest.skip("Codex is in /usr/bin here")
    assert done.returncode == 3
    assert "npm install -g @openai/codex" in done.stderr
    assert "Traceback" not in done.stderr
