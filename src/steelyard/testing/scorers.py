"""The contract of a scorer, as a suite that its author runs; and a scripted model to judge with.

    from steelyard.testing.scorers import run_scorer_conformance
    run_scorer_conformance(MyScorer(), items=[Item(task, reply), ...])

Raises AssertionError that names the clause and the item.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from steelyard.errors import EndedBy, Fault
from steelyard.schema.message import Message
from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome, Score
from steelyard.schema.task import Task
from steelyard.scorers.base import Item, Scorer

_HOSTILE = (
    "", " \n\t ", "\x00\x1b[31m\u202e", "e\u0301" * 50, "[" * 3000, "{" * 3000, "-" * 3000, "1" * 5000, "a " * 5000,
    "\\boxed{" * 500, "<think>", "</think>", "((((" * 500, "%s %d {} {0}", "ＮＡＮ", "🙂" * 500,
)  # fmt: skip


def run_scorer_conformance(scorer: Scorer, items: Sequence[Item], *, seconds: float = 2.0) -> None:
    """Check every clause on `items` (real ones of the kind that the scorer is for; at least one).

    `seconds` bounds a single call on hostile text of some kilobytes. Not for judges: see `ScriptedJudge`.
    """
    assert items, "give at least one item"
    assert isinstance(scorer, Scorer), "a scorer has name, version, linear and score(item)"
    assert scorer.name, "a scorer has a name"
    assert scorer.version, "a scorer has a version that changes when its verdicts could"
    for i, item in enumerate(items):
        before = msgspec.msgpack.encode(item)
        first, second = scorer.score(item), scorer.score(item)
        check_score(first, f"item {i}")
        assert first == second, f"item {i}: the same item got {first} and then {second}"
        assert msgspec.msgpack.encode(item) == before, f"item {i} was changed by scoring it"
        again = msgspec.msgpack.decode(before, type=Item)
        assert scorer.score(again) == first, f"item {i}: scored otherwise after a trip to disk"
        _not_measured(scorer, item, i)
    _hostile(scorer, items[0], seconds)
    if scorer.linear:
        _linear(scorer, items[0])


def check_score(score: Score, where: str) -> None:
    """A score that can be: a value in [0, 1] that fits the outcome, none exactly when ungraded, then with a cause."""
    assert isinstance(score, Score), f"{where}: not a Score: {score!r}"
    assert score.outcome in list(Outcome), f"{where}: no outcome: {score.outcome!r}"
    if score.outcome is Outcome.UNGRADED:
        assert score.value is None, f"{where}: ungraded with a value"
        assert score.cause, f"{where}: ungraded without a cause"
        return
    value = score.value
    assert value is not None, f"{where}: {score.outcome.name} without a value"
    assert math.isfinite(value), f"{where}: value {value}"
    assert 0 <= value <= 1, f"{where}: value {value} outside [0, 1]"
    exact = {Outcome.PASSED: 1.0, Outcome.FAILED: 0.0}.get(score.outcome)
    assert exact is None or value == exact, f"{where}: {score.outcome.name} with value {value}"
    assert not (score.outcome is Outcome.PASSED and score.format_failure), f"{where}: passed, yet unreadable"
    assert all(math.isfinite(v) for v in score.parts.values()), f"{where}: a part is no number"
    assert len(score.extracted) <= 2000, (
        f"{where}: the extracted answer is kept whole ({len(score.extracted)})"
    )


def _not_measured(scorer: Scorer, item: Item, i: int) -> None:
    for ended_by in EndedBy:
        if ended_by.is_measurement:
            continue
        score = scorer.score(replace(item, ended_by=ended_by.value))
        assert score.outcome is Outcome.UNGRADED, f"item {i}: ended by {ended_by}, yet {score.outcome.name}"


def _hostile(scorer: Scorer, item: Item, seconds: float) -> None:
    for text in _HOSTILE:
        for finish in ("stop", "length"):
            hostile = replace(item, reply=msgspec.structs.replace(item.reply, text=text, finish=finish))
            start = time.process_time()
            score = scorer.score(hostile)
            took = time.process_time() - start
            check_score(score, f"reply {text[:20]!r}")
            assert took < seconds, f"reply {text[:20]!r} took {took:.2f} s"
    bare = scorer.score(Item(Task(id="t"), Reply(text="x")))
    check_score(bare, "a task with nothing but its id")


def _linear(scorer: Scorer, item: Item) -> None:
    """`linear` promises that eight times the text takes not much more than eight times as long."""
    for piece in ("ab ", "1", "((", "1,", "- ", "\n", "```\n", "</think>", "I don't know. "):
        times = []
        for n in (16_000, 128_000):
            reply = msgspec.structs.replace(item.reply, text=piece * (n // len(piece)))
            long = replace(item, reply=reply)
            best = math.inf
            for _ in range(2):
                start = time.process_time()
                scorer.score(long)
                best = min(best, time.process_time() - start)
            times.append(best)
        small, large = times
        assert large < 32 * small + 0.1, (
            f"not linear: {piece!r} took {small:.3f} s, 8 times as long {large:.3f} s"
        )


@dataclass
class ScriptedJudge:
    """A `Caller` that answers from a script: texts or replies in turn, or a function of (role, messages, seed).

    A Fault in the script is raised. `calls` keeps what was asked.
    """

    script: Sequence[str | Reply | Fault] | Callable[[str, tuple[Message, ...], int], str | Reply]
    calls: list[tuple[str, tuple[Message, ...], int]] = field(default_factory=list)

    async def __call__(self, role: str, messages: tuple[Message, ...], seed: int) -> Reply:
        """The next answer. Raises the scripted Fault, or AssertionError at the end of the script."""
        n = len(self.calls)
        self.calls.append((role, messages, seed))
        if callable(self.script):
            said: str | Reply | Fault = self.script(role, messages, seed)
        else:
            assert n < len(self.script), f"the script ends after {len(self.script)} calls"
            said = self.script[n]
        if isinstance(said, Fault):
            raise said
        return Reply(text=said) if isinstance(said, str) else said
