"""The ledger over a database: what SQLite and PostgreSQL have in common, which is everything but SQL's edges."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import accumulate
from typing import Self, cast

import msgspec

from steelyard.errors import DataError, LedgerBusy, LedgerCorrupt
from steelyard.ledger import blocks, payloads, rows
from steelyard.ledger import suites as kept_suites
from steelyard.ledger import verify as audit
from steelyard.ledger.base import (
    Cells,
    ChainInfo,
    InFlight,
    ResumeState,
    RunInfo,
    ScoreColumns,
    SuiteData,
    TrialRow,
    VerifyReport,
)
from steelyard.ledger.blocks import Tip
from steelyard.ledger.cells import Columns
from steelyard.ledger.chain import Packer
from steelyard.ledger.database import Database, Transaction
from steelyard.ledger.fold import Fold
from steelyard.ledger.folds import Folds, WriterFold
from steelyard.ledger.manifest import MANIFEST, Manifest, manifest_of, unpriced
from steelyard.ledger.resume import Scan
from steelyard.ledger.suites import KeptSuite
from steelyard.ledger.trials import Trials, parse_where
from steelyard.ledger.writer import SqlChainWriter, SqlRunWriter
from steelyard.schema.canon import canonical, content_hash
from steelyard.schema.plan import Plan
from steelyard.schema.record import Noted, Opened, Record, Result
from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome

VERSION = "steelyard 0.1.0"


class SqlLedger:
    """Everything kept at one place. Readers of several threads may share it; each writer has its own connection."""

    def __init__(self, db: Database) -> None:
        self.place = db.place
        self._db, self._packer = db, Packer()
        self._folds = Folds(db, self._packer)
        self._scans: dict[str, Scan] = {}
        self._lock = threading.Lock()

    def create_run(
        self,
        plan: Plan,
        suites: Sequence[SuiteData],
        *,
        name: str = "",
        source: str = "run",
        unstated: Sequence[str] = (),
    ) -> SqlRunWriter:
        """Begin a run: keeps the plan and all of its suites' tasks; see `Ledger`."""
        at = time.time_ns()
        run = f"{datetime.fromtimestamp(at / 1e9, UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        n_tasks = sum(len(s) for s in suites)
        with ExitStack() as undo:
            db = self._db.another()
            undo.callback(db.close)
            hold = db.hold(run)
            if hold is None:
                raise LedgerBusy(f"run {run}: another process holds it")
            undo.callback(hold.release)
            with db.write() as tx:
                packed = payloads.pack(canonical(plan), "application/json", self._packer)
                payloads.keep(tx, packed)
                manifest = Manifest(
                    run=run,
                    name=name or plan.name,
                    created_at=at,
                    source=source,
                    plan=packed.digest.hex(),
                    plan_hash=content_hash(plan),
                    suites=tuple(kept_suites.keep(tx, s, self._packer).hex() for s in suites),
                    suite_names=tuple(s.header.name for s in suites),
                    contestants=tuple(c.name for c in plan.contestants),
                    n_tasks=n_tasks,
                    unpriced=unpriced(plan) if source == "run" else tuple(unstated),
                )
                kept = canonical(manifest)
                start = blocks.begin(tx, "run", run, at)
                tx.run("INSERT INTO runs VALUES (?, ?, ?)", (start.chain, run, kept))
                first: list[Record] = [
                    Opened(at, 0, VERSION, manifest.plan_hash),
                    Noted(at, MANIFEST, kept.decode()),
                ]
                tip = _start(tx, start, first, self._packer)
            undo.pop_all()
        fold = Fold(len(plan.contestants), n_tasks)
        fold.upto = tip.n
        return SqlRunWriter(db, hold, run, tip, WriterFold(self._folds, fold))

    def open_run(self, run: str) -> SqlRunWriter:
        """Take up the writing of a run again. Raises LedgerBusy while another live process holds it."""
        info = self.find(run)
        with ExitStack() as undo:
            db = self._db.another()
            undo.callback(db.close)
            hold = db.hold(info.run)
            if hold is None:
                raise LedgerBusy(
                    f"run {info.run}: another process is writing it; wait for it, or stop it "
                    "(`steelyard ctl stop`), then try again"
                )
            undo.callback(hold.release)
            with db.write() as tx:
                before = self._tip(info.run)
                fold = self._folds.get(before, len(info.contestants), info.n_tasks).copy()
                opened = Opened(time.time_ns(), self._scan(info.run).sessions, VERSION, info.plan_hash)
                tip = _start(tx, before, [opened], self._packer)
            undo.pop_all()
        fold.upto = tip.n
        return SqlRunWriter(db, hold, info.run, tip, WriterFold(self._folds, fold))

    def runs(self) -> list[RunInfo]:
        """All runs, newest first."""
        found = self._db.rows(
            "SELECT r.manifest, c.n, c.head, c.spent, c.status FROM runs r JOIN chains c ON c.id = r.chain "
            "ORDER BY c.created_at DESC, r.chain DESC"
        )
        return [self._info(*cast("tuple[bytes, int, bytes, int, str]", r)) for r in found]

    def _info(self, kept: bytes, n: int, head: bytes, spent: int, status: str) -> RunInfo:
        m = manifest_of(bytes(kept))
        if status == "open" and self._db.is_held(m.run):
            status = "running"
        return RunInfo(
            run=m.run,
            name=m.name,
            status=status,
            created_at=m.created_at,
            plan_hash=m.plan_hash,
            n_records=n,
            head=head.hex(),
            contestants=m.contestants,
            suites=m.suite_names,
            n_tasks=m.n_tasks,
            spent_pusd=spent,
            tags=m.tags,
            source=m.source,
            unpriced=m.unpriced,
        )

    def find(self, run: str) -> RunInfo:
        """A run by id, by `last`, by name (newest) or by a prefix of its id. Raises DataError."""
        known = self.runs()
        for match in (
            [r for r in known if r.run == run],
            known[:1] if run == "last" else [],
            [r for r in known if r.name == run and run][:1],
        ):
            if match:
                return match[0]
        begins = [r for r in known if r.run.startswith(run)] if run else []
        if len(begins) == 1:
            return begins[0]
        shown = ", ".join(f"{r.run} ({r.name})" if r.name else r.run for r in (begins or known)[:8])
        more = len(begins or known) - 8
        raise DataError(
            f"{len(begins)} runs begin with {run!r}" if begins else f"no run {run!r}",
            where=self.place,
            wanted=(shown + (f" and {more} more" if more > 0 else "")) or "a run; this ledger has none",
            fix="give the run's id, an unambiguous beginning of it, its name, or `last`",
        )

    def plan(self, run: str) -> Plan:
        """The frozen plan."""
        content = self.payload(self._manifest(run).plan)
        try:
            return msgspec.json.decode(content, type=Plan)
        except msgspec.DecodeError as e:
            raise LedgerCorrupt(f"run {run}: its plan cannot be read: {e}") from e

    def suites(self, run: str) -> list[SuiteData]:
        """The suites as kept with the run, tasks read lazily."""
        return list(self._suites(run))

    def _suites(self, run: str) -> list[KeptSuite]:
        return [KeptSuite(self._db, bytes.fromhex(d), self._packer) for d in self._manifest(run).suites]

    def _manifest(self, run: str) -> Manifest:
        found = self._db.rows("SELECT manifest FROM runs WHERE run = ?", (self._id(run),))
        return manifest_of(bytes(cast("bytes", found[0][0])))

    def _id(self, run: str) -> str:
        return run if self._db.rows("SELECT 1 FROM runs WHERE run = ?", (run,)) else self.find(run).run

    def _tip(self, run: str) -> Tip:
        tip = blocks.tip(self._db, "run", self._id(run))
        if tip is None:
            raise LedgerCorrupt(f"run {run}: its chain is missing; run `steelyard verify`")
        return tip

    def resume_state(self, run: str) -> ResumeState:
        """What is done, in flight, unscored, spent."""
        return self._scan(run).state()

    def finished(self, run: str) -> Iterator[tuple[int, int, int]]:
        """(c, t, k) of every trial that is done; see `Ledger`."""
        n_tasks = self._manifest(run).n_tasks
        for cell, k in self._scan(run).done:
            c, t = divmod(cell, n_tasks)
            yield c, t, k

    def scores(self, run: str, scorer: str = "") -> Iterator[tuple[int, int, int, int, float | None]]:
        """(c, t, k, outcome, value) of every judged trial by its newest score, in (c, t, k) order."""
        return self._trials(run).scores(scorer)

    def score_columns(
        self, run: str, contestants: Sequence[int] = (), *, amounts: bool = False
    ) -> ScoreColumns:
        """Every judged trial of these contestants as arrays; see `Ledger`."""
        return self._trials(run).score_columns(contestants, amounts=amounts)

    def judge_replies(self, run: str) -> Iterator[tuple[int, int, int, str, Reply]]:
        """(c, t, k, role, reply) of judge calls that no score of their trial has followed yet."""
        numbers = sorted(n for found in self._scan(run).judged.values() for n in found)
        for record in self._trials(run).records(numbers):
            if isinstance(record, Result) and record.reply is not None:
                yield record.c, record.t, record.k, record.role, record.reply

    def _scan(self, run: str) -> Scan:
        run, tip = self._id(run), self._tip(run)
        with self._lock:
            scan = self._scans.get(run)
            if scan is None or scan.upto > tip.n:
                m = self._manifest(run)
                scan = Scan(len(m.contestants), m.n_tasks)
                self._scans = {run: scan}
            for lean in self._folds.lean(tip.chain, scan.upto, tip.n):
                scan.feed(lean)
            return scan

    def cells(self, run: str, scorer: str = "") -> Cells:
        """Columns for statistics; see `Ledger`."""
        m = self._manifest(run)
        fold = self._folds.get(self._tip(run), len(m.contestants), m.n_tasks, places=False)
        open_ = tuple(
            InFlight(c, t, k, a, reserved, role) for (c, t, k, a, role), reserved in fold.open.items()
        )
        return Cells(m.contestants, Columns(fold, scorer), scorer, fold.upto, open_)

    def scorers(self, run: str) -> tuple[str, ...]:
        """The scorer versions that judged this run, in the order in which they came."""
        m = self._manifest(run)
        return tuple(self._folds.get(self._tip(run), len(m.contestants), m.n_tasks, places=False).scorers)

    def trials(self, run: str, where: Mapping[str, object] | None = None) -> Iterator[TrialRow]:
        """Trials in (c, t, k) order; see `Ledger`."""
        return self._trials(run).select(parse_where(where))

    def sample(
        self, run: str, contestants: Sequence[int], outcomes: Sequence[Outcome], most: int
    ) -> Iterator[TrialRow]:
        """Trials with some outcomes, of many an even part; see `Ledger`."""
        return self._trials(run).sample(contestants, outcomes, most)

    def _trials(self, run: str) -> Trials:
        m, tip = self._manifest(run), self._tip(run)
        kept = self._suites(run)
        starts = [0, *accumulate(len(s) for s in kept)]

        def split_of(t: int) -> str:
            i = next(i for i, stop in enumerate(starts[1:]) if t < stop)
            return kept[i].split(t - starts[i])

        fold = self._folds.get(tip, len(m.contestants), m.n_tasks)
        return Trials(self._db, tip.chain, fold, self._packer, split_of)

    def records(self, run: str, start: int = 0) -> Iterator[Record]:
        """The rows of a run's chain in order, from number `start`."""
        tip = self._tip(run)
        for raw in self._raw(tip, start):
            record = rows.decode(raw)
            if isinstance(record, rows.Spilled):
                record = rows.with_reply(record.row, rows.decode_reply(self.payload(record.reply)))
            yield record

    def _raw(self, tip: Tip, start: int) -> Iterator[msgspec.Raw]:
        want = start
        for block in blocks.read(self._db, tip.chain, start, tip.n):
            if block.first > want:
                break
            for raw in self._packer.rows(block.body)[want - block.first :]:
                want += 1
                yield raw
        if want < tip.n:
            raise LedgerCorrupt(f"row {want} of chain {tip.chain} is missing; run `steelyard verify`")

    def payload(self, digest: str, start: int = 0, stop: int | None = None) -> bytes:
        """A payload, or the bytes [start, stop) of it."""
        return payloads.read(self._db, self._packer, digest, start, stop)

    def payload_info(self, digest: str) -> tuple[int, str]:
        """Size in bytes and media type of a payload."""
        return payloads.describe(self._db, digest)

    def open_chain(self, kind: str, key: str) -> SqlChainWriter:
        """A writer of a shared chain; see `Ledger`."""
        if not kind or kind == "run" or "\0" in kind + key:
            raise DataError("a chain's kind", wanted="a word that is not `run`, without NUL", got=repr(kind))
        return SqlChainWriter(self._db.another(), kind, key)

    def chain(self, kind: str, key: str, start: int = 0) -> Iterator[bytes]:
        """The rows of a shared chain from number `start`."""
        tip = blocks.tip(self._db, kind, key)
        if tip is None or kind == "run":
            return
        for raw in self._raw(tip, start):
            yield msgspec.msgpack.decode(raw, type=bytes)

    def chains(self, kind: str = "") -> list[ChainInfo]:
        """All chains, or those of one kind, oldest first."""
        found = self._db.rows("SELECT kind, name, n, head, created_at FROM chains ORDER BY id")
        listed = [
            ChainInfo(k, name, n, bytes(head).hex(), at)
            for k, name, n, head, at in cast("list[tuple[str, str, int, bytes, int]]", found)
        ]
        return [c for c in listed if not kind or c.kind == kind]

    def verify(self, run: str | None = None, head: str = "") -> VerifyReport:
        """Recompute every chain (or one); see `Ledger`."""
        name = None if run is None else self._id(run)
        return audit.verify(self._db, self._packer, name, head, self._folds.stored)

    def close(self) -> None:
        """Close the connection."""
        self._db.settle()
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _start(tx: Transaction, tip: Tip, records: Sequence[Record], packer: Packer) -> Tip:
    """Append the first rows of a session."""
    encoded = [rows.encode(r) for r in records]
    new = blocks.make(tip.n, tip.head, encoded, packer)
    after = Tip(tip.chain, tip.n + len(encoded), new[-1].head, tip.spent, "open")
    blocks.add(tx, tip, after, new)
    return after
