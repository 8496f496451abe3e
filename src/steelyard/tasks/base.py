"""What a loaded suite is, and what a contestant may see of a task.

`Rendered` is all that crosses to a contestant: it holds neither target nor grader. Held-out content leaves this room
only for running and judging; pages, exports and logs ask `SuiteHeader.n_held_out` and show counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.schema.message import Message, ToolSpec


@dataclass(frozen=True, slots=True)
class Rendered:
    """The messages to send, and the order in which choices were shown: `order[i]` is the author's index of option i."""

    messages: tuple[Message, ...]
    order: tuple[int, ...] = ()
    tools: tuple[ToolSpec, ...] = ()
