"""Directories of a process on the host that go with it: removed at its end, or by the next one after a kill."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "steelyard-scratch-"
_LOCK = ".alive"
_held: dict[Path, int] = {}
"""The locks of this process's directories."""


def scratch(purpose: str) -> Path:
    """A new private directory for this process. A lock inside tells others that its owner lives."""
    _reap()
    place = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{purpose}-"))
    held = os.open(place / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(held, fcntl.LOCK_EX)
    _held[place] = held
    atexit.register(drop, place, os.getpid())
    inside = place / "d"
    inside.mkdir()
    return inside


def drop(place: Path, owner: int | None = None) -> None:
    """Remove a directory made by `scratch`, or what it was made in. A forked child leaves it alone."""
    if owner is None or owner == os.getpid():
        top = place if place.name.startswith(_PREFIX) else place.parent
        shutil.rmtree(top, ignore_errors=True)
        held = _held.pop(top, None)
        if held is not None:
            os.close(held)


def _reap() -> None:
    """Remove what killed processes left: theirs is the lock that nobody holds."""
    for place in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if place.is_symlink() or place.lstat().st_uid != os.geteuid():
                continue
            fd = os.open(place / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue  # being made, being removed, or not ours
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # its owner lives
        else:
            shutil.rmtree(place, ignore_errors=True)
        finally:
            os.close(fd)
