"""What leaves a sandbox is data: regular files, directories, and links that stay inside. All else is named.

Refused: links that lead out (resolved step by step, as the kernel would), devices, pipes and sockets, hard
links to files that live outside, anything over the caps, and what would make a tool on the host execute
the contestant's words: git's own files (their configuration runs programs).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steelyard.errors import DataError
from steelyard.sandbox.snapshot import Change, Item, Snapshot, apply
from steelyard.sandbox.tree import Caps, Tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_BARE = {"HEAD", "objects", "refs"}


@dataclass(frozen=True, slots=True)
class Collected:
    """What came over, and what did not, with the reason."""

    written: tuple[str, ...]
    removed: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]

    def record(self) -> dict[str, list[str] | list[dict[str, str]]]:
        """For JSON; names as text that can be shown."""
        return {
            "written": [shown(p) for p in self.written],
            "removed": [shown(p) for p in self.removed],
            "refused": [{"path": shown(p), "why": why} for p, why in self.refused],
        }


def shown(path: str) -> str:
    """A name that is safe on a terminal: control and undecodable characters are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in path)


def collect(source: Path, target: Path, caps: Caps | None = None, *, git: bool = False) -> Collected:
    """Copy what is safe from `source` to `target`, a directory that is made or empty.

    `git` lets git's own files through: a repository whose configuration the host would then obey.

    Raises `DataError` when `source` is no directory, or when `target` holds something or lies inside.
    """
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise DataError(
            "there is something at the destination", where=str(target), fix="name a new directory"
        )
    if target.resolve().is_relative_to(source.resolve()):
        raise DataError("the destination is inside the source", where=str(target), got=str(source))
    tree = Tree.at(source)
    try:
        foreign = _hard_linked(tree, caps)
        snapshot = Snapshot.take(tree, caps)
        safe, refused = sift(snapshot.items)
        danger = {} if git else {p: why for p in safe if (why := _git_danger(p, snapshot.items))}
        taken = {p: item for p, item in safe.items() if p not in foreign and p not in danger}
        changes = [Change(path, None, item) for path, item in taken.items()]
        refused += danger.items()
        refused += [(path, "a hard link to a file that also lives outside") for path in sorted(foreign)]
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise DataError(
                "the destination cannot be made",
                where=str(target),
                got=os.strerror(e.errno or 0),
                fix="name a directory that you may write",
            ) from e
        out = Tree.at(target)
        try:
            failed = apply(out, changes, snapshot.read)
        finally:
            out.close()
    finally:
        tree.close()
    bad = {path for path, _ in failed}
    written = tuple(c.path for c in changes if c.path not in bad)
    return Collected(written, (), (*snapshot.skipped, *refused, *failed))


def write_back(changes: list[Change], after: Snapshot, target: Tree, *, git: bool = False) -> Collected:
    """Bring a sandbox's changes to a host tree. `git` also lets git's own files through."""
    safe, refused = sift(after.items)
    wanted = []
    for change in changes:
        if change.after is not None and change.path not in safe:
            continue  # sift has named it
        why = "" if git else _git_danger(change.path, after.items)
        if why:
            refused.append((change.path, why))
        else:
            wanted.append(change)
    changed = {c.path for c in changes}
    refused = [(path, why) for path, why in refused if path in changed] + list(after.skipped)
    failed = apply(target, wanted, after.read)
    bad = {path for path, _ in failed}
    done = [c for c in wanted if c.path not in bad]
    return Collected(
        tuple(c.path for c in done if c.after is not None),
        tuple(c.path for c in done if c.after is None),
        (*refused, *failed),
    )


def sift(items: Mapping[str, Item]) -> tuple[dict[str, Item], list[tuple[str, str]]]:
    """Split into what may be copied and what may not, with reasons."""
    safe: dict[str, Item] = {}
    refused = []
    for path, item in items.items():
        why = ""
        if item.kind == "link" and not stays_inside(path, items):
            why = "a link that leads out of the tree"
        if why:
            refused.append((path, why))
        else:
            safe[path] = item
    return safe, refused


def stays_inside(path: str, items: Mapping[str, Item]) -> bool:
    """Whether a link, followed step by step through this tree, never leaves it."""
    here = path.split("/")[:-1]
    todo = items[path].target.split("/")
    if items[path].target.startswith("/"):
        return False
    for _ in range(10_000):
        if not todo:
            return True
        name = todo.pop(0)
        if name in ("", "."):
            continue
        if name == "..":
            if not here:
                return False
            here.pop()
            continue
        here.append(name)
        item = items.get("/".join(here))
        if item is not None and item.kind == "link":
            if item.target.startswith("/"):
                return False
            here.pop()
            todo = item.target.split("/") + todo
            if len(todo) > 4096:
                return False
    return False  # a ring of links


def _git_danger(path: str, items: Mapping[str, Item]) -> str:
    parts = path.split("/")
    if any(part.casefold() == ".git" for part in parts):
        return "git's own files: their configuration and hooks run programs on the host"
    for i in range(len(parts)):
        top = "/".join(parts[:i])
        if all((f"{top}/{name}" if top else name) in items for name in _BARE):
            return "inside what git takes for a repository: its configuration and hooks run programs"
    return ""


def _hard_linked(tree: Tree, caps: Caps | None) -> set[str]:
    """Files with more names than this tree shows."""
    names: dict[tuple[int, int], list[str]] = {}
    links: dict[tuple[int, int], int] = {}
    for entry in tree.walk(caps):
        if entry.kind == "file" and entry.nlink > 1:
            names.setdefault(entry.inode, []).append(entry.path)
            links[entry.inode] = entry.nlink
    return {path for inode, paths in names.items() if len(paths) < links[inode] for path in paths}
