"""The rung `none`: a plain process in a temporary directory. It isolates nothing, and says so in each result.

Kept: wall time, output cap, a clean environment, a copy of the base, death of the process group. Not
covered: everything else. A process that leaves its group survives; files, network and secrets are open.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING

from steelyard.sandbox.base import Command, Ended, Result, Rung, Usage
from steelyard.sandbox.driven import Driven, follow
from steelyard.sandbox.pump import ENVIRONMENT, pipes
from steelyard.sandbox.snapshot import copy_in
from steelyard.sandbox.tree import Tree
from steelyard.unknown import Unknown

if TYPE_CHECKING:
    from steelyard.sandbox.profile import Profile


class BareBox(Driven):
    """A directory, and processes in it."""

    rung = Rung.NONE

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.place = tempfile.mkdtemp(prefix="steelyard-none-")
        self.workspace = Tree.at(self.place)
        self.listeners: dict[int, socket.socket] = {}
        if profile.base:
            source = Tree.at(profile.base)
            copy_in(source, self.workspace)
            source.close()

    def execute(self, command: Command) -> Result:
        """Run a command to its end, or to its limit."""
        limits, started = self.profile.limits, time.monotonic()
        streams, fds = pipes(command, command.output or limits.output)
        env = {**ENVIRONMENT, "HOME": self.place, **dict(self.profile.env), **dict(command.env)}
        cwd = self.place if command.cwd in ("", self.profile.workdir) else command.cwd
        try:
            process = subprocess.Popen(
                command.argv,
                stdin=fds[0],
                stdout=fds[1],
                stderr=fds[2],
                env=env,
                cwd=cwd,
                start_new_session=True,
            )
        except OSError as e:
            out, err = streams.close()
            code = 127 if isinstance(e, FileNotFoundError) else 126
            return self._result(Ended.EXITED, code, (out, err + f"cannot run: {e}\n".encode()), started)
        finally:
            for fd in fds:
                os.close(fd)
        ended = follow(process, streams, command.wall_s or limits.wall_s, started)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return self._result(ended, process.returncode, streams.close(), started)

    def _result(self, ended: Ended, code: int, output: tuple[bytes, bytes], started: float) -> Result:
        nothing = Unknown("nothing is counted on the rung none")
        usage = Usage(time.monotonic() - started, nothing, nothing, nothing, nothing, 0, soft=True)
        exited = ended is Ended.EXITED
        return Result(
            ended=ended,
            status=code if exited and code >= 0 else None,
            signal=-code if code < 0 else None,
            stdout=output[0],
            stderr=output[1],
            usage=usage,
            rung=self.rung,
            limits=self.profile.limits,
        )

    def close(self) -> None:
        """Every command has ended with its `execute`."""

    def release(self) -> None:
        """Remove the directory."""
        self.workspace.close()
        shutil.rmtree(self.place, ignore_errors=True)


class Bare:
    """The rung `none`."""

    rung = Rung.NONE

    def open(self, profile: Profile, *, oneshot: bool = False) -> BareBox:
        """A directory of its own."""
        return BareBox(profile)

    def once(self, profile: Profile, command: Command) -> Result:
        """One command in a directory of its own."""
        with BareBox(profile) as box:
            return box.execute(command)
