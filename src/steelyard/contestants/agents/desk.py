"""What a task offers beside its workspace, for a command-line agent: tools of its own, and a simulated user to talk to.

Both are tools of one MCP server. The user is reached by `say_to_user` alone: such a program ends when its model calls
nothing, so what it says last reaches nobody. That is another form of the talk than the built-in loop's.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from steelyard.contestants.capture.tasktools import TaskTools
from steelyard.contestants.environment import OpenEnvironment, open_environment
from steelyard.contestants.users import User
from steelyard.schema.message import ToolSpec

if TYPE_CHECKING:
    from steelyard.contestants.base import Place, Purse

SAY = ToolSpec(
    "say_to_user",
    "Say something to the user, and read what they answer. Nothing else that you write reaches them.",
    {
        "type": "object",
        "properties": {"message": {"type": "string", "description": "what the user should read"}},
        "required": ["message"],
        "additionalProperties": False,
    },
)
GONE = "The user has left. Finish what is left to do, then end."
TOOLS_TOLD = (
    "The tools of this task are on the MCP server `task`: {names}. Use them; its data are nowhere else."
)
USER_TOLD = (
    "You talk with a user. They read only what you say by the tool `say_to_user` of the MCP server `task`."
)


class Desk:
    """One trial's. `open` before `tools` is served, `aclose` at the end, whatever happened."""

    def __init__(self, place: Place, purse: Purse, seed: int) -> None:
        self._place = place
        self._talk = None if place.user is None else User(place.user, purse, seed)
        self._environment: OpenEnvironment | None = None
        self._turn = asyncio.Lock()
        self.told = ""
        """What the agent is told of all this, after the task."""
        self.tools = TaskTools((), self._call)

    @staticmethod
    def wanted(place: Place) -> bool:
        """Whether a task has anything of the kind."""
        return place.user is not None or place.environment is not None

    async def open(self) -> None:
        """Start the environment; hear the user's first words. Raises Fault."""
        specs: list[ToolSpec] = []
        if self._place.environment is not None:
            self._environment = await asyncio.to_thread(open_environment, self._place.environment)
            specs += self._environment.specs()
            self.told = TOOLS_TOLD.format(names=", ".join(f"`{s.name}`" for s in specs))
        if self._talk is not None:
            first = await self._talk.next("")
            specs.append(SAY)
            said = f" They begin:\n\n{first}" if first is not None else " They say nothing first."
            self.told = f"{self.told}\n\n{USER_TOLD}{said}".strip()
        self.tools = TaskTools(tuple(specs), self._call)

    async def _call(self, name: str, arguments: dict[str, object]) -> str:
        if name == SAY.name and self._talk is not None:
            message = arguments.get("message")
            if not isinstance(message, str) or not message.strip():
                return "Error: `message` must be a text that the user can read."
            async with self._turn:
                return await self._talk.next(message) or GONE
        if self._environment is None:
            return f"Error: there is no tool {name}."
        return await asyncio.to_thread(self._environment.call, name, arguments)

    async def state(self) -> bytes:
        """The database as it is now, b"" without one. Raises Fault."""
        return b"" if self._environment is None else await asyncio.to_thread(self._environment.state)

    async def aclose(self) -> None:
        """End the environment."""
        if self._environment is not None:
            await asyncio.to_thread(self._environment.close)
