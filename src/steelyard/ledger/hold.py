"""An exclusive hold on a name by `flock`: given back by the system when the process ends, also by kill -9.

Not covered: network file systems without working locks (use PostgreSQL there), and Windows.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

_lock = threading.Lock()
_open_files: set[int] = set()
_fork_hook: list[bool] = []


def _forget_in_child() -> None:
    """A forked child must not keep its parent's holds alive after the parent is gone."""
    for fd in _open_files:
        os.close(fd)
    _open_files.clear()


class FileHold:
    """A hold on a file. Made by `take`."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path, self._fd = path, fd

    def release(self) -> None:
        """Give it up and remove the file; safe to call twice."""
        with _lock:
            if self._fd < 0 or self._fd not in _open_files:
                return
            self._path.unlink(missing_ok=True)
            _open_files.discard(self._fd)
            os.close(self._fd)
            self._fd = -1


def take(path: Path, patience_s: float = 0.3) -> FileHold | None:
    """Take the hold, or None when somebody has it. Waits a little, since `is_taken` takes it for an instant."""
    deadline = time.monotonic() + patience_s
    while True:
        fd = _try(path)
        if fd is not None:
            with _lock:
                if not _fork_hook:
                    os.register_at_fork(after_in_child=_forget_in_child)
                    _fork_hook.append(True)
                _open_files.add(fd)
            return FileHold(path, fd)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.02)


def is_taken(path: Path) -> bool:
    """True while somebody has the hold."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def _try(path: Path) -> int | None:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        # the former holder removes its file: a lock on a removed file guards nothing
        try:
            if os.fstat(fd).st_ino == path.stat().st_ino:
                return fd
        except FileNotFoundError:
            pass
        os.close(fd)
