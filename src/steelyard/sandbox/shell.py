"""A shell that lives on between commands, with its directory, variables and background jobs, and file tools.

The end of a command is told on a descriptor of its own, with the status, so that no output can be taken
for it. A command that hangs is killed and the shell stays; a shell that hangs itself is replaced, and the
reply says what was lost.
"""

from __future__ import annotations

import os
import select
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from steelyard.errors import DataError
from steelyard.sandbox.base import Command
from steelyard.sandbox.snapshot import Change, Snapshot, Store, apply
from steelyard.sandbox.tree import Caps, Kind, Tree

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from steelyard.sandbox.box import NamespaceBox

_CHUNK = 1 << 16
_LOOP = (
    'exec 5>&1; while IFS= read -r -d "" __c <&4; do eval "$__c" </dev/null 3>&- 4<&- 5>&-; printf "%s\\n" "$?" >&3; '
    "exec 1>&5 2>&5; done"
)
"""A command that redirects the shell itself (`exec > log`, `exec 1>&-`) does so until its end, and not for ever."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What one command gave. `status` is None when it was stopped. `output` is the middle cut out, when
    it was long: `elided` characters are missing there, and the whole is in `path` inside, unless None."""

    output: str
    status: int | None
    elapsed_s: float
    elided: int = 0
    path: str | None = None
    timed_out: bool = False
    restarted: bool = False


