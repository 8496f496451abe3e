"""Which interpreter runs hidden tests: one that has pytest, and what of the host it needs to be shown."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from steelyard.errors import UserError
from steelyard.sandbox.launch import interpreter
from steelyard.sandbox.profile import Mount

_ASK = (
    "import json, sys, importlib.util as u; "
    "print(json.dumps([sys.prefix, sys.base_prefix, u.find_spec('pytest') is not None, list(sys.version_info[:2])]))"
)


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter with pytest: its path inside, what must be mounted, and directories to import from."""

    path: str
    mounts: tuple[Mount, ...] = ()
    packages: tuple[str, ...] = ()


def find(wanted: str = "") -> Python:
    """The interpreter asked for, else our own, else the system's. Raises `UserError` when none has pytest."""
    spec = None if wanted else importlib.util.find_spec("pytest")
    if spec and spec.origin:
        packages = str(Path(spec.origin).resolve().parents[1])
        if _shown(packages):
            return Python(sys.executable)
        return Python(sys.executable, (Mount(packages),), (packages,))
    for candidate in [wanted] if wanted else ["/usr/bin/python3", "/usr/local/bin/python3"]:
        facts = _facts(candidate)
        if facts is not None:
            return Python(candidate, tuple(Mount(p) for p in dict.fromkeys(facts) if not _shown(p)))
    raise UserError(
        "no interpreter with pytest was found for the hidden tests",
        got=wanted or sys.executable,
        fix="install pytest into this environment, or name an interpreter that has it with --python",
    )


def _shown(place: str) -> bool:
    """Whether a directory is visible inside every sandbox anyway."""
    real = os.path.realpath(place)
    return any(real == top or real.startswith(top + "/") for top in ("/usr", *interpreter()))


def _facts(candidate: str) -> list[str] | None:
    try:
        done = subprocess.run([candidate, "-c", _ASK], env={}, capture_output=True, timeout=30, check=True)
        prefix, base, has_pytest, version = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return [prefix, base] if has_pytest and version >= [3, 11] else None
