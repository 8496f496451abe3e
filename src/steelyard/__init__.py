"""Steelyard: which model x harness x provider x config to use for your own work, with intervals and cost.

The tree is the architecture. Imports go downwards only, never sideways (`make check` enforces it)::

    DOORS     cli   web
    ENGINES   runner  probe  arena  gateway        never import each other
    PLUGS     scorers -> tasks  contestants
    GROUND    ledger  wire  sandbox                never import each other
    PURE      decide -> stats  schema              no clock, disk, network, async, hidden randomness
    beside    testing (ships; nothing imports it)  errors.py, unknown.py (importable everywhere)

Importing this package does nothing: no files, no banner, no environment reads.
"""

__version__ = "0.1.0"
