"""`view` and `edit`: files by line range, directories two levels deep, images as images; exact replacement and undo.

Both reach the workspace and /tmp by handle and follow no symbolic link; `view` also reads the mounted skills.
"""

from __future__ import annotations

import base64
import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from steelyard.contestants.harness.hands import Hands
from steelyard.contestants.harness.tools import Outcome, SimpleTool, ToolError, schema
from steelyard.errors import DataError
from steelyard.sandbox.tree import Caps, Tree
from steelyard.schema.message import ImagePart, ToolSpec

_MOST_READ, _MOST_IMAGE, _MOST_WRITE = 16 << 20, 4 << 20, 8 << 20
_LINES, _LINE_CHARS, _ENTRIES = 400, 1000, 300
_TMP = "/tmp"  # noqa: S108 - a name inside the sandbox
_IMAGES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
VIEW = ToolSpec(
    "view",
    "Show a text file with line numbers (by `start` and `end`, which count from 1), a directory two levels deep, or an "
    f"image. The path is absolute. At most {_LINES} lines are shown at once.",
    schema(
        {
            "path": {"type": "string"},
            "start": {"type": "integer", "description": "first line"},
            "end": {"type": "integer", "description": "last line"},
        },
        ["path"],
    ),
)
EDIT = ToolSpec(
    "edit",
    "Change a file by its absolute path. `replace`: put `new` in place of `old`, which must occur exactly once, with "
    "its whitespace. `create`: write `text` as the whole file. `insert`: put `text` after line `line` (0: at the "
    "top). `undo`: take back the last edit of this file.",
    schema(
        {
            "command": {"type": "string", "enum": ["replace", "create", "insert", "undo"]},
            "path": {"type": "string"},
            "old": {"type": "string"},
            "new": {"type": "string"},
            "text": {"type": "string"},
            "line": {"type": "integer"},
        },
        ["command", "path"],
    ),
)


def _reason(e: OSError) -> str:
    if e.errno in (errno.ELOOP, errno.EINVAL):
        return "is not a regular file (a directory, a link, a device?); use bash to look at it"
    if e.errno == errno.ENOTDIR:
        return "goes through something that is no directory, or through a link; use bash"
    if e.errno in (errno.ENOSPC, errno.EDQUOT):
        return "does not fit: the quota of the workspace is used up. Delete what is not needed"
    return f"cannot be reached: {os.strerror(e.errno or 0)}"


