"""Process 1 of a sandbox: builds the inside, gives every right away, then starts commands on request.

It talks with the owner outside over one SOCK_SEQPACKET socket: JSON messages, descriptors attached. It
is not dumpable, so nothing inside can read or trace it, and signals from inside do not reach process 1.
Commands share its uid: a command that took it over could lie about an exit status, and nothing else.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import select
import signal
import socket
import struct
from dataclasses import dataclass
from typing import Any

from steelyard.sandbox.inner import linux as lx
from steelyard.sandbox.inner import mounts, probe, seccomp
from steelyard.sandbox.inner.names import Names

MAX_MESSAGE = 1 << 20


@dataclass(slots=True)
class Seen:
    """What process 1 watches: the kernel's counters, the decoys, and the names that are looked up."""

    counters: int
    decoys: int
    names: Names | None

    def note(self) -> dict[str, Any]:
        """`net` and `names` of the sandbox so far; `decoys` since the last note."""
        names = self.names
        if names is not None:
            names.answer()  # who asked and ended at once is counted with its own end
        asked = 0 if names is None else names.count
        return {
            "net": _unreachable(self.counters) + asked,
            "names": [] if names is None else names.asked,
            "decoys": _touched(self.decoys),
        }


def main(cradle: socket.socket, hello: dict[str, Any]) -> None:
    """Never returns. Prepares what every sandbox has, then waits in the cradle for one sandbox's spec.

    The first message says that the uid map is written and that this process is in its groups; the second
    brings the spec, the owner's socket and, from a root launcher, the extra mounts. Silence means that
    nobody wants this sandbox any more.
    """
    code = 70
    try:
        trouble = ""
        lx.prctl(lx.PR_SET_PDEATHSIG, signal.SIGKILL)
        if not cradle.recv(16):
            os._exit(0)
        try:
            _prepare(hello)
        except OSError as e:
            trouble = str(e)
        raw, fds, _, _ = socket.recv_fds(cradle, MAX_MESSAGE, 32, socket.MSG_CMSG_CLOEXEC)
        if not raw:
            os._exit(0)
        cradle.close()
        spec = json.loads(raw)
        owner = socket.socket(fileno=fds[0])
        try:
            if trouble:
                raise OSError(trouble)
            handed, seen = _enter(spec, fds[1:])
        except OSError as e:
            owner.send(json.dumps({"error": str(e)}).encode())
            os._exit(71)
        socket.send_fds(owner, [json.dumps({"ready": True}).encode()], handed)
        for fd in handed:
            os.close(fd)
        code = _serve(owner, seen, spec)
    finally:
        os._exit(code)


