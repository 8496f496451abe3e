"""A profile in, an isolated process out: mounts, limits, egress, hidden files, collected outputs.

Does not know what it runs, nor what a task is; imports nothing of ours but `errors` and `unknown`.
Anyone above may import it. Names are loaded when first used: the launcher process, which is forked for
every sandbox, must stay small.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steelyard.sandbox.base import Box, Ended, Result, Rung, Sandbox
    from steelyard.sandbox.collecting import collect
    from steelyard.sandbox.patches import diff
    from steelyard.sandbox.profile import Limits, Mount, Profile
    from steelyard.sandbox.rungs import choose
    from steelyard.sandbox.shell import Shell

__all__ = [
    "Box",
    "Ended",
    "Limits",
    "Mount",
    "Profile",
    "Result",
    "Rung",
    "Sandbox",
    "Shell",
    "choose",
    "collect",
    "diff",
]

_HOME = {
    "Box": "base",
    "Ended": "base",
    "Limits": "profile",
    "Mount": "profile",
    "Profile": "profile",
    "Result": "base",
    "Rung": "base",
    "Sandbox": "base",
    "Shell": "shell",
    "choose": "rungs",
    "collect": "collecting",
    "diff": "patches",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"steelyard.sandbox.{_HOME[name]}"), name)
