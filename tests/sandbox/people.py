"""Who runs: root, and an ordinary user with an interpreter that it may execute. Used by the hostile suites."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path

# setpriv itself may reach what the user cannot: only a second start tells.
_TRY = "import sys, subprocess; sys.exit(subprocess.run([sys.executable, '-c', 'import click']).returncode)"
ROOT = Path(__file__).resolve().parents[2]
UID = 61_234  # owns nothing on the host


@cache
def interpreter(who: str) -> tuple[str, ...]:
    """A command line that starts Python as `who`, or an empty one when that cannot be had here."""
    if who == "self":
        return (sys.executable,)
    if os.geteuid() != 0:
        return (sys.executable,) if who == "user" else ()
    if who == "root":
        return (sys.executable,)
    drop = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups")
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            done = subprocess.run(
                [*drop, python, "-c", _TRY], env=environment(), capture_output=True, timeout=60
            )
        except OSError:
            continue
        if done.returncode == 0:
            return (*drop, python)
    return ()


def environment() -> dict[str, str]:
    """What our packages need, for an interpreter that is not our own."""
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "PYTHONPATH": f"{ROOT / 'src'}:{sysconfig.get_paths()['purelib']}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        "HOME": "/nonexistent",
    }


def steelyard(who: str, *args: str, timeout: float = 120, **more: str) -> subprocess.CompletedProcess[bytes]:
    """Run a `steelyard` command line as `who`; `more` are environment variables."""
    argv = [*interpreter(who), "-m", "steelyard", *args]
    env = {**environment(), **more}
    return subprocess.run(argv, env=env, capture_output=True, timeout=timeout, cwd="/", check=False)
