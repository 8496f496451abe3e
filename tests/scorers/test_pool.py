"""Scoring with limits: what hangs, crashes or eats memory is ungraded, and nothing else is lost."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome, Score
from steelyard.schema.task import Task
from steelyard.scorers import Item, Scorer, build
from steelyard.scorers.pool import Limits, ScoringPool

CODE = """
import os, sys, time, signal
def score(item, **options):
    word = item.reply.text
    if word == "hang":
        while True: pass
    if word == "hang hard":
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        while True: time.sleep(9)
    if word == "swallow":
        while True:
            try:
                while True: pass
            except BaseException: pass
    if word == "exit": sys.exit(3)
    if word == "die": os._exit(7)
    if word == "kill": os.kill(os.getpid(), signal.SIGKILL)
    if word == "raise": raise ValueError("no good \\x1b[31m")
    if word == "recurse": return score(item)
    if word == "memory": x = bytearray(4 * 2**30)
    if word == "print": print("noise", flush=True); sys.stdout.buffer.write(b"\\0" * 99); sys.stderr.write("x")
    if word == "nan": return float("nan")
    if word == "none": return None
    if word == "seven": return 7
    if word == "half": return {"value": 0.5, "explanation": "so", "parts": {"a": 1}}
    if word == "env": return not any("KEY" in k for k in os.environ)
    if word == "option": return options.get("bonus", 0)
    if word == "stdin": return sys.stdin.read() == ""
    return True
"""
FAST = Limits(seconds=0.4, grace_seconds=0.4, memory_mb=512)


@pytest.fixture
def function(tmp_path: Path) -> Scorer:
    (tmp_path / "mine.py").write_text(CODE)
    built = build(
        {"type": "python", "function": "mine.py:score", "arguments": {"bonus": 1}}, base_dir=tmp_path
    )
    assert isinstance(built, Scorer)
    return built


@pytest.fixture
def pool(function: Scorer) -> Iterator[ScoringPool]:
    catastrophic = build({"type": "regex", "pattern": r"(a+)+$", "compare": "presence"})
    exact = build("exact")
    assert isinstance(catastrophic, Scorer)
    assert isinstance(exact, Scorer)
    made = ScoringPool({"mine": function, "regex": catastrophic, "exact": exact}, FAST)
    yield made
    made.close()


def item(text: str, target: str = "x") -> Item:
    return Item(Task(id="t", target=target), Reply(text=text))


def scores(pool: ScoringPool, name: str, *texts: str) -> list[Score]:
    batch = [(i, name, item(t)) for i, t in enumerate(texts)]
    got = pool.score_batch(batch)
    assert [key for key, _ in got] == list(range(len(texts)))
    return [s for _, s in got]


@pytest.mark.parametrize(
    ("word", "cause", "says"),
    [
        ("hang", "grader_timeout", "0.4 s"), ("hang hard", "grader_timeout", "killed"), ("swallow", "grader_timeout", "0.4 s"),
        ("exit", "grader_crashed", "SystemExit"), ("die", "grader_crashed", "code 7"), ("kill", "grader_crashed", "SIGKILL"),
        ("raise", "grader_crashed", "no good"), ("recurse", "grader_crashed", "RecursionError"), ("memory", "grader_crashed", "512 MB"),
        ("nan", "grader_crashed", "nan"), ("none", "grader_crashed", "NoneType"), ("seven", "grader_crashed", "0 to 1"),
    ],
)  # fmt: skip
def test_the_culprit_is_ungraded_and_the_rest_of_the_batch_is_scored(
    pool: ScoringPool, word: str, cause: str, says: str
) -> None:
    got = scores(pool, "mine", "fine", word, "fine", "half")
    assert [s.outcome.name for s in got] == ["PASSED", "UNGRADED", "PASSED", "PARTIAL"]
    assert got[1].cause == cause
    assert says in got[1].explanation
    assert got[3].parts == {"a": 1.0}


def test_a_catastrophic_pattern_is_stopped(pool: ScoringPool) -> None:
    start = time.monotonic()
    got = scores(pool, "regex", "aaa", "a" * 40 + "b", "baaa")
    assert [s.outcome for s in got] == [Outcome.PASSED, Outcome.UNGRADED, Outcome.PASSED]
    assert got[1].cause == "grader_timeout"
    assert time.monotonic() - start < 10


def test_prints_input_environment_and_arguments(pool: ScoringPool) -> None:
    os.environ["SOME_API_KEY"] = "secret"
    try:
        got = scores(pool, "mine", "print", "env", "option", "stdin")
    finally:
        del os.environ["SOME_API_KEY"]
    assert [s.outcome for s in got] == [Outcome.PASSED] * 4


def test_linear_scorers_start_no_process_and_mix_with_the_others(pool: ScoringPool) -> None:
    assert scores(pool, "exact", "x", "y")[0].outcome is Outcome.PASSED
    assert pool._process is None
    mixed = pool.score_batch(
        [("a", "exact", item("x")), ("b", "mine", item("fine")), ("c", "exact", item("y"))]
    )
    assert [(k, s.outcome.name) for k, s in mixed] == [("a", "PASSED"), ("b", "PASSED"), ("c", "FAILED")]


def test_a_linear_scorer_that_raises_is_ungraded() -> None:
    class Broken:
        name, version, linear = "broken", "1", True

        def score(self, item: Item) -> Score:
            raise ZeroDivisionError("oops")

    with_broken = ScoringPool({"b": Broken()})
    ((_, score),) = with_broken.score_batch([(0, "b", item("x"))])
    assert (score.outcome, score.cause) == (Outcome.UNGRADED, "grader_crashed")
    assert "oops" in score.explanation


def test_a_function_that_cannot_be_loaded_is_ungraded(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import nothing_of_this_name\ndef score(item): return True\n")
    built = build({"type": "python", "function": "bad.py:score"}, base_dir=tmp_path)
    assert isinstance(built, Scorer)
    bad = ScoringPool({"bad": built}, FAST)
    try:
        got = scores(bad, "bad", "a", "b")
    finally:
        bad.close()
    assert {s.cause for s in got} == {"grader_crashed"}
    assert "nothing_of_this_name" in got[0].explanation


def test_large_replies_and_many_items_pass_through(pool: ScoringPool) -> None:
    texts = ["fine " * 400_000 if i % 50 == 0 else f"fine {i}" for i in range(300)]
    assert {s.outcome for s in scores(pool, "mine", *texts)} == {Outcome.PASSED}


def test_a_pool_used_from_several_threads_gives_each_its_own(pool: ScoringPool) -> None:
    results: dict[int, list[str]] = {}

    def work(n: int) -> None:
        results[n] = [s.outcome.name for s in scores(pool, "mine", *["fine", "half"] * 20)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == {n: ["PASSED", "PARTIAL"] * 20 for n in range(4)}


def test_closing_ends_the_process_and_the_pool_starts_again(pool: ScoringPool) -> None:
    scores(pool, "mine", "fine")
    assert pool._process is not None
    pid = pool._process._popen.pid
    pool.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert scores(pool, "mine", "fine")[0].outcome is Outcome.PASSED


def test_the_process_does_not_outlive_a_killed_run(tmp_path: Path) -> None:
    import signal
    import subprocess

    (tmp_path / "mine.py").write_text(CODE + "\n")
    script = """
