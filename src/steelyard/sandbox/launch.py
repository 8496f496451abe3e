"""The owner's side of the launcher process: start it, and turn a profile into what it needs to know."""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

from steelyard.errors import SandboxError, UserError
from steelyard.sandbox.profile import MIB, Profile

INSIDE_ID = 1000
_FIRST_UID = 2_000_000_000  # above every range that distributions hand out
# Bound from the host. Small text is copied instead: a bind costs about 50 microseconds for every sandbox.
_ETC = ("alternatives", "ld.so.cache", "localtime", "pki/tls/certs", "ssl/certs")
_ETC_COPIED = ("os-release", "protocols", "services", "shells", "ssl/openssl.cnf", "timezone")
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/usr/sbin/nologin\n"
    f"agent:x:{INSIDE_ID}:{INSIDE_ID}:agent:/tmp/home:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": f"root:x:0:\nagent:x:{INSIDE_ID}:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    # answered by process 1, which knows no name and remembers what it was asked
    "etc/resolv.conf": "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n",
}
_CODE = """
import sys
sys.path.insert(0, sys.argv[1])
from steelyard.sandbox.inner.keeper import main
main(int(sys.argv[2]))
"""


class Launcher:
    """A running launcher process. One serves a whole evaluator; threads may share it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        root = str(Path(__file__).resolve().parents[2])
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", "-c", _CODE, root, str(theirs.fileno())],
                env={},  # process 1 of every sandbox shows this environment inside
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C reaches us, not the sandboxes
            )
        finally:
            theirs.close()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.control = ours
        ours.send(json.dumps(_hello()).encode())
        ours.settimeout(20)
        reply = ours.recv(65536)
        if not reply:
            raise SandboxError(
                "the launcher of sandboxes ended at its start; run `steelyard doctor --sandbox`"
            )
        ours.settimeout(None)
        facts = json.loads(reply)
        self.cgroup: int = facts["cgroup"]
        """Version of the control groups in use; 0: none, memory is watched instead."""
        self.reaped: list[str] = facts["reaped"]
        self.owner = os.getpid()

    def alive(self) -> bool:
        """Whether it still serves this very process (a fork must start its own)."""
        return self.owner == os.getpid() and self.process.poll() is None

    def stop(self) -> None:
        """End it, and every sandbox with it."""
        self.control.close()
        if self.owner == os.getpid():
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def start(self, spec: dict[str, Any], line: socket.socket, inside: socket.socket) -> None:
        """Ask for a sandbox; the two sockets are the far ends of the owner's."""
        message = json.dumps(spec).encode()
        try:
            socket.send_fds(self.control, [message], [line.fileno(), inside.fileno()])
        except OSError as e:
            raise SandboxError(f"the launcher of sandboxes is gone: {e}") from e


_lock = threading.Lock()
_shared: list[Launcher] = []


def launcher() -> Launcher:
    """The launcher of this process, started at first use."""
    with _lock:
        if not _shared or not _shared[0].alive():
            _shared[:] = [Launcher()]
            if len(_shared) == 1:
                atexit.register(_shared[0].stop)
        return _shared[0]


def _hello() -> dict[str, Any]:
    """What is the same for every sandbox: identities, and the allow-list of the host's file system."""
    mounts, links = [["/usr", "usr"]], {"var/tmp": "../tmp"}
    for name in ("bin", "sbin", "lib", "lib64", "lib32", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            links[name] = os.readlink(path).lstrip("/")  # never out of the root that is being built
        elif path.is_dir():
            mounts.append([str(path), name])
    java = [p.name for p in Path("/etc").glob("java-*")]  # its libraries link there
    mounts += [[f"/etc/{name}", f"etc/{name}"] for name in (*_ETC, *java) if Path("/etc", name).exists()]
    mounts += [[place, place.lstrip("/")] for place in interpreter()]
    files = dict(_FILES)
    for name in _ETC_COPIED:
        path = Path("/etc", name)
        if path.is_file() and path.stat().st_size < 64 << 10:
            files[f"etc/{name}"] = path.read_text(encoding="utf-8", errors="replace")
    root = os.geteuid() == 0
    return {
        "groups": True,
        "drop": root,
        "uid": INSIDE_ID,
        "gid": INSIDE_ID,
        "host_uid": _FIRST_UID if root else os.geteuid(),
        "host_gid": _FIRST_UID if root else os.getegid(),
        "mounts": mounts,
        "links": links,
        "files": files,
    }


@cache
def interpreter() -> tuple[str, ...]:
    """Where this interpreter and its packages live, as far as that is not below /usr."""
    places = {os.path.realpath(p) for p in (sys.base_prefix, sys.prefix)} | {sys.prefix}
    return tuple(sorted(p for p in places if not Path(p).is_relative_to("/usr")))


def specification(profile: Profile, *, oneshot: bool, soft: bool) -> dict[str, Any]:
    """What the launcher is told. `without` names measures left out: only tests that prove a measure use it."""
    limits = profile.limits
    extra = [(os.path.realpath(m.source), m.inside) for m in profile.mounts]
    for source, target in extra:
        if not os.path.exists(source):
            raise UserError(
                "a mount's source does not exist", got=source, wanted=f"a path to show at {target}"
            )
    overlay = profile.overlay and profile.base is not None
    if overlay:
        extra.append((os.path.realpath(str(profile.base)), ".lower"))
    rlimits = {
        "CORE": 0,
        "NOFILE": limits.open_files,
        "NPROC": limits.processes + 1,
        # Above the quota, so that what fills the disk is told "no space left", as on any disk.
        "FSIZE": max(limits.workspace, limits.tmp) + MIB,
        "MEMLOCK": 8 * MIB,
        "MSGQUEUE": 64 << 10,
    }
    if soft:
        # A backstop for what two samples of the watchdog could miss, well above the limit: a process that asks
        # for too much is to be stopped and named as one, not told "no memory" and left to end as it likes.
        rlimits["DATA"] = 2 * limits.memory + 512 * MIB
    return {
        "soft": soft,
        "oneshot": oneshot,
        "without": [],
        "host": "box",
        "mounts": [[source, target, os.path.isdir(source)] for source, target in extra],
        "tmp": [limits.tmp, limits.tmp_inodes],
        "below_tmp": [p.lstrip("/") for p in interpreter() if Path(p).is_relative_to("/tmp")],
        "shm": [limits.tmp, 1000],
        "workspace": {
            "at": profile.workdir,
            "size": limits.workspace,
            "inodes": limits.workspace_inodes,
            "overlay": overlay,
        },
        "listen": list(profile.listen),
        "decoys": list(profile.decoys),
        "limits": rlimits,
        "group": {
            "memory": limits.memory,
            "memory_guarantee": limits.memory_guarantee,
            "processes": limits.processes,
            "cpus": limits.cpus,
        },
        "wall_s": limits.wall_s if oneshot else None,
        "cpu_s": limits.cpu_s,
    }
