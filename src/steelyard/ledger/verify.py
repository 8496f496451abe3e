"""Check everything kept against its hashes, and what is derived against what it was derived from.

Not covered: somebody who can write to the ledger and recomputes a whole chain and its tip. A head that was noted
elsewhere (`head=`) finds that too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

from steelyard.errors import DataError, LedgerCorrupt
from steelyard.ledger import blocks, chain, payloads, rows, suites
from steelyard.ledger.base import VerifyReport
from steelyard.ledger.blocks import Tip
from steelyard.ledger.chain import Packer
from steelyard.ledger.database import Database
from steelyard.ledger.fold import Fold
from steelyard.ledger.manifest import MANIFEST, Manifest, manifest_of
from steelyard.schema.record import Closed, Noted, Opened, Record, Result

REFS = 400
"""References to payloads that are looked up together."""


@dataclass(slots=True)
class Audit:
    """One verification of a ledger, or of one run of it. `folds` loads a kept fold, None when there is none."""

    db: Database
    packer: Packer
    head: str
    problems: list[str] = field(default_factory=list)
    heads: dict[str, str] = field(default_factory=dict)
    n_records: int = 0
    head_seen: bool = False

    def chain(self, tip: Tip, kind: str, name: str) -> None:
        """Walk one chain."""
        label = f"run {name}" if kind == "run" else f"{kind}/{name}"
        found: list[str] = []
        start = chain.genesis(kind, name)
        walk = chain.check(blocks.read(self.db, tip.chain, 0, chain.MAX_ROWS), start, self.packer, found)
        seen, last = 0, start
        contents = RunContents(self.db) if kind == "run" else None
        for number, row, digest in walk:
            seen, last = number + 1, digest
            self.n_records += 1
            if self.head and digest.hex().startswith(self.head):
                self.head_seen = True
            if contents is not None:
                contents.take(number, row)
        found += self._ends(tip, seen, last, found)
        if contents is not None and not found:
            found += contents.finish(tip, name)
        self.heads[name if kind == "run" else label] = tip.head.hex()
        self.problems += [f"{label}: {p}" for p in found]

    def _ends(self, tip: Tip, seen: int, last: bytes, found: list[str]) -> Iterator[str]:
        stored = self.db.rows(
            "SELECT id, n FROM blocks WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1",
            (tip.chain << 32, (tip.chain + 1) << 32),
        )
        end = (cast("int", stored[0][0]) & chain.MAX_ROWS) + cast("int", stored[0][1]) if stored else 0
        if end < tip.n:
            which = f"rows {end} to {tip.n - 1}" if tip.n - end > 1 else f"row {end}"
            yield f"{which}: cut off the end (the chain has {tip.n} rows)"
        elif end > tip.n:
            yield f"row {tip.n}: beyond the chain's recorded end of {tip.n} rows"
        elif not found and (seen != tip.n or last != tip.head):
            yield f"the recorded head {tip.head.hex()[:16]} is not that of row {tip.n - 1}"


class RunContents:
    """Checks what a run's rows say against the tables beside them, while the chain is walked."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._problems: list[str] = []
        self._spent = 0
        self._manifest: Manifest | None = None
        self._opened: Opened | None = None
        self._last: Record | rows.Spilled | None = None
        self._refs: dict[str, int] = {}

    def take(self, number: int, row: bytes) -> None:
        """The next row, whose hash holds."""
        try:
            record = rows.decode(row)
        except LedgerCorrupt as e:
            self._problems.append(f"row {number}: {e}")
            return
        self._last = record
        if isinstance(record, rows.Spilled):
            self._refs[record.reply] = number
            record = record.row
        if isinstance(record, Result):
            self._spent += record.cost or 0
            for payload in (record.trace, record.changes, record.state):
                if payload:
                    self._refs[payload] = number
            if len(self._refs) >= REFS:
                self._look_up()
        elif isinstance(record, Opened):
            self._opened = self._opened or record
        elif isinstance(record, Noted) and record.kind == MANIFEST and self._manifest is None:
            self._manifest = manifest_of(record.detail.encode())
        elif isinstance(record, Closed) and (record.n_records, record.spent) != (number + 1, self._spent):
            self._problems.append(
                f"row {number}: closes {record.n_records} rows and {record.spent} picodollars; there are {number + 1} "
                f"and {self._spent}"
            )

    def _look_up(self) -> None:
        wanted = {bytes.fromhex(d): n for d, n in self._refs.items() if len(d) == 64}
        self._refs.clear()
        if not wanted:
            return
        marks = ", ".join("?" * len(wanted))
        sql = f"SELECT digest FROM payloads WHERE digest IN ({marks})"  # noqa: S608 - question marks only
        there = {bytes(cast("bytes", r[0])) for r in self._db.rows(sql, list(wanted))}
        for digest, number in wanted.items():
            if digest not in there:
                self._problems.append(f"row {number}: its payload {digest.hex()} is missing")

    def finish(self, tip: Tip, name: str) -> list[str]:
        """The problems, once all rows were taken."""
        self._look_up()
        problems = self._problems
        if self._spent != tip.spent:
            problems.append(f"the recorded spend is {tip.spent} picodollars, the rows say {self._spent}")
        status = self._last.status if isinstance(self._last, Closed) else "open"
        if status != tip.status:
            problems.append(f"the recorded status is {tip.status!r}, the rows say {status!r}")
        if self._manifest is None or self._opened is None:
            problems.append("row 1: the run's manifest is not there")
            return problems
        try:
            kept = self._db.rows("SELECT manifest FROM runs WHERE run = ? AND chain = ?", (name, tip.chain))
            same = bool(kept) and manifest_of(bytes(cast("bytes", kept[0][0]))) == self._manifest
        except LedgerCorrupt:
            same = False
        if not same:
            problems.append("the table of runs does not say what row 1, the manifest, says")
        self._references(self._manifest, self._opened)
        return problems

    def _references(self, manifest: Manifest, opened: Opened) -> None:
        if opened.plan_hash != manifest.plan_hash:
            self._problems.append("row 0: the plan's hash is not that of the manifest")
        self._refs = {manifest.plan: 1}
        self._look_up()
        for digest in manifest.suites:
            if not self._db.rows("SELECT 1 FROM suites WHERE digest = ?", (bytes.fromhex(digest),)):
                self._problems.append(f"row 1: its suite {digest} is missing")


