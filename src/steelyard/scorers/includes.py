"""The reply contains a target."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from steelyard.schema.score import Score
from steelyard.scorers.base import Item
from steelyard.scorers.common import Folding, TextScorer, failed, fold, passed, targets


class IncludesOptions(Folding, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """`need` any of the targets, or all. `whole_words`: the target may not stand inside a longer word or number."""

    need: Literal["any", "all"] = "any"
    whole_words: bool = False


class Includes(TextScorer):
    """Passes when the folded reply contains a folded target. It does not see negation: "not Paris" contains Paris."""

    def __init__(self, options: IncludesOptions, base_dir: Path | None = None) -> None:
        super().__init__(options, base_dir)
        self._o = options

    def read(self, text: str, item: Item) -> Score:
        """Look for the targets."""
        answer = fold(text, self._o)
        wanted = [fold(t, self._o) for t in targets(item)]
        found = [t for t in wanted if t and self._inside(t, answer)]
        enough = len(found) == len(wanted) if self._o.need == "all" else bool(found)
        return passed(found[0]) if enough else failed()

    def _inside(self, target: str, answer: str) -> bool:
        at = answer.find(target)
        if not self._o.whole_words:
            return at >= 0
        while at >= 0:
            end = at + len(target)
            if not (_joined(answer, at - 1, at) or _joined(answer, end - 1, end)):
                return True
            at = answer.find(target, at + 1)
        return False


def _joined(text: str, left: int, right: int) -> bool:
    """True when the characters at both places belong to one word."""
    if left < 0 or right >= len(text):
        return False
    return (text[left].isalnum() or text[left] == "_") and (text[right].isalnum() or text[right] == "_")