def _prepare(hello: dict[str, Any]) -> None:
    trees = mounts.take(hello["mounts"])
    if hello["drop"]:
        os.setgroups([])
    os.setresgid(*[hello["gid"]] * 3)
    os.setresuid(*[hello["uid"]] * 3)
    lx.prctl(lx.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of uid clears it
    lx.unshare(lx.CLONE_NEWCGROUP)
    os.umask(0o022)
    mounts.base(hello, trees)


def _enter(spec: dict[str, Any], taken: list[int]) -> tuple[list[int], Seen]:
    """Finish the inside and give up every right. Returns what the owner is handed, and what is watched."""
    without = set(spec["without"])
    if taken:
        names = [(target, is_dir) for _, target, is_dir in spec["mounts"]]
        trees = [(fd, *name) for fd, name in zip(taken, names, strict=True)]
    else:
        trees = mounts.take([[source, target] for source, target, _ in spec["mounts"]])
    mounts.finish(spec, trees)
    lx.sethostname(spec["host"])
    listeners = _network(spec)
    at = spec["workspace"]["at"]
    fds = [os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) for name in (at, "/tmp", "/dev/shm")]
    if any(target == ".lower" for _, target, _ in trees):
        fds.append(os.open("/.upper/up", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    lookups = None if "net" in spec["without"] else Names()
    seen = Seen(os.open("/proc/self/net/snmp", os.O_RDONLY | os.O_CLOEXEC), lx.watch(spec["decoys"]), lookups)
    os.chdir(at)
    _limits(spec["limits"])
    lx.prctl(lx.PR_SET_DUMPABLE, int("dumpable" in without))
    if "caps" in without:
        lx.keep_capabilities()
    else:
        lx.drop_capabilities()
        lx.prctl(lx.PR_SET_NO_NEW_PRIVS, 1)
    if "seccomp" not in without:
        lx.load_filter(seccomp.program(soft=spec["soft"]))
    return [*fds, *listeners], seen


def _network(spec: dict[str, Any]) -> list[int]:
    """Bring the loopback up; a listening socket for each port is handed out, so that whoever accepts
    runs outside while its clients are inside: no forwarder, no socket file."""
    if "net" in spec["without"]:
        return []
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    fcntl.ioctl(control, 0x8914, struct.pack("16sH14x", b"lo", 0x41))  # SIOCSIFFLAGS: up, running
    control.close()
    fds = []
    for port in spec["listen"]:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        fds.append(listener.detach())
    return fds


def _limits(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))


def _serve(owner: socket.socket, seen: Seen, spec: dict[str, Any]) -> int:
    wake_r, wake_w = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
    running: dict[int, int] = {}
    poll = select.poll()
    poll.register(owner.fileno(), select.POLLIN)
    poll.register(wake_r, select.POLLIN)
    names = seen.names
    if names is not None and names.fileno() >= 0:
        poll.register(names.fileno(), select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == wake_r:
                os.read(wake_r, 4096)
                if _reap(owner, seen, running) and spec["oneshot"]:
                    return 0
            elif names is not None and fd == names.fileno():
                names.answer()
            elif not _request(owner, running, spec):
                return 0


def _reap(owner: socket.socket, seen: Seen, running: dict[int, int]) -> bool:
    """Collect the dead; tell the owner about its own. True when one of those ended."""
    ended = False
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if not pid:
            return ended
        if pid in running:
            note = {
                "exit": running.pop(pid),
                "status": status,
                "cpu_s": usage.ru_utime + usage.ru_stime,
                "max_rss": usage.ru_maxrss * 1024,
                **seen.note(),
            }
            owner.send(json.dumps(note).encode())
            ended = True


def _touched(watch: int) -> int:
    """How often a decoy was opened or listed since the last time."""
    try:
        raw = os.read(watch, 1 << 16)
    except BlockingIOError:
        return 0
    count = at = 0
    while at < len(raw):
        at += 16 + struct.unpack_from("I", raw, at + 12)[0]
        count += 1
    return count


def _unreachable(counters: int) -> int:
    """How often something inside sent to an address to which there is no route."""
    lines = os.pread(counters, 65536, 0).decode().splitlines()
    rows = [line.split() for line in lines if line.startswith("Ip:")]
    return int(rows[1][rows[0].index("OutNoRoutes")])


def _request(owner: socket.socket, running: dict[int, int], spec: dict[str, Any]) -> bool:
    leaky = "cloexec" in spec["without"]
    raw, fds, _, _ = socket.recv_fds(owner, MAX_MESSAGE, 16, 0 if leaky else socket.MSG_CMSG_CLOEXEC)
    if not raw:
        return False
    message = json.loads(raw)
    if "exec" in message:
        try:
            pid = _spawn(message, fds, spec)
        except OSError as e:
            owner.send(json.dumps({"failed": message["exec"], "errno": e.errno, "why": str(e)}).encode())
            return not spec["oneshot"]
        else:
            running[pid] = message["exec"]
            owner.send(json.dumps({"started": message["exec"], "pid": pid}).encode())
    elif "signal" in message:
        found = [pid for pid, name in running.items() if name == message["to"]]
        for pid in found:
            _signal_tree(pid, message)
    for fd in fds:
        os.close(fd)
    return True


def _spawn(message: dict[str, Any], fds: list[int], spec: dict[str, Any]) -> int:
    """Start a command; returns the pid, or raises what exec raised.

    posix_spawn shares memory until exec: a fork of this interpreter would cost several times as much.
    """
    if message.get("probe"):
        return _spawn_probe(message, fds)
    if "cloexec" not in spec["without"]:
        lx.close_on_exec_from(3)  # whatever this process holds, a command starts without it
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64) for fd in fds]  # clear of the numbers they will get
    actions = [(os.POSIX_SPAWN_DUP2, fd, i) for i, fd in enumerate(high)]
    os.chdir(message["cwd"])
    try:
        return os.posix_spawn(
            _find(message["argv"][0], message["env"]),
            message["argv"],
            message["env"],
            file_actions=actions,
            setsid=True,
            setsigdef=[signal.SIGINT, signal.SIGPIPE, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD],
        )
    finally:
        for fd in high:
            os.close(fd)
        os.chdir(spec["workspace"]["at"])


def _find(name: str, env: dict[str, str]) -> str:
    if "/" in name:
        return name
    if not name:
        raise FileNotFoundError(errno.ENOENT, "an empty name is no command")
    for place in env.get("PATH", "").split(":"):
        if os.access(f"{place}/{name}", os.X_OK):
            return f"{place}/{name}"
    raise FileNotFoundError(errno.ENOENT, f"{name}: not found on PATH inside the sandbox")


def _spawn_probe(message: dict[str, Any], fds: list[int]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        os.dup2(fds[1], 1)
        os._exit(probe.main(message["argv"]))
    finally:
        os._exit(70)


def _signal_tree(top: int, message: dict[str, Any]) -> None:
    """Send a signal to `top` and its descendants, or only to those below it that are young enough."""
    parents: dict[int, int] = {}
    born: dict[int, float] = {}
    tick = os.sysconf("SC_CLK_TCK")
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as f:
                    fields = f.read().rpartition(b") ")[2].split()
                parents[int(entry)], born[int(entry)] = int(fields[1]), int(fields[19]) / tick
            except (OSError, IndexError, ValueError):
                continue
    doomed, grew = {top}, True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in doomed} - doomed
        doomed |= more
        grew = bool(more)
    if message["below"]:
        # Start times are rounded down to a tick.
        since = int(message["born_after"] * tick) / tick
        doomed = {pid for pid in doomed - {top} if born[pid] >= since}
    for pid in doomed - {1}:
        try:
            os.kill(pid, message["signal"])
        except OSError:
            continue
