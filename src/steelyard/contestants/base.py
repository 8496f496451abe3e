"""The Protocol of whatever is measured. Contestants never see a target, and never grade.

`answer` either returns an `Answer`, fully read, or raises a `Fault` that says who ended the attempt. Retrying is the
runner's: one call of `answer` is one attempt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.message import Message, ToolSpec
from steelyard.schema.reply import Reply


@dataclass(frozen=True, slots=True)
class Ask:
    """One attempt's question. `task_id` lets recordings look up; `trial` is the repeat; `seed` seeds the call."""

    messages: tuple[Message, ...]
    task_id: str
    trial: int
    seed: int
    tools: tuple[ToolSpec, ...] = ()
    suite: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished attempt. `trace` is a larger record (JSON bytes) when more than one call was made; `cost_pusd`
    overrides the price table when the contestant knows better (a recording); None: priced from usage."""

    reply: Reply
    trace: bytes = b""
    cost_pusd: int | None = None


class Contestant(Protocol):
    """Made by `steelyard.contestants.build`; `open` before the first answer, `aclose` at the end."""

    spec: ContestantSpec

    async def open(self) -> None:
        """Make it live. Raises PlanError or DataError for what the plan got wrong; sends nothing."""

    async def answer(self, ask: Ask) -> Answer:
        """One attempt. Raises Fault."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and processes."""
        ...
