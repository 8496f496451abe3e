"""Images of a task: files beside the suite, `data:` texts, or addresses that the provider fetches.

The kind of an image is read from its bytes, not from its name.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from steelyard.errors import DataError
from steelyard.schema.message import ImagePart, Message, Part
from steelyard.schema.task import Task
from steelyard.tasks.options import LoadOptions
from steelyard.tasks.paths import beside

_DATA = re.compile(r"data:(image/[a-z0-9.+-]+);base64,", re.IGNORECASE)


def media_type(head: bytes) -> str:
    """The kind by the first bytes; "" when it is none that providers take."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return ""


def _bytes_of(folder: Path, name: str, options: LoadOptions, where: str) -> tuple[str, bytes]:
    inline = _DATA.match(name)
    if inline:
        try:
            data = base64.b64decode(name[inline.end() :], validate=True)
        except (binascii.Error, ValueError) as e:
            raise DataError("broken base64 in an image", where=where, got=str(e)) from None
        shown = "an image given as data:"
    else:
        shown = f"the image {name}"
        path = beside(folder, name, allow_outside=options.allow_outside, what=shown, where=where)
        size = path.stat().st_size
        if size > options.image_bytes:
            raise DataError(
                f"{shown} is too large",
                where=where,
                wanted=f"at most {options.image_bytes} bytes",
                got=f"{size} bytes",
                fix="scale it down, or raise `image_bytes`",
            )
        data = path.read_bytes()
    kind = media_type(data[:16])
    if not kind:
        raise DataError(
            f"{shown} is of no kind that can be sent",
            where=where,
            wanted="PNG, JPEG, GIF or WebP",
            got=f"a file that starts with {data[:8]!r}",
            fix="convert it",
        )
    return kind, data


def _is_address(name: str) -> bool:
    return name.startswith(("https://", "http://"))


def _is_file(part: object) -> bool:
    known = ("https://", "http://", "data:")
    return isinstance(part, ImagePart) and bool(part.url) and not part.url.startswith(known)


def files_in(task: Task) -> tuple[str, ...]:
    """The paths of images that stand inside the task's messages."""
    if isinstance(task.input, str):
        return ()
    parts = [p for m in task.input if not isinstance(m.content, str) for p in m.content]
    return tuple(p.url for p in parts if isinstance(p, ImagePart) and _is_file(p))


def filled(messages: tuple[Message, ...], part_of: Callable[[str], ImagePart]) -> tuple[Message, ...]:
    """The messages with what stands at the paths in them."""

    def content(m: Message) -> str | tuple[Part, ...]:
        if isinstance(m.content, str):
            return m.content
        return tuple(part_of(p.url) if isinstance(p, ImagePart) and _is_file(p) else p for p in m.content)

    return tuple(msgspec.structs.replace(m, content=content(m)) for m in messages)


def digest(folder: Path, name: str, options: LoadOptions, where: str) -> str:
    """SHA-256 of an image's bytes (of its address when it has one). Raises DataError when it cannot be sent."""
    if _is_address(name):
        return hashlib.sha256(name.encode()).hexdigest()
    return hashlib.sha256(_bytes_of(folder, name, options, where)[1]).hexdigest()


def image_part(folder: Path, name: str, options: LoadOptions, where: str) -> ImagePart:
    """The image to put into a message. Raises DataError when it is missing, too large or no image."""
    if _is_address(name):
        return ImagePart(url=name)
    kind, data = _bytes_of(folder, name, options, where)
    return ImagePart(media_type=kind, data=base64.b64encode(data).decode())
