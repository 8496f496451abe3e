"""Proves each protection by trying to break it, in three small sandboxes, in about a fifth of a second.

The answer is a table of (protection, held, detail). Everything that relies on isolation asks `choose`, which
asks here, and fails closed: a protection that does not hold is an error, not a warning.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.errors import SandboxError
from steelyard.sandbox.base import Ended, Rung
from steelyard.sandbox.box import Namespaces, probe
from steelyard.sandbox.inner import linux as lx
from steelyard.sandbox.profile import MIB, Limits, Profile

if TYPE_CHECKING:
    from collections.abc import Mapping

_SMALL = Limits(
    processes=12,
    memory=256 * MIB,
    memory_guarantee=0,
    wall_s=20.0,
    workspace=MIB,
    workspace_inodes=64,
    tmp=MIB,
    tmp_inodes=64,
)
_SPIN_S = 0.05
_SAMPLED = ("memory", "cores")  # where no cgroup counts
_TIGHT = 48 * MIB  # as little as an interpreter's fork leaves room in
_WHAT = {
    "uid": "another uid than root",
    "capabilities": "no capabilities, no new privileges",
    "secret": "no file of the host beyond the allow-list",
    "outside": "nothing outside can be written",
    "knobs": "kernel settings are read-only",
    "processes": "no process of the host is visible",
    "trace": "no other process's memory",
    "namespaces": "no new namespaces",
    "mounts": "no mounts",
    "setid": "no set-id programs",
    "sockets": "no sockets that ignore namespaces",
    "keyring": "no kernel keyrings",
    "network": "no network",
    "loopback": "no port of the host",
    "abstract": "no socket of the host",
    "forks": "limit on processes",
    "disk": "quota of bytes",
    "inodes": "quota of files",
    "memory": "limit on memory of all kinds",
    "cores": "limit on processor cores",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One protection, tried. `soft`: held, but by sampling."""

    name: str
    what: str
    held: bool
    detail: str = ""
    soft: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What this machine gives. `rung` is None when the namespaces could not be had or did not hold."""

    rung: Rung | None
    checks: tuple[Check, ...]
    why: str = ""

    @property
    def broken(self) -> tuple[Check, ...]:
        """What did not hold."""
        return tuple(c for c in self.checks if not c.held)


@cache
def self_check() -> Report:
    """Try everything once for this process."""
    why = lx.supported()
    if why:
        return Report(None, (), why)
    try:
        try:
            sandbox, found = Namespaces(), _try_all()
        except SandboxError:  # once more: a launcher that another process killed says nothing of this machine
            sandbox, found = Namespaces(), _try_all()
    except (SandboxError, OSError) as e:
        return Report(None, (), f"{e}{_hint()}")
    soft = sandbox.rung is Rung.USER
    checks = tuple(
        Check(
            name,
            what,
            not found.get(name, "not tried"),
            found.get(name, "not tried"),
            soft and name in _SAMPLED,
        )
        for name, what in _WHAT.items()
    )
    broken = [c.name for c in checks if not c.held]
    return Report(
        None if broken else sandbox.rung, checks, f"did not hold: {', '.join(broken)}" if broken else ""
    )


def _try_all() -> dict[str, str]:
    with (
        socket.socket() as tcp,
        socket.socket(socket.AF_UNIX) as unix,
        tempfile.TemporaryDirectory() as place,
    ):
        tcp.bind(("127.0.0.1", 0))
        tcp.listen(4)
        name = f"steelyard-{secrets.token_hex(8)}"
        unix.bind("\0" + name)
        unix.listen(4)
        secret = Path(place, "secret")
        secret.write_text("x", encoding="utf-8")
        asked: dict[str, Any] = dict.fromkeys(_WHAT)
        del asked["memory"], asked["cores"]
        asked |= {
            "secret": str(secret),
            "outside": ["/", "/usr", "/etc", "/proc", "/home", "/run", str(place)],
            "processes": os.getppid(),
            "loopback": tcp.getsockname()[1],
            "abstract": name,
            "forks": _SMALL.processes,
            "disk": ["/workspace", _SMALL.workspace],
            "inodes": ["/workspace", _SMALL.workspace_inodes],
        }
        found = _ask(asked) | _ask({"cores": _SPIN_S}, replace(_SMALL, cpus=0.25))
    tight = replace(_SMALL, memory=_TIGHT)
    eaten = probe(Profile(limits=tight), {"memory": 2 * _TIGHT})
    if eaten.ended is not Ended.MEMORY and eaten.stdout:
        found["memory"] = json.loads(eaten.stdout)["memory"]
    else:
        found["memory"] = "" if eaten.ended is Ended.MEMORY else f"the eater ended as {eaten.ended.value}"
    return found


def _ask(asked: Mapping[str, Any], limits: Limits = _SMALL) -> dict[str, str]:
    result = probe(Profile(limits=limits), asked)
    if not result.ok:
        raise SandboxError(f"the self-check did not end well: {result.ended.value} {result.fault}")
    answer: dict[str, str] = json.loads(result.stdout)
    return answer


def _hint() -> str:
    """What usually forbids namespaces, when it shows."""
    hints = {
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": ("1", "AppArmor restricts user namespaces"),
        "/proc/sys/user/max_user_namespaces": ("0", "user namespaces are switched off"),
        "/proc/sys/kernel/unprivileged_userns_clone": ("0", "user namespaces are for root only"),
    }
    for path, (value, text) in hints.items():
        try:
            if Path(path).read_text(encoding="ascii").strip() == value:
                return f" ({text}: {path} is {value})"
        except OSError:
            continue
    inside = os.path.exists("/.dockerenv")
    return " (in a container, user namespaces are usually forbidden by its runtime)" if inside else ""
