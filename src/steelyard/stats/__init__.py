"""Arrays in, frozen results out: estimators with their uncertainty, one file a method.

Seeds are arguments; nothing here reads a clock, a disk or a network. Imports nothing of ours but errors and
Unknown. Everybody may import it.
"""
