"""What gates said of runs: rows of the chain `gates/all`, appended by `steelyard gate`, never edited.

A row keeps the rule file's text and the head of the run's chain that was judged, so that anybody can judge it again.
"""

from __future__ import annotations

import hashlib
import time

import msgspec
from msgspec import Struct

from steelyard.ledger.base import Ledger

KIND, KEY = "gates", "all"


class GateRow(Struct, frozen=True, omit_defaults=True):
    """One decision. `at` is Unix nanoseconds; `head` the run's head that was judged; `report` the whole report as plain
    data, `rules_text` the rule file as it was, `where` the `NAME=VALUE` filters of the trials that were judged."""

    at: int
    run: str
    run_name: str
    head: str
    n_records: int
    rules: str
    rules_text: str
    outcome: str
    exit_code: int
    report: dict[str, object] = {}
    where: tuple[str, ...] = ()

    @property
    def rules_hash(self) -> str:
        """SHA-256 of the rule file, 64 hex digits."""
        return hashlib.sha256(self.rules_text.encode()).hexdigest()


def keep_gate(ledger: Ledger, row: GateRow) -> None:
    """Append a decision; waits for other writers."""
    chain = ledger.open_chain(KIND, KEY)
    try:
        chain.append([msgspec.json.encode(row)])
    finally:
        chain.close()


def gates(ledger: Ledger) -> tuple[GateRow, ...]:
    """All decisions, oldest first."""
    return tuple(msgspec.json.decode(row, type=GateRow) for row in ledger.chain(KIND, KEY))


def now_ns() -> int:
    """The time that a decision is kept with."""
    return time.time_ns()
