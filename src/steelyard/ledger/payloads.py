"""Payloads: bytes kept under the SHA-256 of their content, compressed; large ones in chunks that are read singly.

A payload of at most `CHUNK` bytes is one zstd frame. A larger one is cut every `CHUNK` bytes of content and each piece
is a frame of its own, numbered, so that bytes [start, stop) cost only the chunks that they touch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from steelyard.errors import DataError, LedgerCorrupt
from steelyard.ledger.chain import Packer
from steelyard.ledger.database import Database, Transaction

CHUNK = 256 * 1024
"""Bytes of content a chunk."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A payload ready to be kept: compressed pieces, in order."""

    digest: bytes
    size: int
    media_type: str
    pieces: tuple[bytes, ...]

    @property
    def stored(self) -> int:
        """Compressed bytes."""
        return sum(map(len, self.pieces))


def pack(payload: bytes, media_type: str, packer: Packer) -> Packed:
    """Compress a payload, in pieces when it is larger than `CHUNK`."""
    view = memoryview(payload)
    pieces = tuple(packer.compress(bytes(view[i : i + CHUNK])) for i in range(0, max(len(payload), 1), CHUNK))
    return Packed(hashlib.sha256(payload).digest(), len(payload), media_type, pieces)


def keep(tx: Transaction, packed: Packed) -> None:
    """Keep a payload unless it is there already."""
    if tx.rows("SELECT 1 FROM payloads WHERE digest = ?", (packed.digest,)):
        return
    whole = packed.pieces[0] if len(packed.pieces) == 1 else None
    # another writer may have kept the same content since the look above (PostgreSQL): then there is nothing to do
    new = tx.rows(
        "INSERT INTO payloads (digest, size, media, body) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id",
        (packed.digest, packed.size, packed.media_type, whole),
    )
    if new and whole is None:
        base = cast("int", new[0][0]) << 24
        tx.many("INSERT INTO chunks VALUES (?, ?)", [(base + i, p) for i, p in enumerate(packed.pieces)])


def read(db: Database, packer: Packer, digest: str, start: int = 0, stop: int | None = None) -> bytes:
    """Bytes [start, stop) of a payload, clipped to it. Raises DataError when there is none, LedgerCorrupt."""
    number, size, body = _find(db, digest)
    stop = size if stop is None else min(stop, size)
    if start < 0 or stop < 0:
        raise DataError(
            "a payload's range counts from its beginning", wanted="0 or more", got=f"{start}:{stop}"
        )
    if start >= stop:
        return b""
    if body is not None:
        return packer.decompress(body, CHUNK)[start:stop]
    first, last = start // CHUNK, (stop - 1) // CHUNK
    parts = [packer.decompress(p, CHUNK) for p in _pieces(db, number, first, last + 1)]
    if len(parts) != last + 1 - first:
        raise LedgerCorrupt(f"payload {digest}: a chunk of {first} to {last} is missing")
    return b"".join(parts)[start - first * CHUNK : stop - first * CHUNK]


def describe(db: Database, digest: str) -> tuple[int, str]:
    """Size in bytes and media type of a payload. Raises DataError when there is none."""
    _find(db, digest)
    rows = db.rows("SELECT size, media FROM payloads WHERE digest = ?", (bytes.fromhex(digest),))
    return cast("int", rows[0][0]), cast("str", rows[0][1])


def _find(db: Database, digest: str) -> tuple[int, int, bytes | None]:
    try:
        key = bytes.fromhex(digest)
    except ValueError:
        key = b""
    rows = db.rows("SELECT id, size, body FROM payloads WHERE digest = ?", (key,))
    if not rows:
        raise DataError(
            f"no payload {digest!r} in {db.place}", wanted="the SHA-256 of kept content, 64 hex digits"
        )
    return cast("tuple[int, int, bytes | None]", rows[0])


def _pieces(db: Database, number: int, first: int, stop: int) -> Iterator[bytes]:
    base = number << 24
    for i in range(first, stop, 16):
        for row in db.rows(
            "SELECT body FROM chunks WHERE id >= ? AND id < ? ORDER BY id",
            (base + i, base + min(i + 16, stop)),
        ):
            yield cast("bytes", row[0])


def damaged(db: Database, packer: Packer) -> Iterator[str]:
    """A sentence for every payload whose content is not what its name says."""
    after = -1
    while True:
        found = db.rows(
            "SELECT id, digest, size, body FROM payloads WHERE id > ? ORDER BY id LIMIT 64", (after,)
        )
        if not found:
            return
        for row in found:
            after, digest, size, body = cast("tuple[int, bytes, int, bytes | None]", row)
            hasher, n = hashlib.sha256(), 0
            try:
                n_pieces = -(-size // CHUNK)
                for piece in [body] if body is not None else _pieces(db, after, 0, n_pieces):
                    content = packer.decompress(piece, CHUNK)
                    hasher.update(content)
                    n += len(content)
            except LedgerCorrupt as e:
                yield f"payload {digest.hex()}: unreadable ({e})"
                continue
            if hasher.digest() != digest or n != size:
                yield f"payload {digest.hex()}: altered or cut"
