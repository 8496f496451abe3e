"""Trees of a task as archives that are the same on every machine, and the trees that overlays make of them.

Left out: `__pycache__`, `*.pyc`, `.DS_Store`, `.git` of the suite itself, empty directories (a repository cannot hold
them); of modes only "may be executed" counts, as in git. Links are kept as links.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from steelyard.errors import DataError
from steelyard.sandbox.pack import pack_tree, unpack
from steelyard.sandbox.profile import MIB
from steelyard.sandbox.snapshot import Item, Snapshot
from steelyard.sandbox.tree import Caps, Tree, over

MOST_BYTES = 64 * MIB
"""Of one tree of one task: it is kept in the ledger of every run."""
_CAPS = Caps(entries=50_000, total=MOST_BYTES, file=MOST_BYTES)
_JUNK = ("__pycache__", ".DS_Store", ".pytest_cache")


def tree_archive(folder: Path, *, without: tuple[str, ...] = ()) -> bytes:
    """The archive of a folder, b"" for one that is empty. `without` are names at its top that are left out.

    Raises DataError when it is too large to be kept, or holds what cannot be read.
    """
    tree = Tree.at(folder)
    try:
        taken = Snapshot.take(tree, _CAPS)
        if over(taken.skipped):
            path, why = over(taken.skipped)[0]
            raise DataError(
                "a tree of a task is too large to be kept with every run", where=f"{folder}/{path}",
                wanted=f"at most {MOST_BYTES // MIB} MiB and {_CAPS.entries} files", got=why,
                fix="make large inputs smaller, or generate them in the workspace",
            )  # fmt: skip
        if taken.skipped:
            path, why = taken.skipped[0]
            raise DataError("a tree of a task holds what cannot be kept", where=f"{folder}/{path}", got=why)
        files = {p: _plain(i) for p, i in taken.items.items() if i.kind != "dir" and not _junk(p, without)}
        items: dict[str, Item] = {}
        for path, item in files.items():
            parts = path.split("/")
            for i in range(1, len(parts)):
                items["/".join(parts[:i])] = Item("dir", 0o755)
            items[path] = item
        return pack_tree(Snapshot(items, taken.read), caps=_CAPS) if items else b""
    finally:
        tree.close()


def digest_of(archive: bytes) -> str:
    """The name of an archive; "" for the empty one."""
    return hashlib.sha256(archive).hexdigest() if archive else ""


def _junk(path: str, without: tuple[str, ...]) -> bool:
    parts = path.split("/")
    return parts[0] in without or path.endswith(".pyc") or any(p in _JUNK for p in parts)


def _plain(item: Item) -> Item:
    mode = 0o777 if item.kind == "link" else 0o755 if item.mode & 0o100 else 0o644
    return Item(item.kind, mode, item.size, item.digest, item.target)


def overlaid(base: Snapshot, overlay: Snapshot) -> Snapshot:
    """The tree that `base` is with the files of a solution laid over it; its `.delete` names paths to remove."""
    items = dict(base.items)
    for path in removals(overlay):
        for known in [p for p in items if p == path or p.startswith(path + "/")]:
            del items[known]
    for path, item in overlay.items.items():
        if path in (".delete", ".answer", "solve.sh"):
            continue
        if item.kind == "dir" and path in items and items[path].kind == "dir":
            continue
        items[path] = item

    def read(path: str) -> bytes:
        return overlay.read(path) if path in overlay.items and path != ".delete" else base.read(path)

    return Snapshot(items, read)


def removals(overlay: Snapshot) -> list[str]:
    """Paths that the `.delete` of an overlay names. Raises DataError for one that leads out of the tree."""
    if ".delete" not in overlay.items:
        return []
    lines = overlay.read(".delete").decode(errors="replace").splitlines()
    paths = [line.strip().rstrip("/") for line in lines if line.strip() and not line.startswith("#")]
    for path in paths:
        if path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
            raise DataError("`.delete` names a path that is not in the workspace", got=repr(path))
    return paths


def whole(archive: bytes) -> Snapshot:
    """The tree of an archive; b"" is an empty one."""
    return unpack(archive).whole()


class Archives:
    """Archives of a suite by digest, made again when asked for: nothing is held in memory."""

    def __init__(self) -> None:
        self._make: dict[str, tuple[Callable[[], bytes], str]] = {}

    def add(self, make: Callable[[], bytes], shown: str) -> str:
        """Take note of an archive; returns its digest."""
        digest = digest_of(make())
        if digest:
            self._make.setdefault(digest, (make, shown))
        return digest

    def read(self, digest: str) -> bytes:
        """An archive. Raises DataError when its files are no longer what was loaded."""
        if not digest:
            return b""
        if digest not in self._make:
            raise DataError("no tree of this suite has this name", got=digest)
        make, shown = self._make[digest]
        made = make()
        if digest_of(made) != digest:
            raise DataError(
                "files of a task were changed while the suite was in use", where=shown, fix="run again: the "
                "suite then has another version",
            )  # fmt: skip
        return made


def archive_of(
    files: dict[str, bytes],
    executable: set[str] | frozenset[str] = frozenset(),
    folders: set[str] | frozenset[str] = frozenset(),
) -> bytes:
    """The archive of some files by path, and of directories; b"" for none."""
    items: dict[str, Item] = {}
    for path in folders:
        parts = path.split("/")
        items |= {"/".join(parts[: i + 1]): Item("dir", 0o755) for i in range(len(parts))}
    for path, data in sorted(files.items()):
        parts = path.split("/")
        for i in range(1, len(parts)):
            items["/".join(parts[:i])] = Item("dir", 0o755)
        mode = 0o755 if path in executable else 0o644
        items[path] = Item("file", mode, len(data), hashlib.sha256(data).hexdigest())
    ordered = dict(sorted(items.items()))
    return pack_tree(Snapshot(ordered, files.__getitem__), caps=_CAPS) if items else b""
