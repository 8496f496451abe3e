"""Overlap of words with a target (F1), normalised as the SQuAD evaluation does.

Lower case, punctuation out, the articles a, an, the out (Rajpurkar et al. 2016); the best of several targets counts.
Not covered: languages that write without spaces, where a "word" is a whole clause.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from steelyard.errors import PlanError
from steelyard.schema.score import Score
from steelyard.scorers.base import Item
from steelyard.scorers.common import Options, TextScorer, failed, of_value, passed, targets

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_MARKS = re.compile(r"[^\w\s]|_")


class F1Options(Options, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """`threshold` makes it pass or fail at that value; without one the value itself is the score."""

    threshold: float | None = None


class F1(TextScorer):
    """The harmonic mean of precision and recall over words with multiplicity, in [0, 1]."""

    def __init__(self, options: F1Options, base_dir: Path | None = None) -> None:
        super().__init__(options, base_dir)
        self._threshold = options.threshold
        if options.threshold is not None and not 0 < options.threshold <= 1:
            raise PlanError(
                "a threshold out of range", where="scorer.threshold", wanted="above 0, at most 1",
                got=str(options.threshold),
            )  # fmt: skip

    def read(self, text: str, item: Item) -> Score:
        """Compare the words."""
        words = words_of(text)
        value = max(f1(words, words_of(target)) for target in targets(item))
        if self._threshold is None:
            return of_value(value)
        return passed() if value >= self._threshold else failed(explanation=f"F1 {value:.3f}")


def words_of(text: str) -> list[str]:
    """The words that count."""
    return _ARTICLES.sub(" ", _MARKS.sub("", text.casefold())).split()


def f1(said: list[str], wanted: list[str]) -> float:
    """F1 of two word lists; two empty ones agree."""
    if not said or not wanted:
        return float(said == wanted)
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted))
