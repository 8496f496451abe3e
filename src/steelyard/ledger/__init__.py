"""Append, hash-chain, recover, query; import and export of other tools' formats. The only truth there is.

Does not compute statistics. Plugs, engines and doors may import it.
"""

from steelyard.ledger.base import (
    Cells,
    Ledger,
    ResumeState,
    RunInfo,
    RunWriter,
    SuiteData,
    TrialRow,
    VerifyReport,
)
from steelyard.ledger.place import default_place, open_ledger

__all__ = [
    "Cells",
    "Ledger",
    "ResumeState",
    "RunInfo",
    "RunWriter",
    "SuiteData",
    "TrialRow",
    "VerifyReport",
    "default_place",
    "open_ledger",
]
