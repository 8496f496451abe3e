"""`steelyard check` and `prove-grader` on folders of tasks: exit codes, text and JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.sandbox.selfcheck import self_check
from steelyard.testing.agentic import answer_task, file_task, fix_task, write

pytestmark = pytest.mark.skipif(self_check().rung is None, reason="no sandbox can be had on this machine")


def steelyard(place: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "steelyard", *args],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_a_fit_suite_exits_with_0_and_says_so(tmp_path: Path) -> None:
    answer_task(tmp_path / "s/read")
    fix_task(tmp_path / "s/fix")
    done = steelyard(tmp_path, "check", "s", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert (told["format"], told["fit"]) == ("steelyard.check/1", 2)
    assert [(t["task"], t["gold"], t["null"]) for t in told["tasks"]] == [
        ("fix", "1 of 1", "failed"),
        ("read", "1 of 1", "failed"),
    ]


def test_an_unfit_task_exits_with_10_and_is_named(tmp_path: Path) -> None:
    write(answer_task(tmp_path / "s/read"), {"wrong/right/.answer": "42\n"})
    done = steelyard(tmp_path, "check", "s")
    assert done.returncode == 10
    assert "unfit read" in done.stdout
    assert "the wrong solution `right` is judged solved" in done.stdout
    assert "0 of 1 tasks are fit" in done.stdout


def test_what_cannot_be_told_exits_with_5_and_a_wrong_suite_with_3(tmp_path: Path) -> None:
    task = answer_task(tmp_path / "s/read")
    toml = 'format = 1\n[grader]\nkind = "pytest"\n'
    write(
        task, {"task.toml": toml, "grader/test_x.py": "def test_x():\n    assert open('a').read() == 'a'\n"}
    )
    assert steelyard(tmp_path, "check", "s").returncode == 5
    assert steelyard(tmp_path, "check", "nowhere").returncode == 3


def test_an_ordinary_suite_is_checked_in_a_line(tmp_path: Path) -> None:
    done = steelyard(tmp_path, "check", "builtin:arithmetic")
    assert (done.returncode, done.stdout.strip()) == (0, "arithmetic: 400 of 400 tasks are fit")


def test_prove_grader_leaves_out_what_no_cheat_can_replace(tmp_path: Path) -> None:
    file_task(tmp_path / "s/count")
    done = steelyard(tmp_path, "prove-grader", "s/count")
    assert done.returncode == 3
    fix_task(tmp_path / "s/fix")
    done = steelyard(tmp_path, "prove-grader", "s", "--command", "{python} -c 1", "--json")
    assert "left out count" in done.stderr
    assert [t["task"] for t in json.loads(done.stdout)["tasks"]] == ["fix"]
    assert done.returncode == 11  # a grader that accepts everything accepts nothing done, too


def test_prove_grader_says_how_the_users_own_command_ended(tmp_path: Path) -> None:
    fix_task(tmp_path / "s/fix")
    done = steelyard(tmp_path, "prove-grader", "s", "--command", "no-such-grader")
    assert done.returncode == 11
    assert "the gold solution is not_solved: the command ended with status 127: cannot run" in done.stdout
    # The interpreter is put in wherever it is named, also inside a line for a shell.
    words = "sh -c '{python} -c \"raise SystemExit(3)\" || exit 4'"
    done = steelyard(tmp_path, "prove-grader", "s", "--command", words, "--json")
    flaws = json.loads(done.stdout)["tasks"][0]["flaws"]
    assert flaws == ["the gold solution is not_solved: the command ended with status 4"]


def test_a_run_says_which_tasks_of_another_tools_suite_it_leaves_out(tmp_path: Path) -> None:
    for name in ("can", "cannot"):
        write(tmp_path / "s" / name, {"instruction.md": "Write.", "task.toml": "", "tests/test_a.py": "def test_a(): pass\n",
                                      "environment/Dockerfile": "FROM python:3.11-slim\nWORKDIR /app\n"})  # fmt: skip
    (tmp_path / "s/cannot/environment/Dockerfile").write_text("FROM ghcr.io/me/mine:1\n")
    (tmp_path / "plan.yaml").write_text("suites: [s]\ncontestants: [{policy: gold}]\n")
    done = steelyard(tmp_path, "run", "plan.yaml", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["suites"][0]["tasks"] == 1
    assert "suite s: 1 task left out, which cannot be done here" in done.stderr
    assert "cannot: its Dockerfile starts from ghcr.io/me/mine:1" in done.stderr
