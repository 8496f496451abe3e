"""A directory tree held by a handle: every step is relative to an open directory and follows no link.

What a contestant leaves behind is read only through this file. Not covered: a tree that is changed while
it is walked gives a mixture of before and after (never a way out of it); extended attributes, access
lists, owners and set-id bits are not kept.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from steelyard.errors import DataError
from steelyard.sandbox.profile import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

Kind = Literal["file", "dir", "link", "other"]
_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_DIR = _LOOK | os.O_DIRECTORY
_COPY = 1 << 20
_ZEROS = bytes(1 << 16)


@dataclass(frozen=True, slots=True)
class Caps:
    """How much of a tree is read at most; what is over is skipped and named."""

    entries: int = 20_000
    total: int = 256 * MIB
    file: int = 256 * MIB
    depth: int = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a tree. `path` is relative, with undecodable bytes as surrogates; `mode` its nine bits."""

    path: str
    kind: Kind
    mode: int
    size: int
    nlink: int
    inode: tuple[int, int]
    target: str = ""


def over(skipped: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those that were skipped because a cap was reached, not because of what they are."""
    return [
        (path, why) for path, why in skipped if "more than" in why or "longer than" in why or "over " in why
    ]


def is_rest(why: str) -> bool:
    """Whether this reason stands for all names that were to come, not for one."""
    return why.endswith("the rest is left out")


class Tree:
    """An open directory and all that is below. `identity` is who creates, when root acts for a sandbox."""

    def __init__(self, fd: int, *, identity: tuple[int, int] | None = None, ours: bool = True) -> None:
        self.fd, self._identity = fd, identity
        self._ours = ours  # a sandbox's own tree: a directory without read permission is opened up

    @classmethod
    def at(cls, path: Path | str) -> Tree:
        """Open a host directory. Raises `DataError` when there is none."""
        try:
            return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), ours=False)
        except OSError as e:
            raise DataError(
                "not a directory that can be read", where=str(path), got=os.strerror(e.errno or 0)
            ) from e

    def close(self) -> None:
        """Drop the handle; a sandbox's workspace is freed with the last one."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    @contextlib.contextmanager
    def acting(self) -> Iterator[None]:
        """As the sandbox's uid, for this thread's file operations: root cannot create there as itself."""
        if self._identity is None:
            yield
            return
        libc = _libc()
        # Numbers as unsigned: ids above 2^31 are common in containers.
        uid, gid = (ctypes.c_uint(n) for n in self._identity)
        libc.setfsgid(gid)
        libc.setfsuid(uid)
        try:
            yield
        finally:
            libc.setfsuid(ctypes.c_uint(os.geteuid()))
            libc.setfsgid(ctypes.c_uint(os.getegid()))

    def walk(self, caps: Caps | None = None, skipped: list[tuple[str, str]] | None = None) -> Iterator[Entry]:
        """Everything below, a directory before its content, names in order. What is skipped, and why,
        is added to `skipped`."""
        walker = _Walk(self._ours, caps or Caps(), [] if skipped is None else skipped)
        yield from walker.below(os.dup(self.fd), "", 0)

    def parent(self, path: str, *, make: bool = False) -> tuple[int, str]:
        """An open handle on the directory that holds `path`, and the last name. The caller closes it."""
        parts = path.split("/")
        if not path or any(p in ("", ".", "..") for p in parts) or "\0" in path:
            raise DataError("not a relative path inside a tree", got=repr(path))
        fd = os.dup(self.fd)
        try:
            for name in parts[:-1]:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, 0o755, dir_fd=fd)
                inner = os.open(name, _DIR, dir_fd=fd)
                os.close(fd)
                fd = inner
        except OSError:
            os.close(fd)
            raise
        return fd, parts[-1]

    def open_file(self, path: str) -> int:
        """A read handle on a regular file; `OSError` for anything else."""
        fd, name = self.parent(path)
        try:
            return open_regular(fd, name, ours=self._ours)
        finally:
            os.close(fd)

    def read(self, path: str, *, limit: int = 256 * MIB) -> bytes:
        """The content of a regular file; `DataError` when it is longer than `limit`."""
        fd = self.open_file(path)
        with os.fdopen(fd, "rb") as f:
            data = f.read(limit + 1)
        if len(data) > limit:
            raise DataError("the file is longer than may be read", where=path, wanted=f"<= {limit} bytes")
        return data

    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Put a regular file in place of whatever had this name (a directory is refused), atomically."""
        with self.acting():
            fd, name = self.parent(path, make=True)
            try:
                temporary = f".steelyard-{os.getpid()}-{os.urandom(6).hex()}"
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                out = os.open(temporary, flags, 0o600, dir_fd=fd)
                try:
                    with os.fdopen(out, "wb") as f:
                        _write(f.fileno(), data)
                        os.fchmod(f.fileno(), mode & 0o777)
                    os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
                except OSError:
                    os.unlink(temporary, dir_fd=fd)
                    raise
            finally:
                os.close(fd)

    def make_dir(self, path: str, *, mode: int = 0o755) -> None:
        """A directory, and those above it; an existing one gets the mode."""
        with self.acting():
            fd, name = self.parent(path, make=True)
            try:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=fd)
                inner = os.open(name, _DIR, dir_fd=fd)
                try:
                    os.fchmod(inner, mode & 0o777)
                finally:
                    os.close(inner)
            finally:
                os.close(fd)

    def make_link(self, path: str, target: str) -> None:
        """A symbolic link in place of a file or link of this name."""
        with self.acting():
            fd, name = self.parent(path, make=True)
            try:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=fd)
                os.symlink(target, name, dir_fd=fd)
            finally:
                os.close(fd)

    def remove(self, path: str) -> None:
        """Remove a file, a link or an empty directory; nothing happens when there is none."""
        with self.acting(), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            fd, name = self.parent(path)
            try:
                info = os.stat(name, dir_fd=fd, follow_symlinks=False)
                if stat.S_ISDIR(info.st_mode):
                    os.rmdir(name, dir_fd=fd)
                else:
                    os.unlink(name, dir_fd=fd)
            finally:
                os.close(fd)


@cache
def _libc() -> ctypes.CDLL:
    """Loaded once: it costs more than the creation of a file."""
    return ctypes.CDLL(None)


@dataclass
class _Walk:
    ours: bool
    caps: Caps
    skipped: list[tuple[str, str]]
    count: int = 0
    total: int = 0

    def below(self, fd: int, path: str, depth: int) -> Iterator[Entry]:
        """The content of the directory `fd`, which is closed at the end."""
        try:
            for name in self._names(fd):
                place = f"{path}/{name}" if path else name
                try:
                    entry = self._look(fd, name, place)
                except FileNotFoundError:
                    continue
                except PermissionError:
                    self.skipped.append((place, "cannot be looked at"))
                    continue
                if entry is None:
                    continue
                if self.count >= self.caps.entries:
                    self.skipped.append(
                        (place, f"more than {self.caps.entries} entries: the rest is left out")
                    )
                    return
                self.count += 1
                yield entry
                if entry.kind == "dir":
                    yield from self._enter(fd, name, place, depth)
        finally:
            os.close(fd)

    def _names(self, fd: int) -> list[str]:
        """What is in a directory, in order. One of ours that its owner may not list or enter is opened up."""
        try:
            names = sorted(os.listdir(fd))
            if names:
                os.stat(names[0], dir_fd=fd, follow_symlinks=False)
        except PermissionError:
            if not self.ours:
                raise
            _enterable(fd)
            names = sorted(os.listdir(fd))
        except FileNotFoundError:
            pass  # gone meanwhile: told when it is looked at
        return names

    def _look(self, fd: int, name: str, place: str) -> Entry | None:
        info = os.stat(name, dir_fd=fd, follow_symlinks=False)
        kind, target = _kind(info.st_mode), ""
        if kind == "other":
            self.skipped.append((place, "not a file, directory or link"))
            return None
        if kind == "file":
            if info.st_size > self.caps.file:
                self.skipped.append((place, f"longer than {self.caps.file} bytes"))
                return None
            if self.total + info.st_size > self.caps.total:
                self.skipped.append((place, f"over {self.caps.total} bytes in all"))
                return None
            self.total += info.st_size
        elif kind == "link":
            target = os.readlink(name, dir_fd=fd)
        mode, inode = stat.S_IMODE(info.st_mode) & 0o777, (info.st_dev, info.st_ino)
        return Entry(place, kind, mode, info.st_size, info.st_nlink, inode, target)

    def _enter(self, fd: int, name: str, place: str, depth: int) -> Iterator[Entry]:
        if depth >= self.caps.depth:
            self.skipped.append((place, f"deeper than {self.caps.depth} directories"))
            return
        try:
            try:
                inner = os.open(name, _DIR, dir_fd=fd)
            except PermissionError:
                if not self.ours:
                    raise
                _open_up(fd, name, 0o700)
                inner = os.open(name, _DIR, dir_fd=fd)
        except OSError as e:
            self.skipped.append((place, f"cannot be opened: {os.strerror(e.errno or 0)}"))
            return
        yield from self.below(inner, place, depth + 1)


def open_regular(fd: int, name: str, *, ours: bool) -> int:
    """A read handle on a regular file `name` in the directory `fd`. Never blocks, never follows."""
    try:
        out = os.open(name, _LOOK, dir_fd=fd)
    except PermissionError:
        if not ours:
            raise
        _open_up(fd, name, 0o400)
        out = os.open(name, _LOOK, dir_fd=fd)
    if not stat.S_ISREG(os.fstat(out).st_mode):
        os.close(out)
        raise OSError(errno.EINVAL, "not a regular file", name)
    return out


def _enterable(fd: int) -> None:
    """Give the owner of an open directory all of it back: one without these bits would hide what is below."""
    mode = os.fstat(fd).st_mode
    if mode & 0o700 != 0o700:
        with contextlib.suppress(PermissionError):
            os.fchmod(fd, stat.S_IMODE(mode) | 0o700)


def _open_up(fd: int, name: str, bits: int) -> None:
    """Add permissions for the owner, through a handle that no link can redirect."""
    held = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
    try:
        mode = os.fstat(held).st_mode
        if not stat.S_ISLNK(mode):
            os.chmod(f"/proc/self/fd/{held}", stat.S_IMODE(mode) | bits)
    finally:
        os.close(held)


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "dir"
    return "link" if stat.S_ISLNK(mode) else "other"


def _write(out: int, data: bytes) -> None:
    """All of it; runs of zeros as holes, so that a file of holes takes no more room than it did."""
    view, at = memoryview(data), 0
    while at < len(data):
        piece = view[at : at + len(_ZEROS)]
        if len(piece) == len(_ZEROS) and piece == _ZEROS:
            at = os.lseek(out, len(piece), os.SEEK_CUR)
        else:
            at += os.write(out, piece)
    os.ftruncate(out, len(data))


def _copy(source: int, out: int) -> None:
    """The bytes of an open file, its holes as holes."""
    at, size = 0, os.fstat(source).st_size
    while at < size:
        try:
            start = os.lseek(source, at, os.SEEK_DATA)
        except OSError as e:
            if e.errno == errno.ENXIO:  # nothing but a hole is left
                break
            raise
        at = os.lseek(source, start, os.SEEK_HOLE)
        os.lseek(out, start, os.SEEK_SET)
        while start < at and (done := os.sendfile(out, source, start, min(_COPY, at - start))):
            start += done
    os.ftruncate(out, size)


def copy_file(source: int, tree: Tree, path: str, mode: int) -> None:
    """Copy an open file to a new name in `tree`; the kernel moves the bytes."""
    with tree.acting():
        fd, name = tree.parent(path, make=True)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            out = os.open(name, flags, 0o600, dir_fd=fd)
            try:
                _copy(source, out)
                os.fchmod(out, mode & 0o777)
            finally:
                os.close(out)
        finally:
            os.close(fd)
