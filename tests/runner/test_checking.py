"""`check`: suites that are fit are said to be, and each way of being unfit is found and named."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard import tasks
from steelyard.errors import PlanError
from steelyard.runner.checking import Report, check_suite
from steelyard.sandbox.selfcheck import self_check
from steelyard.testing.agentic import answer_task, file_task, fix_task, small_suite, state_task, write

pytestmark = pytest.mark.skipif(self_check().rung is None, reason="no sandbox can be had on this machine")


def checked(place: Path, times: int = 1) -> Report:
    return check_suite(tasks.load(str(place)), times=times)


def problems(place: Path, times: int = 1) -> list[str]:
    return [line for t in checked(place, times).tasks for line in t.problems]


def test_a_suite_of_all_kinds_is_fit(tmp_path: Path) -> None:
    report = checked(small_suite(tmp_path / "s"))
    assert (report.unfit, report.undecided) == (0, 0), [t.problems + t.undecided for t in report.tasks]
    by_name = {t.task: t for t in report.tasks}
    assert by_name["fix-add"].wrong == {"constant": "failed", "equal": "failed"}
    assert {t.gold for t in report.tasks} == {"1 of 1"}


def test_a_gold_that_fails_is_named(tmp_path: Path) -> None:
    fix_task(tmp_path / "s/t", **{"solution/calc.py": "def add(a, b):\n    return 7\n"})
    assert "its solution passed 0 of 1" in problems(tmp_path / "s")[0]


def test_doing_nothing_must_fail(tmp_path: Path) -> None:
    fix_task(tmp_path / "s/t", **{"workspace/calc.py": "def add(a, b):\n    return b + a\n"})
    assert "doing nothing scores above 0" in problems(tmp_path / "s")


def test_a_wrong_solution_that_passes_is_named(tmp_path: Path) -> None:
    fix_task(tmp_path / "s/t", **{"wrong/lucky/calc.py": "def add(a, b):\n    return b + a\n"})
    assert "the wrong solution `lucky` is judged solved" in problems(tmp_path / "s")


def test_a_flaky_grader_is_found(tmp_path: Path) -> None:
    tests = "from calc import add\n\n\ndef test_add():\n    assert add(1, 1) == 2\n"
    flaky = "import os\n\n\ndef add(a, b):\n    return a + b if os.urandom(1)[0] < 128 else 0\n"
    fix_task(tmp_path / "s/t", **{"grader/test_calc.py": tests, "solution/calc.py": flaky})
    said = problems(tmp_path / "s", times=10)
    # p(all ten alike) = 2 * 2**-10
    assert any("it is flaky" in line for line in said), said


def test_a_hidden_file_in_the_workspace_is_found(tmp_path: Path) -> None:
    tests = "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"
    fix_task(tmp_path / "s/t", **{"grader/test_calc.py": tests, "workspace/backup/old.txt": tests})
    assert "grader/test_calc.py is visible in the workspace as backup/old.txt" in problems(tmp_path / "s")


def test_a_grader_that_wants_a_network_is_found(tmp_path: Path) -> None:
    tests = (
        "import socket\nfrom calc import add\n\n\ndef test_add():\n    try:\n        socket.create_connection(('10.9.8.7', 80), 1)\n"
        "    except OSError:\n        pass\n    assert add(2, 3) == 5\n"
    )
    fix_task(tmp_path / "s/t", **{"grader/test_calc.py": tests})
    assert "its grader, or its solution under the grader, needs a network" in problems(tmp_path / "s")


def test_a_broken_environment_is_the_tasks_fault(tmp_path: Path) -> None:
    write(state_task(tmp_path / "s/t"), {"environment/tools.py": "raise RuntimeError('no')\n"})
    assert any("environment broke" in line for line in problems(tmp_path / "s"))


def test_a_task_without_a_solution_is_not_known(tmp_path: Path) -> None:
    task = fix_task(tmp_path / "s/t")
    (task / "solution/calc.py").unlink()
    report = checked(tmp_path / "s")
    assert (report.unfit, report.undecided) == (0, 1)


def test_ordinary_suites_are_checked_too(tmp_path: Path) -> None:
    write(tmp_path, {"good.jsonl": '{"input": "2+2", "target": "4"}\n{"input": "2+3", "target": "5"}\n'})
    assert checked(tmp_path / "good.jsonl").unfit == 0
    write(
        tmp_path,
        {"bad.yaml": "scorer: numeric\ntasks:\n- {input: '2+2', target: four}\n- {input: x, target: '3'}\n"},
    )
    report = checked(tmp_path / "bad.yaml")
    assert report.unfit == 1
    assert "four" in report.tasks[0].problems[0]


def test_only_some_tasks_can_be_checked(tmp_path: Path) -> None:
    answer_task(tmp_path / "s/a")
    fix_task(tmp_path / "s/b")
    suite = tasks.load(str(tmp_path / "s"))
    assert [t.task for t in check_suite(suite, only=["a"]).tasks] == ["a"]
    with pytest.raises(PlanError, match="no such task"):
        check_suite(suite, only=["zzz"])


def test_of_a_held_out_task_nothing_inside_is_said(tmp_path: Path) -> None:
    wrong = {"solution/calc.py": "def add(a, b):\n    return 7\n"}
    fix_task(tmp_path / "s/t", 'split = "held_out"\n', **wrong)
    said = problems(tmp_path / "s")
    assert said == ["its solution passed 0 of 1: (held out: not shown)"]


def test_a_solution_whose_script_fails_says_how(tmp_path: Path) -> None:
    task = file_task(tmp_path / "s" / "count")
    (task / "solution" / "solve.sh").write_text("no-such-program words.txt\n")
    report = check_suite(tasks.load("s", base_dir=tmp_path))
    assert "its solve.sh ended with exit 127" in report.tasks[0].problems[0]
    assert "no-such-program" in report.tasks[0].problems[0]


def test_hidden_tests_that_need_a_network_are_said_to(tmp_path: Path) -> None:
    asks = "import urllib.request\n\n\ndef test_it():\n    urllib.request.urlopen('http://example.com', timeout=3)\n"
    fix_task(tmp_path / "s" / "t", **{"grader/test_calc.py": asks})
    report = check_suite(tasks.load("s", base_dir=tmp_path))
    assert any("needs a network (it looks up example.com)" in p for p in report.tasks[0].problems)
