"""What a sandbox is to be: limits, mounts, network, workspace. Frozen values; nothing here does anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.errors import UserError

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard limits of one sandbox, for all its processes together, and one soft guarantee.

    `memory` is the hard kill: anonymous memory, memfd and files in memory (workspace, /tmp, /dev/shm).
    `memory_guarantee` is what the machine must be able to give; both are recorded with every result,
    since a score moves when either does. `wall_s` and `cpu_s` of None mean no limit.
    """

    processes: int = 256
    memory: int = 512 * MIB
    memory_guarantee: int = 128 * MIB
    cpus: float = 1.0
    wall_s: float | None = 600.0
    cpu_s: float | None = None
    workspace: int = 256 * MIB
    workspace_inodes: int = 20_000
    tmp: int = 64 * MIB
    tmp_inodes: int = 8_000
    output: int = 16 * MIB
    open_files: int = 1024

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is None or (name == "memory_guarantee" and value == 0):
                continue
            if not value > 0:
                raise UserError(f"limit {name} must be above 0", got=repr(value))
        if self.memory_guarantee > self.memory:
            raise UserError(
                "the guaranteed memory is above the hard limit",
                got=f"memory_guarantee={self.memory_guarantee}, memory={self.memory}",
                fix="raise memory or lower memory_guarantee",
            )

    def as_dict(self) -> dict[str, Any]:
        """Every limit by name, for the record."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Mount:
    """A host file or directory shown inside, read-only, at `target` (default: the same path)."""

    source: str
    target: str = ""

    @property
    def inside(self) -> str:
        """Where it appears."""
        return self.target or self.source


@dataclass(frozen=True, slots=True)
class Profile:
    """One sandbox.

    `base` is the tree that the workspace starts from: copied in, or, with `overlay`, a read-only lower
    layer of any size over which changes are kept within the quota. `listen` are ports on the inside's
    loopback whose listening sockets are handed to the owner (`Box.listeners`). `decoys` are empty
    directories where hidden files might be looked for: opening one is counted (`Usage.decoys`). `env` is all of the
    environment besides a plain PATH, HOME, LANG and TMPDIR; nothing is inherited.
    """

    limits: Limits = field(default_factory=Limits)
    mounts: tuple[Mount, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    base: Path | None = None
    overlay: bool = False
    workdir: str = "/workspace"
    listen: tuple[int, ...] = ()
    decoys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for place in (self.workdir, *self.decoys, *(m.inside for m in self.mounts)):
            if not place.startswith("/") or ".." in place.split("/") or place.rstrip("/") == "":
                raise UserError(
                    "a place inside the sandbox must be an absolute path below /",
                    got=place,
                    fix="use for example /workspace or /opt/data",
                )
        for mount in self.mounts:
            if not mount.source.startswith("/"):
                raise UserError("a mount needs an absolute host path", got=mount.source)
