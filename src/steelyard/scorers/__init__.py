"""Judging logic: match, numeric, choice, schema, tool calls, custom code, judges.

Does not decide. Engines and doors may import it.
"""

from __future__ import annotations

from steelyard.scorers.base import Caller, Item, Judge, Scorer
from steelyard.scorers.build import build, check, pin

__all__ = ["Caller", "Item", "Judge", "Scorer", "build", "check", "pin"]
