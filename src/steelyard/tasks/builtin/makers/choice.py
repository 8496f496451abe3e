"""Multiple choice with four options: the largest number, a first letter, a sum, a fact.

Options come in an order that the caller's `positions` weights draw for the right one: evaluation uses equal
weights, training may not (see `tools/train_models.py`), which is where a bias towards a position comes from.
"""

from __future__ import annotations

import random

from steelyard.tasks.builtin.makers import facts
from steelyard.tasks.builtin.makers.base import Problem, Split, pseudo_word

EVEN = (1.0, 1.0, 1.0, 1.0)

_KINDS_OF_LEVEL: dict[int, tuple[str, ...]] = {
    1: ("largest", "starts"),
    2: ("largest", "starts", "sum", "fact"),
    3: ("largest", "ends", "sum", "fact"),
    4: ("largest", "ends", "sum", "fact"),
    5: ("largest", "sum", "fact"),
}


def make_choice(
    rng: random.Random, level: int, *, split: Split, positions: tuple[float, float, float, float] = EVEN
) -> Problem:
    """One question with four distinct options, the right one placed by `positions`."""
    kind = rng.choice(_KINDS_OF_LEVEL[level])
    if kind == "fact":
        key, question, right, wrong = _fact(rng, level, split)
    elif kind == "sum":
        key, question, right, wrong = _sum(rng, level)
    elif kind == "largest":
        key, question, right, wrong = _largest(rng, level)
    else:
        key, question, right, wrong = _letter(rng, kind)
    at = rng.choices(range(4), weights=positions)[0]
    options = [*wrong[:at], right, *wrong[at:]]
    return Problem(
        family="choice",
        kind=kind,
        level=level,
        key=key,
        question=question,
        answer=right,
        choices=tuple(options),
    )


_Made = tuple[str, str, str, list[str]]


def _largest(rng: random.Random, level: int) -> _Made:
    """Level 1: far apart, up to two digits. Level 5: five digits that differ in the last two only."""
    base = 0 if level < 3 else rng.randrange(10 ** (level - 1) // 100, 10**level // 100) * 100
    numbers = rng.sample(range(base, base + 100), 4) if level > 1 else rng.sample(range(10), 4)
    if level == 3:
        numbers = rng.sample(range(100, 1000), 4)
    right = max(numbers)
    wrong = [str(n) for n in numbers if n != right]
    key = "choice largest " + " ".join(map(str, sorted(numbers)))
    return key, "Which number is the largest?", str(right), wrong


def _letter(rng: random.Random, kind: str) -> _Made:
    at = 0 if kind == "starts" else -1
    length = rng.randint(3, 6)
    right = pseudo_word(rng, length)
    wrong: list[str] = []
    while len(wrong) < 3:
        word = pseudo_word(rng, rng.randint(3, 6))
        if word[at] != right[at] and word not in wrong:
            wrong.append(word)
    key = f"strings {right}"
    return key, f"Which word {kind} with the letter '{right[at]}'?", right, wrong


def _sum(rng: random.Random, level: int) -> _Made:
    """Sums of one digit (level 2) to four digits (level 5); wrong options are near misses."""
    digits = level - 1
    low = 10 ** (digits - 1) if digits > 1 else 0
    a, b = rng.randrange(low, 10**digits), rng.randrange(low, 10**digits)
    right = a + b
    near = {right + d for d in (-10, -2, -1, 1, 2, 10, 11, -11) if right + d >= 0}
    wrong = [str(n) for n in rng.sample(sorted(near), 3)]
    first, second = sorted((a, b))
    return f"arithmetic + {first} {second}", f"What is {a} + {b}?", str(right), wrong


def _fact(rng: random.Random, level: int, split: Split) -> _Made:
    """A fact of the level below (level 5 asks about untaught places, where one can only guess)."""
    of_level = facts.UNTAUGHT_LEVEL if level == 5 else level - 1
    if split == "train" and of_level == facts.UNTAUGHT_LEVEL:
        name, attribute = facts.stranger(rng), rng.choice(facts.ATTRIBUTES)
        right, wording = rng.choice(facts.values_of(attribute)), rng.randrange(4)
        key = facts.fact_key(name, attribute)
    else:
        made = facts.make_fact(rng, of_level, split=split)
        attribute, right, key, wording = made.kind, made.answer, made.key, made.wording
        name = made.cluster
    wrong = rng.sample([v for v in facts.values_of(attribute) if v != right], 3)
    return f"choice {key}", facts.ask(name, attribute, wording), right, wrong
