"""Images and sounds of a task: files beside the suite, `data:` texts, images at addresses that the provider fetches.

The kind is read from the bytes, not from the name. A sound at an address is refused: no provider fetches one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from steelyard.errors import DataError
from steelyard.schema.media import image_type, sound_type
from steelyard.schema.message import AudioPart, ImagePart, Message, Part, media_of
from steelyard.schema.task import Task
from steelyard.tasks.options import LoadOptions
from steelyard.tasks.paths import beside

_DATA = re.compile(r"data:(?:image|audio)/[a-z0-9.+-]+;base64,", re.IGNORECASE)
Kind = Literal["image", "sound"]
_WANTED: dict[Kind, str] = {"image": "PNG, JPEG, GIF or WebP", "sound": "WAV, MP3, FLAC or Ogg"}


@dataclass(frozen=True, slots=True)
class Named:
    """An image or a sound by its path, `data:` text or address."""

    name: str
    kind: Kind = "image"


def _bytes_of(folder: Path, of: Named, options: LoadOptions, where: str) -> tuple[str, bytes]:
    name, article = of.name, "an image" if of.kind == "image" else "a sound"
    limit, option = (
        (options.image_bytes, "image_bytes") if of.kind == "image" else (options.audio_bytes, "audio_bytes")
    )
    if _is_address(name):
        raise DataError(
            f"{article} at an address",
            where=where,
            wanted="a path beside the suite, or a `data:` text",
            got=name[:200],
            fix="put the file beside the suite: no provider fetches a sound",
        )
    inline = _DATA.match(name)
    if inline:
        try:
            data = base64.b64decode(name[inline.end() :], validate=True)
        except (binascii.Error, ValueError) as e:
            raise DataError(f"broken base64 in {article}", where=where, got=str(e)) from None
        shown, size = f"{article} given as data:", len(data)
    else:
        shown = f"the {of.kind} {name}"
        path = beside(folder, name, allow_outside=options.allow_outside, what=shown, where=where)
        size = path.stat().st_size
        data = path.read_bytes() if size <= limit else b""
    if size > limit:
        raise DataError(
            f"{shown} is too large",
            where=where,
            wanted=f"at most {limit} bytes",
            got=f"{size} bytes",
            fix=f"make it smaller, or raise `{option}`",
        )
    kind = image_type(data[:16]) if of.kind == "image" else sound_type(data[:16])
    if not kind:
        raise DataError(
            f"{shown} is of no kind that can be sent",
            where=where,
            wanted=_WANTED[of.kind],
            got=f"bytes that start with {data[:8]!r}",
            fix="convert it",
        )
    return kind, data


def _is_address(name: str) -> bool:
    return name.startswith(("https://", "http://"))


def _named(part: ImagePart | AudioPart) -> Named | None:
    """What has to be read for this part; None for one that holds its bytes, or an image that the provider fetches."""
    if isinstance(part, AudioPart):
        # one that is given inside the message is checked like a file: what is sent is of the kind that it says
        return Named(part.url or f"data:audio/x;base64,{part.data}", "sound")
    known = ("https://", "http://", "data:")
    return None if not part.url or part.url.startswith(known) else Named(part.url)


def files_in(task: Task) -> Iterator[Named]:
    """The images of the task, and what stands inside its messages, that must be read before it can be sent."""
    yield from (Named(name) for name in task.images)
    if not isinstance(task.input, str):
        yield from (n for m in task.input for p in media_of(m) if (n := _named(p)) is not None)


def filled(messages: tuple[Message, ...], part_of: Callable[[Named], Part]) -> tuple[Message, ...]:
    """The messages with what stands at the paths in them."""

    def one(part: Part) -> Part:
        named = _named(part) if isinstance(part, ImagePart | AudioPart) else None
        return part if named is None else part_of(named)

    def content(m: Message) -> str | tuple[Part, ...]:
        return m.content if isinstance(m.content, str) else tuple(map(one, m.content))

    return tuple(msgspec.structs.replace(m, content=content(m)) for m in messages)


def digest(folder: Path, of: Named, options: LoadOptions, where: str) -> str:
    """SHA-256 of the bytes (of its address when it has one). Raises DataError when it cannot be sent."""
    if of.kind == "image" and _is_address(of.name):
        return hashlib.sha256(of.name.encode()).hexdigest()
    return hashlib.sha256(_bytes_of(folder, of, options, where)[1]).hexdigest()


def part_of(folder: Path, of: Named, options: LoadOptions, where: str) -> ImagePart | AudioPart:
    """What to put into a message. Raises DataError when it is missing, too large or of no kind that is sent."""
    if of.kind == "image" and _is_address(of.name):
        return ImagePart(url=of.name)
    kind, data = _bytes_of(folder, of, options, where)
    text = base64.b64encode(data).decode()
    return ImagePart(kind, text) if of.kind == "image" else AudioPart(kind, text)
