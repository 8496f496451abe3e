"""A sandbox of namespaces, and the loop that feeds a command and reads it. Both rungs use this file.

One thread drives one command. Limits that must hold even when this interpreter is busy are the
launcher's; here only the output is counted.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import select
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from steelyard.errors import SandboxError
from steelyard.sandbox.base import Command, Ended, Result, Rung, Usage
from steelyard.sandbox.driven import Driven
from steelyard.sandbox.launch import Launcher, launcher, specification
from steelyard.sandbox.pump import ENVIRONMENT, Streams, pipes
from steelyard.sandbox.snapshot import copy_in
from steelyard.sandbox.tree import Caps, Tree, over
from steelyard.unknown import Unknown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from steelyard.sandbox.profile import Profile

_START_S = 30.0
_GRACE_S = 0.05
_LITTLE = 16 << 20
_MAX_MESSAGE = 192 << 10
_REASONS = {
    "wall": Ended.WALL,
    "cpu": Ended.CPU,
    "memory": Ended.MEMORY,
    "output": Ended.OUTPUT,
    "closed": Ended.KILLED,
    "killed": Ended.KILLED,
    "fault": Ended.FAULT,
}


class NamespaceBox(Driven):
    """A living sandbox on the `root` or `user` rung."""

    def __init__(self, profile: Profile, *, oneshot: bool = False, without: Sequence[str] = ()) -> None:
        self._launcher: Launcher = launcher()
        soft = not self._launcher.cgroup
        self.rung = Rung.ROOT if os.geteuid() == 0 and not soft else Rung.USER
        self.profile, self._oneshot = profile, oneshot
        self.final: dict[str, Any] | None = None
        self._exits: dict[int, dict[str, Any]] = {}
        self._serial = itertools.count(1)
        self._lock = threading.Lock()
        spec = specification(profile, oneshot=oneshot, soft=soft) | {"without": list(without)}
        self._line, far_line = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._inside, far_inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._inside, far_inside):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        with far_line, far_inside:
            self._launcher.start(spec, far_line, far_inside)
        fds = self._ready()
        held = 3 + int(spec["workspace"]["overlay"])
        identity = _owner_of(fds[1]) if os.geteuid() == 0 else None
        self.workspace = Tree(fds[0], identity=identity)
        self.scratch = Tree(fds[1], identity=identity)
        if soft:
            quotas = [fds[3] if held > 3 else fds[0], fds[1], fds[2]]
            socket.send_fds(self._line, [b'{"watch": true}'], quotas)
        for fd in fds[2:held]:
            os.close(fd)
        self.listeners = {
            port: socket.socket(fileno=fd) for port, fd in zip(profile.listen, fds[held:], strict=True)
        }
        self.left_out: list[tuple[str, str]] = []
        """What of the base was not staged, and why."""
        if profile.base and not profile.overlay:
            self._stage()

    def _stage(self) -> None:
        limits = self.profile.limits
        caps = Caps(limits.workspace_inodes, limits.workspace, limits.workspace)
        try:
            source = Tree.at(str(self.profile.base))
            try:
                self.left_out = copy_in(source, self.workspace, caps)
            finally:
                source.close()
            too_much = over(self.left_out)
            if too_much:
                raise OSError(errno.ENOSPC, too_much[0][1])
        except OSError as e:
            self.release()
            why = "the workspace quota is too small for it" if e.errno == errno.ENOSPC else str(e)
            raise SandboxError(f"the base {self.profile.base} could not be staged: {why}") from e

    def _ready(self) -> list[int]:
        """Wait until process 1 has built the inside; raise what went wrong instead."""
        poll = select.poll()
        poll.register(self._line.fileno(), select.POLLIN)
        poll.register(self._inside.fileno(), select.POLLIN)
        ready = {fd for fd, _ in poll.poll(_START_S * 1000)}
        if self._inside.fileno() in ready:
            raw, fds, _, _ = socket.recv_fds(self._inside, 65536, 32, socket.MSG_CMSG_CLOEXEC)
            message = json.loads(raw) if raw else {"error": "process 1 ended before it was ready"}
            if message.get("ready"):
                return fds
            why = message["error"]
        elif ready:
            raw = said(self._line)
            why = json.loads(raw).get("why", "it ended at once") if raw else "the launcher is gone"
        else:
            why = f"nothing within {_START_S:.0f} s"
        self._line.close()
        self._inside.close()
        if self.profile.limits.memory < _LITTLE:
            why += f" (its memory limit of {self.profile.limits.memory} bytes may be too little to start)"
        raise SandboxError(f"the sandbox could not be built: {why}; run `steelyard doctor --sandbox`")

    def spawn(self, command: Command, fds: Sequence[int], *, probe: bool = False) -> int:
        """Start a command on these descriptors (its 0, 1, 2 …); returns its number for `exit_of`."""
        number = next(self._serial)
        message = {
            "exec": number,
            "argv": [os.fsdecode(a) for a in command.argv],
            "env": {**ENVIRONMENT, **dict(self.profile.env), **dict(command.env)},
            "cwd": command.cwd or self.profile.workdir,
            "probe": probe,
        }
        raw = json.dumps(message).encode()
        if len(raw) > _MAX_MESSAGE:
            raise SandboxError(
                f"arguments and environment of {len(raw)} bytes are over the {_MAX_MESSAGE} that can be passed; "
                "write them to a file in the workspace, or use stdin"
            )
        try:
            socket.send_fds(self._inside, [raw], list(fds))
        except OSError as e:
            raise SandboxError(f"the sandbox has ended: {e}") from e
        return number

    def exit_of(self, number: int) -> dict[str, Any] | None:
        """How a command ended, or None while it runs. Reads what process 1 has to say, without waiting."""
        with self._lock:
            while True:
                try:
                    raw = said(self._inside, socket.MSG_DONTWAIT)
                except (BlockingIOError, ConnectionResetError):
                    break
                if not raw:
                    break
                note = json.loads(raw)
                if "exit" in note or "failed" in note:
                    self._exits[note.get("exit") or note["failed"]] = note
            return self._exits.get(number)

    def notes(self) -> list[dict[str, Any]]:
        """What process 1 said of every command that has ended."""
        self.exit_of(0)
        with self._lock:
            return list(self._exits.values())

    def kill_command(self, number: int, *, below: bool = False, born_after: float = 0.0) -> None:
        """Kill a command and its descendants; `below`: only those, and only those started since
        `born_after` (seconds since boot)."""
        note = {"signal": int(signal.SIGKILL), "to": number, "below": below, "born_after": born_after}
        with contextlib.suppress(OSError):
            self._inside.send(json.dumps(note).encode())

    def execute(
        self,
        command: Command,
        *,
        more: Sequence[int] = (),
        probe: bool = False,
        stop: threading.Event | None = None,
    ) -> Result:
        """Run one command to its end. `more` are descriptors that it gets as 3, 4 and so on; `stop`, set by another
        thread, kills it within a quarter of a second."""
        started = time.monotonic()
        streams, fds = pipes(command, command.output or self.profile.limits.output)
        try:
            number = self.spawn(command, [*fds, *more], probe=probe)
        except SandboxError:
            streams.close()
            raise
        finally:
            for fd in fds:
                os.close(fd)
        try:
            reason = self._follow(number, streams, (started, command.wall_s), stop)
        except BaseException:
            streams.close()
            self.close()
            raise
        out, err = streams.close()
        return self._result(number, reason, (out, err), started)

    def _follow(
        self, number: int, streams: Streams, times: tuple[float, float | None], stop: threading.Event | None
    ) -> str:
        """Pump until the command has ended; returns a limit that this side found crossed."""
        started, wall_s = times
        limit = wall_s or (None if self._oneshot else self.profile.limits.wall_s)
        deadline = started + limit if limit else None
        line, inside = self._line.fileno(), self._inside.fileno()
        reason = ""
        listen = [line, inside]
        while self.final is None:
            # Another thread may have read the note that this one waits for, hence not for ever.
            wait = 0.25 if deadline is None else min(0.25, deadline - time.monotonic())
            ready = streams.pump(wait, listen)
            if line in ready:
                self._hear_end()
                break
            if self.exit_of(number) is not None:
                if not self._oneshot:
                    break
                listen = [line]
            if not reason and (streams.over or (deadline and time.monotonic() >= deadline)):
                reason = "output" if streams.over else "wall"
                self._stop_command(number, reason)
            if not reason and stop is not None and stop.is_set():
                reason = "killed"
                self._stop_command(number, reason)
        end = time.monotonic() + (_GRACE_S if self.final is None else 5.0)
        while streams.out and not streams.over and time.monotonic() < end:
            streams.pump(end - time.monotonic(), [])
        return reason or ("output" if streams.over else "")

    def _stop_command(self, number: int, reason: str) -> None:
        if self._oneshot:
            with contextlib.suppress(OSError):
                self._line.send(json.dumps({"kill": reason}).encode())
        else:
            self.kill_command(number)

    def _hear_end(self) -> None:
        try:
            raw = said(self._line)
        except OSError:
            raw = b""
        self.final = json.loads(raw) if raw else {"end": "fault", "why": "the launcher is gone"}

    def _result(self, number: int, reason: str, output: tuple[bytes, bytes], started: float) -> Result:
        note, final = self.exit_of(number), self.final or {}
        status = note.get("status") if note else None
        oom = final.get("oom_kills", 0)
        killed = os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None
        fault = ""
        if reason or final.get("end") in _REASONS:
            ended = _REASONS[reason or final["end"]]
            fault = final.get("why", "")
        elif note and "failed" in note:
            ended = Ended.EXITED
        elif status is None:
            ended = Ended.MEMORY if oom else Ended.FAULT
            fault = "" if oom else "process 1 of the sandbox ended without a word"
        else:
            ended = Ended.MEMORY if killed == signal.SIGKILL and oom else Ended.EXITED
        code = os.WEXITSTATUS(status) if status is not None and os.WIFEXITED(status) else None
        if note and "failed" in note:
            code = 127 if note["errno"] == 2 else 126
            output = (output[0], output[1] + f"cannot run: {note['why']}\n".encode())
        return Result(
            ended=ended,
            status=code if ended is Ended.EXITED else None,
            signal=killed,
            stdout=output[0],
            stderr=output[1],
            usage=self._usage(note or {}, final, time.monotonic() - started),
            rung=self.rung,
            limits=self.profile.limits,
            fault=fault,
        )

    def _usage(self, note: dict[str, Any], final: dict[str, Any], wall_s: float) -> Usage:
        alive = Unknown("counted for a whole sandbox, which still lives")
        return Usage(
            wall_s=final.get("wall_s", wall_s),
            cpu_s=final.get("cpu_s", note.get("cpu_s", Unknown("the command was killed"))),
            memory_peak=final.get("memory_peak") or alive,
            oom_kills=final.get("oom_kills", alive),
            forks_refused=final.get("forks_refused", Unknown("no process counter on this rung")),
            unreachable=note.get("net", 0),
            soft=final.get("soft", self.rung is Rung.USER),
            decoys=note.get("decoys", 0),
            names=tuple(note.get("names", ())),
        )

    def close(self) -> None:
        """Kill everything inside, and wait for the last death."""
        if self.final is None:
            with contextlib.suppress(OSError):
                self._line.send(b'{"kill": "closed"}')
            self._line.settimeout(30)
            self._hear_end()
        for listener in self.listeners.values():
            listener.close()
        self._line.close()
        self._inside.close()

    def release(self) -> None:
        """Close, and drop the workspace."""
        self.close()
        self.workspace.close()
        self.scratch.close()


def said(end: socket.socket, flags: int = 0) -> bytes:
    """One message. An end that closes with something of ours unread is told as a reset before its last words."""
    try:
        return end.recv(65536, flags)
    except ConnectionResetError:
        return end.recv(65536, flags)


def _owner_of(fd: int) -> tuple[int, int]:
    info = os.fstat(fd)
    return info.st_uid, info.st_gid


class Namespaces:
    """The `root` and `user` rungs."""

    def __init__(self) -> None:
        soft = not launcher().cgroup
        self.rung = Rung.ROOT if os.geteuid() == 0 and not soft else Rung.USER

    def open(self, profile: Profile, *, oneshot: bool = False) -> NamespaceBox:
        """A living sandbox, with the base staged."""
        return NamespaceBox(profile, oneshot=oneshot)

    def once(self, profile: Profile, command: Command) -> Result:
        """One command in a sandbox of its own."""
        with NamespaceBox(profile, oneshot=True) as box:
            return box.execute(command)


def probe(profile: Profile, acts: Mapping[str, Any], *, without: Sequence[str] = ()) -> Result:
    """Try acts of `inner.probe` in a sandbox of their own, as a command would; for the self-check."""
    with NamespaceBox(profile, oneshot=True, without=without) as box:
        return box.execute(Command((json.dumps(dict(acts)),)), probe=True)
