"""Load suites from files, render their messages, shuffle their choices; keep held-out content hidden.

Does not run contestants.
"""
