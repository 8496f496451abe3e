"""Makers of problems whose answer is exact: arithmetic, string operations, invented facts, multiple choice.

Pure and seeded: the same generator state gives the same problem. A problem's split (train, public,
held-out) follows from a hash of the problem itself, so no two splits can share one. Does not read or write
files, and knows nothing of suites or models.
"""

from steelyard.tasks.builtin.makers.base import FAMILIES, LEVELS, Problem, Split
from steelyard.tasks.builtin.makers.catalogue import make_problem

__all__ = ["FAMILIES", "LEVELS", "Problem", "Split", "make_problem"]
