"""The ledger's tables as an ordered list of migrations. Applied ones are recorded in the ledger, by number and name.

Never edit a migration that has been released: append one. A ledger with more of them than this list was written by a
newer Steelyard and is refused. In the SQL, `{blob}`, `{int}` and `{key}` stand for what each database calls them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.errors import LedgerError
from steelyard.ledger.database import Database


@dataclass(frozen=True, slots=True)
class Migration:
    """A step from one format to the next. Its number is its position in the list, from 1."""

    name: str
    statements: tuple[str, ...]


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        "chains, payloads, suites, runs, derived tables",
        (
            # one row a chain; n, head, spent, status: what its last append said (verify recomputes them)
            (
                "CREATE TABLE chains (id {key}, kind TEXT NOT NULL, name TEXT NOT NULL, created_at {int} NOT NULL, "
                "n {int} NOT NULL, head {blob} NOT NULL, spent {int} NOT NULL, status TEXT NOT NULL, "
                "UNIQUE (kind, name))"
            ),
            # id = chain << 32 | sequence number of the first row
            (
                "CREATE TABLE blocks (id {int} PRIMARY KEY, n {int} NOT NULL, head {blob} NOT NULL, "
                "tags {blob} NOT NULL, body {blob} NOT NULL)"
            ),
            # body is NULL when the payload is kept in chunks of CHUNK bytes, id = payload << 24 | chunk
            (
                "CREATE TABLE payloads (id {key}, digest {blob} NOT NULL UNIQUE, size {int} NOT NULL, "
                "media TEXT NOT NULL, body {blob})"
            ),
            "CREATE TABLE chunks (id {int} PRIMARY KEY, body {blob} NOT NULL)",
            # header: JSON; splits: one byte a task, zstd
            # groups of tasks: id = suite << 32 | index of the first task
            (
                "CREATE TABLE suites (id {key}, digest {blob} NOT NULL UNIQUE, n {int} NOT NULL, "
                "header {blob} NOT NULL, splits {blob} NOT NULL)"
            ),
            "CREATE TABLE tasks (id {int} PRIMARY KEY, n {int} NOT NULL, body {blob} NOT NULL)",
            # manifest: JSON, repeated as a row of the run's chain
            "CREATE TABLE runs (chain {int} PRIMARY KEY, run TEXT NOT NULL UNIQUE, manifest {blob} NOT NULL)",
            # derived, rebuilt when absent: columns of a run folded up to row `upto`
            (
                "CREATE TABLE folds (chain {int} PRIMARY KEY, upto {int} NOT NULL, head {blob} NOT NULL, "
                "shape {blob} NOT NULL)"
            ),
            (
                "CREATE TABLE fold_columns (chain {int} NOT NULL, name TEXT NOT NULL, body {blob} NOT NULL, "
                "PRIMARY KEY (chain, name))"
            ),
        ),
    ),
)


def migrate(db: Database, *, create: bool, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the ledger at `db` to the newest format.

    Raises LedgerError when the ledger is newer than this program, or (without `create`) is not a ledger.
    """
    applied = _applied(db)
    if applied == [m.name for m in migrations]:
        return
    _refuse_foreign(db, applied, migrations, create=create)
    with db.write() as tx:
        for statement in db.alone:
            tx.rows(statement)
        tx.run(
            f"CREATE TABLE IF NOT EXISTS migrations (n {db.types['int']} PRIMARY KEY, name TEXT NOT NULL, "
            f"at {db.types['int']} NOT NULL)"
        )
        # another process may have migrated while we waited for the write lock
        done = [str(r[0]) for r in tx.rows("SELECT name FROM migrations ORDER BY n")]
        for n, migration in enumerate(migrations[len(done) :], len(done) + 1):
            for statement in migration.statements:
                tx.run(statement.format(**db.types))
            tx.run("INSERT INTO migrations VALUES (?, ?, ?)", (n, migration.name, time.time_ns()))


def _applied(db: Database) -> list[str]:
    if not db.has_table("migrations"):
        return []
    return [str(r[0]) for r in db.rows("SELECT name FROM migrations ORDER BY n")]


def _refuse_foreign(
    db: Database, applied: list[str], migrations: Sequence[Migration], *, create: bool
) -> None:
    known = [m.name for m in migrations]
    if len(applied) > len(known):
        raise LedgerError(
            f"{db.place}: the ledger has format {len(applied)}; this program knows formats up to {len(known)}\n"
            "  fix: use the newer Steelyard that wrote it"
        )
    if applied != known[: len(applied)]:
        at = next(i for i, name in enumerate(applied) if name != known[i])
        raise LedgerError(
            f"{db.place}: migration {at + 1} of the ledger is {applied[at]!r}, wanted {known[at]!r}: "
            "another program made this ledger"
        )
    if not applied and db.has_table("blocks"):
        raise LedgerError(f"{db.place}: the database holds tables of another program; use one of its own")
    if not applied and not create:
        raise LedgerError(f"{db.place}: no ledger is there")
