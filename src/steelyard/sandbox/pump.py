"""Feeding a command and reading it: pipes, and a cap on what is kept."""

from __future__ import annotations

import os
import select
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steelyard.sandbox.base import Command

_CHUNK = 1 << 18
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
    "HOME": "/tmp/home",
    "TMPDIR": "/tmp",
    "LANG": "C.UTF-8",
    "USER": "agent",
    "LOGNAME": "agent",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "TERM": "dumb",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
"""All that a command finds in its environment, besides what the profile names."""


@dataclass
class Streams:
    """The pipes of one command."""

    stdin: int
    out: dict[int, bytearray]
    cap: int
    pending: memoryview
    total: int = 0
    over: bool = False
    order: list[int] = field(default_factory=list)
    kept: dict[int, bytearray] = field(default_factory=dict)

    def pump(self, timeout: float, also: Sequence[int]) -> list[int]:
        """Move what can be moved within `timeout` seconds; returns which of `also` have something."""
        poll = select.poll()
        for fd in self.out:
            poll.register(fd, select.POLLIN)
        if self.stdin >= 0:
            poll.register(self.stdin, select.POLLOUT)
        for fd in also:
            poll.register(fd, select.POLLIN)
        ready = []
        for fd, _ in poll.poll(max(0.0, timeout) * 1000):
            if fd in self.out:
                self._read(fd)
            elif fd == self.stdin:
                self._write()
            else:
                ready.append(fd)
        return ready

    def _read(self, fd: int) -> None:
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return
        if not data:
            self.kept[fd] = self.out.pop(fd)
            os.close(fd)
            return
        room = self.cap - self.total
        self.out[fd] += data[:room]
        self.total += min(len(data), room)
        self.over = self.over or len(data) > room

    def _write(self) -> None:
        try:
            done = os.write(self.stdin, self.pending[:65536])
            self.pending = self.pending[done:]
        except BlockingIOError:
            return
        except OSError:  # the command closed its input; what is left is not wanted
            self.pending = memoryview(b"")
        if not len(self.pending):
            self.close_stdin()

    def close_stdin(self) -> None:
        """Give end of file."""
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1

    def close(self) -> tuple[bytes, bytes]:
        """Close all; what came on each stream."""
        self.close_stdin()
        for fd in list(self.out):
            self.kept[fd] = self.out.pop(fd)
            os.close(fd)
        return bytes(self.kept[self.order[0]]), bytes(self.kept[self.order[1]])


def pipes(command: Command, cap: int) -> tuple[Streams, list[int]]:
    """Pipes for one command: our ends as `Streams`, and its 0, 1, 2, which the caller closes."""
    if command.stdin:
        in_r, in_w = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(in_w, False)
    else:
        in_r, in_w = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), -1
    out_r, out_w = os.pipe2(os.O_CLOEXEC)
    err_r, err_w = os.pipe2(os.O_CLOEXEC)
    for fd in (out_r, err_r):
        os.set_blocking(fd, False)
    streams = Streams(
        in_w, {out_r: bytearray(), err_r: bytearray()}, cap, memoryview(command.stdin), order=[out_r, err_r]
    )
    return streams, [in_r, out_w, err_w]
