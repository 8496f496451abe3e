"""PostgreSQL: for a team. Same tables, same SQL; a run's hold is an advisory lock of the writer's session."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, cast

from steelyard.errors import LedgerBusy, LedgerError, LedgerFull, SteelyardError, UserError
from steelyard.ledger.database import Hold, Row, Transaction, Value

try:
    import psycopg
except ImportError as e:
    raise UserError(
        "a postgresql:// ledger needs the package psycopg", fix="pip install 'steelyard[postgres]'"
    ) from e


class PostgresDatabase:
    """A ledger in a PostgreSQL database (15 or newer), in the schema that the address selects."""

    for_update = " FOR UPDATE"
    alone: ClassVar[tuple[str, ...]] = ("SELECT pg_advisory_xact_lock(7305012347681)",)
    types: ClassVar[dict[str, str]] = {
        "blob": "BYTEA",
        "int": "BIGINT",
        "key": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    }

    def __init__(self, place: str, *, wait_s: float) -> None:
        self._address, self._wait_s = place, wait_s
        self.place = without_password(place)
        self._lock = threading.RLock()
        try:
            self._connection = psycopg.connect(place, autocommit=True, connect_timeout=10)
            c = self._connection
            c.execute("SET synchronous_commit = on")
            c.execute(f"SET lock_timeout = {max(1, int(wait_s * 1000))}")
            c.execute("SET client_min_messages = warning")
        except psycopg.Error as e:
            raise self._translate(e) from e

    def rows(self, sql: str, args: Sequence[Value] = ()) -> list[Row]:
        """A query outside any transaction."""
        with self._lock:
            try:
                return cast("list[Row]", self._connection.execute(_marks(sql), args).fetchall())
            except psycopg.Error as e:
                raise self._translate(e) from e

    def has_table(self, name: str) -> bool:
        """True when a table of this name can be found."""
        return self.rows("SELECT to_regclass(?) IS NOT NULL", (name,))[0][0] is True

    @contextlib.contextmanager
    def write(self, *, wait: bool = True) -> Iterator[Transaction]:
        """Begin a write transaction; at its end the server has it on its disk."""
        with self._lock:
            try:
                with self._connection.transaction():
                    if not wait:
                        self._connection.execute("SET LOCAL lock_timeout = 1")
                    yield _PostgresTransaction(self._connection)
            except psycopg.Error as e:
                raise self._translate(e) from e

    def hold(self, name: str) -> Hold | None:
        """Take the hold on `name`: it lives as long as this connection."""
        key = _key(name)
        if self.rows("SELECT pg_try_advisory_lock(?)", (key,))[0][0] is not True:
            return None
        return _PostgresHold(self, key)

    def is_held(self, name: str) -> bool:
        """True while a session has the hold on `name`."""
        key = _key(name) & (1 << 64) - 1
        found = self.rows(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = ? "
            "AND objid = ? AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            (key >> 32, key & 0xFFFFFFFF),
        )
        return bool(found)

    def another(self) -> PostgresDatabase:
        """A connection of its own."""
        return PostgresDatabase(self._address, wait_s=self._wait_s)

    def settle(self) -> None:
        """Nothing: the server sees to its log."""

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        with self._lock:
            self._connection.close()

    def unlock(self, key: int) -> None:
        """Give up an advisory lock."""
        if not self._connection.closed:
            self.rows("SELECT pg_advisory_unlock(?)", (key,))

    def _translate(self, e: psycopg.Error) -> SteelyardError:
        if isinstance(e, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected):
            return LedgerBusy(
                f"{self.place}: another process holds what is to be written; nothing was written\n"
                "  fix: end that process or let it finish, then give the command again (a run: `steelyard resume`)"
            )
        if isinstance(e, psycopg.errors.DiskFull | psycopg.errors.OutOfMemory):
            return LedgerFull(
                f"{self.place}: no space left to write; all that was acknowledged is safe\n"
                "  fix: free space, then give the command again (a run: `steelyard resume`)"
            )
        return LedgerError(f"{self.place}: {str(e).replace(self._address, self.place).strip()}")


class _PostgresTransaction:
    def __init__(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self._connection = connection

    def run(self, sql: str, args: Sequence[Value] = ()) -> int:
        return self._connection.execute(_marks(sql), args).rowcount

    def many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(_marks(sql), rows)

    def rows(self, sql: str, args: Sequence[Value] = ()) -> list[Row]:
        return cast("list[Row]", self._connection.execute(_marks(sql), args).fetchall())


class _PostgresHold:
    def __init__(self, db: PostgresDatabase, key: int) -> None:
        self._db, self._key = db, key

    def release(self) -> None:
        """Give it up; safe to call twice."""
        if self._key:
            key, self._key = self._key, 0
            self._db.unlock(key)


def _marks(sql: str) -> bytes:
    return sql.replace("?", "%s").encode()


def _key(name: str) -> int:
    """A signed 64-bit lock number for a name."""
    digest = hashlib.sha256(b"steelyard hold " + name.encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def without_password(address: str) -> str:
    """An address that may be shown."""
    info = psycopg.conninfo.conninfo_to_dict(address)
    user = f"{info['user']}@" if info.get("user") else ""
    port = f":{info['port']}" if info.get("port") else ""
    return f"postgresql://{user}{info.get('host') or ''}{port}/{info.get('dbname') or ''}"
