"""A regular expression finds the answer, or is the answer's test.

Patterns can take time exponential in the text: this scorer runs in the scoring process, under a time limit an item.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, Literal

from steelyard.errors import PlanError
from steelyard.schema.score import Score
from steelyard.scorers.base import Item
from steelyard.scorers.common import Folding, TextScorer, failed, fold, passed, targets, unreadable
from steelyard.scorers.outcomes import Kind


class RegexOptions(Folding, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """`pattern` with a `group` extracts what is compared with the target; `compare: presence` asks only for a match.

    Without `pattern` the target is the pattern, and a match passes. `pick` says which match counts. `ignore_case`
    holds for the pattern and for the comparison; `multiline` and `dotall` are Python's flags.
    """

    pattern: str = ""
    group: int | str | None = None
    pick: Literal["first", "last"] = "last"
    compare: Literal["target", "presence"] = "target"
    multiline: bool = False
    dotall: bool = False


class Regex(TextScorer):
    """See `RegexOptions`. No match of an extracting pattern is a format failure."""

    kind: ClassVar[Kind] = "extract"
    linear = False

    def __init__(self, options: RegexOptions, base_dir: Path | None = None) -> None:
        super().__init__(options, base_dir)
        self._o = options
        self._flags = (
            (re.IGNORECASE if options.ignore_case else 0)
            | (re.MULTILINE if options.multiline else 0)
            | (re.DOTALL if options.dotall else 0)
        )
        self.needs_target = not options.pattern or options.compare == "target"
        self._pattern: re.Pattern[str] | None = None
        self._group: int | str = 0
        if options.pattern:
            self._pattern = self._compile(options.pattern, "scorer.pattern")
            self._group = self._group_of(self._pattern)

    def read(self, text: str, item: Item) -> Score:
        """Search, extract, compare."""
        if self._pattern is None:
            for target in targets(item):
                try:
                    found = re.search(target, text, self._flags)
                except (re.error, RecursionError, OverflowError):
                    return failed(explanation="the target is no regular expression")
                if found:
                    return passed(found.group(0))
            return failed()
        match = self._pattern.search(text)
        if self._o.pick == "last":
            for later in self._pattern.finditer(text):
                match = later
        if match is None:
            return failed() if self._o.compare == "presence" else unreadable("the pattern matches nothing")
        if self._o.compare == "presence":
            return passed(match.group(0))
        answer = match.group(self._group) or ""
        folded = fold(answer, self._o)
        ok = any(folded == fold(t, self._o) for t in targets(item))
        return passed(answer) if ok else failed(answer)

    def check(self, item: Item) -> str:
        """A target that is to be a pattern must be one."""
        wrong = super().check(item)
        if wrong or self._pattern is not None:
            return wrong
        for target in targets(item):
            try:
                re.compile(target, self._flags)
            except (re.error, RecursionError, OverflowError) as e:
                return f"the target is no regular expression ({e})"
        return ""

    def _compile(self, pattern: str, where: str) -> re.Pattern[str]:
        try:
            return re.compile(pattern, self._flags)
        except (re.error, RecursionError, OverflowError) as e:
            at = f" at character {e.pos + 1}" if isinstance(e, re.error) and e.pos is not None else ""
            raise PlanError(
                "not a regular expression",
                where=where,
                wanted="a pattern of Python's `re`",
                got=f"{pattern[:80]!r}: {e}{at}",
                fix="in YAML, put patterns in single quotes",
            ) from None

    def _group_of(self, pattern: re.Pattern[str]) -> int | str:
        group = self._o.group if self._o.group is not None else min(1, pattern.groups)
        known = group in pattern.groupindex if isinstance(group, str) else 0 <= group <= pattern.groups
        if not known:
            names = ", ".join(pattern.groupindex) or "none named"
            raise PlanError(
                f"the pattern has no group {group!r}",
                where="scorer.group",
                wanted=f"0 to {pattern.groups}, or a name ({names})",
                got=repr(group),
            )
        return group
