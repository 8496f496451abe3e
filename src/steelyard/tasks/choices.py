"""Options of a task: which one is right, in which order they are shown, under which letters."""

from __future__ import annotations

import re

from steelyard.schema.task import Task

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MASK = (1 << 64) - 1
_LAST = re.compile(
    r"\b(all|none|any|both|neither|either) of (the above|the others|these|them)\b", re.IGNORECASE
)
_REFERS = re.compile(
    r"\b(both|either|neither|only)?\s*\(?[A-Z]\)? (and|or|nor|&) \(?[A-Z]\)?(?![a-z])"
    r"|\b(option|options|answer|answers|choice|choices) \(?[A-Z]\)?\b"
)


class Mix:
    """A small seeded generator (splitmix64, Steele, Lea and Flood 2014): the same on every machine and version."""

    def __init__(self, *parts: int) -> None:
        self._state = 0
        for part in parts:
            self._state = (self.next() ^ (part & _MASK)) & _MASK

    def next(self) -> int:
        """64 random bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def below(self, n: int) -> int:
        """A whole number in [0, n); the bias is below n / 2**64."""
        return (self.next() * n) >> 64

    def permutation(self, n: int) -> list[int]:
        """All of 0 .. n-1 in random order (Fisher-Yates)."""
        out = list(range(n))
        for i in range(n - 1, 0, -1):
            j = self.below(i + 1)
            out[i], out[j] = out[j], out[i]
        return out


def right_index(task: Task) -> int | None:
    """The author's index of the right option: the target's text first, else its letter; None when neither fits."""
    target = task.target if isinstance(task.target, str) else (task.target[0] if task.target else "")
    return index_of(target, task.choices)


def index_of(answer: str, choices: tuple[str, ...]) -> int | None:
    """The index of an option named by its text, or else by its letter in the author's order."""
    if answer in choices:
        return choices.index(answer)
    bare = answer.strip()
    for i, choice in enumerate(choices):
        if choice.strip() == bare:
            return i
    letter = bare.strip("().").upper()
    if len(letter) == 1 and letter in LETTERS[: len(choices)]:
        return LETTERS.index(letter)
    return None


def shown_order(choices: tuple[str, ...], mix: Mix, *, shuffle: bool) -> tuple[int, ...]:
    """The author's index of each shown option.

    Options that speak of other options by letter ("both A and B") keep the author's order for the whole task;
    "none of the above" and its like stay last.
    """
    n = len(choices)
    if not shuffle or any(_REFERS.search(c) for c in choices):
        return tuple(range(n))
    last = [i for i, c in enumerate(choices) if _LAST.search(c)]
    free = [i for i in range(n) if i not in last] if last else list(range(n))
    return tuple([free[j] for j in mix.permutation(len(free))] + last)


def listed(choices: tuple[str, ...], order: tuple[int, ...]) -> str:
    """The options as lines, `A) first shown`."""
    return "\n".join(f"{LETTERS[i]}) {choices[k]}" for i, k in enumerate(order))
