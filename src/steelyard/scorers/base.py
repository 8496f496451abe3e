"""Scorer Protocols: pure judging of one finished trial, or judging with the help of a model.

Scorers get what the contestant said and everything of the task; they decide nothing across trials. What refusals,
truncation, budget ends and unparsable answers count as is one table: `steelyard.scorers.outcomes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from steelyard.schema.message import Message
from steelyard.schema.reply import Reply
from steelyard.schema.score import Score
from steelyard.schema.task import Task


@dataclass(frozen=True, slots=True)
class Item:
    """One trial to judge. `order` is how choices were shown; `ended_by` an `EndedBy` value; `seed` for sampling.

    Of an agent's trial, `changes` is the archive of what it did to its workspace, `state` its environment's database,
    `limit` the limit that ended it.
    """

    task: Task
    reply: Reply
    order: tuple[int, ...] = ()
    ended_by: str = "contestant"
    messages: tuple[Message, ...] = ()
    seed: int = 0
    changes: bytes = b""
    state: bytes = b""
    limit: str = ""


@runtime_checkable
class Scorer(Protocol):
    """Judges one item without I/O. `linear` promises time linear in the text: it may run without a time limit."""

    name: str
    version: str
    linear: bool

    def score(self, item: Item) -> Score:
        """The judgement; raises nothing but Fault(ended_by=grader)."""
        ...


Bound = Callable[[Item], Score]
"""A scorer that has what it needs. Raises Fault when there is no verdict."""


@runtime_checkable
class Bindable(Protocol):
    """A scorer that needs the trees of tasks: `bound` gives one that has them, to be called in threads."""

    def bound(self, archive: Callable[[str], bytes]) -> Bound:
        """`archive` gives a tree's archive by its digest."""
        ...


class Caller(Protocol):
    """How a judge calls the contestant cast in its role: priced, capped, recorded, retried by whoever runs it."""

    async def __call__(self, role: str, messages: tuple[Message, ...], seed: int) -> Reply:
        """One reply of the judge `role`. Raises Fault when there is none."""
        ...


@runtime_checkable
class Judge(Protocol):
    """Judges one item by asking models. An unparsable verdict is ungraded, never a default.

    Calls come one after the other in an order that the item alone decides, so a call's number within its item names it.
    """

    name: str
    version: str
    roles: tuple[str, ...]
    calls: tuple[str, ...]
    """The role of every call that one item can need at the most."""

    async def judge(self, item: Item, call: Caller) -> Score:
        """The judgement. Raises the Fault of a call that gave no reply: whoever runs the calls knows what it means."""
        ...
