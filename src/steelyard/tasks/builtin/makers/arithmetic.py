"""Addition, subtraction and multiplication of growing numbers; each with a written-out working."""

from __future__ import annotations

import random

from steelyard.tasks.builtin.makers.base import Problem, pick_wording

_WORDINGS = {
    "+": (
        "What is {a} + {b}?",
        "{a} + {b} =",
        "Calculate {a} + {b}.",
        "Add {a} and {b}.",
        "How much is {a} plus {b}?",
    ),
    "-": (
        "What is {a} - {b}?",
        "{a} - {b} =",
        "Calculate {a} - {b}.",
        "Subtract {b} from {a}.",
        "How much is {a} minus {b}?",
    ),
    "*": (
        "What is {a} * {b}?",
        "{a} * {b} =",
        "Calculate {a} * {b}.",
        "Multiply {a} by {b}.",
        "How much is {a} times {b}?",
    ),
}
_WEIGHTS = (6, 3, 3, 1, 1)
_NAMES = {"+": "add", "-": "subtract", "*": "multiply"}
_FACTORS = {
    1: ((1, 10), (1, 10)),
    2: ((10, 100), (2, 10)),
    3: ((100, 1000), (2, 10)),
    4: ((10, 100), (10, 100)),
    5: ((100, 1000), (10, 100)),
}


def _digits(rng: random.Random, n: int) -> int:
    return rng.randrange(10 ** (n - 1) if n > 1 else 0, 10**n)


def _operands(rng: random.Random, level: int) -> tuple[int, int]:
    """Two numbers of `level` digits each; at level 1 one of them may have two."""
    if level > 1:
        return _digits(rng, level), _digits(rng, level)
    a, b = rng.randrange(0, 40), rng.randrange(0, 10)
    return (a, b) if rng.random() < 0.5 else (b, a)


def make_arithmetic(rng: random.Random, level: int) -> Problem:
    """One sum, difference (never negative) or product; level 1 has one digit or so, level 5 five."""
    sign = rng.choice("++--*")
    if sign == "*":
        (alo, ahi), (blo, bhi) = _FACTORS[level]
        a, b = rng.randrange(alo, ahi), rng.randrange(blo, bhi)
        if rng.random() < 0.5:
            a, b = b, a
        value = a * b
    elif sign == "+":
        a, b = _operands(rng, level)
        value = a + b
    else:
        a, b = _operands(rng, level)
        a, b = max(a, b), min(a, b)
        value = a - b
    low, high = sorted((a, b))
    wording = pick_wording(rng, _WEIGHTS)
    return Problem(
        family="arithmetic",
        kind=_NAMES[sign],
        level=level,
        key=f"arithmetic {sign} {low} {high}",
        question=_WORDINGS[sign][wording].format(a=a, b=b),
        answer=str(value),
        wording=wording,
        working=_working(sign, a, b),
    )


def _working(sign: str, a: int, b: int) -> str:
    if sign == "+":
        return _add_working(a, b)
    return _subtract_working(a, b) if sign == "-" else _multiply_working(a, b)


def _add_working(a: int, b: int) -> str:
    """Column by column from the right: `7+6=13, 4+8+1=13, 3+5+1=9`."""
    steps: list[str] = []
    carry = 0
    x, y = a, b
    while x or y or not steps:
        total = x % 10 + y % 10 + carry
        steps.append(f"{x % 10}+{y % 10}{'+1' if carry else ''}={total}")
        carry, x, y = total // 10, x // 10, y // 10
    return ", ".join(steps)


def _subtract_working(a: int, b: int) -> str:
    """Column by column from the right, borrowing ten: `12-5=7, 4-1-3=0`."""
    steps: list[str] = []
    borrow = 0
    x, y = a, b
    while x or y or not steps:
        top = x % 10
        need = y % 10 + borrow
        lent = 10 if top < need else 0
        steps.append(f"{top + lent}-{y % 10}{'-1' if borrow else ''}={top + lent - need}")
        borrow, x, y = lent // 10, x // 10, y // 10
    return ", ".join(steps)


def _multiply_working(a: int, b: int) -> str:
    """Part products of the larger factor's digits with the smaller one, then their running sum."""
    big, small = max(a, b), min(a, b)
    parts = [int(d) * 10**i for i, d in enumerate(reversed(str(big))) if d != "0"] or [0]
    steps = [f"{p}*{small}={p * small}" for p in parts]
    total = parts[0] * small
    for p in parts[1:]:
        steps.append(f"{total}+{p * small}={total + p * small}")
        total += p * small
    return ", ".join(steps)
