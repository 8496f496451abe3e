"""Where the base of a workspace is kept between `sandbox run` and `sandbox diff`: the user's state directory."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from steelyard.errors import UserError
from steelyard.sandbox.snapshot import Snapshot, Store

_STAGED, _SIZE = ".staged", "size"
_KEEP, _KEEP_SMALL, _ROOM = 20, 500, 1 << 30
"""Workspaces whose base is kept, the latest first: 20 of any size, and up to 500 within a gigabyte in all."""


def state_directory() -> Path:
    """`$STEELYARD_STATE`, else the XDG state directory, else a private one below the temporary directory."""
    named = os.environ.get("STEELYARD_STATE")
    if named:
        return Path(named)
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    for place in (Path(home, "steelyard"), Path(tempfile.gettempdir(), f"steelyard-{os.geteuid()}")):
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        info = place.lstat()
        # Another user could have made the one below the temporary directory.
        if stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid() and os.access(place, os.W_OK):
            return place
    raise UserError(
        "there is no place to keep the base of a workspace", fix="set STEELYARD_STATE to a directory"
    )


def store_for(workspace: Path) -> Store:
    """The store of one workspace directory, by its real path."""
    name = hashlib.sha256(os.fsencode(os.path.realpath(workspace))).hexdigest()[:24]
    return Store(state_directory() / "bases" / name)


def stage_base(workspace: Path, base: Snapshot) -> Path:
    """Put `base` by, content and all, before anything can change it; `keep_base` makes it the kept one."""
    place = store_for(workspace).place
    staged = place.with_name(f"{place.name}.{os.getpid()}{_STAGED}")
    shutil.rmtree(staged, ignore_errors=True)
    Store(staged).save("base", base)
    (staged / _SIZE).write_text(str(sum(item.size for item in base.items.values())))
    return staged


def keep_base(workspace: Path, staged: Path) -> None:
    """What was put by is now what `workspace` was; an earlier one is replaced."""
    place = store_for(workspace).place
    for _ in range(20):  # another run on the same directory may be doing the same
        shutil.rmtree(place, ignore_errors=True)
        try:
            staged.rename(place)
        except OSError:
            continue
        break
    drop_base(staged)
    others = [p for p in place.parent.iterdir() if not p.name.endswith(_STAGED)]
    _prune(sorted(others, key=_used, reverse=True) if len(others) > _KEEP else [])


def _prune(places: list[Path]) -> None:
    total = 0
    for i, place in enumerate(places):
        try:
            total += int((place / _SIZE).read_text())
        except (OSError, ValueError):
            total += _ROOM
        if i >= _KEEP and (i >= _KEEP_SMALL or total > _ROOM):
            shutil.rmtree(place, ignore_errors=True)


def drop_base(staged: Path) -> None:
    """Forget what was put by, and what killed runs put by before."""
    shutil.rmtree(staged, ignore_errors=True)
    for left in staged.parent.glob(f"*{_STAGED}"):
        pid = left.name.removesuffix(_STAGED).rpartition(".")[2]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(left, ignore_errors=True)


def _used(place: Path) -> float:
    try:
        return place.stat().st_mtime
    except OSError:
        return 0.0  # another run has just replaced it