class FileTools:
    """Both tools. `mounted` maps what is shown inside read-only (`/skills/x`) to its folder on the host."""

    def __init__(self, hands: Hands, *, chars: int, images: bool, mounted: Mapping[str, Path]) -> None:
        self._hands, self._chars, self._images = hands, chars, images
        self._mounted = mounted
        self._tops = (hands.box.profile.workdir, _TMP)
        self._undo: dict[str, list[bytes | None]] = {}

    def view(self) -> SimpleTool:
        """For the toolbox."""
        return SimpleTool(VIEW, self._view, acts=False)

    def edit(self) -> SimpleTool:
        """For the toolbox."""
        return SimpleTool(EDIT, self._edit)

    async def _view(self, arguments: dict[str, object]) -> Outcome:
        path = _absolute(arguments["path"])
        host = next((p for p in self._mounted if path == p or path.startswith(p + "/")), None)
        if host is not None:
            return self._show(path, *_mounted(self._mounted[host], path[len(host) :].strip("/")), arguments)
        return self._show(path, *await self._hands.do(lambda: self._look(path)), arguments)

    def _look(self, path: str) -> tuple[bytes | None, list[str]]:
        """A file's content, or what is in a directory."""
        files = self._hands.files
        if path in self._tops:
            return None, _listed(files.listing(path, limit=_ENTRIES))
        try:
            return files.read(path, limit=_MOST_READ), []
        except DataError as e:
            if "longer than" in e.message:
                raise ToolError(
                    f"{path} is larger than {_MOST_READ} bytes; look at a part with bash (head, tail, sed -n)."
                ) from None
            raise ToolError(
                f"{path} is outside of what `view` reaches ({' and '.join(self._tops)}). Use bash (cat, ls)."
            ) from None
        except OSError as e:
            if e.errno == errno.ENOENT:
                raise ToolError(f"There is no {path}. View its directory to see what there is.") from None
            try:
                return None, _listed(files.listing(path, limit=_ENTRIES))
            except OSError:
                raise ToolError(f"{path} {_reason(e)}.") from None

    def _show(
        self, path: str, data: bytes | None, listed: list[str], arguments: dict[str, object]
    ) -> Outcome:
        if data is None:
            return Outcome("\n".join([f"{path}:", *listed]) if listed else f"{path} is an empty directory.")
        media = next((m for magic, m in _IMAGES if data.startswith(magic)), "")
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            media = "image/webp"
        if media:
            return self._image(path, data, media)
        if b"\0" in data[:8192]:
            raise ToolError(
                f"{path} is a binary file of {len(data)} bytes; look at it with bash (file, xxd, strings)."
            )
        return self._text(path, data.decode("utf-8", "replace"), arguments)

    def _image(self, path: str, data: bytes, media: str) -> Outcome:
        if not self._images:
            raise ToolError(
                f"{path} is an image ({media}, {len(data)} bytes); images are not shown in this trial."
            )
        if len(data) > _MOST_IMAGE:
            raise ToolError(
                f"{path} is an image of {len(data)} bytes, over {_MOST_IMAGE}; make it smaller first."
            )
        part = ImagePart(media_type=media, data=base64.b64encode(data).decode())
        return Outcome(f"{path}: {media}, {len(data)} bytes; it is shown below.", images=(part,))

    def _text(self, path: str, text: str, arguments: dict[str, object]) -> Outcome:
        lines = text.split("\n")
        if lines and lines[-1] == "":
            lines.pop()
        if not lines:
            return Outcome(f"{path} is an empty file.")
        first, last = _number(arguments, "start", 1), _number(arguments, "end", 0)
        if not 1 <= first <= len(lines) or (last and last < first):
            raise ToolError(
                f"{path} has {len(lines)} lines; `start` must be from 1 to that, `end` not before `start`."
            )
        last = min(last or len(lines), len(lines), first + _LINES - 1)
        room = self._chars
        shown: list[str] = []
        for number in range(first, last + 1):
            line = lines[number - 1]
            if len(line) > _LINE_CHARS:
                line = f"{line[:_LINE_CHARS]} [... {len(line) - _LINE_CHARS} characters more]"
            room -= len(line) + 8
            if room < 0 and shown:
                last = number - 1
                break
            shown.append(f"{number:6}\t{line}")
        if last < len(lines):
            shown.append(f"[lines {first} to {last} of {len(lines)}; go on with `start`: {last + 1}]")
        return Outcome("\n".join(shown))

    async def _edit(self, arguments: dict[str, object]) -> Outcome:
        return await self._hands.do(lambda: self._change(arguments))

    def _change(self, arguments: dict[str, object]) -> Outcome:
        path, command = _absolute(arguments["path"]), str(arguments["command"])
        if command == "undo":
            return self._take_back(path)
        before = self._before(path)
        if command == "create":
            after, said = _need(arguments, "text", command).encode("utf-8", "surrogatepass"), "written"
        elif before is None:
            raise ToolError(
                f"There is no {path}. Write it with `create`, or view the directory for the right name."
            )
        elif command == "insert":
            after, said = _inserted(path, before, arguments)
        else:
            after, said = _replaced(path, before, arguments)
        self._write(path, after)
        self._undo.setdefault(path, []).append(before)
        return Outcome(f"{path}: {said}.")

    def _take_back(self, path: str) -> Outcome:
        if not self._undo.get(path):
            raise ToolError(f"There is no edit of {path} to take back.")
        before = self._undo[path].pop()
        if before is None:
            self._hands.files.remove(path)
            return Outcome(f"{path}: removed, as it was before.")
        self._write(path, before)
        return Outcome(f"{path}: the last edit is taken back.")

    def _before(self, path: str) -> bytes | None:
        try:
            return self._hands.files.read(path, limit=_MOST_WRITE)
        except DataError as e:
            if "longer than" in e.message:
                raise ToolError(f"{path} is larger than {_MOST_WRITE} bytes; change it with bash.") from None
            raise ToolError(
                f"{path} is not in {' or '.join(self._tops)}, where files can be edited. Give such a path in full."
            ) from None
        except OSError as e:
            if e.errno == errno.ENOENT:
                return None
            raise ToolError(f"{path} {_reason(e)}.") from None

    def _write(self, path: str, data: bytes) -> None:
        try:
            self._hands.files.write(path, data)
        except OSError as e:
            if e.errno == errno.EISDIR:
                raise ToolError(f"{path} is a directory. Give the path of a file.") from None
            raise ToolError(f"{path} {_reason(e)}.") from None


