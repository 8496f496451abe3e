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

_KEEP = 20
"""Workspaces whose base is kept; the one used longest ago goes first."""


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


def keep_base(workspace: Path, base: Snapshot) -> None:
    """Keep `base` as what `workspace` was; an earlier one is replaced."""
    store = store_for(workspace)
    shutil.rmtree(store.place / "objects", ignore_errors=True)
    store.save("base", base)
    others = sorted(store.place.parent.iterdir(), key=lambda p: p.stat().st_mtime, reverse=True)
    for old in others[_KEEP:]:
        shutil.rmtree(old, ignore_errors=True)
