"""Append, hash-chain, recover, query; import and export of other tools' formats. The only truth there is.

Does not compute statistics. Plugs, engines and doors may import it.
"""
