"""Scoring with limits: what could hang or crash runs in a process of its own, which is killed and started again.

Scorers that are linear in the text run in the calling thread. For the others one process is started when the first item
comes (spawned, never forked: the caller may have threads) and kept. An item that takes too long is interrupted inside;
if that does not help the process is killed. The culprit becomes ungraded (`grader_timeout` or `grader_crashed`), and
the rest of its batch is scored by a new process.

Not covered: a scorer is not isolated from the disk or the network. It is the user's own code, without credentials in
its environment.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from steelyard.schema.score import Score, ungraded
from steelyard.scorers.base import Item, Scorer
from steelyard.scorers.worker import ANSWER, ENCODER, LENGTH, Setup, write_frame

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "VIRTUAL_ENV",
              "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # fmt: skip
_FRAME_ITEMS = 64
_FRAME_BYTES = 1 << 20

Entry = tuple[object, str, Item]
"""(the caller's key, name of the scorer, what to score)."""


@runtime_checkable
class Rebuildable(Protocol):
    """A scorer that another process can make again from its spec: everything that `build` gives."""

    spec: dict[str, object]
    base_dir: Path | None


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds an item may take (the first of a scorer: `load_seconds`, its modules are loaded then); memory in MB.

    `grace_seconds` pass between the interruption inside and the kill from outside.
    """

    seconds: float = 5.0
    memory_mb: int = 1024
    load_seconds: float = 30.0
    grace_seconds: float = 1.0


class ScoringPool:
    """Scores batches; may be used from any thread, one batch at a time."""

    def __init__(self, scorers: Mapping[str, Scorer], limits: Limits | None = None) -> None:
        self._scorers, self._limits = dict(scorers), limits or Limits()
        self._process: _Process | None = None
        self._lock = threading.Lock()

    def score_batch(self, batch: Sequence[Entry]) -> list[tuple[object, Score]]:
        """A score for every entry, in order. Raises KeyError for a scorer that the pool was not given."""
        scores: list[Score | None] = [None] * len(batch)
        remote: list[tuple[int, str, Item]] = []
        with self._lock:
            for i, (_, name, item) in enumerate(batch):
                scorer = self._scorers[name]
                if scorer.linear or not isinstance(scorer, Rebuildable):
                    scores[i] = _guarded(scorer, item)
                else:
                    remote.append((i, name, item))
            while remote:
                remote = self._send(remote, scores)
        return [(entry[0], score or _LOST) for entry, score in zip(batch, scores, strict=True)]

    def close(self) -> None:
        """End the process, if there is one. The pool can be used again."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def _send(
        self, entries: list[tuple[int, str, Item]], scores: list[Score | None]
    ) -> list[tuple[int, str, Item]]:
        """Have one frame of entries scored; gives what is left, a culprit excluded."""
        if self._process is None:
            try:
                self._process = _Process(self._setup(), self._limits)
            except (OSError, _EndedError) as e:
                for i, _, _ in entries:
                    scores[i] = ungraded("grader_crashed", f"the scoring process did not start: {e}")
                return []
        frame, n = _frame(entries)
        done = 0
        try:
            self._process.send(frame)
            while done < n:
                index, score = self._process.receive(entries[done][1])
                scores[index] = score
                done += 1
        except _EndedError as e:
            self._process.kill()
            self._process = None
            scores[entries[done][0]] = ungraded(e.cause, str(e))
            done += 1
        return entries[done:]

    def _setup(self) -> Setup:
        remote = {
            name: (s.spec, str(s.base_dir or ""))
            for name, s in self._scorers.items()
            if isinstance(s, Rebuildable) and not s.linear
        }
        limits = self._limits
        return Setup(remote, limits.seconds, limits.load_seconds, limits.memory_mb, os.getpid())


_LOST = ungraded("grader_crashed", "no answer")


def _guarded(scorer: Scorer, item: Item) -> Score:
    try:
        return scorer.score(item)
    except Exception as e:  # noqa: BLE001 - a defect of one scorer must not end the run
        return ungraded("grader_crashed", f"{type(e).__name__}: {e}"[:2000])


def _frame(entries: Sequence[tuple[int, str, Item]]) -> tuple[bytes, int]:
    """As many entries as a frame takes, encoded, and how many these are."""
    n, size = 0, 0
    while n < min(len(entries), _FRAME_ITEMS) and (n == 0 or size < _FRAME_BYTES):
        size += len(entries[n][2].reply.text)
        n += 1
    return ENCODER.encode(entries[:n]), n


class _EndedError(Exception):
    """The process gave no answer; `cause` is what that makes of the item at hand."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class _Process:
    """One scoring process and the bytes that came from it."""

    def __init__(self, setup: Setup, limits: Limits) -> None:
        self._limits = limits
        environ = {k: v for k, v in os.environ.items() if k in _PASSED_ON}
        environ["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
        environ["OPENBLAS_NUM_THREADS"] = "1"
        self._popen = subprocess.Popen(
            [sys.executable, "-X", "utf8", "-m", "steelyard.scorers.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environ,
            start_new_session=True,
        )
        self._end = weakref.finalize(self, _kill, self._popen)
        stdin, stdout = self._popen.stdin, self._popen.stdout
        assert stdin is not None
        assert stdout is not None
        self._in, self._out = stdin.fileno(), stdout.fileno()
        self._buffer = bytearray()
        self._loaded: set[str] = set()
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)
        self.send(ENCODER.encode(setup))
        try:
            self._next_frame(time.monotonic() + limits.load_seconds)
        except _EndedError:
            self.kill()
            raise

    def send(self, frame: bytes) -> None:
        """Write a frame; the process reads whenever it has answered everything."""
        try:
            write_frame(self._in, frame)
        except BrokenPipeError:
            raise self._ended() from None

    def receive(self, name: str) -> tuple[int, Score]:
        """The next answer, by the scorer `name`. Raises _EndedError when the process is gone, or hangs."""
        limits = self._limits
        patience = limits.seconds if name in self._loaded else max(limits.seconds, limits.load_seconds)
        answer = ANSWER.decode(self._next_frame(time.monotonic() + patience + limits.grace_seconds))
        self._loaded.add(name)
        return answer

    def kill(self) -> None:
        """End it and all that it started."""
        self._end()

    def _next_frame(self, deadline: float) -> bytes:
        while True:
            if len(self._buffer) >= LENGTH.size:
                end = LENGTH.size + LENGTH.unpack_from(self._buffer)[0]
                if len(self._buffer) >= end:
                    frame = bytes(self._buffer[LENGTH.size : end])
                    del self._buffer[:end]
                    return frame
            left = deadline - time.monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                seconds = self._limits.seconds
                raise _EndedError("grader_timeout", f"scoring took more than {seconds:g} s and was killed")
            piece = os.read(self._out, 1 << 16)
            if not piece:
                raise self._ended()
            self._buffer += piece

    def _ended(self) -> _EndedError:
        try:
            code = self._popen.wait(1.0)
        except subprocess.TimeoutExpired:
            code = 0
        why = signal.Signals(-code).name if code < 0 else f"code {code}"
        return _EndedError("grader_crashed", f"the scoring process ended ({why})")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and its group, and collect it."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
