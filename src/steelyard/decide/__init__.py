"""Evidence in, verdict with reasons out: compare, gate, select, stopping rules, suite lifecycle, coverage.

Pure functions over `stats` results and `schema` nouns; does not read the ledger.
Everybody above may import it. Import a method's module (`steelyard.decide.stopping`): nothing is loaded here.
"""
