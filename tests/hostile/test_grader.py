"""Fifty ways to fool a grader: each works on the usual grader, none on ours. And honest work is accepted."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.sandbox.people import interpreter, steelyard

from steelyard.sandbox.profile import MIB, Limits
from steelyard.scorers.code.channel import Bench
from steelyard.scorers.code.cheats import cheats
from steelyard.scorers.code.grade import Grade, Job, Standing, grade
from steelyard.scorers.code.python import find

FUNCTIONS = {
    "workspace/solution.py": "def add(a, b):\n    raise RuntimeError('unfinished')\n",
    "solution/solution.py": "def add(a, b):\n    return a + b\n",
    "grader/test_it.py": (
        "import pytest\nfrom solution import add\n\n"
        "def test_add():\n    assert add(2, 3) == 5\n\n"
        "@pytest.mark.parametrize('a,b,c', [(1, 2, 3), ('a', 'b', 'ab')])\n"
        "def test_many(a, b, c):\n    assert add(a, b) == c\n"
    ),
}
CLASSES = {
    "workspace/solution.py": "",
    "solution/solution.py": (
        "class Stack:\n    def __init__(self):\n        self.items = []\n"
        "    def push(self, x):\n        self.items.append(x)\n        return self\n"
        "    def pop(self):\n        return self.items.pop()\n"
        "    def size(self):\n        return len(self.items)\n"
    ),
    "grader/test_it.py": (
        "import pytest\nfrom solution import Stack\n\n"
        "class TestStack:\n    def test_push(self):\n        s = Stack()\n        s.push(3).push(4)\n"
        "        assert s.pop() == 4\n        assert s.size() == 1\n\n"
        "@pytest.mark.parametrize('x', [1, 'a'])\n"
        "def test_pop(x):\n    assert Stack().push(x).pop() == x\n"
    ),
}


def lay(place: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)


@pytest.fixture
def place() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="steelyard-grader-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def test_there_are_at_least_forty_ways() -> None:
    assert len({c.name for c in cheats()}) >= 40


@pytest.mark.parametrize("who", ["root", "user"])
@pytest.mark.parametrize("task", [FUNCTIONS, CLASSES], ids=["functions", "classes"])
def test_our_grader_accepts_no_cheat(who: str, task: dict[str, str], place: Path) -> None:
    if not interpreter(who):
        pytest.skip(f"no interpreter that {who} may run")
    lay(place / "task", task)
    done = steelyard(who, "prove-grader", str(place / "task"), "--json", timeout=280)
    proof = json.loads(done.stdout)["tasks"][0]
    assert (proof["gold"], proof["null"], proof["accepted"]) == ("solved", "not_solved", {}), done.stderr
    assert done.returncode == 0


def test_the_usual_grader_accepts_them_all(place: Path) -> None:
    # Exit status of pytest in the contestant's tree: without our measures, each of the cheats works.
    lay(place / "task", CLASSES)
    words = "{python} -m pytest -q -p no:hypothesispytest -p no:anyio -p no:cacheprovider"
    done = steelyard("self", "prove-grader", str(place / "task"), "--json", "--command", words, timeout=280)
    proof = json.loads(done.stdout)["tasks"][0]
    assert (proof["gold"], proof["null"]) == ("solved", "not_solved")
    refused = {c.name for c in cheats()} - set(proof["accepted"])
    assert not refused
    assert done.returncode == 10


def judge(place: Path, solution: str, tests: str, *, base: str = "", **more: str) -> Grade:
    files = {"base/solution.py": base, "workspace/solution.py": solution, "hidden/test_it.py": tests}
    lay(place, files | more)
    bench = Bench(Limits(memory=256 * MIB, memory_guarantee=0, wall_s=20), find())
    return grade(Job(place / "base", place / "workspace", place / "hidden"), bench)


HONEST = yaml.safe_load(Path(__file__).with_name("honest.yaml").read_text())


@pytest.mark.parametrize("name", HONEST)
def test_honest_work_is_accepted(name: str, place: Path) -> None:
    case = HONEST[name]
    verdict = judge(place, case["solution"], case["tests"])
    assert (verdict.standing, verdict.mode) == (Standing.SOLVED, case["mode"]), (
        verdict.reason,
        verdict.why_mode,
    )
    assert not verdict.flags


@pytest.mark.parametrize("name", HONEST)
def test_unfinished_work_is_not_solved(name: str, place: Path) -> None:
    verdict = judge(place, "", HONEST[name]["tests"])
    assert verdict.standing is Standing.NOT_SOLVED
    assert not verdict.tampered


def test_src_layout_packages_fixtures_and_helpers(place: Path) -> None:
    verdict = judge(
        place,
        "",
        "from pkg.core import f\nfrom helper import wanted\ndef test_f(box):\n    assert f(box) == wanted()\n",
        **{
            "workspace/src/pkg/__init__.py": "",
            "workspace/src/pkg/core.py": "from .inner import g\ndef f(x):\n    return g(x)\n",
            "workspace/src/pkg/inner.py": "def g(x):\n    return [*x, 3]\n",
            "hidden/conftest.py": "import pytest\n@pytest.fixture\ndef box():\n    return [1]\n",
            "hidden/helper.py": "def wanted():\n    return [1, 3]\n",
        },
    )
    assert verdict.standing is Standing.SOLVED, verdict.reason


def test_a_hang_and_a_death_are_the_solutions(place: Path) -> None:
    tests = "from solution import f\ndef test_f():\n    assert f() == 1\n"
    hang = judge(place, "def f():\n    while True: pass\n", tests)
    assert hang.standing is Standing.NOT_SOLVED
    bomb = judge(place, "def f():\n    return b'1' * (1 << 30)\n", tests)
    assert bomb.standing is Standing.NOT_SOLVED


def test_a_grader_that_breaks_by_itself_is_ungraded(place: Path) -> None:
    broken = judge(place, "def f():\n    return 1\n", "def test_f(:\n")
    assert broken.standing is Standing.UNGRADED
    tests = "from solution import f\ndef test_f(no_such):\n    assert f() == 1\n"
    fixture = judge(place, "def f():\n    return 1\n", tests, base="def f(): return 0\n")
    assert fixture.standing is Standing.UNGRADED
    none = judge(place, "", "def helper(): pass\n")
    assert none.standing is Standing.UNGRADED


def test_asynchronous_tests_without_a_plugin_are_ungraded(place: Path) -> None:
    tests = "from solution import f\nasync def test_f():\n    assert f() == 1\n"
    verdict = judge(place, "def f():\n    return 1\n", tests, base="def f(): return 0\n")
    assert (verdict.standing, "plugin" in verdict.reason) == (Standing.UNGRADED, True), verdict.reason


def test_a_test_that_is_led_round_its_assertions_did_not_pass(place: Path) -> None:
    # A tracer may put the next line of any function that runs: here the last one of each test.
    solution = (
        "import sys\n"
        "class Stack:\n    def __init__(self): self.items = []\n"
        "    def push(self, x): return self\n    def pop(self): return None\n    def size(self): return None\n"
        "def lead(frame, event, arg):\n"
        "    if event == 'line' and frame.f_code.co_name.startswith('test_'):\n"
        "        try: frame.f_lineno = max(l for *_, l in frame.f_code.co_lines() if l)\n"
        "        except ValueError: pass\n"
        "    return lead\n"
        "sys.settrace(lead)\n"
    )
    verdict = judge(place, solution, CLASSES["grader/test_it.py"])
    assert (verdict.standing, verdict.tampered) == (Standing.NOT_SOLVED, True), verdict.reason


FRAMES = {
    "a parameter": (
        "@pytest.mark.parametrize('w,want', [(2, 4), (3, 9)])\ndef test_f(w, want):\n    assert Box(w).area() == want\n"
    ),
    "a variable": "def test_f():\n    want = 16\n    b = Box(4)\n    assert b.area() == want\n",
    "a variable of a loop": "def test_f():\n    for w, want in [(2, 4), (3, 9)]:\n        assert Box(w).area() == want\n",
    "a constant": "def test_f():\n    assert Box(3).area() == 9\n",
    "a constant first": "def test_f():\n    got = Box(3).area()\n    assert 9 == got\n",
}
LOOKS = (
    "import dis, sys\n"
    "class Box:\n    def __init__(self, w): pass\n    def area(self):\n        f = sys._getframe(1)\n"
    "        if 'want' in f.f_locals: return f.f_locals['want']\n"
    "        later = [i.argval for i in dis.get_instructions(f.f_code)\n"
    "                 if i.opname == 'LOAD_CONST' and i.offset > f.f_lasti and type(i.argval) is int]\n"
    "        return later[0] if later else None\n"
)


@pytest.mark.parametrize("where", FRAMES)
def test_what_is_expected_is_not_found_in_the_callers_frame(where: str, place: Path) -> None:
    tests = "import pytest\nfrom solution import Box\n" + FRAMES[where]
    cheat = judge(place, LOOKS, tests)
    assert (cheat.standing, cheat.mode) == (Standing.NOT_SOLVED, "one process"), cheat.reason
    honest = "class Box:\n    def __init__(self, w): self.w = w\n    def area(self): return self.w ** 2\n"
    assert judge(place, honest, tests).standing is Standing.SOLVED


def test_a_plugin_in_the_tree_is_not_the_one_that_is_meant(place: Path) -> None:
    plugin = "import pytest\n@pytest.hookimpl(tryfirst=True)\ndef pytest_pyfunc_call(pyfuncitem):\n    return True\n"
    tests = "import asyncio\nfrom solution import f\ndef test_f():\n    assert asyncio.run(f()) == 1\n"
    own = {"workspace/pytest_asyncio/__init__.py": "", "workspace/pytest_asyncio/plugin.py": plugin}
    verdict = judge(place, "async def f():\n    return 2\n", tests, **own)
    assert verdict.standing is Standing.NOT_SOLVED
    assert verdict.tests == {"test_it.py::test_f": "failed"}, verdict.reason


def test_the_code_under_test_sees_no_hidden_file(place: Path) -> None:
    spy = (
        "import os\ndef f():\n    word = 'ans' + 'wer'\n"
        "    return sum(word in open(os.path.join(d, n), errors='ignore').read()\n"
        "               for d, _, fs in os.walk('/workspace') for n in fs)\n"
    )
    tests = "from solution import f\ndef test_f():\n    assert f() == 0  # the answer\n"
    as_objects = judge(place, "class C: pass\n" + spy, tests + "    import solution\n    assert solution.C\n")
    assert (as_objects.standing, as_objects.mode) == (Standing.SOLVED, "one process"), as_objects.reason
    lay(place, {"hidden/data.txt": "the answer is here"})
    apart = judge(place, spy, tests)
    assert (apart.standing, apart.mode) == (Standing.SOLVED, "isolated"), apart.reason


def test_edits_of_tests_are_dropped_and_flagged(place: Path) -> None:
    lay(place, {"base/tests/test_old.py": "def test(): pass\n", "workspace/tests/test_old.py": "x = 1\n"})
    lay(place, {"workspace/notes.txt": "allowed", "workspace/conftest.py": ""})
    tests = "from solution import f\ndef test_f():\n    assert f() == 1\n"
    verdict = judge(place, "def f():\n    return 1\n", tests)
    assert verdict.standing is Standing.SOLVED
    assert {p for p, _ in verdict.dropped} == {"tests/test_old.py", "conftest.py"}
    assert len(verdict.flags) == 2
    assert set(verdict.taken) == {"solution.py", "notes.txt"}


def test_exit_codes_of_the_command(place: Path) -> None:
    lay(place, FUNCTIONS)
    base, hidden = str(place / "workspace"), str(place / "grader")
    (place / "empty").mkdir()

    def code(workspace: str, hidden: str = hidden) -> int:
        return steelyard(
            "self", "grade", "--base", base, "--workspace", workspace, "--hidden", hidden
        ).returncode

    assert code(str(place / "solution")) == 0
    assert code(base) == 1
    (place / "empty" / "test_x.py").write_text("def test_f(:\n")
    assert code(base, str(place / "empty")) == 5
    assert code(str(place / "nowhere")) == 3
