"""One door to all makers: a problem of a family, level and split."""

from __future__ import annotations

import random

from steelyard.tasks.builtin.makers.arithmetic import make_arithmetic
from steelyard.tasks.builtin.makers.base import Family, Problem, Split, split_of
from steelyard.tasks.builtin.makers.choice import EVEN, make_choice
from steelyard.tasks.builtin.makers.facts import make_fact
from steelyard.tasks.builtin.makers.strings import make_strings


def make_problem(
    rng: random.Random,
    family: Family,
    level: int,
    *,
    split: Split,
    positions: tuple[float, float, float, float] = EVEN,
) -> Problem:
    """Draw until a problem falls into `split`; facts are drawn inside their split.

    `positions` weights where the right option of a multiple-choice problem stands.
    """
    if family == "facts":
        return make_fact(rng, level, split=split)
    while True:
        if family == "arithmetic":
            made = make_arithmetic(rng, level)
        elif family == "strings":
            made = make_strings(rng, level)
        else:
            made = make_choice(rng, level, split=split, positions=positions)
        # a fact inside a choice is already drawn from its split
        if made.kind == "fact" or split_of(made.key) == split:
            return made
