"""Acts tried inside a sandbox by its own process, to prove each protection before anything relies on it.

Each act returns an empty string when it was stopped, else what it could do. They run as a command would:
the same uid, filter, limits and mounts. An act that raises `OSError` was stopped.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from steelyard.sandbox.inner import linux as lx


def main(argv: list[str]) -> int:
    """Run the acts that `argv[0]` (JSON) names with their facts; writes {act: what went through}."""
    asked: dict[str, Any] = json.loads(argv[0])
    found = {}
    for name, facts in asked.items():
        try:
            found[name] = ACTS[name](facts)
        except (OSError, MemoryError):
            found[name] = ""
    os.write(1, json.dumps(found).encode())
    return 0


def _capabilities(_: Any) -> str:
    with open("/proc/self/status", "rb") as f:
        rows = dict(line.split(b":\t", 1) for line in f.read().splitlines() if b":\t" in line)
    names = (b"CapInh", b"CapPrm", b"CapEff", b"CapBnd", b"CapAmb")
    left = [name.decode() for name in names if int(rows[name], 16)]
    if int(rows[b"NoNewPrivs"]) != 1:
        left.append("NoNewPrivs is off")
    return ", ".join(left)


def _uid(_: Any) -> str:
    return "uid 0" if os.getuid() == 0 or os.geteuid() == 0 else ""


def _secret(path: str) -> str:
    with open(path, "rb") as f:
        f.read(1)
    return f"{path} can be read"


def _outside(paths: list[str]) -> str:
    for path in paths:
        try:
            os.close(os.open(f"{path}/.steelyard-probe", os.O_CREAT | os.O_WRONLY, 0o600))
        except OSError:
            continue
        return f"{path} can be written"
    return ""


def _knobs(_: Any) -> str:
    for name in ("kernel/core_pattern", "vm/overcommit_memory", "kernel/hostname"):
        try:
            os.close(os.open(f"/proc/sys/{name}", os.O_WRONLY))
        except OSError:
            continue
        return f"/proc/sys/{name} can be opened for writing"
    return ""


def _processes(pid: int) -> str:
    seen = [name for name in os.listdir("/proc") if name.isdigit()]
    if len(seen) > 8:
        return f"{len(seen)} processes are visible"
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            inside = b"keeper" in f.read()
    except OSError:
        inside = True
    return "" if inside else f"the process {pid} of the host is visible"


def _trace(_: Any) -> str:
    with open("/proc/1/environ", "rb") as f:
        f.read()
    return "process 1 can be read"


def _namespaces(_: Any) -> str:
    lx.unshare(lx.CLONE_NEWUSER)
    return "a new user namespace could be made"


def _mounts(_: Any) -> str:
    lx.mount("tmpfs", "/tmp", "tmpfs", 0)
    return "a file system could be mounted"


def _sockets(_: Any) -> str:
    for family, what in ((40, "AF_VSOCK"), (38, "AF_ALG"), (17, "AF_PACKET")):
        try:
            socket.socket(family, socket.SOCK_STREAM).close()
        except OSError:
            continue
        return f"a socket of {what} could be made"
    return ""


def _keyring(_: Any) -> str:
    number = {"x86_64": 248, "aarch64": 217}[lx.MACHINE]
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.syscall(ctypes.c_long(number), b"user", b"steelyard", b"x", 1, -2)
    return "a key could be added" if done >= 0 else ""


def _network(_: Any) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("192.0.2.1", 9))  # documentation addresses: nothing is sent
    return "there is a route to the network"


def _loopback(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return "a port of the host's loopback could be reached"


def _abstract(name: str) -> str:
    with socket.socket(socket.AF_UNIX) as s:
        s.connect("\0" + name)
    return "an abstract socket of the host could be reached"


def _forks(limit: int) -> str:
    pids = []
    try:
        for _ in range(limit + 4):
            pid = os.fork()
            if not pid:
                signal.pause()
            pids.append(pid)
    except OSError:
        return ""
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return f"{len(pids)} processes under a limit of {limit}"


def _cores(seconds: float) -> str:
    """Two processes that spin for a while must not get what two processors give."""
    end = time.monotonic() + seconds
    pids = []
    for _ in range(2):
        pid = os.fork()
        if not pid:
            while time.monotonic() < end:
                pass
            os._exit(0)
        pids.append(pid)
    used = 0.0
    for pid in pids:
        usage = os.wait4(pid, 0)[2]
        used += usage.ru_utime + usage.ru_stime
    return f"{used:.3f} s of CPU in {seconds} s" if used > 1.5 * seconds else ""


def _disk(facts: list[Any]) -> str:
    place, size = facts
    path = f"{place}/.probe"
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        written = 0
        while written <= size:
            written += os.write(fd, b"\0" * 65536)
    finally:
        os.close(fd)
        os.unlink(path)
    return f"{written} bytes could be written below {place}"


def _inodes(facts: list[Any]) -> str:
    place, limit = facts
    made = []
    try:
        for i in range(limit + 8):
            path = f"{place}/.probe-{i}"
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            made.append(path)
    finally:
        for path in made:
            os.unlink(path)
    return f"{len(made)} files could be made below {place}"


def _setid(_: Any) -> str:
    with open("/proc/self/mounts", "rb") as f:
        for line in f.read().splitlines():
            _, place, kind, options = line.split()[:4]
            if b"nosuid" not in options.split(b","):
                return f"set-id programs count below {place!r} ({kind!r})"
    return ""


def _eat(size: int) -> str:
    """Anonymous shared memory over the limit: no rlimit counts it. Being killed is the wanted end."""
    block = mmap.mmap(-1, size)
    for at in range(0, size, mmap.PAGESIZE):
        block[at] = 1
    return f"{size} bytes could be used"


ACTS: dict[str, Callable[[Any], str]] = {
    "capabilities": _capabilities,
    "uid": _uid,
    "secret": _secret,
    "outside": _outside,
    "knobs": _knobs,
    "processes": _processes,
    "trace": _trace,
    "namespaces": _namespaces,
    "mounts": _mounts,
    "sockets": _sockets,
    "keyring": _keyring,
    "network": _network,
    "loopback": _loopback,
    "abstract": _abstract,
    "forks": _forks,
    "cores": _cores,
    "disk": _disk,
    "inodes": _inodes,
    "setid": _setid,
    "memory": _eat,
}
