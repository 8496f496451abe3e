"""The number that the reply gives equals the target, within a tolerance and across units."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import ClassVar, Literal

from steelyard.errors import PlanError
from steelyard.schema.score import Score
from steelyard.scorers.base import Item
from steelyard.scorers.common import Options, TextScorer, failed, passed, targets, truncated, unreadable
from steelyard.scorers.numbers import Number, first_number, numbers_in, parse_whole, tidy
from steelyard.scorers.outcomes import Kind
from steelyard.scorers.units import convert, unit_named

_MARKER = re.compile(
    r"####|\\boxed\s*\{|\bfinal answer\b(?:\s+is)?|\banswer\s*(?:is|=|:)|(?m:^\s*A:)|\*\*answer:?\*\*:?",
    re.IGNORECASE,
)
_SPACED = re.compile(r"\s{0,9}[-+$€£]?[0-9]{1,3}(?: [0-9]{3}){1,9}(?:\.[0-9]{1,9})?[.\s]{0,9}")
"""Groups of three with plain spaces are one number only where there is nothing else."""
_SWAP = str.maketrans({",": ".", ".": ","})


class NumericOptions(Options, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """How the number is found and compared.

    `absolute` and `relative` (of the target) tolerances: the wider holds. `after`: only what follows the last of these
    markers is read, and without one nothing is; by default the usual ones ("####", "\\boxed{", "answer is", a line
    "A:") are preferred where they stand. `pick` the first or last number there (default: first after a marker, else
    last). `unit` is the unit of targets that carry none; a reply in another unit of the same kind is converted, one
    of another kind fails, and one without passes unless `unit_required`. `decimal: ","` reads 1.234,5 as 1234.5.
    `percent: strict` keeps 50 and 50 % apart; by default 50 %, 0.5 and (for a target of 50) 50 agree.
    """

    absolute: float = 0.0
    relative: float = 0.0
    after: tuple[str, ...] = ()
    pick: Literal["first", "last", ""] = ""
    unit: str = ""
    unit_required: bool = False
    decimal: Literal[".", ","] = "."
    percent: Literal["either", "strict"] = "either"


def number_of_target(target: str, after: tuple[str, ...] = ()) -> Number | None:
    """The number that a target is; of a written-out solution, the one after its last "####", "\\boxed{" or `after`."""
    whole = parse_whole(target)
    if whole is None:
        text = tidy(target)
        marks = (*after, "####", "\\boxed{")
        at = max(text.rfind(mark) + len(mark) if mark in text else -1 for mark in marks)
        whole = first_number(text[at:]) if at >= 0 else None
    return whole


class Numeric(TextScorer):
    """See `NumericOptions`. No number where one was asked for is a format failure."""

    code: ClassVar[int] = 2
    kind: ClassVar[Kind] = "extract"

    def __init__(self, options: NumericOptions, base_dir: Path | None = None) -> None:
        super().__init__(options, base_dir)
        self._o = options
        for name, value in (("absolute", options.absolute), ("relative", options.relative)):
            if not (math.isfinite(value) and value >= 0):
                raise PlanError(
                    "a tolerance out of range", where=f"scorer.{name}", wanted="0 or more", got=str(value)
                )
        self._unit = unit_named(options.unit) if options.unit else None
        if options.unit and self._unit is None:
            raise PlanError(
                "a unit that is not known", where="scorer.unit", wanted="m, kg, s, km/h, GB, ...", got=options.unit,
                fix="leave it out: units that are not known are ignored",
            )  # fmt: skip

    def read(self, text: str, item: Item) -> Score:
        """Find the number, compare it with each target."""
        found = self.find(text, cut=truncated(item.reply))
        if isinstance(found, str):
            return unreadable(found)
        why = ""
        for target in targets(item):
            wanted = number_of_target(target, self._o.after)
            if wanted is None:
                return failed(found.text, "the target is no number")
            verdict = self._equal(found, wanted)
            if verdict == "":
                return passed(found.text)
            why = verdict
        return failed(found.text, "" if why == "differs" else why)

    def find(self, text: str, *, cut: bool = False) -> Number | str:
        """The number that answers, or why there is none. `cut`: the reply was truncated."""
        if self._o.decimal == ",":
            text = text.translate(_SWAP)
        text = tidy(text)
        if _SPACED.fullmatch(text):
            text = text.replace(" ", "")
        if self._o.after:
            at = max((text.rfind(m) + len(m) for m in self._o.after if m in text), default=-1)
            if at < 0:
                return f"none of the markers {', '.join(self._o.after)}"
            return self._in(text[at:], "first") or "no number after the marker"
        marks = [m.end() for m in _MARKER.finditer(text)]
        for at in reversed(marks):
            found = self._in(text[at:], "first")
            if found is not None:
                return found
        if marks:
            return "no number after the marker"
        if cut:
            whole = parse_whole(text)
            return whole or "the reply was cut before a final answer"
        return self._in(text, "last") or "no number"

    def _in(self, text: str, usual: Literal["first", "last"]) -> Number | None:
        if (self._o.pick or usual) == "first":
            return first_number(text)
        found = list(numbers_in(text))
        return found[-1] if found else None

    def check(self, item: Item) -> str:
        """Every target must be a number."""
        wrong = super().check(item)
        if wrong:
            return wrong
        bad = [t for t in targets(item) if number_of_target(t, self._o.after) is None]
        return f"the target {bad[0][:60]!r} is no number" if bad else ""

    def _equal(self, found: Number, wanted: Number) -> str:
        """ "" when equal, "differs", or a reason worth telling."""
        target_unit = wanted.unit or self._unit
        value = found.value
        exact = found.exact is not None and wanted.exact is not None
        if target_unit is not None:
            if found.unit is None:
                if self._o.unit_required:
                    return "no unit"
            elif found.unit.dimension != target_unit.dimension:
                return f"a {found.unit.dimension} where a {target_unit.dimension} was asked for"
            elif found.unit != target_unit:
                value, exact = convert(value, found.unit, target_unit), False
        if exact and not self._o.absolute and not self._o.relative and found.percent == wanted.percent:
            return "" if found.exact == wanted.exact else "differs"
        if found.percent != wanted.percent:
            return self._percent(found, wanted)
        return "" if self._close(value, wanted.value) else "differs"

    def _percent(self, found: Number, wanted: Number) -> str:
        ratio = found.value / 100 if found.percent else found.value
        wanted_ratio = wanted.value / 100 if wanted.percent else wanted.value
        if self._close(ratio, wanted_ratio):
            return ""
        if self._o.percent == "either" and self._close(found.value, wanted.value):
            return ""
        return "differs"

    def _close(self, value: float, wanted: float) -> bool:
        noise = 1e-9 * max(abs(value), abs(wanted))
        allowed = max(self._o.absolute, self._o.relative * abs(wanted))
        return abs(value - wanted) <= allowed + noise
