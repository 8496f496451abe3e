"""What a made problem is, and how its split follows from its content."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "public", "held_out"]
Family = Literal["arithmetic", "strings", "facts", "choice"]

FAMILIES: tuple[Family, ...] = ("arithmetic", "strings", "facts", "choice")
LEVELS: tuple[int, ...] = (1, 2, 3, 4, 5)
LETTERS = "ABCD"

_SHARE_PUBLIC, _SHARE_HELDOUT = 12, 12  # per cent of every problem space


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem and its exact answer.

    `key` is canonical: two problems with the same key are the same problem, whatever the wording (3 + 5 and
    5 + 3, or the same question with its options in another order). `question` is what a user would type,
    without the options; `choices` are the options in order when there are any, and `answer` is then the
    text of the right one. `working` is a written-out solution that ends in the answer, where there is one.
    """

    family: Family
    kind: str
    level: int
    key: str
    question: str
    answer: str
    wording: int = 0
    choices: tuple[str, ...] = ()
    working: str = ""
    cluster: str = ""

    @property
    def letter(self) -> str:
        """The letter of the right option; empty for a problem without options."""
        return LETTERS[self.choices.index(self.answer)] if self.choices else ""


def bucket(key: str, modulus: int) -> int:
    """A number below `modulus` that depends on `key` only (SHA-256, so alike on every machine)."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % modulus


def split_of(key: str) -> Split:
    """The split that owns the problem `key`: 12 % public, 12 % held-out, the rest for training."""
    at = bucket(key, 100)
    if at < _SHARE_PUBLIC:
        return "public"
    return "held_out" if at < _SHARE_PUBLIC + _SHARE_HELDOUT else "train"


_ONSETS = (
    "b",
    "br",
    "c",
    "d",
    "dr",
    "f",
    "g",
    "gl",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "pl",
    "r",
    "s",
    "st",
    "t",
    "tr",
    "v",
    "w",
    "z",
)
_NUCLEI = ("a", "a", "e", "e", "i", "o", "o", "u", "ai", "ou")
_CODAS = ("", "", "", "n", "r", "l", "s", "t", "m", "k")


def pseudo_word(rng: random.Random, length: int) -> str:
    """A pronounceable invented word of exactly `length` lower-case letters."""
    word = ""
    while len(word) < length:
        word += rng.choice(_ONSETS) + rng.choice(_NUCLEI) + rng.choice(_CODAS)
    return word[:length]


def pick_wording(rng: random.Random, weights: tuple[int, ...]) -> int:
    """An index drawn with the given weights."""
    return rng.choices(range(len(weights)), weights=weights)[0]