import sys
from pathlib import Path
from steelyard.schema.reply import Reply
from steelyard.schema.task import Task
from steelyard.scorers import Item, build
from steelyard.scorers.pool import Limits, ScoringPool
pool = ScoringPool({"m": build({"type": "python", "function": "mine.py:score"}, base_dir=Path(sys.argv[1]))}, Limits(seconds=60))
pool.score_batch([(0, "m", Item(Task(id="t"), Reply(text="fine")))])
print(pool._process._popen.pid, flush=True)
pool.score_batch([(0, "m", Item(Task(id="t"), Reply(text="hang hard")))])
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        os.kill(pid, 0)
        run.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while (
        Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]
    ):
        assert time.monotonic() < deadline, "still there 20 s after the run was killed"
        time.sleep(0.1)


def test_importing_the_pool_imports_nothing_heavy() -> None:
    import subprocess

    code = "import sys, steelyard.scorers.pool; print([m for m in ('numpy', 'jsonschema', 'pyarrow', 'yaml', 'asyncio') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_way_through_the_process_is_cheap(pool: ScoringPool) -> None:
    batch = [(i, "mine", item(f"fine {i}")) for i in range(2000)]
    pool.score_batch(batch[:10])
    best = 1e9
    for _ in range(3):
        start = time.perf_counter()
        pool.score_batch(batch)
        best = min(best, (time.perf_counter() - start) / len(batch) * 1e6)
    assert best < 250, f"{best:.0f} us an item; 60 on a quiet machine"
