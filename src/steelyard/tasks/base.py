"""What a loaded suite is, and what a contestant may see of a task.

`Rendered` is all that crosses to a contestant: it holds neither target nor grader. Held-out content leaves this room
only for running and judging; pages, exports and logs go through `steelyard.tasks.visible` and show counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.ledger.base import SuiteData
from steelyard.schema.message import Message, ToolSpec


@dataclass(frozen=True, slots=True)
class Examples:
    """Where few-shot examples are drawn from. `same_suite`: it holds the tasks themselves, which are then left out."""

    pool: SuiteData
    same_suite: bool


@dataclass(frozen=True, slots=True)
class Rendered:
    """The messages to send, and the order in which choices were shown: `order[i]` is the author's index of option i.

    `examples` are the ids of the few-shot tasks shown, in order; `canary` is True when the suite's canary text stands
    in the messages (it should not: whoever trains on the prompt could no longer be told apart).
    """

    messages: tuple[Message, ...]
    order: tuple[int, ...] = ()
    tools: tuple[ToolSpec, ...] = ()
    examples: tuple[str, ...] = ()
    canary: bool = False
