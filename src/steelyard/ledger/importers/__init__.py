"""Results made elsewhere, brought into the ledger with their traces.

Reads Inspect `.eval` and `.json`, lm-eval samples, promptfoo output, SWE-agent `.traj`, ATIF, tau-bench, tables of
votes, and plain JSON lines, CSV and Parquet; which one a file is shows in its content. Does not judge: scores are
taken over as they are, and what a file does not say stays unknown.
"""

from steelyard.ledger.importers.base import Imported, ImportOptions
from steelyard.ledger.importers.keep import import_results
from steelyard.ledger.importers.sniff import sniff

__all__ = ["ImportOptions", "Imported", "import_results", "sniff"]
