"""The chain: rows as bytes, each bound to all rows before it, kept in compressed blocks.

Not covered: somebody who can write the ledger and recomputes a whole chain. Against that stands only a head noted
elsewhere (`verify --head`); the chain has no secret.

Row *i* of a chain has the hash ``h[i] = SHA-256(h[i-1] || row bytes)``, where ``h[-1]`` is the SHA-256 of the chain's
kind and key, so that a chain cannot be passed off as another. Rows are stored in blocks: a MessagePack array of rows,
compressed with zstd. A block carries the hash after its last row, and the first `TAG` bytes of every row's hash as a
tag, so that a difference is traced to its row and not only to its block. Blocks are storage, not meaning: merging
neighbours changes no row and no hash.
"""

from __future__ import annotations

import hashlib
import struct
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import zstandard

from steelyard.errors import LedgerCorrupt

TAG = 4
"""Bytes of each row's hash that are stored beside it."""

MAX_BLOCK = 1 << 30
"""A block never unpacks to more than this; a frame that claims more is damaged."""

MAX_ROWS = (1 << 32) - 1
"""Rows that one chain can hold: a block's number is chain << 32 | sequence number of its first row."""

_sha256 = hashlib.sha256
_rows_decoder = msgspec.msgpack.Decoder(list[msgspec.Raw])
_sequence_of_raw = struct.Struct(">BI")


@dataclass(frozen=True, slots=True)
class Block:
    """Rows `first` .. `first + n - 1` of a chain, as stored."""

    first: int
    n: int
    head: bytes
    tags: bytes
    body: bytes


def genesis(kind: str, key: str) -> bytes:
    """The hash before the first row of a chain."""
    return _sha256(b"steelyard chain 1\0" + kind.encode() + b"\0" + key.encode()).digest()


def extend(head: bytes, rows: Iterable[bytes]) -> tuple[bytes, bytes]:
    """The head after `rows`, and their tags joined."""
    tags = bytearray()
    sha256 = _sha256
    for row in rows:
        head = sha256(head + row).digest()
        tags += head[:TAG]
    return head, bytes(tags)


def pack(rows: Sequence[bytes]) -> bytes:
    """Rows (each one MessagePack value) as one MessagePack array, uncompressed."""
    return _sequence_of_raw.pack(0xDD, len(rows)) + b"".join(rows)


def join(bodies: Sequence[bytes], n: int) -> bytes:
    """Uncompressed bodies joined to one body of `n` rows."""
    return _sequence_of_raw.pack(0xDD, n) + b"".join(body[5:] for body in bodies)


def unpack(body: bytes) -> list[msgspec.Raw]:
    """The rows of an uncompressed body, as views on it. Raises LedgerCorrupt."""
    try:
        return _rows_decoder.decode(body)
    except msgspec.DecodeError as e:
        raise LedgerCorrupt(f"a block of rows is damaged: {e}") from e


class Packer(threading.local):
    """Compresses and decompresses blocks; keeps zstd's contexts, which are not thread-safe, once a thread."""

    def __init__(self, level: int = 3) -> None:
        self._compressor = zstandard.ZstdCompressor(level=level, write_checksum=True)
        self._decompressor = zstandard.ZstdDecompressor()

    def compress(self, body: bytes | memoryview) -> bytes:
        """One zstd frame with its size and a checksum."""
        return self._compressor.compress(body)

    def decompress(self, data: bytes, limit: int = MAX_BLOCK) -> bytes:
        """The content of a frame. Raises LedgerCorrupt when it is damaged or claims more than `limit` bytes."""
        try:
            size = zstandard.frame_content_size(data)
            if not 0 <= size <= limit:
                raise LedgerCorrupt(f"a compressed block claims {size} bytes; at most {limit} are possible")
            return self._decompressor.decompress(data)
        except zstandard.ZstdError as e:
            raise LedgerCorrupt(f"a compressed block is damaged: {e}") from e

    def rows(self, data: bytes) -> list[msgspec.Raw]:
        """The rows of a compressed body."""
        return unpack(self.decompress(data))


def check(
    blocks: Iterable[Block], start: bytes, packer: Packer, problems: list[str]
) -> Iterator[tuple[int, bytes, bytes]]:
    """Walk a chain from its genesis hash `start`; yields (sequence number, row, hash after it) of the rows that hold.

    Every defect is appended to `problems`, with the number of the row. After a defect the walk goes on from the
    stored head of the block, so that one altered row is one problem and not one for each row after it.
    """
    head, expected = start, 0
    for block in blocks:
        if block.first != expected:
            lost = (
                f"rows {expected} to {block.first - 1}" if block.first - expected > 1 else f"row {expected}"
            )
            if block.first > expected:
                problems.append(f"{lost}: missing")
            else:
                problems.append(f"row {block.first}: stored twice, or out of order")
            # the hash before the gap's end is lost with the gap: this block's first row cannot be checked
            head = b""
        try:
            rows = packer.rows(block.body)
        except LedgerCorrupt as e:
            problems.append(f"rows {block.first} to {block.first + block.n - 1}: unreadable ({e})")
            head, expected = block.head, block.first + block.n
            continue
        head = yield from _check_block(block, rows, head, problems)
        expected = block.first + block.n


def _check_block(
    block: Block, rows: list[msgspec.Raw], head: bytes, problems: list[str]
) -> Generator[tuple[int, bytes, bytes], None, bytes]:
    """The rows of one block that hold; returns its head."""
    if len(rows) != block.n or len(block.tags) != TAG * block.n:
        problems.append(
            f"rows {block.first} to {block.first + block.n - 1}: {len(rows)} rows and {len(block.tags) // TAG} tags "
            f"are there, {block.n} are declared"
        )
    bad = None
    for i, raw in enumerate(rows):
        row = bytes(raw)
        if not head:  # after a gap: take this row on trust, the gap is reported already
            break
        head = _sha256(head + row).digest()
        if head[:TAG] != block.tags[TAG * i : TAG * i + TAG]:
            bad = i
            break
        yield block.first + i, row, head
    if bad is not None:
        problems.append(f"row {block.first + bad}: altered, missing or out of order")
    elif head and head != block.head:
        problems.append(
            f"rows {block.first} to {block.first + block.n - 1}: the head stored with them is not theirs"
        )
    return block.head
