"""What of an answer is not its text: images and sounds of its messages, files of its trace, what an agent left.

Nothing is rendered here, and nothing that an address names is fetched. Hostile to whoever shows it.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterable, Iterator

from steelyard.arena.base import Medium
from steelyard.errors import DataError, LedgerError
from steelyard.ledger.base import Ledger
from steelyard.sandbox.pack import MEDIA_TYPE, Archive, unpack
from steelyard.schema.message import AudioPart, Message, media_of
from steelyard.schema.trace import Trace

DATA_URI = re.compile(r"^data:((?:image|audio|video)/[\w.+-]+);base64,([A-Za-z0-9+/=\s]+)$")
MOST_ARCHIVE = 8 << 20
"""Bytes of an archive that is opened for a battle; a larger one is a file to download."""
MOST_FILES = 60
MOST_PREVIEW = 60_000
"""Bytes of a file up to which it is shown as text."""
ADDRESS = "address, not loaded"


def media_in(messages: Iterable[Message]) -> Iterator[Medium]:
    """The images and sounds in the content of messages, numbered; what an address names is only named."""
    counts = {"image": 0, "sound": 0}
    for part in (p for m in messages for p in media_of(m)):
        word, usual = ("sound", "audio/wav") if isinstance(part, AudioPart) else ("image", "image/png")
        counts[word] += 1
        yield named(
            f"{word} {counts[word]}", part.url or f"data:{part.media_type or usual};base64,{part.data}"
        )


def named(name: str, url: str) -> Medium:
    """What a `data:` text holds; what an address names is only named."""
    inside = DATA_URI.match(url)
    return Medium(name, ADDRESS, preview=url) if inside is None else Medium(name, inside[1], inside[2])


def files_of(trace: Trace) -> Iterator[Medium]:
    """The files that a trace lists in its attributes."""
    files = trace.attributes.get("files")
    for found in files if isinstance(files, list) else []:
        if isinstance(found, dict) and isinstance(found.get("digest"), str):
            kind = str(found.get("media_type") or "application/octet-stream")
            yield Medium(str(found.get("name") or "file"), kind, digest=str(found["digest"]))


def workspace_of(ledger: Ledger, digest: str) -> Iterator[Medium]:
    """What an agent changed in its workspace, file by file, from the archive of that hash ("" : nothing)."""
    if not digest:
        return
    whole = Medium("changes of the workspace", MEDIA_TYPE, digest=digest)
    try:
        packed = ledger.payload(digest, 0, MOST_ARCHIVE + 1)
        archive = None if len(packed) > MOST_ARCHIVE else unpack(packed)
    except (LedgerError, DataError):
        # damaged, or of another form: what the agent said is still there to be judged
        return
    if archive is None:
        yield whole
        return
    paths = [p for p, item in archive.after.items() if item is None or item.kind != "dir"]
    for path in paths[:MOST_FILES]:
        yield _file(archive, digest, path)
    if len(paths) > MOST_FILES:
        yield whole


def _file(archive: Archive, digest: str, path: str) -> Medium:
    item = archive.after[path]
    if item is None:
        return Medium(path, "removed", gone=True)
    if item.kind == "link":
        return Medium(path, "link", preview=f"-> {item.target}")
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    preview = ""
    if item.size <= MOST_PREVIEW and not kind.startswith(("image/", "audio/", "video/")):
        try:
            preview = archive.read(path).decode()
        except UnicodeDecodeError:
            preview = ""
    return Medium(path, kind, digest=digest, member=path, preview="" if "\0" in preview else preview)
