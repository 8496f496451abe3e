"""What the ledger asks of a database: plain SQL with `?` marks, short write transactions, and a hold on a name.

SQLite and PostgreSQL implement it in a file each; everything else in this room is written once, against this.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar, Protocol

Value = int | str | bytes | float | None
Row = tuple[Value, ...]


class Transaction(Protocol):
    """A write transaction. What it did is durable when its context ends without an error, else undone."""

    def run(self, sql: str, args: Sequence[Value] = ()) -> int:
        """One statement; returns the number of rows that it changed."""

    def many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        """One statement for each row."""

    def rows(self, sql: str, args: Sequence[Value] = ()) -> list[Row]:
        """A query inside the transaction."""


class Hold(Protocol):
    """An exclusive hold on a name, across processes; it ends with the process however that ends."""

    def release(self) -> None:
        """Give it up; safe to call twice."""


class Database(Protocol):
    """One place. Readers may share it between threads; a writer opens its own."""

    place: str
    for_update: str
    """Appended to a SELECT inside a transaction to lock the rows that it finds ("" where the write lock does)."""
    alone: ClassVar[tuple[str, ...]]
    """Queries that keep every other migration out until the transaction ends (none where the write lock does)."""
    types: ClassVar[dict[str, str]]
    """What the database calls `blob`, `int` and `key` (an integer primary key that counts up by itself)."""

    def rows(self, sql: str, args: Sequence[Value] = ()) -> list[Row]:
        """A query outside any transaction."""

    def has_table(self, name: str) -> bool:
        """True when a table of this name exists."""

    def write(self, *, wait: bool = True) -> AbstractContextManager[Transaction]:
        """Begin a write transaction, after other writers. Raises LedgerBusy (at once without `wait`), LedgerFull,
        LedgerError."""

    def hold(self, name: str) -> Hold | None:
        """Take the hold on `name`; None when somebody has it."""

    def is_held(self, name: str) -> bool:
        """True while somebody, in this process or another, has the hold on `name`."""

    def another(self) -> Database:
        """A connection of its own to the same place."""

    def settle(self) -> None:
        """Give back what the last writes left lying about (SQLite: fold its WAL into the file). Never fails."""

    def close(self) -> None:
        """Close the connection; safe to call twice."""
