"""SWE-bench instances from a clone: the base commit without its future, hidden tests, each named test counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard import tasks
from steelyard.errors import DataError
from steelyard.runner.checking import check_suite
from steelyard.sandbox.pack import unpack
from steelyard.sandbox.selfcheck import self_check
from steelyard.testing.agentic import write

OLD = "def add(a, b):\n    return a - b\n\n\ndef twice(a):\n    return 2 * a\n"
TEST = "from pkg.calc import add, twice\n\n\ndef test_twice():\n    assert twice(2) == 4\n"


def git(place: Path, *args: str) -> str:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@x",
           "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@x"}  # fmt: skip
    return subprocess.run(
        ["git", *args], cwd=place, env=env, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def instance(tmp_path: Path) -> dict[str, object]:
    """A clone at <tmp>/repos/octo__calc whose last commit mends what the instance asks for."""
    clone = tmp_path / "repos/octo__calc"
    write(clone, {"pkg/__init__.py": "", "pkg/calc.py": OLD, "tests/test_calc.py": TEST, "notes.txt": "x\n"})
    git(clone, "init", "-q")
    git(clone, "add", ".")
    git(clone, "commit", "-qm", "base")
    base = git(clone, "rev-parse", "HEAD").strip()
    write(clone, {"pkg/calc.py": OLD.replace("a - b", "a + b")})
    patch = git(clone, "diff")
    git(clone, "commit", "-qam", "mended")
    more = "\n\ndef test_add():\n    assert add(1, 2) == 3\n"
    write(clone, {"tests/test_calc.py": TEST + more})
    test_patch = git(clone, "diff")
    git(clone, "commit", "-qam", "tested")
    return {
        "repo": "octo/calc", "instance_id": "octo__calc-1", "base_commit": base, "patch": patch, "test_patch": test_patch,
        "problem_statement": "add(1, 2) gives -1", "hints_text": "", "created_at": "2024-01-01", "version": "1.0",
        "FAIL_TO_PASS": '["tests/test_calc.py::test_add"]', "PASS_TO_PASS": ["tests/test_calc.py::test_twice"],
        "environment_setup_commit": base,
    }  # fmt: skip


def loaded(place: Path, *rows: dict[str, object]) -> tasks.Suite:
    write(place, {"swe.jsonl": "".join(json.dumps(r) + "\n" for r in rows)})
    return tasks.load("swe.jsonl", base_dir=place, options={"repos": "repos"})


def test_an_instance_becomes_a_task_at_its_base_commit(tmp_path: Path, instance: dict[str, object]) -> None:
    suite = loaded(tmp_path, instance)
    task = suite.task(0)
    work = task.agentic
    assert work is not None
    assert (task.id, task.input, task.cluster) == ("octo__calc-1", "add(1, 2) gives -1", "octo/calc")
    assert (work.git, work.workdir) == (True, "/testbed")
    base = unpack(suite.archive(work.workspace))
    assert base.read("pkg/calc.py").decode() == OLD
    assert b"test_add" not in base.read("tests/test_calc.py")
    assert b"test_add" in unpack(suite.archive(work.grader)).read("tests/test_calc.py")
    assert list(unpack(suite.archive(work.solution)).after) == ["pkg", "pkg/calc.py"]
    assert not any(".git" in p for p in base.after)


def test_clones_are_found_from_a_plan_in_the_folder_where_we_are(
    tmp_path: Path, instance: dict[str, object]
) -> None:
    loaded(tmp_path, instance)
    code = (
        "from pathlib import Path\nfrom steelyard.tasks import load\n"
        "print(len(load('swe.jsonl', base_dir=Path(), options={'repos': 'repos'})))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert found.stdout == "1\n", found.stderr


@pytest.mark.skipif(self_check().rung is None, reason="no sandbox can be had on this machine")
def test_its_patch_passes_and_nothing_fails(tmp_path: Path, instance: dict[str, object]) -> None:
    report = check_suite(loaded(tmp_path, instance))
    assert (report.tasks[0].gold, report.tasks[0].null) == ("1 of 1", "failed"), report.tasks[0].problems
    assert report.unfit == 0


@pytest.mark.skipif(self_check().rung is None, reason="no sandbox can be had on this machine")
def test_a_named_test_that_does_not_exist_did_not_pass(tmp_path: Path, instance: dict[str, object]) -> None:
    odd = {**instance, "PASS_TO_PASS": ["tests/test_calc.py::test_gone"]}
    report = check_suite(loaded(tmp_path, odd))
    assert "its solution passed 0 of 1" in report.tasks[0].problems[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"repo": "octo/other"}, "no clone of octo/other"),
        ({"repo": "../../etc"}, "no clone of"),
        ({"base_commit": "0" * 40}, "is not in the clone"),
        ({"base_commit": "--upload-pack=x"}, "is not in the clone"),
        ({"FAIL_TO_PASS": "[]", "PASS_TO_PASS": []}, "names no tests"),
        ({"FAIL_TO_PASS": ["test_add (tests.T)"]}, "not named as pytest names them"),
        ({"test_patch": "--- a/x.c\n+++ b/x.c\n"}, "changes no pytest file"),
        ({"patch": "--- a/zzz\n+++ b/zzz\n@@ -1 +1 @@\n-a\n+b\n"}, "does not apply"),
    ],
)
def test_an_instance_that_cannot_be_done_is_left_out_with_its_reason(
    tmp_path: Path, instance: dict[str, object], change: dict[str, object], reason: str
) -> None:
    suite = loaded(tmp_path, instance, {**instance, "instance_id": "odd", **change})
    assert len(suite) == 1
    assert suite.work is not None
    assert suite.work.skipped[0][0] == "odd"
    assert reason in suite.work.skipped[0][1]


def test_other_rows_and_a_missing_folder_are_named(tmp_path: Path, instance: dict[str, object]) -> None:
    with pytest.raises(DataError, match="not an instance of SWE-bench"):
        loaded(tmp_path, {"input": "x"})
    with pytest.raises(DataError, match="no folder of clones"):
        tasks.load("swe.jsonl", base_dir=tmp_path, options={"repos": "nowhere"})


def test_instances_without_clones_say_what_is_missing(tmp_path: Path) -> None:
    row = {"instance_id": "a__b-1", "repo": "a/b", "base_commit": "0" * 40, "problem_statement": "x"}
    (tmp_path / "swe.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError) as caught:
        tasks.load("swe.jsonl", base_dir=tmp_path)
    assert "SWE-bench" in caught.value.fix
    assert "--repos" in caught.value.fix
