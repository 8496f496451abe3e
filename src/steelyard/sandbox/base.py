"""The sandbox Protocol: every rung offers the same, and each result says which one it ran on.

Rungs, strongest first: `root` (namespaces, uid of its own, cgroup), `user` (namespaces, limits by rlimits
and a watchdog, hence soft), `container` (Docker or Podman), `none` (nothing: only when asked for by name).
"""

from __future__ import annotations

import enum
import socket
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from steelyard.unknown import Unknown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from steelyard.sandbox.profile import Limits, Profile
    from steelyard.sandbox.tree import Tree


class Rung(enum.StrEnum):
    """How a process is isolated."""

    ROOT = "root"
    USER = "user"
    CONTAINER = "container"
    NONE = "none"


class Ended(enum.StrEnum):
    """Why a command ended. `fault` is ours; the limits are the command's doing; `killed` the owner's."""

    EXITED = "exited"
    WALL = "wall_time"
    CPU = "cpu_time"
    MEMORY = "out_of_memory"
    OUTPUT = "output"
    KILLED = "killed"
    FAULT = "sandbox_fault"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a command used. `memory_peak` covers the whole sandbox; `soft` says that it was sampled."""

    wall_s: float
    cpu_s: float | Unknown
    memory_peak: int | Unknown
    oom_kills: int | Unknown
    forks_refused: int | Unknown
    unreachable: int
    """How often an address without a route was asked for, or a name: attempts to reach a network that is not there."""
    soft: bool
    decoys: int = 0
    """How often a directory where hidden files might be was opened or listed."""
    names: tuple[str, ...] = ()
    """The first names that were looked up; nothing inside answers for them."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one command ended. `status` is None when it did not exit by itself; `signal` when none killed it."""

    ended: Ended
    status: int | None
    signal: int | None
    stdout: bytes
    stderr: bytes
    usage: Usage
    rung: Rung
    limits: Limits
    fault: str = ""

    @property
    def ok(self) -> bool:
        """True when it exited with status 0."""
        return self.ended is Ended.EXITED and self.status == 0

    def record(self) -> dict[str, Any]:
        """Everything but the output, for JSON."""
        usage = {
            k: {"unknown": v["reason"]} if isinstance(v, dict) else v for k, v in asdict(self.usage).items()
        }
        return {
            "ended": self.ended.value,
            "status": self.status,
            "signal": self.signal,
            "rung": self.rung.value,
            "usage": usage,
            "limits": self.limits.as_dict(),
            "fault": self.fault or None,
        }


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: a list of arguments, and what it is given. `wall_s` bounds this command alone."""

    argv: tuple[str, ...]
    stdin: bytes = b""
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = ""
    wall_s: float | None = None
    output: int | None = None


class Box(Protocol):
    """A living sandbox. Closing it kills everything inside; the workspace stays readable until `release`."""

    rung: Rung
    listeners: dict[int, socket.socket]

    @property
    def workspace(self) -> Tree:
        """The working directory, by handle."""
        ...

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Result:
        """Run a command to its end with the profile's limits."""
        ...

    def execute(self, command: Command) -> Result:
        """`run` with a working directory and limits of its own."""
        ...

    def close(self) -> None:
        """Kill every process; returns when the last is dead. The workspace can still be read."""
        ...

    def release(self) -> None:
        """Close, and drop the workspace."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Sandbox(Protocol):
    """A way to isolate: opens boxes."""

    rung: Rung

    def open(self, profile: Profile, *, oneshot: bool = False) -> Box:
        """A living sandbox that waits for commands; with `oneshot` it ends with its first one.

        Raises `SandboxError` when it cannot be built.
        """
        ...

    def once(self, profile: Profile, command: Command) -> Result:
        """A sandbox for one command: made, run, ended, dropped. The fastest way."""
        ...
