"""Real scripted twins of everything that plugs in, for our tests and for plug-in authors.

Ships with the package; nothing in the package imports it.
"""

from __future__ import annotations

from steelyard.testing.scorers import ScriptedJudge, run_scorer_conformance

__all__ = ["ScriptedJudge", "run_scorer_conformance"]
