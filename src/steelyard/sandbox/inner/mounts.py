"""The file system that a sandbox sees: an allow-list built on an empty tmpfs, then made the root.

Only what the launcher's `hello` and the sandbox's `spec` name exists inside. Everything bound from outside
is read-only, without set-id bits and devices; what can be written is a tmpfs with a size and a number of
inodes. Nothing is ever mounted in a namespace that outlives the sandbox: no mount for a reaper to find.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from steelyard.sandbox.inner import linux as lx
from steelyard.sandbox.inner import watch

_PLAIN = lx.MS_NOSUID | lx.MS_NODEV
BOUND = lx.ATTR_RDONLY | lx.ATTR_NOSUID | lx.ATTR_NODEV
_DEVICE = lx.ATTR_RDONLY | lx.ATTR_NOSUID | lx.ATTR_NOEXEC
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEV_LINKS = {
    "ptmx": "pts/ptmx",
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
# Of no use to a program, and about the host. Others in /proc are closed by ownership: no uid inside owns them.
_MASKED = ("kcore", "keys", "key-users")

LOWER = ".lower"
"""Where the lower layer of an overlay is put: a name that no mount of a profile has."""

Tree = tuple[int, str, bool]


def take(mounts: list[list[str]], *, attributes: int = BOUND) -> list[Tree]:
    """Detached copies of what will be bound, taken while host paths can still be walked.

    A root launcher's child still has uid 0 here, so a tree below a private home directory is reachable.
    """
    return [(lx.take_tree(source, attributes), target, os.path.isdir(source)) for source, target in mounts]


def base(hello: dict[str, Any], trees: list[Tree]) -> None:
    """The part that is the same for all: the system, /dev and /proc, over a directory of this mount namespace.

    Not over /tmp where it can be helped: what is to be shown later may come from there.
    """
    lx.mount(None, "/", None, lx.MS_REC | lx.MS_PRIVATE)
    devices = take([[f"/dev/{name}", f"dev/{name}"] for name in _DEVICES], attributes=_DEVICE)
    at = next(place for place in ("/mnt", "/media", "/srv", "/tmp") if os.path.isdir(place))
    lx.mount("tmpfs", at, "tmpfs", _PLAIN, "size=4m,nr_inodes=2k,mode=755")
    os.chdir(at)
    for name in ("dev", "proc", "tmp", "run", "home", "dev/shm", "dev/pts", ".lower", ".upper"):
        os.mkdir(name, 0o755)
    for target, content in hello["files"].items():
        _put_file(target, content)
    for target, link in hello["links"].items():
        _parents(target)
        os.symlink(link, target)
    put(trees)
    put(devices)
    flags = lx.MS_NOSUID | lx.MS_NOEXEC
    lx.mount("devpts", "dev/pts", "devpts", flags, "newinstance,ptmxmode=0666,mode=620,max=16")
    for name, target in _DEV_LINKS.items():
        os.symlink(target, f"dev/{name}")
    lx.mount("proc", "proc", "proc", lx.MS_NOSUID | lx.MS_NODEV | lx.MS_NOEXEC)
    for name in _MASKED:
        if os.path.exists(f"proc/{name}"):
            lx.put_tree(lx.take_tree("dev/null", lx.ATTR_RDONLY), f"proc/{name}")


def finish(spec: dict[str, Any], trees: list[Tree]) -> None:
    """What one sandbox adds: its mounts, its quotas, its workspace; then enter it."""
    # an interpreter that lives below /tmp would be hidden by the fresh one: taken before, attached again after
    hidden = take([[place, place] for place in spec["below_tmp"]])
    _tmpfs("tmp", spec["tmp"], "1777")
    os.mkdir("tmp/home", 0o700)
    put(hidden)
    _tmpfs("dev/shm", spec["shm"], "1777")
    if spec["soft"] and "net" not in spec["without"]:
        _small_buffers()
    if "readonly" not in spec["without"]:
        lx.put_tree(lx.take_tree("proc/sys", BOUND), "proc/sys")
    _workspace(spec["workspace"], [t for t in trees if t[1] == LOWER])
    put([t for t in trees if t[1] != LOWER])
    for place in spec["decoys"]:
        _parents(place.lstrip("/"))
        _directory(place.lstrip("/"))
    lx.mount(None, ".", None, lx.MS_REMOUNT | lx.MS_BIND | lx.MS_RDONLY | _PLAIN)
    lx.pivot_root(".", ".")
    if "pivot" in spec["without"]:
        os.chdir("/")
        return  # the host's root stays stacked below: what a forgotten umount would leave
    lx.umount(".")
    os.chdir("/")


def _small_buffers() -> None:
    """No socket of TCP holds much: without a cgroup only the number of sockets is counted."""
    for name in ("tcp_rmem", "tcp_wmem"):
        with contextlib.suppress(FileNotFoundError), open(f"proc/sys/net/ipv4/{name}", "w") as f:
            f.write(f"4096 65536 {watch.SOCKET_BYTES // 2}")


def put(trees: list[Tree]) -> None:
    """Attach detached copies at their places below the current directory."""
    for fd, target, is_dir in trees:
        inner = target.lstrip("/")
        _parents(inner)
        if is_dir:
            _directory(inner)
        else:
            _put_file(inner, "")
        lx.put_tree(fd, inner)


def _parents(path: str) -> None:
    parts = path.split("/")[:-1]
    for i in range(len(parts)):
        _directory("/".join(parts[: i + 1]))


def _directory(path: str) -> None:
    if not os.path.isdir(path):
        os.mkdir(path, 0o755)


def _put_file(path: str, content: str) -> None:
    if os.path.exists(path):
        return  # inside a directory that is bound already
    _parents(path)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    os.write(fd, content.encode())
    os.close(fd)


def _tmpfs(target: str, room: list[int], mode: str) -> None:
    size, inodes = room
    lx.mount("tmpfs", target, "tmpfs", _PLAIN, f"size={size},nr_inodes={inodes},mode={mode}")


def _workspace(room: dict[str, Any], lower: list[Tree]) -> None:
    inner = room["at"].lstrip("/")
    _parents(inner)
    _directory(inner)
    if not lower:
        _tmpfs(inner, [room["size"], room["inodes"]], "755")
        return
    # The upper layer carries the quota; `userxattr` is what an unprivileged overlay may use.
    lx.put_tree(lower[0][0], ".lower")
    _tmpfs(".upper", [room["size"], room["inodes"]], "755")
    os.mkdir(".upper/up", 0o755)
    os.mkdir(".upper/work", 0o700)
    data = "lowerdir=.lower,upperdir=.upper/up,workdir=.upper/work,userxattr"
    lx.mount("overlay", inner, "overlay", _PLAIN, data)
