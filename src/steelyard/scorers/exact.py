"""The reply equals a target."""

from __future__ import annotations

from pathlib import Path

from steelyard.schema.score import Score
from steelyard.scorers.base import Item
from steelyard.scorers.common import (
    Folding,
    TextScorer,
    after_marker,
    failed,
    fold,
    passed,
    targets,
    unreadable,
)


class ExactOptions(Folding, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """`after` judges only what follows the last of these markers on its line, without a final full stop."""

    after: tuple[str, ...] = ()


class Exact(TextScorer):
    """Passes when the reply equals one of the targets after folding; outer white space never counts."""

    def __init__(self, options: ExactOptions, base_dir: Path | None = None) -> None:
        super().__init__(options, base_dir)
        self._o = options

    def read(self, text: str, item: Item) -> Score:
        """Compare."""
        extracted = ""
        if self._o.after:
            tail = after_marker(text, self._o.after)
            if tail is None:
                return unreadable(f"none of the markers {', '.join(self._o.after)}")
            line = tail.strip().split("\n", 1)[0].strip()
            text = extracted = line.removesuffix(".").strip()
        answer = fold(text, self._o)
        for target in targets(item):
            if answer == fold(target, self._o):
                return passed(extracted)
        return failed(extracted)
