"""The rung `container`: Docker or Podman, driven through its command line. For machines that forbid namespaces.

Held by the engine: memory, processes, CPU, capabilities, its own filter, no network, quota of bytes and inodes of
the workspace and of /tmp. The image needs `sh`, `cat`, `env`, `mkdir` and `tar`, and is never pulled. Not covered:
CPU time, `listen` (a container's loopback cannot be handed out), overlays, counts of network attempts, volumes that
a Docker image declares. Isolation is as good as the engine's set-up, which is not proven here: what is tried at
`open` is only that the engine runs the image.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import secrets
import select
import shutil
import socket
import subprocess
import tarfile
import time
from typing import TYPE_CHECKING

from steelyard.errors import SandboxError
from steelyard.sandbox.base import Command, Ended, Result, Rung, Usage
from steelyard.sandbox.driven import Driven, follow
from steelyard.sandbox.inner.cgroup import start_time
from steelyard.sandbox.pump import ENVIRONMENT, pipes
from steelyard.sandbox.scratch import drop, scratch
from steelyard.sandbox.snapshot import copy_in
from steelyard.sandbox.tree import Caps, Tree, over
from steelyard.unknown import Unknown

if TYPE_CHECKING:
    from steelyard.sandbox.profile import Profile

_ID = 1000
_START_S = 60.0
_LABEL = "steelyard.maker"
_PAGE = 4096
_PROCESSES = 30_000  # of one uid, over the whole machine: podman would ask for more than it may have
# Ends with its input, hence with the process that holds the other end, however that one dies.
_WAIT = 'mkdir -m 700 /tmp/home; echo "$1" > "$0/.$1"; echo "$1"; exec cat > /dev/null'
_OOM = "cat /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control 2> /dev/null; true"


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
    argv = f"{program} run --interactive --rm --init --pull never --network none --hostname box".split()
    argv += ["--name", name, "--label", f"{_LABEL}={_maker()}"]
    argv += ["--memory", str(limits.memory), "--memory-swap", str(limits.memory)]
    if limits.memory_guarantee:
        argv += ["--memory-reservation", str(limits.memory_guarantee)]
    argv += ["--pids-limit", str(limits.processes + 2), "--cpus", str(limits.cpus)]
    argv += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only"]
    argv += ["--user", f"{_ID}:{_ID}", "--ulimit", "core=0", "--ulimit", f"nofile={limits.open_files}"]
    argv += ["--ipc", "private", "--shm-size", str(limits.tmp), "--workdir", profile.workdir]
    for target, options in _places(profile).items():
        if program == "podman":  # its --tmpfs knows no inodes, its volumes do
            argv += ["--volume", f"{_volume(name, target)}:{target}"]
        else:
            argv += ["--tmpfs", f"{target}:rw,exec,nosuid,nodev,{options}"]
    if program == "podman":
        hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        most = _PROCESSES if hard == resource.RLIM_INFINITY else min(hard, _PROCESSES)
        argv += ["--ulimit", f"nproc={most}", "--read-only-tmpfs=false", "--image-volume", "ignore"]
        argv += ["--http-proxy=false"]
    for mount in profile.mounts:
        argv += ["--volume", f"{os.path.realpath(mount.source)}:{mount.inside}:ro"]
    return [*argv, "--entrypoint", "sh", image, "-c", _WAIT, profile.workdir]


def _places(profile: Profile) -> dict[str, str]:
    """What can be written, with the options of its tmpfs; the size in pages, which every engine passes on."""
    limits = profile.limits
    sizes = {
        profile.workdir: (limits.workspace, limits.workspace_inodes, 755),
        "/tmp": (limits.tmp, limits.tmp_inodes, 1777),
    }
    return {
        target: f"nr_blocks={-(-size // _PAGE)},nr_inodes={inodes},mode={mode},uid={_ID},gid={_ID}"
        for target, (size, inodes, mode) in sizes.items()
    }


def _volume(name: str, target: str) -> str:
    return f"{name}-{target.strip('/').replace('/', '-')}"


def _maker() -> str:
    return f"{os.getpid()}-{start_time(os.getpid())}"


def _call(argv: list[str], stdin: bytes | None = None) -> bytes:
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=300, check=False)
    except (OSError, subprocess.SubprocessError) as e:
        raise SandboxError(f"{argv[0]} {argv[1]} failed: {e}") from e
    if done.returncode:
        raise SandboxError(f"{argv[0]} {argv[1]} failed: {_last(done.stderr)}")
    return done.stdout


def _last(text: bytes) -> str:
    return text.decode(errors="replace").strip()[-500:]


def reap(program: str) -> None:
    """Remove containers and volumes whose maker has died; those in use stay."""
    for kind, remove in (("ps --all", "rm --force"), ("volume ls", "volume rm")):
        ask = "index .Labels" if program == "podman" else ".Label"
        shown = "{{" + f'{ask} "{_LABEL}"' + "}}"
        name = "{{.Names}}" if kind.startswith("ps") else "{{.Name}}"
        listing = [program, *kind.split(), "--filter", f"label={_LABEL}", "--format", f"{shown} {name}"]
        with contextlib.suppress(SandboxError):
            for line in _call(listing).decode().splitlines():
                maker, _, found = line.partition(" ")
                if not _lives(maker):
                    with contextlib.suppress(SandboxError):
                        _call([program, *remove.split(), found])


def _lives(maker: str) -> bool:
    pid, _, started = maker.partition("-")
    try:
        return start_time(int(pid)) == int(started)
    except (OSError, ValueError, IndexError):
        return False


class ContainerBox(Driven):
    """A running container. As root its workspace is held by handle, else it is fetched when it is asked for."""

    rung = Rung.CONTAINER

    def __init__(self, program: str, image: str, profile: Profile) -> None:
        if profile.listen or profile.overlay or profile.decoys or profile.limits.cpu_s:
            raise SandboxError("the container rung has no listeners, overlays, decoys or limit of CPU time")
        self.profile, self._program = profile, program
        self.name = f"steelyard-{os.getpid()}-{secrets.token_hex(6)}"
        self.listeners: dict[int, socket.socket] = {}
        self._place = scratch("container")
        self._tree: Tree | None = None
        self._by_handle = False
        self._client: subprocess.Popen[bytes] | None = None
        self._alive = True
        try:
            self._start(image)
            if profile.base:
                with contextlib.closing(Tree.at(profile.base)) as source:
                    self._send(source)
        except BaseException:
            self.release()
            raise

    def _start(self, image: str) -> None:
        if self._program == "podman":
            for target, options in _places(self.profile).items():
                made = f"{self._program} volume create --label {_LABEL}={_maker()} --opt type=tmpfs"
                made += f" --opt device=tmpfs --opt o={options},nosuid,nodev {_volume(self.name, target)}"
                _call(made.split())
        word = secrets.token_hex(8)
        argv = [*arguments(self._program, self.name, image, self.profile), word]
        pipe = subprocess.PIPE
        self._client = subprocess.Popen(
            argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, cwd=self._place.parent
        )
        said = self._client.stdout
        ready = said is not None and select.select([said], [], [], _START_S)[0]
        if said is None or not ready or said.readline().decode().strip() != word:
            self._client.kill()
            why = _last(self._client.communicate()[1]) or f"nothing within {_START_S:.0f} s"
            raise SandboxError(f"{self._program} run failed: {why}")
        self._hold(word)

    def _hold(self, word: str) -> None:
        """Take the workspace by handle, through its first process, when that is one of this machine and ours to see."""
        pid = _call([self._program, "inspect", "--format", "{{.State.Pid}}", self.name]).decode().strip()
        mark = f".{word}"
        with contextlib.suppress(OSError):
            fd = os.open(
                f"/proc/{pid}/root{self.profile.workdir}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            )
            info = os.fstat(fd)
            tree = Tree(fd, identity=(info.st_uid, info.st_gid))
            # The word tells that it is the same directory: an engine may count processes of another machine.
            if os.geteuid() == 0 and mark in os.listdir(fd):
                self._tree, self._by_handle = tree, True
                tree.remove(mark)
                return
            tree.close()
        self._exec("rm", f"{self.profile.workdir}/{mark}")

    def _exec(self, *argv: str, stdin: bytes | None = None) -> bytes:
        more = ["--interactive"] if stdin is not None else []
        return _call([self._program, "exec", *more, self.name, *argv], stdin)

    def _send(self, source: Tree) -> None:
        limits, skipped = self.profile.limits, list[tuple[str, str]]()
        caps = Caps(limits.workspace_inodes, limits.workspace, limits.workspace)
        try:
            if self._by_handle and self._tree is not None:
                skipped = copy_in(source, self._tree, caps)
            else:
                self._exec("tar", "-x", "-C", self.profile.workdir, stdin=_packed(source, caps, skipped))
        except OSError as e:
            raise SandboxError(f"the base {self.profile.base} could not be staged: {e}") from e
        if over(skipped):
            raise SandboxError(f"the base {self.profile.base} could not be staged: {over(skipped)[0][1]}")

    @property
    def workspace(self) -> Tree:
        """The workspace itself, or where it cannot be held a copy as it is now (after `close`, as it was then)."""
        if self._alive and not self._by_handle:
            self._fetch()
        if self._tree is None:
            raise SandboxError("the container has ended, and its workspace with it")
        return self._tree

    def _fetch(self) -> None:
        raw = self._exec("tar", "-c", "-C", self.profile.workdir, ".")
        for item in self._place.iterdir():
            shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()
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
        # The image's own variables are not wanted either.
        argv += [self.name, "env", "-i", *["=".join(pair) for pair in env.items()]]
        streams, fds = pipes(command, command.output or limits.output)
        process = subprocess.Popen(
            [*argv, *command.argv],
            stdin=fds[0],
            stdout=fds[1],
            stderr=fds[2],
            start_new_session=True,
            cwd=self._place.parent,  # podman's monitor notes a kill for memory as a file where it stands
        )
        for fd in fds:
            os.close(fd)
        ended = follow(process, streams, command.wall_s or limits.wall_s, started)
        if ended is not Ended.EXITED:
            process.kill()  # it may wait for somebody to read, and the engine for it
            self.close()
        code = process.wait()
        fault = ""
        if ended is Ended.EXITED and code in (125, 255) and self._gone():
            ended, fault = Ended.FAULT, "the container has ended"
        oom = self._oom()
        if ended is Ended.EXITED and code == 137 and oom:
            ended = Ended.MEMORY
        out, err = streams.close()
        unknown = Unknown("not counted on the container rung")
        wall_s = time.monotonic() - started
        usage = Usage(wall_s, unknown, unknown, unknown if oom is None else oom, unknown, 0, soft=False)
        killed = code - 128 if code > 128 and ended is not Ended.FAULT else None
        status = code if ended is Ended.EXITED and killed is None else None
        return Result(ended, status, killed, out, err, usage, self.rung, limits, fault)

    def _gone(self) -> bool:
        return not self._alive or self._client is None or self._client.poll() is not None

    def _oom(self) -> int | None:
        """How often the kernel killed for memory inside; None when the container cannot be asked any more."""
        if not self._alive:
            return None
        with contextlib.suppress(SandboxError):
            rows = [line.split() for line in self._exec("sh", "-c", _OOM).decode().splitlines()]
            return sum(int(row[1]) for row in rows if len(row) == 2 and row[0] == "oom_kill")
        return None

    def close(self) -> None:
        """Kill the container; what cannot be read after its death is fetched before."""
        if not self._alive:
            return
        if not self._by_handle:
            with contextlib.suppress(SandboxError):
                self._fetch()
        self._alive = False
        for remove in (["kill"], ["rm", "--force"]):  # `rm` alone asks politely first
            with contextlib.suppress(SandboxError):
                _call([self._program, *remove, self.name])
        if self._client is not None:
            self._client.kill()
            self._client.communicate()
        if self._program == "podman":
            for target in _places(self.profile):
                with contextlib.suppress(SandboxError):
                    _call(["podman", "volume", "rm", "--force", _volume(self.name, target)])

    def release(self) -> None:
        """Close, and drop the workspace."""
        self.close()
        if self._tree is not None:
            self._tree.close()
        drop(self._place)


def _packed(source: Tree, caps: Caps, skipped: list[tuple[str, str]]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for entry in source.walk(caps, skipped):
            info = tarfile.TarInfo(entry.path)
            info.mode, info.uid, info.gid = entry.mode, _ID, _ID
            info.type = {"dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}.get(entry.kind, tarfile.REGTYPE)
            info.linkname = entry.target
            data = source.read(entry.path) if entry.kind == "file" else b""
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


class Container:
    """Docker or Podman with one image."""

    rung = Rung.CONTAINER

    def __init__(self, program: str, image: str) -> None:
        self.program, self.image = program, image
        reap(program)

    def open(self, profile: Profile, *, oneshot: bool = False) -> ContainerBox:
        """A container that waits for commands."""
        return ContainerBox(self.program, self.image, profile)

    def once(self, profile: Profile, command: Command) -> Result:
        """One command in a container of its own."""
        with ContainerBox(self.program, self.image, profile) as box:
            return box.execute(command)
