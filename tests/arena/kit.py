"""A run with answers of several contestants, made without a model; people who vote by a planted law."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from steelyard.arena.battles import Arena, Terms, open_arena
from steelyard.arena.keys import Keys
from steelyard.ledger import Ledger, open_ledger
from steelyard.schema.record import Intent, Result, Scored
from steelyard.schema.reply import Reply
from steelyard.schema.score import FAILED, PASSED
from steelyard.schema.task import Task
from steelyard.testing.ledger_rows import ListSuite, plan_of

KEYS = Keys(b"k" * 32)


class Clock:
    """Unix nanoseconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)


def make_run(
    ledger: Ledger, names: Sequence[str] = ("ada", "bob", "cyd"), n: int = 6, held_out: int = 0
) -> str:
    """A finished run: task texts are `question T`, answers name nobody but differ."""
    tasks = [
        Task(
            id=f"q{i}",
            input=f"question {i}",
            target=str(i),
            split="held_out" if i >= n - held_out else "public",
        )
        for i in range(n)
    ]
    with ledger.create_run(plan_of(*names), [ListSuite("sums", tasks)]) as writer:
        for c in range(len(names)):
            for t in range(n):
                text = f"answer {(c * 31 + t) % 97} from style {'x' * (c + 1)}"
                reply = Reply(text=text)
                writer.append(
                    [
                        Intent(c, t, 0, 0, at=1, seed=1, reserved=0),
                        Result(c, t, 0, 0, at=2, ended_by="contestant", final=True, cost=0, reply=reply),
                        Scored(c, t, 0, 0, "exact/1", PASSED if (c + t) % 2 else FAILED),
                    ]
                )
        writer.close("complete")
        return writer.run


def arena_at(place: Path, clock: Clock | None = None, **terms: object) -> tuple[Ledger, Arena, Clock]:
    ledger = open_ledger(str(place), create=True)
    clock = clock or Clock()
    run = make_run(ledger)
    open_arena(ledger, "ours", run, Terms(seed=7, **terms), clock)  # type: ignore[arg-type] # a test's keywords
    return ledger, Arena(ledger, "ours", KEYS, clock), clock
