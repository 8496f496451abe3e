"""SQLite: the embedded default. WAL with synchronous=FULL, so a commit is on the disk before it is acknowledged."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, cast

from steelyard.errors import DataError, LedgerBusy, LedgerCorrupt, LedgerError, LedgerFull, SteelyardError
from steelyard.ledger import hold
from steelyard.ledger.database import Hold, Row, Transaction, Value

FILE = "ledger.db"
WAIT_S = 20.0
"""How long a writer waits for others before it gives up."""


class SqliteDatabase:
    """A ledger in a folder: `ledger.db`, and `locks/` with a file for each run that is being written."""

    for_update = ""
    alone: ClassVar[tuple[str, ...]] = ()
    types: ClassVar[dict[str, str]] = {"blob": "BLOB", "int": "INTEGER", "key": "INTEGER PRIMARY KEY"}

    def __init__(self, place: str, *, create: bool = True, wait_s: float = WAIT_S) -> None:
        self.place, self._wait_s = place, wait_s
        self._folder = Path(place)
        self._path = self._folder / FILE
        self._lock = threading.RLock()
        self._closed = False
        self._prepare(create=create)
        try:
            self._connection = self._connect()
        except sqlite3.Error as e:
            raise translate(e, self._path) from e

    def _prepare(self, *, create: bool) -> None:
        if self._folder.exists() and not self._folder.is_dir():
            raise DataError(
                "the ledger's place is a file",
                where=self.place,
                wanted="a folder, or a postgresql:// address",
                fix=f"name the folder that holds {FILE}, or a new one",
            )
        if self._path.exists():
            if (
                0 < self._path.stat().st_size < 512
            ):  # SQLite would take it for an empty database and write over it
                raise LedgerCorrupt(f"{self._path}: the file is cut, or no ledger; restore it from a copy")
            return
        if not create:
            raise DataError(
                "no ledger is there",
                where=self.place,
                wanted=f"a folder with {FILE}",
                got="an empty folder" if self._folder.exists() else "nothing",
                fix="name the ledger with --ledger PATH or STEELYARD_LEDGER",
            )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise LedgerError(f"{self.place}: the ledger's folder cannot be made: {e.strerror}") from e
        # a new folder must itself survive a power loss before anything in it is acknowledged
        for folder in (self._folder, self._folder.parent):
            with contextlib.suppress(OSError):
                _sync_folder(folder)

    def _connect(self) -> sqlite3.Connection:
        uri = self._path.absolute().as_uri()
        writable = os.access(self._folder, os.W_OK)
        if not writable:
            # without a log beside it nobody is writing: SQLite must be told, since it cannot make its lock file
            quiet = not self._path.with_name(FILE + "-wal").exists()
            uri += "?immutable=1" if quiet else "?mode=ro"
        # threads share the connection under our own lock
        c = sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=self._wait_s
        )
        if writable:
            c.execute("PRAGMA synchronous=FULL")
            _set_wal(c, self._wait_s)
        c.execute("PRAGMA cache_size=-2048")
        return c

    def rows(self, sql: str, args: Sequence[Value] = ()) -> list[Row]:
        """A query outside any transaction."""
        with self._lock:
            try:
                return self._connection.execute(sql, args).fetchall()
            except sqlite3.Error as e:
                raise translate(e, self._path) from e

    def has_table(self, name: str) -> bool:
        """True when a table of this name exists."""
        return bool(self.rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)))

    @contextlib.contextmanager
    def write(self, *, wait: bool = True) -> Iterator[Transaction]:
        """Begin a write transaction; at its end the write-ahead log is synced to the disk."""
        with self._lock:
            c = self._connection
            try:
                self._begin(wait=wait)
                yield _SqliteTransaction(c)
                c.execute("COMMIT")
            except BaseException as e:
                # a failed rollback must not hide why we roll back; the connection is of no use then anyway
                with contextlib.suppress(sqlite3.Error):
                    if c.in_transaction:
                        c.execute("ROLLBACK")
                if isinstance(e, sqlite3.Error):
                    raise translate(e, self._path) from e
                raise

    def _begin(self, *, wait: bool) -> None:
        if wait:
            self._connection.execute("BEGIN IMMEDIATE")
            return
        with self._impatient():
            self._connection.execute("BEGIN IMMEDIATE")

    @contextlib.contextmanager
    def _impatient(self) -> Iterator[None]:
        self._connection.execute("PRAGMA busy_timeout=0")
        try:
            yield
        finally:
            self._connection.execute(f"PRAGMA busy_timeout={int(self._wait_s * 1000)}")

    def hold(self, name: str) -> Hold | None:
        """Take the hold on `name` by a lock on a file."""
        return hold.take(self._hold_path(name))

    def is_held(self, name: str) -> bool:
        """True while a process has the hold on `name`."""
        return hold.is_taken(self._hold_path(name))

    def _hold_path(self, name: str) -> Path:
        return self._folder / "locks" / name

    def another(self) -> SqliteDatabase:
        """A connection of its own."""
        return SqliteDatabase(self.place, create=False, wait_s=self._wait_s)

    def settle(self) -> None:
        """Fold the write-ahead log into the file and cut it to nothing, unless a reader is at it."""
        with self._lock, contextlib.suppress(sqlite3.Error), self._impatient():
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the connection; the last one to go removes the write-ahead log."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._connection.close()


class _SqliteTransaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, sql: str, args: Sequence[Value] = ()) -> int:
        return self._connection.execute(sql, args).rowcount

    def many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        self._connection.executemany(sql, rows)

    def rows(self, sql: str, args: Sequence[Value] = ()) -> list[Row]:
        return cast("list[Row]", self._connection.execute(sql, args).fetchall())


def translate(e: sqlite3.Error, path: Path) -> SteelyardError:
    """SQLite's error as one of ours, with what to do."""
    code = getattr(e, "sqlite_errorcode", 0)
    primary = code & 0xFF
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LedgerBusy(
            f"{path}: another process holds the ledger's write lock; waited, nothing was written\n"
            "  fix: end that process or let it finish, then give the command again (a run: `steelyard resume`)"
        )
    if primary == sqlite3.SQLITE_FULL or (primary == sqlite3.SQLITE_IOERR and _no_room(path)):
        return LedgerFull(
            f"{path}: no space left to write; all that was acknowledged is safe\n"
            "  fix: free space, then give the command again (a run: `steelyard resume`)"
        )
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return LedgerCorrupt(f"{path}: the file is damaged ({e}); restore it from a copy")
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        return LedgerError(f"{path}: cannot be opened or written: {e}")
    return LedgerError(f"{path}: {e}")


def _no_room(path: Path) -> bool:
    """After an input/output error: is it for want of room (device, quota or the process's file size limit)?"""
    try:
        room = os.statvfs(path.parent)
        # lazy: `resource` is POSIX only and needed on this path alone
        import resource

        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        largest = max(p.stat().st_size for p in path.parent.glob(FILE + "*"))
    except (OSError, ImportError, ValueError):
        return False
    return room.f_bavail * room.f_frsize < 1 << 20 or (
        limit != resource.RLIM_INFINITY and largest + (1 << 16) >= limit
    )


def _set_wal(connection: sqlite3.Connection, wait_s: float) -> None:
    """SQLite does not wait by itself when two processes change a new file to WAL at once."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as e:
            if e.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
