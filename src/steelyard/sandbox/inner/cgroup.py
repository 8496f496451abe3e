"""Groups that the kernel counts: version 1 (one tree a controller, also mounted "hybrid") and version 2.

A group is made below the caller's own group, wherever that is mounted, and is named after the launcher
that made it, so that a reaper can tell whether its maker still lives. Not covered: machines where this
process may not make groups; there `Groups.find` returns None and the caller takes the softer rung.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREFIX = "steelyard-"
_NEEDED = ("memory", "pids", "cpu")
_PERIOD = 100_000  # microseconds: the kernel's own default for CPU quotas


@dataclass(frozen=True)
class Groups:
    """Where groups can be made: a directory for each controller (version 2: the same one for all)."""

    version: int
    roots: dict[str, str]

    @staticmethod
    def find(mounts: str = "/proc/self/mounts", own: str = "/proc/self/cgroup") -> Groups | None:
        """The caller's own groups, when memory, process and CPU limits can be set below them."""
        mounted = [line.split() for line in Path(mounts).read_text().splitlines()]
        lines = [line.split(":", 2) for line in Path(own).read_text().splitlines()]
        roots: dict[str, str] = {}
        for _, names, path in lines:
            for name in filter(None, names.split(",")):
                for row in mounted:
                    if row[2] == "cgroup" and name in row[3].split(","):
                        # In a container the mount shows the own group as its root.
                        whole = row[1] + path.rstrip("/")
                        roots[name] = whole if Path(whole).is_dir() else row[1]
        if all(name in roots and os.access(roots[name], os.W_OK) for name in _NEEDED):
            wanted = (*_NEEDED, "cpuacct")
            return Groups(1, {name: roots[name] for name in wanted if name in roots})
        return _find_v2(mounted, lines)

    def make(self, name: str) -> Group:
        """A new group, without limits yet."""
        paths = {c: f"{root}/{name}" for c, root in self.roots.items()}
        group = Group(self.version, paths)
        for path in dict.fromkeys(paths.values()):
            os.mkdir(path)
        return group

    def reap(self) -> list[str]:
        """Remove groups whose maker is dead, with every process left in them; returns their names."""
        gone = []
        for root in dict.fromkeys(self.roots.values()):
            for path in Path(root).glob(PREFIX + "*"):
                if not path.is_dir() or _maker_lives(path.name):
                    continue
                Group(self.version, {"any": str(path)}).remove(kill=True)
                gone.append(path.name)
        return sorted(set(gone))


@dataclass(frozen=True)
class Group:
    """One sandbox's group: a path for each controller."""

    version: int
    paths: dict[str, str]

    def limit(self, limits: dict[str, Any]) -> None:
        """Set processes, memory (hard and guaranteed) and CPU."""
        quota = int(limits["cpus"] * _PERIOD)
        if self.version == 1:
            self._set("memory", "memory.limit_in_bytes", limits["memory"])
            self._set("memory", "memory.soft_limit_in_bytes", limits["memory_guarantee"])
            with contextlib.suppress(OSError):  # kernels without swap accounting have no such file
                self._set("memory", "memory.memsw.limit_in_bytes", limits["memory"])
            with contextlib.suppress(OSError):
                self._set("memory", "memory.swappiness", 0)
            with contextlib.suppress(OSError):  # here buffers of TCP are counted apart, or by nobody
                self._set("memory", "memory.kmem.tcp.limit_in_bytes", limits["memory"] // 8)
            self._set("pids", "pids.max", limits["processes"] + 1)  # and process 1
            self._set("cpu", "cpu.cfs_period_us", _PERIOD)
            self._set("cpu", "cpu.cfs_quota_us", quota)
            return
        self._set("memory", "memory.max", limits["memory"])
        self._set("memory", "memory.low", limits["memory_guarantee"])
        with contextlib.suppress(OSError):
            self._set("memory", "memory.swap.max", 0)
        self._set("pids", "pids.max", limits["processes"] + 1)
        self._set("cpu", "cpu.max", f"{quota} {_PERIOD}")

    def _set(self, controller: str, name: str, value: object) -> None:
        fd = os.open(f"{self.paths[controller]}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, str(value).encode())
        finally:
            os.close(fd)

    def _get(self, controller: str, name: str) -> str:
        with open(f"{self.paths.get(controller, '/nonexistent')}/{name}", "rb") as f:
            return f.read().decode()

    def enter(self, pid: int) -> None:
        """Move a process in; what it starts later is born inside."""
        for path in dict.fromkeys(self.paths.values()):
            fd = os.open(f"{path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, str(pid).encode())
            finally:
                os.close(fd)

    def cpu_s(self) -> float:
        """CPU seconds used by all that ever ran inside."""
        if self.version == 1:
            return int(self._get("cpuacct", "cpuacct.usage")) / 1e9
        return int(_field(self._get("cpu", "cpu.stat"), "usage_usec")) / 1e6

    def facts(self) -> dict[str, Any]:
        """What happened inside: peak memory, kills for memory, forks refused, CPU seconds."""
        facts: dict[str, Any] = {}
        one = self.version == 1
        peak, events = (
            ("memory.max_usage_in_bytes", "memory.oom_control") if one else ("memory.peak", "memory.events")
        )
        with contextlib.suppress(OSError, ValueError):
            facts["memory_peak"] = int(self._get("memory", peak))
        with contextlib.suppress(OSError, ValueError):
            facts["oom_kills"] = int(_field(self._get("memory", events), "oom_kill"))
        with contextlib.suppress(OSError, ValueError):
            facts["forks_refused"] = int(_field(self._get("pids", "pids.events"), "max"))
        with contextlib.suppress(OSError, ValueError):
            facts["cpu_s"] = self.cpu_s()
        return facts

    def remove(self, *, kill: bool = False) -> bool:
        """Remove the group; True when nothing is left. The kernel needs a moment after the last death."""
        left = list(dict.fromkeys(self.paths.values()))
        for _ in range(50 if kill else 1):
            left = [path for path in left if not _gone(path, kill=kill)]
            if not left:
                return True
            if kill:
                time.sleep(0.01)
        return not left


def _gone(path: str, *, kill: bool) -> bool:
    try:
        if kill:
            for pid in Path(path, "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), 9)
        Path(path).rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _field(text: str, name: str) -> str:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return value
    raise ValueError(name)


def _maker_lives(name: str) -> bool:
    """Whether the process that a group is named after (pid, start time) still runs."""
    try:
        pid, started = name.removeprefix(PREFIX).split("-")[:2]
        return start_time(int(pid)) == int(started)
    except (ValueError, OSError):
        return False


def start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot: tells a reused pid from the first owner."""
    raw = Path(f"/proc/{pid}/stat").read_text()
    return int(raw.rpartition(") ")[2].split()[19])


def _find_v2(mounted: list[list[str]], lines: list[list[str]]) -> Groups | None:
    base = next((row[1] for row in mounted if row[2] == "cgroup2"), None)
    path = next((path for number, names, path in lines if number == "0" and not names), None)
    if base is None or path is None:
        return None
    own = Path(base + path.rstrip("/"))
    # A group that holds processes cannot give controllers to children, so look also at its parent: a
    # delegated tree lets us make a sibling there.
    for place in (own, own.parent):
        with contextlib.suppress(OSError):
            given = (place / "cgroup.subtree_control").read_text().split()
            if set(_NEEDED) <= set(given) and os.access(place, os.W_OK):
                return Groups(2, dict.fromkeys(_NEEDED, str(place)))
    return None
