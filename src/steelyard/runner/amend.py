"""Rows that are added to a run after it ended: new scores. The run stays as complete, capped or stopped as it was."""

from __future__ import annotations

from collections.abc import Callable

from steelyard.ledger.base import Ledger, RunWriter

_ENDED = ("complete", "capped", "stopped", "failed")


def amend(ledger: Ledger, run: str, work: Callable[[RunWriter], None]) -> None:
    """Do `work` with the run's writer, then close the run as it was. Raises LedgerBusy while it is going on."""
    status = ledger.find(run).status
    writer = ledger.open_run(run)
    try:
        work(writer)
        if status in _ENDED:
            writer.close(status, "amended")
    finally:
        writer.release()