def _absolute(value: object) -> str:
    path = str(value)
    if not path.startswith("/") or "\0" in path:
        raise ToolError(
            f"`path` must be absolute, such as /workspace/{path.lstrip('./')[:80] or 'file.txt'}."
        )
    return "/" + "/".join(p for p in path.split("/") if p not in ("", "."))


def _number(arguments: Mapping[str, object], name: str, otherwise: int) -> int:
    value = arguments.get(name, otherwise)
    return int(value) if isinstance(value, int | float) else otherwise


def _need(arguments: Mapping[str, object], name: str, command: str) -> str:
    if name not in arguments:
        raise ToolError(f"`{command}` needs `{name}`. Call `edit` again with it.")
    return str(arguments[name])


def _replaced(path: str, before: bytes, arguments: Mapping[str, object]) -> tuple[bytes, str]:
    old, new = (_in_style(_need(arguments, k, "replace"), before) for k in ("old", "new"))
    needle = old.encode("utf-8", "surrogatepass")
    if not needle:
        raise ToolError("`old` is empty. Use `insert` to add text, or `create` to write a whole file.")
    count = before.count(needle)
    if count == 0:
        close = old.strip().encode("utf-8", "surrogatepass")
        hint = (
            " It is there with other whitespace around it: copy it exactly."
            if close and before.count(close)
            else " View the file and copy the text exactly, whitespace included."
        )
        raise ToolError(f"`old` does not occur in {path}.{hint}")
    if count > 1:
        numbers = [n for n, line in enumerate(before.split(b"\n"), 1) if needle.split(b"\n")[0] in line][:8]
        raise ToolError(
            f"`old` occurs {count} times in {path} (near lines {', '.join(map(str, numbers))}). "
            "Give more of the text around it, so that it occurs once."
        )
    line = before[: before.index(needle)].count(b"\n") + 1
    return before.replace(needle, new.encode("utf-8", "surrogatepass")), f"replaced at line {line}"


def _crlf(before: bytes) -> bool:
    """Whether every line of a file ends in CR LF: no viewer shows that, so no model can copy it."""
    return b"\r\n" in before and before.count(b"\r\n") == before.count(b"\n")


def _in_style(text: str, before: bytes) -> str:
    """A text with the line ends of the file that it is for."""
    return text.replace("\r\n", "\n").replace("\n", "\r\n") if _crlf(before) else text


def _inserted(path: str, before: bytes, arguments: Mapping[str, object]) -> tuple[bytes, str]:
    text, line = _need(arguments, "text", "insert"), _number(arguments, "line", -1)
    end = b"\r\n" if _crlf(before) else b"\n"
    lines = before.split(end)
    count = len(lines) - (lines[-1] == b"")
    if not 0 <= line <= count:
        raise ToolError(f"`line` must be from 0 to {count}, the number of lines of {path}.")
    added = _in_style(text, before).encode("utf-8", "surrogatepass").removesuffix(end).split(end)
    return end.join([*lines[:line], *added, *lines[line:]]), f"{len(added)} lines after line {line}"


def _listed(found: Iterable[tuple[str, str]]) -> list[str]:
    rows = [(p, k) for p, k in found if not p.startswith(".git/")]
    shown = [
        f"  {path}{'/' if kind == 'dir' else ' (link)' if kind == 'link' else ''}" for path, kind in rows
    ]
    return [*shown, f"  [only the first {_ENTRIES}]"] if len(rows) >= _ENTRIES else shown


def _mounted(folder: Path, name: str) -> tuple[bytes | None, list[str]]:
    """A file or a directory of a read-only mount, read on the host by handle."""
    tree = Tree.at(str(folder))
    try:
        if name:
            try:
                return tree.read(name, limit=_MOST_READ), []
            except OSError as e:
                if e.errno == errno.ENOENT:
                    raise ToolError(f"There is no {name} in it. View its directory.") from None
        rows = [(e.path, e.kind) for e in tree.walk(Caps(entries=5000))]
    except DataError:
        raise ToolError("A path must not hold `..`. Give it in full.") from None
    finally:
        tree.close()
    inside = [(p.removeprefix(f"{name}/"), k) for p, k in rows if not name or p.startswith(f"{name}/")]
    return None, _listed([(p, k) for p, k in inside if p.count("/") < 2][:_ENTRIES])