class Shell:
    """bash in a box. `view` characters of output are shown at most, half from each end."""

    def __init__(self, box: NamespaceBox, *, timeout_s: float = 60.0, view: int = 20_000) -> None:
        self.box, self.timeout_s, self.view = box, timeout_s, view
        self._serial = 0
        self._start()

    def _start(self) -> None:
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._out, out_w = os.pipe2(os.O_CLOEXEC)
        self._done, done_w = os.pipe2(os.O_CLOEXEC)
        say_r, self._say = os.pipe2(os.O_CLOEXEC)
        self._heard = b""
        try:
            argv = ("/bin/bash", "--noprofile", "--norc", "-c", _LOOP)
            self._number = self.box.spawn(Command(argv), [null, out_w, out_w, done_w, say_r])
        finally:
            for fd in (null, out_w, done_w, say_r):
                os.close(fd)
        for fd in (self._out, self._done):
            os.set_blocking(fd, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the shell; the box lives on."""
        self.box.kill_command(self._number)
        for fd in (self._out, self._done, self._say):
            os.close(fd)

    def run(self, script: str, *, timeout_s: float | None = None) -> Reply:
        """Run a script in the shell and wait for its end, or stop it at the time limit."""
        if "\0" in script:
            raise DataError("a script for the shell holds a NUL character", got=repr(script[:40]))
        started = time.monotonic()
        deadline = started + (timeout_s or self.timeout_s)
        self._born = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._drain()  # what background jobs said since the last command belongs to this reply
        output = bytearray(self._heard)
        self._heard = b""
        data = memoryview(script.encode(errors="surrogateescape") + b"\0")
        os.set_blocking(self._say, False)
        status, lost = self._converse(data, output, deadline)
        timed_out = restarted = False
        if status is None:
            timed_out = not lost
            status, restarted = self._stop(output, lost=lost)
        return self._reply(bytes(output), status if not timed_out else None, started, (timed_out, restarted))

    def _converse(self, data: memoryview, output: bytearray, deadline: float) -> tuple[int | None, bool]:
        """Send, read until the status comes. (None, lost): no status; lost when the shell has ended."""
        cap = self.box.profile.limits.output
        while (left := deadline - time.monotonic()) > 0:
            readable, writable, _ = select.select(
                [self._out, self._done], [self._say] if len(data) else [], [], min(left, 0.25)
            )
            if self._say in writable:
                try:
                    data = data[os.write(self._say, data[:4096]) :]
                except BrokenPipeError:
                    return None, True
            if self._out in readable and not self._take(output, cap):
                return None, True
            if self._done in readable:
                raw = os.read(self._done, 64)
                if not raw:
                    return None, True
                self._take(output, cap)
                return int(raw), False
            if len(output) >= cap:
                return None, False
            if self.box.exit_of(self._number):
                return None, True
        return None, False

    def _take(self, output: bytearray, cap: int) -> bool:
        """Read what is there; False at the end of the stream."""
        while True:
            try:
                data = os.read(self._out, _CHUNK)
            except BlockingIOError:
                return True
            if not data:
                return False
            output += data[: max(0, cap - len(output))]
            if len(output) >= cap:
                return True

    def _drain(self) -> None:
        kept = bytearray(self._heard)
        self._take(kept, self.box.profile.limits.output)
        self._heard = bytes(kept)

    def _stop(self, output: bytearray, *, lost: bool) -> tuple[int | None, bool]:
        """Kill what hangs below the shell; when the shell itself does not answer, replace it."""
        cap = self.box.profile.limits.output
        if not lost:
            self.box.kill_command(self._number, below=True, born_after=self._born)
            status, _ = self._converse(memoryview(b""), output, time.monotonic() + 2.0)
            if status is not None:
                return status, False
        self._take(output, cap)
        note, until = self.box.exit_of(self._number), time.monotonic() + 0.2
        while note is None and time.monotonic() < until:
            time.sleep(0.005)
            note = self.box.exit_of(self._number)
        self.close()
        self._start()
        code = os.waitstatus_to_exitcode(note["status"]) if note and "status" in note else None
        return code, True

    def _reply(self, raw: bytes, status: int | None, started: float, flags: tuple[bool, bool]) -> Reply:
        text = raw.decode(errors="replace")
        elided, path = len(text) - self.view, None
        if elided > 0:
            self._serial += 1
            name = f"home/.output-{self._serial}"
            try:
                self.box.scratch.write(name, raw)
                path = f"/tmp/{name}"
            except OSError:
                path = None  # /tmp is full: the command's own doing
            half = self.view // 2
            text = f"{text[:half]}\n[... {elided} characters left out ...]\n{text[-half:]}"
        return Reply(text, status, time.monotonic() - started, max(0, elided), path, *flags)


class Files:
    """Files of a living box by absolute path (`/workspace/…`, `/tmp/…`) or relative to the workspace."""

    def __init__(self, box: NamespaceBox) -> None:
        self.box = box

    def _place(self, path: str) -> tuple[Tree, str]:
        parts = [p for p in path.split("/") if p not in ("", ".")]
        if ".." in parts:
            raise DataError("a path for the file tools holds '..'", got=path, fix="give the path in full")
        if not path.startswith("/"):
            return self.box.workspace, "/".join(parts)
        for tree, at in ((self.box.workspace, self.box.profile.workdir), (self.box.scratch, "/tmp")):
            top = at.strip("/").split("/")
            if parts[: len(top)] == top:
                return tree, "/".join(parts[len(top) :])
        raise DataError(
            "outside the places that the file tools reach", got=path, wanted="below the workspace or /tmp"
        )

    def read(self, path: str, *, limit: int = 16 << 20) -> bytes:
        """A regular file's content."""
        tree, name = self._place(path)
        return tree.read(name, limit=limit)

    def write(self, path: str, data: bytes) -> None:
        """Put a file in place, keeping an existing one's mode."""
        tree, name = self._place(path)
        mode = 0o644
        try:
            fd = tree.open_file(name)
        except OSError:
            mode = 0o644
        else:
            mode = os.fstat(fd).st_mode & 0o777
            os.close(fd)
        tree.write(name, data, mode=mode)

    def remove(self, path: str) -> None:
        """Remove a file, a link or an empty directory."""
        tree, name = self._place(path)
        tree.remove(name)

    def listing(self, path: str = "", *, depth: int = 2, limit: int = 1000) -> list[tuple[str, Kind]]:
        """(path, kind) of what is below, `depth` levels deep."""
        tree, name = self._place(path or self.box.profile.workdir)
        found = []
        if name:
            fd, last = tree.parent(name)
            inner = os.open(last, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            os.close(fd)
        else:
            inner = os.dup(tree.fd)
        below = Tree(inner)
        try:
            for entry in below.walk(Caps(entries=limit, depth=depth - 1)):
                found.append((entry.path, entry.kind))
        finally:
            below.close()
        return found


class History:
    """States of a workspace between turns: take one, see what changed, go back ("time travel")."""

    def __init__(self, box: NamespaceBox, place: Path) -> None:
        self.box, self.store = box, Store(place)
        limits = box.profile.limits
        self._caps = Caps(limits.workspace_inodes, limits.workspace, limits.workspace)

    def take(self) -> Snapshot:
        """The workspace as it is now, kept outside."""
        return Snapshot.take(self.box.workspace, self._caps).keep(self.store)

    def restore(self, state: Snapshot) -> list[tuple[str, str]]:
        """Make the workspace be as it was; returns what could not be put back, and why."""
        now = Snapshot.take(self.box.workspace, self._caps)
        changes: list[Change] = now.to(state)
        return apply(self.box.workspace, changes, state.read)
