"""The launcher: one small single-threaded process that forks, watches and ends sandboxes.

Why a process of its own: the evaluator has threads, secrets in its memory and a large heap; forking it
for every command would be slow and would carry the secrets inside. The launcher starts with an empty
environment, forks in about a millisecond, and when the evaluator dies in whatever way, its socket closes
and every sandbox ends. When the launcher itself is killed, process 1 of each sandbox dies with it.

It enforces what must not depend on a busy interpreter: wall time, CPU time and, where no cgroup counts
memory, the memory of the whole process tree.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import time
from dataclasses import dataclass, field
from typing import Any

from steelyard.sandbox.inner import cgroup, init, mounts, seccomp, watch
from steelyard.sandbox.inner import linux as lx

_NAMESPACES = (
    lx.CLONE_NEWUSER | lx.CLONE_NEWNS | lx.CLONE_NEWPID | lx.CLONE_NEWIPC | lx.CLONE_NEWUTS | lx.CLONE_NEWNET
)
_OPTIONAL = {"net": lx.CLONE_NEWNET, "ipc": lx.CLONE_NEWIPC, "pid": lx.CLONE_NEWPID}
_SAMPLE_S = 0.02
_CPU_SAMPLE_S = 0.1
_OOM_SCORE = "500"


@dataclass
class _Spare:
    """A sandbox that is prepared and waits for its spec."""

    pid: int
    cradle: socket.socket
    group: cgroup.Group | None
    uid: int
    """Whom it is outside."""


@dataclass
class _Box:
    pid: int
    pidfd: int
    line: socket.socket
    spec: dict[str, Any]
    group: cgroup.Group | None
    deadline: float
    started: float
    reason: str = ""
    files: list[int] = field(default_factory=list)
    peak: int = 0
    cpu_s: float = 0.0
    next_cpu: float = 0.0


class Keeper:
    """The event loop. `hello` decides the rung: the same code runs on both."""

    def __init__(self, control: socket.socket, hello: dict[str, Any]) -> None:
        self.control = control
        self.hello = hello
        self.groups = cgroup.Groups.find() if hello["groups"] else None
        self.name = f"{cgroup.PREFIX}{os.getpid()}-{cgroup.start_time(os.getpid())}"
        self.count = 0
        self.boxes: dict[int, _Box] = {}  # by descriptor: the pidfd and the owner's line both lead here
        self.leftover: list[cgroup.Group] = []
        self.spare: _Spare | None = None
        self.poll = select.poll()
        self.poll.register(control.fileno(), select.POLLIN)
        reaped = self.groups.reap() if self.groups else []
        version = self.groups.version if self.groups else 0
        control.send(json.dumps({"keeper": os.getpid(), "cgroup": version, "reaped": reaped}).encode())

    def run(self) -> None:
        """Serve until the owner's control socket closes; then end everything."""
        alive = True
        while alive or self.boxes:
            for fd, _ in self.poll.poll(self._patience() * 1000):
                if fd == self.control.fileno():
                    if alive and not self._start():
                        alive = False
                        self.poll.unregister(fd)
                        for box in self.boxes.values():
                            self._kill(box, "closed")
                elif fd in self.boxes:
                    box = self.boxes[fd]
                    if fd == box.pidfd:
                        self._bury(box)
                    else:
                        self._hear(box)
            self._sample()
        if self.spare:
            _discard(self.spare)
        for group in self.leftover:
            group.remove(kill=True)

    def _patience(self) -> float:
        """Seconds until something must be looked at; a day when nothing runs."""
        wait = 86_400.0
        now = time.monotonic()
        for box in self.boxes.values():
            wait = min(wait, max(0.0, box.deadline - now))
            if box.group is None:
                wait = min(wait, _SAMPLE_S)
            elif box.spec["cpu_s"]:
                wait = min(wait, max(0.0, box.next_cpu - now) + 0.001)
        return wait

    def _start(self) -> bool:
        try:
            raw, fds, _, _ = socket.recv_fds(self.control, init.MAX_MESSAGE, 8, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            return False
        if not raw:
            return False
        spec = json.loads(raw)
        line, inside = socket.socket(fileno=fds[0]), fds[1]
        try:
            self._launch(spec, line, inside)
        except OSError as e:
            line.send(json.dumps({"end": "fault", "why": str(e)}).encode())
            line.close()
        os.close(inside)
        try:
            if self.spare is None:
                self.spare = self._conceive([])
        except OSError:
            self.spare = None  # the next start tries again, and says why it failed
        return True

    def _launch(self, spec: dict[str, Any], line: socket.socket, inside: int) -> None:
        """Give the spec to the sandbox that waits, or to a new one, and put another one by."""
        group_limits = spec["group"] if "cgroup" not in spec["without"] else None
        spare = self.spare if not spec["without"] else None
        if spare is None:
            spare = self._conceive(spec["without"])
        else:
            self.spare = None
        trees = []
        try:
            if spare.group and group_limits:
                spare.group.limit(group_limits)
            else:
                os.sched_setaffinity(spare.pid, _some_cpus(spec["group"]["cpus"], self.count))
            if self.hello["drop"]:
                trees = [self._take(source, target, spare) for source, target, _ in spec["mounts"]]
            socket.send_fds(spare.cradle, [json.dumps(spec).encode()], [inside, *trees])
        except OSError:
            _discard(spare)
            raise
        finally:
            for fd in trees:
                os.close(fd)
        spare.cradle.close()
        now = time.monotonic()
        deadline = now + (spec["wall_s"] or 86_400.0 * 365)
        box = _Box(spare.pid, os.pidfd_open(spare.pid), line, spec, spare.group, deadline, now)
        for fd in (box.pidfd, line.fileno()):
            self.boxes[fd] = box
            self.poll.register(fd, select.POLLIN)

    def _take(self, source: str, target: str, spare: _Spare) -> int:
        """A detached tree. The lower layer of an overlay appears as owned by the sandbox's uid: the kernel
        would refuse to change a copy of a file whose owner has no name inside."""
        if target != mounts.LOWER:
            return lx.take_tree(source, mounts.BOUND)
        info = os.stat(source)
        users = _user_namespace((info.st_uid, spare.uid), (info.st_gid, spare.uid))
        try:
            return lx.take_tree(source, mounts.BOUND, users)
        finally:
            os.close(users)

    def _conceive(self, without: list[str]) -> _Spare:
        """A new process 1 in namespaces and groups of its own, which prepares itself and waits."""
        group = None
        self.count += 1
        if self.groups and "cgroup" not in without:
            group = self.groups.make(f"{self.name}-{self.count}")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        flags = _NAMESPACES
        for name in without:
            flags &= ~_OPTIONAL.get(name, 0)
        pid = lx.clone(flags)
        if not pid:
            os.dup2(theirs.fileno(), 3)
            lx.close_from(4)
            init.main(socket.socket(fileno=3), self.hello)
        theirs.close()
        uid = self.hello["host_uid"] + (self.count % 100_000 if self.hello["drop"] else 0)
        spare = _Spare(pid, ours, group, uid)
        gid = uid if self.hello["drop"] else self.hello["host_gid"]
        try:
            if not self.hello["drop"]:
                _write(f"/proc/{pid}/setgroups", "deny")
            _write(f"/proc/{pid}/uid_map", f"{self.hello['uid']} {uid} 1")
            _write(f"/proc/{pid}/gid_map", f"{self.hello['gid']} {gid} 1")
            if group:
                group.enter(pid)
                # Written by root this is also a floor: nothing inside can hide from the kernel's choice of whom
                # to kill, which some services leave open by their own floor of -1000.
                _write(f"/proc/{pid}/oom_score_adj", _OOM_SCORE)
            ours.send(b"go")
        except OSError:
            _discard(spare)
            raise
        return spare

    def _hear(self, box: _Box) -> None:
        """The owner's line: descriptors of the file systems to watch, an end, or silence for ever."""
        try:
            raw, fds, _, _ = socket.recv_fds(box.line, 4096, 8, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            raw, fds = b"", []
        if not raw:
            self._kill(box, "closed")
            self.poll.unregister(box.line.fileno())
            return
        box.files += fds
        message = json.loads(raw)
        if "kill" in message:
            self._kill(box, message["kill"])

    def _sample(self) -> None:
        now = time.monotonic()
        for box in {id(b): b for b in self.boxes.values()}.values():
            if box.reason:
                continue
            if now >= box.deadline:
                self._kill(box, "wall")
            elif box.group is None:
                self._sample_soft(box)
            elif box.spec["cpu_s"] and now >= box.next_cpu:
                box.next_cpu = now + _CPU_SAMPLE_S
                if box.group.cpu_s() > box.spec["cpu_s"]:
                    self._kill(box, "cpu")

    def _sample_soft(self, box: _Box) -> None:
        pids = watch.tree(box.pid)
        limit = box.spec["group"]["memory"]
        kernel = watch.sockets(box.pid)
        used = kernel + watch.memory(pids, box.files, limit - kernel)
        box.peak = max(box.peak, used)
        box.cpu_s = max(box.cpu_s, watch.cpu_s(pids))
        if used > limit and "watch" not in box.spec["without"]:
            self._kill(box, "memory")
        elif box.spec["cpu_s"] and box.cpu_s > box.spec["cpu_s"]:
            self._kill(box, "cpu")

    def _kill(self, box: _Box, reason: str) -> None:
        if not box.reason:
            box.reason = reason
            try:
                signal.pidfd_send_signal(box.pidfd, signal.SIGKILL)
            except ProcessLookupError:
                return

    def _bury(self, box: _Box) -> None:
        """Process 1 is dead, and with it everything inside; say how it ended, then clear up."""
        _, status, usage = os.wait4(box.pid, 0)
        facts: dict[str, Any] = {"memory_peak": box.peak, "cpu_s": box.cpu_s, "oom_kills": 0, "soft": True}
        if box.group:
            facts = {**box.group.facts(), "soft": False}
        else:
            facts["cpu_s"] = max(box.cpu_s, usage.ru_utime + usage.ru_stime)
            facts["oom_kills"] = int(box.reason == "memory")
        facts |= {"end": box.reason or "done", "status": status, "wall_s": time.monotonic() - box.started}
        for fd in (box.pidfd, box.line.fileno()):
            self.boxes.pop(fd, None)
            try:
                self.poll.unregister(fd)
            except KeyError:
                continue
        with contextlib.suppress(OSError):  # the owner may have gone: then nobody wants to know
            box.line.send(json.dumps(facts).encode())
        box.line.close()
        for fd in (box.pidfd, *box.files):
            os.close(fd)
        if box.group:
            self.leftover.append(box.group)
        self.leftover = [group for group in self.leftover if not group.remove()]


def _user_namespace(uids: tuple[int, int], gids: tuple[int, int]) -> int:
    """A namespace that maps one owner to another, for `take_tree`; made by a child that lives a moment."""
    wait_r, wait_w = os.pipe2(os.O_CLOEXEC)
    pid = lx.clone(lx.CLONE_NEWUSER)
    if not pid:
        os.close(wait_w)
        os.read(wait_r, 1)
        os._exit(0)
    os.close(wait_r)
    try:
        _write(f"/proc/{pid}/uid_map", f"{uids[0]} {uids[1]} 1")
        _write(f"/proc/{pid}/gid_map", f"{gids[0]} {gids[1]} 1")
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(wait_w)
        os.waitpid(pid, 0)


def _discard(spare: _Spare) -> None:
    os.kill(spare.pid, signal.SIGKILL)
    os.waitpid(spare.pid, 0)
    spare.cradle.close()
    if spare.group:
        spare.group.remove(kill=True)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _some_cpus(cpus: float, turn: int) -> set[int]:
    """As many processors as the limit allows, a different set each time, for want of a quota."""
    mine = sorted(os.sched_getaffinity(0))
    wanted = min(len(mine), max(1, int(cpus + 0.999)))
    return {mine[(turn + i) % len(mine)] for i in range(wanted)}


def main(fd: int) -> None:
    """Entry of the launcher process; `fd` is the control socket."""
    control = socket.socket(fileno=fd)
    hello = json.loads(control.recv(1 << 20))
    if (
        os.geteuid() == 0
    ):  # an ordinary user must stay dumpable: else it may not write its children's uid maps
        lx.prctl(lx.PR_SET_DUMPABLE, 0)
    for soft in (False, True):
        seccomp.program(soft=soft)
    gc.disable()  # nothing here makes cycles, and a collection would copy every shared page
    gc.freeze()
    Keeper(control, hello).run()
