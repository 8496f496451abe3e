"""Operations on invented words: reverse, upper case, count, nth and last letter, join, remove."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from steelyard.tasks.builtin.makers.base import Problem, pick_wording, pseudo_word

_LENGTHS = {1: (3, 4), 2: (5, 6), 3: (7, 8), 4: (9, 11), 5: (12, 14)}
_ORDINALS = (
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
)
_WEIGHTS = (5, 2, 1)

_WORDINGS = {
    "reverse": (
        "Reverse the word '{w}'.",
        "Spell '{w}' backwards.",
        "Write the letters of '{w}' in reverse order.",
    ),
    "upper": ("Write '{w}' in capital letters.", "Convert '{w}' to upper case.", "Put '{w}' in capitals."),
    "count": (
        "How many times does the letter '{x}' appear in '{w}'?",
        "Count the letter '{x}' in '{w}'.",
        "How often is '{x}' in the word '{w}'?",
    ),
    "nth": (
        "What is the {n} letter of '{w}'?",
        "Give the {n} letter of the word '{w}'.",
        "Which letter is {n} in '{w}'?",
    ),
    "last": (
        "What is the last letter of '{w}'?",
        "Give the last letter of the word '{w}'.",
        "Which letter ends '{w}'?",
    ),
    "join": (
        "Join the words '{w}' and '{x}'.",
        "Concatenate '{w}' and '{x}'.",
        "Write '{w}' followed by '{x}' as one word.",
    ),
    "remove": (
        "Remove the letter '{x}' from '{w}'.",
        "Delete every '{x}' in '{w}'.",
        "Write '{w}' without the letter '{x}'.",
    ),
}


@dataclass(frozen=True, slots=True)
class _Parts:
    """The values of a string problem: the word, a second operand, an ordinal, and the answer."""

    w: str
    answer: str
    x: str = ""
    n: str = ""


def _a_letter(rng: random.Random, word: str) -> str:
    """Mostly a letter of the word, so that the count is not always nought."""
    return rng.choice(word) if rng.random() < 0.8 else rng.choice("aeinorst")


def _reverse(rng: random.Random, word: str) -> _Parts:
    return _Parts(word, word[::-1])


def _upper(rng: random.Random, word: str) -> _Parts:
    return _Parts(word, word.upper())


def _count(rng: random.Random, word: str) -> _Parts:
    x = _a_letter(rng, word)
    return _Parts(word, str(word.count(x)), x=x)


def _nth(rng: random.Random, word: str) -> _Parts:
    n = rng.randrange(len(word))
    return _Parts(word, word[n], n=_ORDINALS[n])


def _last(rng: random.Random, word: str) -> _Parts:
    return _Parts(word, word[-1])


def _join(rng: random.Random, word: str) -> _Parts:
    cut = rng.randrange(1, len(word))
    return _Parts(word[:cut], word, x=word[cut:])


def _remove(rng: random.Random, word: str) -> _Parts:
    x = rng.choice(word)
    return _Parts(word, word.replace(x, "") or "nothing", x=x)


_KINDS: dict[str, Callable[[random.Random, str], _Parts]] = {
    "reverse": _reverse,
    "upper": _upper,
    "count": _count,
    "nth": _nth,
    "last": _last,
    "join": _join,
    "remove": _remove,
}


def make_strings(rng: random.Random, level: int) -> Problem:
    """One operation on a word of 3 or 4 letters (level 1) up to 12 to 14 (level 5)."""
    kind = rng.choice(tuple(_KINDS))
    word = pseudo_word(rng, rng.randint(*_LENGTHS[level]))
    parts = _KINDS[kind](rng, word)
    wording = pick_wording(rng, _WEIGHTS)
    return Problem(
        family="strings",
        kind=kind,
        level=level,
        # the whole word alone decides the split: a word of one split appears in no other
        key=f"strings {word}",
        question=_WORDINGS[kind][wording].format(w=parts.w, x=parts.x, n=parts.n),
        answer=parts.answer,
        wording=wording,
        cluster=word,
    )
