"""Twins for the runner: a writer that keeps records in memory, and an executor that answers from a script."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from steelyard.contestants.base import Answer, Ask
from steelyard.errors import LedgerFull
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.record import Record
from steelyard.schema.task import SuiteHeader, Task

Script = Callable[[int, Ask], Answer]


@dataclass
class MemoryWriter:
    """A `RunWriter` without a disk. `full_after` records it raises LedgerFull, as a full disk would."""

    run: str = "memory"
    full_after: int | None = None
    records: list[Record] = field(default_factory=list)
    payloads: dict[str, bytes] = field(default_factory=dict)
    status: str = ""
    released: bool = False

    def append(self, records: Sequence[Record]) -> None:
        """Keep them, or raise LedgerFull and keep none."""
        if self.full_after is not None and len(self.records) + len(records) > self.full_after:
            raise LedgerFull("no space left (scripted)")
        self.records += records

    def put(self, payload: bytes, media_type: str = "application/json") -> str:
        """Keep a payload by its hash."""
        digest = hashlib.sha256(payload).hexdigest()
        self.payloads[digest] = payload
        return digest

    def close(self, status: str, detail: str = "") -> str:
        """Remember how it closed."""
        self.status = status
        return "head"

    def release(self) -> None:
        """Remember that it was let go."""
        self.released = True


class ScriptedExecutor:
    """Answers by a function of (contestant, ask), which may raise Fault; `delay` gives the seconds each one takes."""

    def __init__(self, script: Script, delay: Callable[[int, Ask], float] | None = None) -> None:
        self._script, self._delay = script, delay
        self.asked: list[tuple[int, Ask]] = []
        self.in_flight = self.most_in_flight = 0

    async def start(self, specs: Sequence[ContestantSpec]) -> None:
        """Nothing to start."""

    async def answer(self, c: int, ask: Ask) -> Answer:
        """The script's answer, after its delay."""
        self.asked.append((c, ask))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self._delay(c, ask) if self._delay is not None else 0)
            return self._script(c, ask)
        finally:
            self.in_flight -= 1

    async def stop(self) -> None:
        """Nothing to stop."""


class ListSuite:
    """A suite from a list of tasks."""

    def __init__(self, tasks: Sequence[Task], name: str = "list") -> None:
        self._tasks = list(tasks)
        held = sum(t.split == "held_out" for t in tasks)
        self.header = SuiteHeader(name=name, version=name, n_public=len(tasks) - held, n_held_out=held)

    def __len__(self) -> int:
        """Number of tasks."""
        return len(self._tasks)

    def task(self, i: int) -> Task:
        """The task at `i`."""
        return self._tasks[i]
