"""Who has looked at held-out content: once a split was revealed it is exposed for good, in every run of that suite.

Kept as a chain of the ledger for each suite version (append-only, verified like all others).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from steelyard.ledger.base import Ledger


class Exposure(Struct, frozen=True):
    """One occasion: Unix nanoseconds, and by what the content was shown."""

    at: int
    by: str


def expose(ledger: Ledger, versions: Sequence[str], *, at: int, by: str) -> None:
    """Record, before it is shown, that held-out content of these suite versions is shown."""
    for version in dict.fromkeys(versions):
        chain = ledger.open_chain("exposed", version)
        try:
            chain.append([msgspec.json.encode(Exposure(at, by))])
        finally:
            chain.close()


def exposures(ledger: Ledger, version: str) -> list[Exposure]:
    """Every occasion on which the held-out split of this suite version was shown."""
    return [msgspec.json.decode(row, type=Exposure) for row in ledger.chain("exposed", version)]
