"""`code_tests`: an answer's code is run against its tests; what fools a namesake elsewhere does not here."""

from __future__ import annotations

import pytest

from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome, Score
from steelyard.schema.task import Task
from steelyard.scorers.base import Item
from steelyard.scorers.build import build

TESTS = "def check(candidate):\n    assert candidate(2, 3) == 5\n    assert candidate('a', 'b') == 'ab'\n"


def judged(text: str, tests: str = TESTS, entry: str = "add", **options: object) -> Score:
    scorer = build({"type": "code_tests", **options})
    fields: dict[str, object] = {"test": tests, "entry_point": entry, "prompt": f"def {entry}(a, b):\n"}
    return scorer.score(Item(Task("t", fields=fields), Reply(text=text)))  # type: ignore[union-attr]  # a Scorer


@pytest.mark.parametrize(
    "text",
    [
        "def add(a, b):\n    return a + b\n",
        "    return a + b\n",
        "Here it is:\n```python\ndef add(a, b):\n    return a + b\n```\nDone.",
        "```\nimport operator\nadd = operator.add\n```",
    ],
)
def test_right_answers_pass(text: str) -> None:
    score = judged(text)
    assert (score.outcome, score.value) == (Outcome.PASSED, 1.0), score.explanation
    assert score.parts["case_0"] == score.parts["case_1"] == 1.0


ANY = "class A:\n    def __eq__(s, o): return True\n    def __hash__(s): return 0\n"


@pytest.mark.parametrize(
    "text",
    [
        "def add(a, b):\n    return 5\n",
        "def add(a, b): return a +",
        "import os; os._exit(0)",
        "def add(a, b):\n    import os; os._exit(0)\n",
        "def add(a, b):\n    raise SystemExit(0)\n",
        ANY + "def add(a, b): return A()\n",
        ANY + "add = lambda a, b: A()\n",
        "import os\ndef add(a, b):\n    os.kill(os.getppid(), 9)\n",
        "import os\ndef add(a, b):\n    [os.write(f, b'{}') for f in range(3, 9)]\n    return 5\n",
        "def add(a, b):\n    return open(f'/proc/{__import__(\"os\").getppid()}/mem', 'rb').read(1)\n",
        "nothing that is code at all, sorry",
    ],
)
def test_wrong_and_cheating_answers_fail(text: str) -> None:
    assert judged(text).outcome is Outcome.FAILED


def test_a_hang_and_a_memory_bomb_fail_in_time() -> None:
    assert "wall_time" in judged("def add(a, b):\n    while True: pass\n", timeout_s=1.5).explanation
    assert judged("def add(a, b):\n    return b'1' * (1 << 30)\n", memory_mib=64).outcome is Outcome.FAILED


def test_objects_go_through_one_process_with_tripwires() -> None:
    tests = "assert C(3).x == 3\nassert C(3) == C(3)\n"
    honest = "from dataclasses import dataclass\n@dataclass\nclass C:\n    x: int\n"
    score = judged(honest, tests, "C")
    assert (score.outcome, score.explanation) == (Outcome.PASSED, "one process")
    assert judged("class C:\n    x = 4\n    def __init__(s, x): pass\n", tests, "C").outcome is Outcome.FAILED


def test_partial_credit_is_asked_for() -> None:
    half = "def add(a, b):\n    return 5\n"
    assert judged(half, partial=True).value == 0.5
    assert judged(half).value == 0.0


def test_tests_that_are_none_are_named_before_a_run() -> None:
    scorer = build({"type": "code_tests"})
    item = Item(Task("t", fields={"test": "x = 1", "entry_point": "f"}), Reply())
    assert "no assertion" in scorer.check(item)  # type: ignore[union-attr]  # a TextScorer
