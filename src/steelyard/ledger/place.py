"""Which ledger: a place, and the ledger there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from steelyard.errors import DataError
from steelyard.ledger.base import Ledger
from steelyard.ledger.database import Database
from steelyard.ledger.migrations import migrate
from steelyard.ledger.sqlite import WAIT_S, SqliteDatabase
from steelyard.ledger.store import SqlLedger

FOLDER = ".steelyard"
VARIABLE = "STEELYARD_LEDGER"


def default_place(flag: str | None, environ: Mapping[str, str], cwd: Path) -> str:
    """The ledger's place: the flag, else STEELYARD_LEDGER, else the folder `.steelyard` in `cwd`.

    A relative folder is taken from `cwd`; an empty flag or variable counts as not given.
    """
    place = flag or environ.get(VARIABLE, "")
    if not place:
        return str(cwd / FOLDER)
    return place if _is_address(place) else str(cwd / Path(place).expanduser())


def open_ledger(place: str, *, create: bool = True, wait_s: float = WAIT_S) -> Ledger:
    """The ledger at `place`: a folder (SQLite in it) or a `postgresql://` address; made there unless `create` is off.

    A writer waits at most `wait_s` seconds for others, then raises LedgerBusy. Raises DataError when the place cannot
    be a ledger or (without `create`) holds none, LedgerError when it cannot be opened or is of a newer format.
    """
    db = _connect(place, create=create, wait_s=wait_s)
    try:
        migrate(db, create=create)
    except BaseException:
        db.close()
        raise
    return SqlLedger(db)


def _is_address(place: str) -> bool:
    return place.startswith(("postgresql://", "postgres://"))


def _connect(place: str, *, create: bool, wait_s: float) -> Database:
    if not place:
        raise DataError(
            "a ledger needs a place", wanted="a folder, or a postgresql:// address", got="nothing"
        )
    if "://" in place and not _is_address(place):
        scheme = place.split("://", 1)[0]
        raise DataError(
            "a ledger's place",
            wanted="a folder, or a postgresql:// address",
            got=f"an address of {scheme}://",
        )
    if _is_address(place):
        # lazy: psycopg is an optional extra
        from steelyard.ledger.postgres import PostgresDatabase

        return PostgresDatabase(place, wait_s=wait_s)
    return SqliteDatabase(place, create=create, wait_s=wait_s)
