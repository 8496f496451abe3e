"""Images and sounds of answers that were made elsewhere: as parts of a message, by path beside the table or as bytes.

Not covered: addresses, which are kept as such and never fetched. What a file is, its first bytes say.
"""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec

from steelyard.errors import DataError
from steelyard.ledger.importers.base import an_object
from steelyard.ledger.importers.chat import content_of
from steelyard.schema.media import image_type, sound_type
from steelyard.schema.message import AudioPart, ImagePart, Message, Part, TextPart, media_of

MOST_BYTES = 20 << 20
"""Of one image or sound."""
_KINDS = frozenset({"image", "image_url", "audio", "input_audio"})
_ELSEWHERE = ("https://", "http://", "data:")


def parts_of(raw: object, folder: Path, where: str) -> tuple[Part, ...]:
    """The parts of a cell that holds an image or a sound: `{type: audio, path: FILE}`, or a list with one in it, as
    JSON or as the text of it. Empty for any other cell. Raises DataError for a file that cannot be had."""
    if isinstance(raw, str) and raw.lstrip().startswith(("{", "[")) and '"type"' in raw:
        try:
            raw = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            return ()
    found = raw if isinstance(raw, list) else [raw]
    if not any(an_object(p).get("type") in _KINDS for p in found):
        return ()
    content, _ = content_of(found)
    return filled(Message("assistant", content), folder, where).content  # type: ignore[return-value] # has media


def filled(message: Message, folder: Path, where: str) -> Message:
    """The message with the bytes of the files that its parts name. Raises DataError."""
    if not media_of(message):
        return message
    return msgspec.structs.replace(message, content=tuple(_filled(p, folder, where) for p in message.content))  # type: ignore[arg-type] # it has parts


def _filled(part: Part, folder: Path, where: str) -> Part:
    if isinstance(part, TextPart) or not part.url or part.url.startswith(_ELSEWHERE):
        return part
    what = f"the {'sound' if isinstance(part, AudioPart) else 'image'} {part.url[:200]}"
    path = (folder / part.url).resolve() if "\0" not in part.url else folder
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise DataError(
            f"{what} is not there",
            where=where,
            wanted=f"a file below {folder}",
            got=part.url[:200],
            fix="paths start from the table's folder",
        )
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise DataError(
            f"{what} is too large", where=where, wanted=f"at most {MOST_BYTES} bytes", got=str(size)
        )
    content = path.read_bytes()
    kind = (sound_type if isinstance(part, AudioPart) else image_type)(content[:16])
    if not kind:
        wanted = "WAV, MP3, FLAC or Ogg" if isinstance(part, AudioPart) else "PNG, JPEG, GIF or WebP"
        raise DataError(f"{what} is of another kind", where=where, wanted=wanted, got=repr(content[:8]))
    data = base64.b64encode(content).decode()
    return AudioPart(kind, data) if isinstance(part, AudioPart) else ImagePart(kind, data)
