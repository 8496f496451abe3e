"""Runs as files that other programs read: tables of trials, lm-eval's samples, Every Eval Ever.

Held-out content never leaves unless `reveal` is given: such rows keep who, which task, what came of it and what it
cost, and say that they withhold the rest. Traces stay in the ledger. Computes no statistic: figures are handed in.
"""

from steelyard.ledger.exporters.base import TrialOut, condition_names, trials_out
from steelyard.ledger.exporters.eee import About, Total, export_eee
from steelyard.ledger.exporters.lm_eval import export_lm_eval
from steelyard.ledger.exporters.table import export_csv, export_jsonl

__all__ = [
    "About",
    "Total",
    "TrialOut",
    "condition_names",
    "export_csv",
    "export_eee",
    "export_jsonl",
    "export_lm_eval",
    "trials_out",
]
