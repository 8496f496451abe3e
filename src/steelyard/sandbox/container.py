"""The rung `container`: Docker or Podman, driven through its command line. For machines that forbid namespaces.

Held by the engine: memory, processes, CPU, capabilities, its own filter, no network, quota of bytes and inodes of
the workspace (tmpfs). Not covered: CPU time, `listen` (a container's loopback cannot be handed out), overlays,
counts of network attempts. Isolation is as good as the engine's set-up, which is not proven here: what is
tried at `open` is only that the engine runs the image.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from typing import TYPE_CHECKING

from steelyard.errors import SandboxError
from steelyard.sandbox.base import Command, Ended, Result, Rung, Usage
from steelyard.sandbox.driven import Driven, follow
from steelyard.sandbox.pump import ENVIRONMENT, pipes
from steelyard.sandbox.tree import Tree
from steelyard.unknown import Unknown

if TYPE_CHECKING:
    from steelyard.sandbox.profile import Profile

_ID = 1000


def engine() -> str:
    """`podman` or `docker`, whichever is here and answers; an empty string when none does."""
    for name in ("podman", "docker"):
        if shutil.which(name):
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                subprocess.run([name, "info"], capture_output=True, timeout=20, check=True)
                return name
    return ""


def arguments(program: str, name: str, image: str, profile: Profile) -> list[str]:
    """The command line that starts a waiting container with every limit of the profile."""
    limits = profile.limits
    owned = f"uid={_ID},gid={_ID},exec,nosuid,nodev"
    work = (
        f"{profile.workdir}:rw,size={limits.workspace},nr_inodes={limits.workspace_inodes},mode=755,{owned}"
    )
    argv = [
        program,
        "run",
        "--detach",
        "--rm",
        "--init",
        "--name",
        name,
        "--network",
        "none",
        "--hostname",
        "box",
    ]
    argv += ["--memory", str(limits.memory), "--memory-swap", str(limits.memory)]
    if limits.memory_guarantee:
        argv += ["--memory-reservation", str(limits.memory_guarantee)]
    argv += ["--pids-limit", str(limits.processes + 2), "--cpus", str(limits.cpus)]
    argv += [
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
        "--read-only",
        "--user",
        f"{_ID}:{_ID}",
    ]
    argv += ["--ulimit", "core=0", "--ulimit", f"nofile={limits.open_files}", "--ipc", "private"]
    argv += ["--shm-size", str(limits.tmp), "--workdir", profile.workdir, "--tmpfs", work]
    argv += [
        "--tmpfs",
        f"/tmp:rw,size={limits.tmp},nr_inodes={limits.tmp_inodes},mode=1777,exec,nosuid,nodev",
    ]
    for mount in profile.mounts:
        argv += ["--volume", f"{os.path.realpath(mount.source)}:{mount.inside}:ro"]
    return [*argv, "--entrypoint", "sleep", image, "infinity"]


class ContainerBox(Driven):
    """A running container. The workspace is fetched when it is asked for."""

    rung = Rung.CONTAINER

    def __init__(self, program: str, image: str, profile: Profile) -> None:
        if profile.listen or profile.overlay or profile.decoys or profile.limits.cpu_s:
            raise SandboxError("the container rung has no listeners, overlays, decoys or limit of CPU time")
        self.profile, self._program = profile, program
        self.name = f"steelyard-{os.getpid()}-{secrets.token_hex(6)}"
        self.listeners: dict[int, socket.socket] = {}
        self._place = tempfile.mkdtemp(prefix="steelyard-container-")
        self._tree: Tree | None = None
        self._alive = True
        self._call(arguments(program, self.name, image, profile))
        if profile.base:
            self._send(Tree.at(profile.base))

    def _call(self, argv: list[str], stdin: bytes | None = None) -> bytes:
        try:
            done = subprocess.run(argv, input=stdin, capture_output=True, timeout=300, check=False)
        except (OSError, subprocess.SubprocessError) as e:
            raise SandboxError(f"{argv[0]} {argv[1]} failed: {e}") from e
        if done.returncode:
            raise SandboxError(
                f"{argv[0]} {argv[1]} failed: {done.stderr.decode(errors='replace').strip()[-500:]}"
            )
        return done.stdout

    def _send(self, source: Tree) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for entry in source.walk():
                info = tarfile.TarInfo(entry.path)
                info.mode, info.uid, info.gid = entry.mode, _ID, _ID
                info.type = {"dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}.get(entry.kind, tarfile.REGTYPE)
                info.linkname = entry.target
                data = source.read(entry.path) if entry.kind == "file" else b""
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        source.close()
        argv = [self._program, "exec", "--interactive", self.name, "tar", "-x", "-C", self.profile.workdir]
        self._call(argv, packed.getvalue())

    @property
    def workspace(self) -> Tree:
        """A copy of the workspace as it is now (after `close`, as it was then)."""
        if self._alive:
            self._fetch()
        if self._tree is None:
            raise SandboxError("the container has ended, and its workspace with it")
        return self._tree

    def _fetch(self) -> None:
        raw = self._call([self._program, "exec", self.name, "tar", "-c", "-C", self.profile.workdir, "."])
        shutil.rmtree(self._place, ignore_errors=True)
        os.mkdir(self._place, 0o700)
        with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
            for member in tar:
                # Links and devices are judged by whoever reads the tree; nothing is followed or made here
                # that the filter of the standard library refuses.
                with contextlib.suppress(tarfile.FilterError, OSError):
                    tar.extract(member, self._place, filter="data")
        if self._tree is not None:
            self._tree.close()
        self._tree = Tree.at(self._place)

    def execute(self, command: Command) -> Result:
        """Run one command to its end; at a limit the whole container is killed."""
        limits, started = self.profile.limits, time.monotonic()
        env = {**ENVIRONMENT, **dict(self.profile.env), **dict(command.env)}
        argv = [self._program, "exec", "--interactive", "--workdir", command.cwd or self.profile.workdir]
        argv += [part for pair in env.items() for part in ("--env", "=".join(pair))]
        streams, fds = pipes(command, command.output or limits.output)
        process = subprocess.Popen(
            [*argv, self.name, *command.argv],
            stdin=fds[0],
            stdout=fds[1],
            stderr=fds[2],
            start_new_session=True,
        )
        for fd in fds:
            os.close(fd)
        ended = follow(process, streams, command.wall_s or limits.wall_s, started)
        if ended is not Ended.EXITED:
            self.close()
        code = process.wait()
        if ended is Ended.EXITED and code == 137 and self._oom():
            ended = Ended.MEMORY
        out, err = streams.close()
        unknown = Unknown("not counted on the container rung")
        usage = Usage(time.monotonic() - started, unknown, unknown, unknown, unknown, 0, soft=False)
        killed = code - 128 if code > 128 else None
        status = code if ended is Ended.EXITED and killed is None else None
        return Result(ended, status, killed, out, err, usage, self.rung, limits)

    def _oom(self) -> bool:
        with contextlib.suppress(SandboxError):
            argv = [self._program, "exec", self.name, "cat", "/sys/fs/cgroup/memory.events"]
            return b"oom_kill 0" not in self._call(argv)
        return True  # the container itself is gone

    def close(self) -> None:
        """Fetch the workspace a last time and kill the container."""
        if not self._alive:
            return
        with contextlib.suppress(SandboxError):
            self._fetch()
        self._alive = False
        with contextlib.suppress(SandboxError):
            self._call([self._program, "rm", "--force", self.name])

    def release(self) -> None:
        """Close, and drop the copy of the workspace."""
        self.close()
        if self._tree is not None:
            self._tree.close()
        shutil.rmtree(self._place, ignore_errors=True)


class Container:
    """Docker or Podman with one image."""

    rung = Rung.CONTAINER

    def __init__(self, program: str, image: str) -> None:
        self.program, self.image = program, image

    def open(self, profile: Profile, *, oneshot: bool = False) -> ContainerBox:
        """A container that waits for commands."""
        return ContainerBox(self.program, self.image, profile)

    def once(self, profile: Profile, command: Command) -> Result:
        """One command in a container of its own."""
        with ContainerBox(self.program, self.image, profile) as box:
            return box.execute(command)
