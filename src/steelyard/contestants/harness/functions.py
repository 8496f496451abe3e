"""A Python function of the user as a tool: its schema from type hints and docstring, run on the host with a time limit.

The function runs in a process of its own, one a trial, started at the first call; at the limit that process is killed
and the next call starts anew. It runs as the user, outside of the sandbox: it is the user's program, and what it may do
with a hostile argument is for the user to think of. Its environment is ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from steelyard.contestants.harness.tools import Outcome, ToolError
from steelyard.errors import PlanError
from steelyard.schema.message import ToolSpec

_START_S = 60.0
_LINE = 32 << 20


def named(function: Callable[..., object] | str) -> str:
    """How a plan names a function: `file.py:name` (also for one of the main program), or `module:name`.

    Raises PlanError for what another process cannot find (a lambda, a method, a closure).
    """
    if isinstance(function, str):
        return function
    name = getattr(function, "__qualname__", "")
    if not name or not name.isidentifier():
        raise PlanError(
            "a tool must be a function at the top of a module",
            wanted="def NAME(...) in a file",
            got=name or repr(function),
        )
    if function.__module__ != "__main__":
        return f"{function.__module__}:{name}"
    return f"{inspect.getsourcefile(function)}:{name}"


@dataclass(slots=True)
class FunctionProcess:
    """The process of one function."""

    target: str
    seconds: float
    plain: bool = False
    """It is called by us, not by a model: with the values as they are, and of them those that it takes."""
    _process: asyncio.subprocess.Process | None = field(default=None)

    async def start(self) -> ToolSpec:
        """Start it; what the function is as a tool. Raises PlanError."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "steelyard.contestants.harness.function_worker",
            self.target,
            *(("plain",) if self.plain else ()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE,
            start_new_session=True,
        )
        try:
            first = await self._line(_START_S)
        except (TimeoutError, EOFError, ValueError):
            await self.stop()
            raise PlanError(
                f"the function {self.target} could not be loaded", wanted="an import that ends"
            ) from None
        if "error" in first:
            await self.stop()
            raise PlanError(f"the function {self.target} cannot be a tool", got=str(first["error"]))
        return msgspec.convert(first["spec"], ToolSpec)

    async def call(self, arguments: dict[str, object]) -> str:
        """One call. Raises ToolError."""
        if self._process is None:
            await self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(arguments).encode() + b"\n")
            async with asyncio.timeout(self.seconds):
                await self._process.stdin.drain()
                reply = await self._line(self.seconds)
        except TimeoutError:
            await self.stop()
            raise ToolError(f"The function took longer than {self.seconds:g} s and was stopped.") from None
        except (EOFError, OSError, ValueError):
            await self.stop()
            raise ToolError("The function's process ended before it answered. Try another way.") from None
        if "text" in reply:
            return str(reply["text"])
        if "wrong" in reply:
            raise ToolError(f"Arguments that the function does not take: {reply['wrong']}. Call it again.")
        raise ToolError(f"The function failed: {reply.get('raised', 'unknown')}.")

    async def _line(self, seconds: float) -> dict[str, object]:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(seconds):
            raw = await self._process.stdout.readline()
        if not raw:
            raise EOFError
        value = json.loads(raw)
        return value if isinstance(value, dict) else {}

    async def stop(self) -> None:
        """Kill it and whatever it started in its session."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            await process.wait()
        if process.stdin is not None:
            process.stdin.close()


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A function in a toolbox."""

    spec: ToolSpec
    process: FunctionProcess
    acts: bool = True
    hosts: tuple[str, ...] = ()

    async def call(self, arguments: dict[str, object]) -> Outcome:
        """Run it on the host."""
        return Outcome(await self.process.call(arguments))


async def describe(target: str) -> ToolSpec:
    """What a function is as a tool; its process is ended again. Raises PlanError."""
    process = FunctionProcess(target, _START_S)
    try:
        return await process.start()
    finally:
        await process.stop()