def _fold_problem(db: Database, tip: Tip, packer: Packer, stored: Callable[[int], Fold | None]) -> str | None:
    """What is wrong with a kept fold, by folding the rows again."""
    try:
        kept = stored(tip.chain)
        if kept is None:
            return None
        if kept.upto > tip.n:
            return f"the derived columns claim {kept.upto} rows of {tip.n}"
        again = Fold(kept.n_contestants, kept.n_tasks)
        for block in blocks.read(db, tip.chain, 0, kept.upto):
            lean = rows.decode_lean(packer.decompress(block.body))
            again.feed(lean[: kept.upto - block.first])
        return None if again.same(kept) else "the derived columns are not what the rows say"
    except LedgerCorrupt as e:
        return f"the derived columns cannot be read ({e})"


def verify(
    db: Database, packer: Packer, run: str | None, head: str, stored: Callable[[int], Fold | None]
) -> VerifyReport:
    """Check one run, or everything. `stored` loads the kept fold of a chain, None when there is none."""
    head = head.strip().lower()
    if head and (not 16 <= len(head) <= 64 or set(head) - set("0123456789abcdef")):
        raise DataError("a chain's head", wanted="64 hex digits, or at least the first 16", got=head)
    audit = Audit(db, packer, head)
    listed = db.rows("SELECT kind, name FROM chains ORDER BY id")
    for kind, name in cast("list[tuple[str, str]]", listed):
        if run is not None and (kind, name) != ("run", run):
            continue
        tip = blocks.tip(db, kind, name)
        if tip is None:
            continue
        before = len(audit.problems)
        audit.chain(tip, kind, name)
        if kind == "run" and len(audit.problems) == before:
            problem = _fold_problem(db, tip, packer, stored)
            if problem:
                audit.problems.append(f"run {name}: {problem}; delete them to have them rebuilt")
    _orphans(db, audit.problems)
    audit.problems += payloads.damaged(db, packer)
    audit.problems += suites.damaged(db, packer)
    if head and not audit.head_seen:
        audit.problems.append(
            f"head {head}: no row has it; what was recorded under it has been altered, cut or replaced"
        )
    return VerifyReport(len(audit.heads), audit.n_records, audit.heads, tuple(audit.problems))


def _orphans(db: Database, problems: list[str]) -> None:
    """Rows of chains that are not listed, and listed runs without a chain."""
    listed = {cast("int", r[0]) for r in db.rows("SELECT id FROM chains")}
    after = -1
    while found := db.rows("SELECT id FROM blocks WHERE id > ? ORDER BY id LIMIT 1", (after,)):
        number = cast("int", found[0][0]) >> 32
        if number not in listed:
            problems.append(f"chain {number}: has rows and is not listed")
        after = ((number + 1) << 32) - 1
    for row in db.rows("SELECT run, chain FROM runs ORDER BY chain"):
        if row[1] not in listed:
            problems.append(f"run {row[0]!s}: all of its rows are missing")
