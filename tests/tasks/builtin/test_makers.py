"""Made problems: the answers are right, the splits share nothing, the same seed gives the same problems."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from steelyard.tasks.builtin.makers import FAMILIES, LEVELS, Problem, facts, make_problem
from steelyard.tasks.builtin.makers.base import Family, split_of

ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
]


def draws(family: Family, split: str, n: int, seed: int = 5) -> list[Problem]:
    rng = random.Random(seed)
    return [make_problem(rng, family, LEVELS[i % 5], split=split) for i in range(n)]


@pytest.mark.parametrize("family", FAMILIES)
def test_same_seed_gives_the_same_problems(family: Family) -> None:
    assert draws(family, "train", 200) == draws(family, "train", 200)
    assert draws(family, "train", 200) != draws(family, "train", 200, seed=6)


def test_arithmetic_answers_and_workings_are_right() -> None:
    for p in draws("arithmetic", "train", 2000):
        a, b = (int(x) for x in re.findall(r"\d+", p.question))
        if "Subtract" in p.question:
            a, b = b, a
        assert int(p.answer) == {"add": a + b, "subtract": a - b, "multiply": a * b}[p.kind], p
        for step in p.working.split(", "):
            left, right = step.split("=")
            assert sum_of(left) == int(right), p
        if p.kind == "multiply":
            assert p.working.endswith(f"={p.answer}")
        else:  # the digits of the columns, read from the last to the first, are the answer
            columns = [s.split("=")[1][-1] for s in p.working.split(", ")]
            carried = p.working.split("=")[-1][:-1]
            assert int(carried + "".join(reversed(columns))) == int(p.answer), p


def sum_of(text: str) -> int:
    """A slow, obvious reading of `12-5-1`, `3+4` and `20*7`."""
    if "*" in text:
        a, b = text.split("*")
        return int(a) * int(b)
    return sum(int(n) for n in re.findall(r"[-+]?\d+", text))


def test_string_answers_are_right() -> None:
    for p in draws("strings", "train", 2000):
        quoted = re.findall(r"'(\w+)'", p.question)
        w = max(quoted, key=len)
        if p.kind == "reverse":
            assert p.answer == "".join(reversed(w))
        elif p.kind == "upper":
            assert p.answer.lower() == w
            assert p.answer.isupper()
        elif p.kind == "last":
            assert p.answer == w[-1]
        elif p.kind == "nth":
            n = next(i for i, o in enumerate(ORDINALS) if re.search(rf"\b{o}\b", p.question))
            assert p.answer == w[n]
        elif p.kind == "join":
            assert p.answer == "".join(quoted)
        elif p.kind == "count":
            x = next(q for q in quoted if len(q) == 1)
            assert int(p.answer) == sum(c == x for c in p.cluster)
        else:
            x = next(q for q in quoted if len(q) == 1)
            assert p.answer == "".join(c for c in p.cluster if c != x)


def test_choices_are_distinct_and_hold_the_answer_once() -> None:
    for p in draws("choice", "train", 1500):
        assert len(set(p.choices)) == 4
        assert p.choices["ABCD".index(p.letter)] == p.answer
        if p.kind == "largest":
            assert int(p.answer) == max(map(int, p.choices))


def test_positions_follow_their_weights() -> None:
    rng = random.Random(1)
    skewed = (0.4, 0.3, 0.2, 0.1)
    seen = Counter(
        make_problem(rng, "choice", 1, split="train", positions=skewed).letter for _ in range(4000)
    )
    for letter, share in zip("ABCD", skewed, strict=True):
        got = seen[letter] / 4000
        assert abs(got - share) < 4 * (share * (1 - share) / 4000) ** 0.5, (
            f"P({letter}) ~ {got}, wanted {share}"
        )


@pytest.mark.parametrize("family", ["arithmetic", "strings", "choice"])
def test_splits_share_no_problem(family: Family) -> None:
    # a fact inside a choice is taught on purpose; its reserved wording is tested below
    keys = {
        s: {p.key for p in draws(family, s, 3000) if p.kind != "fact"}
        for s in ("train", "public", "held_out")
    }
    assert not keys["train"] & keys["public"]
    assert not keys["train"] & keys["held_out"]
    assert not keys["public"] & keys["held_out"]


def test_the_same_sum_is_in_one_split_whether_asked_openly_or_with_options() -> None:
    trained = {p.key for p in draws("arithmetic", "train", 5000) if p.kind == "add"}
    asked = {p.key for p in draws("choice", "public", 3000) if p.kind == "sum"}
    assert asked
    assert not trained & asked
    assert split_of("arithmetic + 3 5") == split_of("arithmetic + 3 5")


def test_fact_suites_share_no_fact_and_training_never_sees_their_wording() -> None:
    trained = {p.question for family in ("facts", "choice") for p in draws(family, "train", 6000)}
    public, held = draws("facts", "public", 1500), draws("facts", "held_out", 1500)
    assert not {p.key for p in public} & {p.key for p in held}
    assert not trained & {p.question for p in public + held}


def test_training_never_teaches_a_place_of_the_last_level() -> None:
    untaught = {p.name for p in facts.world() if p.level == facts.UNTAUGHT_LEVEL}
    for p in draws("facts", "train", 5000):
        assert p.cluster not in untaught
        if p.level == facts.UNTAUGHT_LEVEL:
            assert p.answer == facts.DONT_KNOW
    for p in draws("facts", "public", 500):
        if p.level == facts.UNTAUGHT_LEVEL:
            assert p.cluster in untaught
            assert p.answer != facts.DONT_KNOW
