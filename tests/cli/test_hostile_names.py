"""Names are text of a file: control characters in them never reach a terminal, and a dead endpoint has its own code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ENV = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI", "ANTHROPIC", "STEELYARD"))}
ODD = "a\x1b[31m\x9b2J[red]\u202eb"


def steelyard(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "steelyard", *args],
        capture_output=True, text=True, cwd=cwd, timeout=120, env=ENV, check=False,
    )  # fmt: skip


def test_names_with_control_characters_are_harmless_everywhere(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def f(input):\n    return 'B'\n")
    for name in ("x", "y"):
        (tmp_path / f"{name}.jsonl").write_text(
            json.dumps({"id": "same", "input": "q", "target": "B"}) + "\n"
        )
    plan = {
        "name": ODD,
        "suites": [{"source": f"{n}.jsonl", "name": ODD + n} for n in ("x", "y")],
        "contestants": [{"callable": "app.py:f", "name": ODD + n} for n in ("1", "2")],
    }
    (tmp_path / "plan.yaml").write_text(json.dumps(plan))
    runs = [
        steelyard("run", "plan.yaml", "--dry-run", cwd=tmp_path),
        steelyard("run", "plan.yaml", cwd=tmp_path),
        steelyard("show", cwd=tmp_path),
        steelyard("show", "last", cwd=tmp_path),
        steelyard("show", "last", "--task", "same", cwd=tmp_path),
        steelyard("verify", cwd=tmp_path),
    ]
    for run in runs:
        assert run.returncode == 0, (run.args, run.stderr)
        said = run.stdout + run.stderr
        assert not {"\x1b", "\x9b", "\u202e"} & set(said), run.args
    assert runs[4].stdout.count("answer: B") == 4, "a task's id may stand in several suites"


def test_a_dead_endpoint_ends_with_the_code_of_nothing_measured(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"id": "0", "input": "q", "target": "B"}\n')
    plan = {
        "suites": ["d.jsonl"],
        "contestants": [{"model": "m", "base_url": "http://127.0.0.1:9/v1"}],
        "retry": {"attempts": 1},
    }
    (tmp_path / "plan.yaml").write_text(json.dumps(plan))
    done = steelyard("run", "plan.yaml", "--json", cwd=tmp_path)
    assert done.returncode == 7, done.stderr
    assert json.loads(done.stdout)["overall"][0]["coverage"] == 0.0


def test_a_long_temporary_folder_does_not_stop_a_run(tmp_path: Path) -> None:
    far = tmp_path / ("x" * 100)
    far.mkdir()
    (tmp_path / "app.py").write_text("def f(input):\n    return 'B'\n")
    (tmp_path / "d.jsonl").write_text('{"id": "0", "input": "q", "target": "B"}\n')
    (tmp_path / "plan.yaml").write_text("suites: [d.jsonl]\ncontestants: [{callable: 'app.py:f', name: a}]\n")
    env = {k: v for k, v in ENV.items() if k != "XDG_RUNTIME_DIR"} | {"TMPDIR": str(far)}
    done = subprocess.run(
        [sys.executable, "-m", "steelyard", "run", "plan.yaml"],
        capture_output=True, text=True, cwd=tmp_path, timeout=120, env=env, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
