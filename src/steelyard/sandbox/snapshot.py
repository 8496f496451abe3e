"""States of a tree: take one, compare two, put one back.

A snapshot names every file, directory and link with its mode and, for files, a digest of the content. The
content is read through `read`, from the tree itself or from a `Store` that keeps it by digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from steelyard.errors import DataError
from steelyard.sandbox.tree import Caps, Kind, Tree, copy_file, is_rest

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Item:
    """What is at a path. `digest` is SHA-256 in hex for a file, `target` a link's text."""

    kind: Kind
    mode: int
    size: int = 0
    digest: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A path that differs: None where it is not there."""

    path: str
    before: Item | None
    after: Item | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state of a tree. `skipped` names what was left out, and why."""

    items: dict[str, Item]
    read: Callable[[str], bytes]
    skipped: tuple[tuple[str, str], ...] = field(default=())

    @staticmethod
    def take(tree: Tree, caps: Caps | None = None) -> Snapshot:
        """The tree as it is now; content is read from it later, so it should hold still."""
        skipped: list[tuple[str, str]] = []
        items: dict[str, Item] = {}
        for entry in tree.walk(caps, skipped):
            digest = ""
            if entry.kind == "file":
                try:
                    digest = _digest(tree.open_file(entry.path))
                except OSError as e:
                    skipped.append((entry.path, f"cannot be read: {os.strerror(e.errno or 0)}"))
                    continue
            size = entry.size if entry.kind == "file" else 0
            items[entry.path] = Item(entry.kind, entry.mode, size, digest, entry.target)
        return Snapshot(items, tree.read, tuple(skipped))

    def keep(self, store: Store) -> Snapshot:
        """The same state with its content in `store`, independent of the tree."""
        for path, item in self.items.items():
            if item.kind == "file":
                store.put(item.digest, lambda path=path: self.read(path))  # type: ignore[misc]  # bound now
        return Snapshot(self.items, lambda path: store.get(self.items[path].digest), self.skipped)

    def to(self, later: Snapshot) -> list[Change]:
        """What differs from here to `later`, by path. What `later` left out has not been removed."""
        unseen = {path for path, _ in later.skipped}
        rest = any(is_rest(why) for _, why in later.skipped)
        gone = self.items.keys() - later.items.keys()
        kept = {path for path in gone if rest or any(place in unseen for place in _upwards(path))}
        paths = sorted((self.items.keys() | later.items.keys()) - kept)
        pairs = [(path, self.items.get(path), later.items.get(path)) for path in paths]
        return [Change(path, before, after) for path, before, after in pairs if before != after]


class Store:
    """Contents of files by digest, in a directory of the host."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def put(self, digest: str, content: Callable[[], bytes]) -> None:
        """Keep a content that is not kept yet."""
        path = self.place / "objects" / digest[:2] / digest
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content()
        if hashlib.sha256(data).hexdigest() != digest:
            raise DataError("a file changed while it was read", where=str(path), fix="try again")
        temporary = path.with_name(f"{digest}.{os.getpid()}.new")
        temporary.write_bytes(data)
        temporary.replace(path)

    def get(self, digest: str) -> bytes:
        """A kept content, checked against its digest."""
        data = (self.place / "objects" / digest[:2] / digest).read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise DataError("a kept file is not what was kept", where=str(self.place), got=digest)
        return data

    def save(self, name: str, snapshot: Snapshot) -> None:
        """Keep a whole state under a name."""
        snapshot.keep(self)
        raw = {"version": 1, "items": {path: asdict(item) for path, item in snapshot.items.items()}}
        self.place.mkdir(parents=True, exist_ok=True)
        temporary = self.place / f"{name}.{os.getpid()}.new"
        temporary.write_text(json.dumps(raw), encoding="utf-8")
        temporary.replace(self.place / f"{name}.json")

    def load(self, name: str) -> Snapshot:
        """A state that was kept. Raises `DataError` when there is none."""
        path = self.place / f"{name}.json"
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except OSError as e:
            raise DataError("no state is kept under this name", where=str(path)) from e
        items = {path: Item(**item) for path, item in raw["items"].items()}
        return Snapshot(items, lambda path: self.get(items[path].digest))


def apply(tree: Tree, changes: list[Change], read: Callable[[str], bytes]) -> list[tuple[str, str]]:
    """Make `tree` have the `after` of each change; returns what could not be done, and why."""
    failed: list[tuple[str, str]] = []

    def attempt(path: str, act: Callable[[], None]) -> None:
        try:
            act()
        except OSError as e:
            failed.append((path, os.strerror(e.errno or 0)))

    def gone(change: Change) -> bool:
        return change.after is None or (change.before is not None and change.before.kind != change.after.kind)

    for change in sorted((c for c in changes if gone(c)), key=lambda c: c.path, reverse=True):
        attempt(change.path, lambda c=change: tree.remove(c.path))  # type: ignore[misc]  # bound now
    for change in changes:
        attempt(change.path, lambda c=change: _put(tree, c, read))  # type: ignore[misc]  # bound now
    # A directory's own mode last: it may forbid writing.
    for change in reversed(changes):
        if change.after and change.after.kind == "dir":
            mode = change.after.mode
            attempt(change.path, lambda c=change, m=mode: tree.make_dir(c.path, mode=m))  # type: ignore[misc]  # bound now
    return failed


def _put(tree: Tree, change: Change, read: Callable[[str], bytes]) -> None:
    item = change.after
    if item is None:
        return
    if item.kind == "file":
        tree.write(change.path, read(change.path), mode=item.mode)
    elif item.kind == "link":
        tree.make_link(change.path, item.target)
    else:
        tree.make_dir(change.path)


def copy_in(source: Tree, target: Tree, caps: Caps | None = None) -> list[tuple[str, str]]:
    """Copy a tree into an empty one; links as links. Returns what was left out."""
    skipped: list[tuple[str, str]] = []
    modes: list[tuple[str, int]] = []
    for entry in source.walk(caps, skipped):
        if entry.kind == "dir":
            target.make_dir(entry.path)
            modes.append((entry.path, entry.mode))
        elif entry.kind == "link":
            target.make_link(entry.path, entry.target)
        else:
            try:
                fd = source.open_file(entry.path)
            except OSError as e:
                skipped.append((entry.path, f"cannot be read: {os.strerror(e.errno or 0)}"))
                continue
            try:
                copy_file(fd, target, entry.path, entry.mode)
            finally:
                os.close(fd)
    for path, mode in reversed(modes):
        if mode != 0o755:
            with contextlib.suppress(OSError):
                target.make_dir(path, mode=mode)
    return skipped


def _upwards(path: str) -> Iterator[str]:
    """The path and each directory that it lies in."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def _digest(fd: int) -> str:
    with os.fdopen(fd, "rb", buffering=0) as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
