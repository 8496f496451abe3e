"""Two states of a tree as one patch in git's form, which `git apply` takes: text, binary, links and modes.

Made here and not by git, because git run in a contestant's tree executes what that tree's configuration
says. Files above 8 MiB are named with their digests instead of their content.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from steelyard.sandbox.snapshot import Change, Item, Snapshot

_TEXT_LIMIT, _BINARY_LIMIT = 1 << 20, 8 << 20


def diff(before: Snapshot, after: Snapshot) -> bytes:
    """The patch from `before` to `after`; empty when files and links are the same."""
    return patch(before.to(after), before.read, after.read)


def patch(
    changes: list[Change], read_before: Callable[[str], bytes], read_after: Callable[[str], bytes]
) -> bytes:
    """The patch of some changes. Directories have no place in git's form; their files have."""
    parts = []
    for change in changes:
        old = _content(change.path, change.before, read_before)
        new = _content(change.path, change.after, read_after)
        if old is None and new is None:
            continue
        if old and new and old[0][:3] != new[0][:3]:  # a file became a link: two patches, as git writes it
            parts += [_one(change.path, old, None), _one(change.path, None, new)]
        else:
            parts.append(_one(change.path, old, new))
    return b"".join(parts)


def _content(
    path: str, item: Item | None, read: Callable[[str], bytes]
) -> tuple[str, bytes | None, str] | None:
    """(git mode, content or None when too long, digest), or None when there is nothing of git's concern."""
    if item is None or item.kind not in ("file", "link"):
        return None
    if item.kind == "link":
        return "120000", item.target.encode(errors="surrogateescape"), ""
    mode = "100755" if item.mode & 0o100 else "100644"
    return mode, (read(path) if item.size <= _BINARY_LIMIT else None), item.digest


def _one(
    path: str, old: tuple[str, bytes | None, str] | None, new: tuple[str, bytes | None, str] | None
) -> bytes:
    a, b = _name("a/" + path), _name("b/" + path)
    head = [b"diff --git " + a + b" " + b]
    if old is None and new:
        head.append(f"new file mode {new[0]}".encode())
    elif new is None and old:
        head.append(f"deleted file mode {old[0]}".encode())
    elif old and new and old[0] != new[0]:
        head += [f"old mode {old[0]}".encode(), f"new mode {new[0]}".encode()]
    was, now = (old[1] if old else b""), (new[1] if new else b"")
    if was is None or now is None:
        digests = f"{old[2] if old else 'nothing'} -> {new[2] if new else 'nothing'}"
        return b"\n".join([*head, f"# too long to show: {digests}".encode(), b""])
    if was == now and old and new:
        return b"\n".join([*head, b""]) if old[0] != new[0] else b""
    head.append(f"index {_blob(was, old)}..{_blob(now, new)}".encode())
    if _is_text(was) and _is_text(now):
        names = (a if old else b"/dev/null", b if new else b"/dev/null")
        return b"\n".join(head) + b"\n" + _text(was, now, names)
    return b"\n".join([*head, b"GIT binary patch"]) + b"\n" + _literal(now) + _literal(was)


def _text(was: bytes, now: bytes, names: tuple[bytes, bytes]) -> bytes:
    if was == now:
        return b""
    out = [b"--- " + names[0] + b"\n", b"+++ " + names[1] + b"\n"]
    pair = [data.decode("latin-1").split("\n") for data in (was, now)]
    ended = [lines[-1] == "" for lines in pair]
    lines = [
        [line + "\n" for line in p[:-1]] + ([] if e else [p[-1]]) for p, e in zip(pair, ended, strict=True)
    ]
    for i, line in enumerate(difflib.unified_diff(lines[0], lines[1], n=3)):
        if i < 2:
            continue
        raw = line.encode("latin-1")
        out.append(raw if raw.endswith(b"\n") else raw + b"\n\\ No newline at end of file\n")
    return b"".join(out)


def _is_text(data: bytes) -> bool:
    return len(data) <= _TEXT_LIMIT and b"\0" not in data and b"\r" not in data


def _blob(data: bytes, there: object) -> str:
    """git's own name of a content, which `git apply` wants for binary files."""
    if not there:
        return "0" * 40
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _literal(data: bytes) -> bytes:
    packed = zlib.compress(data)
    lines = [b"literal %d\n" % len(data)]
    for i in range(0, len(packed), 52):
        piece = packed[i : i + 52]
        size = len(piece)
        mark = chr(ord("A") + size - 1) if size <= 26 else chr(ord("a") + size - 27)
        padded = piece + b"\0" * (-size % 4)
        lines.append(mark.encode() + base64.b85encode(padded) + b"\n")
    return b"".join([*lines, b"\n"])


def _name(path: str) -> bytes:
    """A path as git writes it: quoted when it holds anything but plain characters."""
    raw = path.encode(errors="surrogateescape")
    if all(32 <= c < 127 and c not in b'"\\' for c in raw) and b" " not in raw:
        return raw
    out = bytearray(b'"')
    for c in raw:
        if c in b'"\\':
            out += b"\\" + bytes([c])
        elif c < 32 or c >= 127:
            out += {10: b"\\n", 9: b"\\t", 13: b"\\r"}.get(c, b"\\%03o" % c)
        else:
            out.append(c)
    return bytes(out + b'"')
