"""A profile in, an isolated process out: mounts, limits, egress, hidden files, collected outputs.

Does not know what it runs.
"""
