"""Folds of runs: loaded, brought up to date from the rows, and kept again when that saves the next reader much."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import cast

from steelyard.errors import LedgerCorrupt, LedgerError
from steelyard.ledger import blocks, rows
from steelyard.ledger.blocks import Tip
from steelyard.ledger.chain import Packer
from steelyard.ledger.database import Database
from steelyard.ledger.fold import Fold
from steelyard.ledger.rows import Lean
from steelyard.schema.record import Record

WORTH_KEEPING = 100_000
"""Rows that a fold may lag behind before a reader keeps it; a closed run's fold is always kept up to its end."""


class Folds:
    """The folds of one ledger. The last one used stays in memory, so that watching a run costs its new rows only."""

    def __init__(self, db: Database, packer: Packer) -> None:
        self._db, self._packer = db, packer
        self._lock = threading.Lock()
        self._recent: tuple[int, Fold] | None = None

    def get(self, tip: Tip, n_contestants: int, n_tasks: int) -> Fold:
        """The fold of a run up to `tip`. Callers share it and must not add to it."""
        with self._lock:
            fold = self._recent[1] if self._recent and self._recent[0] == tip.chain else None
            if fold is not None and fold.upto == tip.n:
                return fold
            # readers may still hold the recent one, whose columns must not change under them
            fold = fold.copy() if fold is not None and fold.upto < tip.n else self.stored(tip.chain)
            shape = (n_contestants, n_tasks)
            if fold is None or fold.upto > tip.n or (fold.n_contestants, fold.n_tasks) != shape:
                fold = Fold(n_contestants, n_tasks)
            lag = tip.n - fold.upto
            for lean in self.lean(tip.chain, fold.upto, tip.n):
                fold.feed(lean)
            if lag >= WORTH_KEEPING or (lag and tip.status != "open"):
                keep(self._db, tip, fold)
            self._recent = (tip.chain, fold)
            return fold

    def offer(self, tip: Tip, fold: Fold) -> None:
        """Take a fold that a writer in this process has made; it adds to it no more."""
        with self._lock:
            self._recent = (tip.chain, fold)

    def lean(self, number: int, start: int, stop: int) -> Iterator[list[Lean]]:
        """Rows start .. stop-1 of a chain, lean, block by block. Raises LedgerCorrupt at a gap."""
        want = start
        for block in blocks.read(self._db, number, start, stop):
            if block.first > want:
                break
            lean = rows.decode_lean(self._packer.decompress(block.body))
            yield lean[want - block.first : stop - block.first]
            want = block.first + block.n
        if want < stop:
            raise LedgerCorrupt(f"row {want} of chain {number} is missing; run `steelyard verify`")

    def stored(self, number: int) -> Fold | None:
        """The fold as it was last kept, or None."""
        found = self._db.rows("SELECT upto, shape FROM folds WHERE chain = ?", (number,))
        if not found:
            return None
        columns = self._db.rows("SELECT name, body FROM fold_columns WHERE chain = ?", (number,))
        again = self._db.rows("SELECT upto FROM folds WHERE chain = ?", (number,))
        if not again or again[0][0] != found[0][0]:
            return None  # replaced between the two looks: fold afresh rather than mix
        upto, shape = cast("tuple[int, bytes]", found[0])
        bodies = {cast("str", name): bytes(cast("bytes", body)) for name, body in columns}
        return Fold.load(upto, bytes(shape), bodies)


class WriterFold:
    """The fold of a run that is being written here, made from the records themselves as they pass."""

    def __init__(self, folds: Folds, fold: Fold) -> None:
        self.fold = fold
        self._folds, self._kept = folds, fold.upto

    def feed(self, db: Database, tip: Tip, records: Sequence[Record]) -> None:
        """Take records that are in the ledger now; keeps the fold when it has grown by a quarter."""
        self.fold.feed(records)
        if self.fold.upto - self._kept >= max(WORTH_KEEPING, self._kept // 4):
            self.keep(db, tip)

    def keep(self, db: Database, tip: Tip) -> None:
        """Keep it in the ledger."""
        keep(db, tip, self.fold)
        self._kept = self.fold.upto

    def hand_over(self, tip: Tip) -> None:
        """The writer adds no more: readers in this process may have the fold."""
        self._folds.offer(tip, self.fold)


def keep(db: Database, tip: Tip, fold: Fold) -> None:
    """Keep a fold for later readers. A favour: a busy, full or read-only ledger is no reason to fail."""
    shape, columns = fold.keep()
    with suppress(LedgerError), db.write(wait=False) as tx:
        tx.run("DELETE FROM folds WHERE chain = ?", (tip.chain,))
        tx.run("DELETE FROM fold_columns WHERE chain = ?", (tip.chain,))
        tx.run("INSERT INTO folds VALUES (?, ?, ?, ?)", (tip.chain, fold.upto, tip.head, shape))
        tx.many(
            "INSERT INTO fold_columns VALUES (?, ?, ?)",
            [(tip.chain, name, body) for name, body in columns.items()],
        )
