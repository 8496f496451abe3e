"""Blocks in the database: append to a chain, read a stretch of it, merge small neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from steelyard.errors import LedgerBusy, LedgerCorrupt, LedgerError
from steelyard.ledger import chain
from steelyard.ledger.chain import MAX_ROWS, Block, Packer
from steelyard.ledger.database import Database, Transaction

MAX_BLOCK_BYTES = 1 << 20
"""An append of more bytes than this becomes several blocks (one row larger than this is a block alone)."""

MERGE_BYTES = 64 * 1024
MERGE_BLOCKS = 256
"""Small blocks are merged when they hold this many bytes together, or are this many."""


@dataclass(frozen=True, slots=True)
class Tip:
    """The end of a chain: its number, rows, hash, money spent and status."""

    chain: int
    n: int
    head: bytes
    spent: int
    status: str


def tip(source: Database | Transaction, kind: str, name: str, *, lock: str = "") -> Tip | None:
    """The end of a chain, or None when there is no such chain."""
    sql = "SELECT id, n, head, spent, status FROM chains WHERE kind = ? AND name = ?"
    found = source.rows(sql + lock, (kind, name))
    return Tip(*cast("tuple[int, int, bytes, int, str]", found[0])) if found else None


def begin(tx: Transaction, kind: str, name: str, at: int) -> Tip:
    """Make a new, empty chain. Raises LedgerError when there is one of that name."""
    head = chain.genesis(kind, name)
    new = tx.rows(
        "INSERT INTO chains (kind, name, created_at, n, head, spent, status) VALUES (?, ?, ?, 0, ?, 0, 'open') "
        "ON CONFLICT DO NOTHING RETURNING id",
        (kind, name, at, head),
    )
    if not new:
        raise LedgerError(f"there is a chain {kind}/{name} already")
    return Tip(cast("int", new[0][0]), 0, head, 0, "open")


def cut(rows: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Rows in stretches of at most MAX_BLOCK_BYTES."""
    start = size = 0
    for i, row in enumerate(rows):
        if size + len(row) > MAX_BLOCK_BYTES and i > start:
            yield rows[start:i]
            start, size = i, 0
        size += len(row)
    if start < len(rows):
        yield rows[start:]


def make(first: int, head: bytes, rows: Sequence[bytes], packer: Packer) -> list[Block]:
    """Blocks of `rows` that follow the `first` rows whose hash is `head`."""
    if first + len(rows) > MAX_ROWS:
        raise LedgerError(f"a chain holds at most {MAX_ROWS} rows")
    made = []
    for part in cut(rows):
        head, tags = chain.extend(head, part)
        made.append(Block(first, len(part), head, tags, packer.compress(chain.pack(part))))
        first += len(part)
    return made


def add(tx: Transaction, old: Tip, new: Tip, blocks: Sequence[Block]) -> None:
    """Write blocks and move the chain's tip from `old` to `new`. Raises LedgerBusy when it is not at `old`."""
    base = old.chain << 32
    # the condition keeps a chain whole even where the hold fails to keep a second writer out
    moved = tx.run(
        "UPDATE chains SET n = ?, head = ?, spent = ?, status = ? WHERE id = ? AND n = ? AND head = ?",
        (new.n, new.head, new.spent, new.status, old.chain, old.n, old.head),
    )
    if moved != 1:
        raise LedgerBusy("another writer has added to this chain; nothing was written")
    for b in blocks:
        tx.run("INSERT INTO blocks VALUES (?, ?, ?, ?, ?)", (base | b.first, b.n, b.head, b.tags, b.body))


def read(db: Database, number: int, start: int, stop: int) -> Iterator[Block]:
    """Blocks that hold rows start .. stop-1, in order; the first may begin before `start`. Gaps are left as they are.

    Pages through short queries, so that a long read neither blocks writers nor keeps the write-ahead log from being
    folded; a merge between two pages is noticed and the page is sought again.
    """
    base = number << 32
    want = start
    seek = True
    while want < stop:
        if seek:
            found = db.rows(
                "SELECT id, n, head, tags, body FROM blocks WHERE id >= ? AND id <= ? ORDER BY id DESC LIMIT 1",
                (base, base | want),
            )
            seek = False
            page = [_block(r) for r in found]
            if page and page[0].first + page[0].n > want:
                yield page[0]
                want = page[0].first + page[0].n
        page = [
            _block(r)
            for r in db.rows(
                "SELECT id, n, head, tags, body FROM blocks WHERE id >= ? AND id < ? ORDER BY id LIMIT 32",
                (base | want, base | stop),
            )
        ]
        if page and page[0].first != want and _covered(db, base, want):
            seek = True
            continue
        if not page:
            if want < stop and _covered(db, base, want):
                seek = True
                continue
            return
        for block in page:
            yield block
            # a damaged count must not keep the reader in one place for ever
            want = max(want, block.first + max(block.n, 1))


def _covered(db: Database, base: int, want: int) -> bool:
    """True when a block that begins before row `want` holds it: a merge has moved it under the reader's feet."""
    found = db.rows(
        "SELECT id, n FROM blocks WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1", (base, base | want)
    )
    return bool(found) and (cast("int", found[0][0]) & MAX_ROWS) + cast("int", found[0][1]) > want


def _block(row: tuple[object, ...]) -> Block:
    key, n, head, tags, body = cast("tuple[int, int, bytes, bytes, bytes]", row)
    return Block(key & MAX_ROWS, n, head, tags, body)


def merge(tx: Transaction, number: int, first: int, stop: int, packer: Packer) -> None:
    """Put the blocks that hold exactly rows first .. stop-1 together. Rows, tags and the last head stay as they are."""
    base = number << 32
    found = [
        _block(r)
        for r in tx.rows(
            "SELECT id, n, head, tags, body FROM blocks WHERE id >= ? AND id < ? ORDER BY id",
            (base | first, base | stop),
        )
    ]
    if len(found) < 2:
        return
    if found[0].first != first or sum(b.n for b in found) != stop - first:
        raise LedgerCorrupt(f"rows {first} to {stop - 1}: some are missing")
    body = packer.compress(chain.join([packer.decompress(b.body) for b in found], stop - first))
    tx.run("DELETE FROM blocks WHERE id >= ? AND id < ?", (base | first, base | stop))
    tx.run(
        "INSERT INTO blocks VALUES (?, ?, ?, ?, ?)",
        (base | first, stop - first, found[-1].head, b"".join(b.tags for b in found), body),
    )


class SmallBlocks:
    """The small blocks at the end of a chain that one writer has added since they were last merged."""

    def __init__(self) -> None:
        self.first = self.stop = self._blocks = self._bytes = 0

    def note(self, blocks: Sequence[Block], size: int) -> None:
        """Blocks of `size` bytes (uncompressed) in all are about to be added."""
        if size >= MERGE_BYTES:
            self.forget()
            return
        if self._blocks == 0:
            self.first = blocks[0].first
        self._blocks += len(blocks)
        self._bytes += size
        self.stop = blocks[-1].first + blocks[-1].n

    @property
    def due(self) -> bool:
        """True when they should be merged."""
        return self._blocks >= MERGE_BLOCKS or self._bytes >= MERGE_BYTES

    def forget(self) -> None:
        """They are merged, or were rolled back."""
        self.first = self.stop = self._blocks = self._bytes = 0
