"""The scoring process: reads batches of items on one pipe, writes a score for each on another, one at a time.

Frames are four bytes of length (little-endian) and MessagePack. In: `Setup` once, then batches of (index, name, Item).
Out: "ready" once, then (index, Score) for each item in order. The parent takes the first item without an answer for the
culprit when this process ends or hangs, so every answer is written before the next item is looked at.
"""

from __future__ import annotations

import os
import resource
import signal
import struct
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import msgspec
from msgspec import Struct

from steelyard.errors import SteelyardError
from steelyard.schema.score import Score, ungraded
from steelyard.scorers.base import Item, Scorer
from steelyard.scorers.build import build

LENGTH = struct.Struct("<I")
_MOST_TEXT = 2000


class Setup(Struct, frozen=True):
    """What a worker needs to know: specs by name as (spec, folder), and the limits of an item."""

    scorers: dict[str, tuple[dict[str, object], str]]
    seconds: float
    load_seconds: float
    memory_mb: int
    parent: int


Batch = list[tuple[int, str, Item]]
ITEMS = msgspec.msgpack.Decoder(Batch)
ANSWER = msgspec.msgpack.Decoder(tuple[int, Score])
ENCODER = msgspec.msgpack.Encoder()


class _TimeUpError(BaseException):
    """An item took too long (no Exception: the code that is timed may catch those)."""


class _Clock:
    """Interrupts what takes too long, by SIGALRM, which Python code and its regular expressions look at."""

    def __init__(self) -> None:
        self.armed = False
        signal.signal(signal.SIGALRM, self._ring)

    def _ring(self, _number: int, _frame: FrameType | None) -> None:
        if self.armed:
            raise _TimeUpError

    def start(self, seconds: float) -> None:
        self.armed = True
        signal.setitimer(signal.ITIMER_REAL, seconds, 0.05)  # again and again: it may be caught once

    def stop(self) -> None:
        self.armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)


def read_frame(fd: int) -> bytes:
    """One frame; b"" at the end."""
    head = _read(fd, LENGTH.size)
    return _read(fd, LENGTH.unpack(head)[0]) if head else b""


def _read(fd: int, n: int) -> bytes:
    out = bytearray()
    while len(out) < n:
        piece = os.read(fd, n - len(out))
        if not piece:
            return b""
        out += piece
    return bytes(out)


def write_frame(fd: int, data: bytes) -> None:
    """Write a frame whole."""
    left = memoryview(LENGTH.pack(len(data)) + data)
    while left:
        left = left[os.write(fd, left) :]


class Worker:
    """Scores items, each within the limits."""

    def __init__(self, setup: Setup) -> None:
        self._setup, self._clock = setup, _Clock()
        self._ready: dict[str, Scorer] = {}

    def score(self, name: str, item: Item) -> Score:
        """The score, or why there is none."""
        try:
            try:
                first = name not in self._ready
                self._clock.start(self._setup.load_seconds if first else self._setup.seconds)
                scorer = self._ready[name] if not first else self._build(name)
                score = scorer.score(item)
            finally:
                self._clock.stop()
        except _TimeUpError:
            return ungraded("grader_timeout", f"scoring took more than {self._setup.seconds:g} s")
        except MemoryError:
            return ungraded("grader_crashed", f"scoring took more than {self._setup.memory_mb} MB")
        except BaseException as e:  # noqa: BLE001 - the code is the user's, SystemExit included; it is this item's end
            return ungraded("grader_crashed", f"{type(e).__name__}: {e}"[:_MOST_TEXT])
        self._ready[name] = scorer
        return score

    def _build(self, name: str) -> Scorer:
        spec, folder = self._setup.scorers[name]
        built = build(spec, base_dir=Path(folder) if folder else None)
        if not isinstance(built, Scorer):
            raise SteelyardError(f"{name} is a judge")
        return built


def _end_with(parent: int) -> None:
    """Do not outlive the run: a scorer that ignores everything would go on for ever once nobody can kill it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _limit_memory(megabytes: int) -> None:
    """Bound the address space, above what the interpreter already has."""
    size = Path("/proc/self/statm")
    used = int(size.read_text().split()[0]) * resource.getpagesize() if size.exists() else 0
    limit = used + megabytes * 2**20
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Serve until the pipe is closed."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is for the run, which closes the pipe when it is done
    source, sink = os.dup(0), os.dup(1)
    quiet = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):  # whatever a scorer prints or reads must not mix with the frames
        os.dup2(quiet, fd)
    setup = msgspec.msgpack.decode(read_frame(source), type=Setup)
    _end_with(setup.parent)
    _limit_memory(setup.memory_mb)
    worker = Worker(setup)
    write_frame(sink, b"ready")
    while data := read_frame(source):
        for index, name, item in ITEMS.decode(data):
            write_frame(sink, ENCODER.encode((index, worker.score(name, item))))


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        sys.exit(0)
