"""What boxes of every rung share: a context that releases, `run` in terms of `execute`, a plain process followed."""

from __future__ import annotations

import abc
import time
from typing import TYPE_CHECKING, Self

from steelyard.sandbox.base import Command, Ended, Result

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from steelyard.sandbox.pump import Streams

_STEP_S = 0.02
_HELD_S = 0.05


class Driven(abc.ABC):
    """A box whose own part is `execute` and `release`."""

    @abc.abstractmethod
    def execute(self, command: Command) -> Result:
        """Run a command to its end, or to its limit."""

    @abc.abstractmethod
    def release(self) -> None:
        """Close, and drop the workspace."""

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Result:
        """Run a command with the profile's limits."""
        return self.execute(Command(tuple(argv), stdin=stdin, env=tuple((env or {}).items())))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def follow(process: subprocess.Popen[bytes], streams: Streams, wall_s: float | None, started: float) -> Ended:
    """Pump until the process has ended, or a limit on its output or time was crossed; it is not killed here."""
    while streams.out or process.poll() is None:
        streams.pump(_STEP_S, [])
        if streams.over:
            return Ended.OUTPUT
        if wall_s and time.monotonic() - started > wall_s:
            return Ended.WALL
        if process.poll() is not None:
            streams.pump(_HELD_S, [])  # what it left running may hold the pipes for ever
            break
    return Ended.OUTPUT if streams.over else Ended.EXITED
