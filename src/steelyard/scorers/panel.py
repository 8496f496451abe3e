"""Several judges together: the mean, the median or the majority of their scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from steelyard.errors import EndedBy, Fault
from steelyard.schema.score import Outcome, Score, ungraded
from steelyard.scorers.base import Caller, Item, Judge
from steelyard.scorers.common import Options, of_value, version_of
from steelyard.scorers.outcomes import before
from steelyard.scorers.verdict import require


class PanelOptions(Options, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """`of` holds judges by label, each with a role of its own if they are to be different models. `minimum` judges
    must give a verdict that can be read (default: all of them)."""

    of: dict[str, dict[str, object] | str]
    combine: Literal["mean", "median", "majority"] = "mean"
    minimum: int | None = None


class Panel:
    """Asks each judge in turn. `majority` passes when more than half of those who gave a verdict pass."""

    def __init__(self, options: PanelOptions, members: Mapping[str, Judge]) -> None:
        self.name, self._o, self._members = options.type, options, members
        self.spec: dict[str, object] = msgspec.to_builtins(options)
        self.version = version_of(1, [self.spec, {k: f"{m.name}@{m.version}" for k, m in members.items()}])
        self.roles: tuple[str, ...] = tuple(dict.fromkeys(r for m in members.values() for r in m.roles))
        self.calls: tuple[str, ...] = tuple(r for m in members.values() for r in m.calls)
        self._minimum = len(members) if options.minimum is None else options.minimum
        require(members, "a panel of nobody", "scorer.of", "at least one judge", options.of)
        fits = 1 <= self._minimum <= len(members)
        require(fits, "a minimum out of range", "scorer.minimum", f"1 to {len(members)}", options.minimum)

    async def judge(self, item: Item, call: Caller) -> Score:
        """Ask all, and combine. Raises the Fault of a member that the panel cannot do without."""
        done = before(item, "judge")
        if done is not None:
            return done
        scores: dict[str, Score] = {}
        for label, member in self._members.items():
            try:
                scores[label] = await member.judge(item, call)
            except Fault as fault:
                spare = len(self._members) - self._minimum
                lost = sum(s.value is None for s in scores.values())
                if fault.ended_by is not EndedBy.PROVIDER or lost >= spare:
                    raise
                scores[label] = ungraded(f"judge:{fault.kind}", str(fault)[:200])
        return self._combined(scores)

    def _combined(self, scores: Mapping[str, Score]) -> Score:
        values = {label: s.value for label, s in scores.items() if s.value is not None}
        if len(values) < self._minimum:
            lost = next(s for s in scores.values() if s.value is None)
            return ungraded(lost.cause, f"{len(values)} of {len(scores)} verdicts: {lost.explanation}"[:1000])
        why = "; ".join(f"{label}: {s.explanation}" for label, s in scores.items() if s.explanation)[:2000]
        if self._o.combine == "majority":
            ayes = sum(scores[label].outcome is Outcome.PASSED for label in values)
            value = float(2 * ayes > len(values))
        elif self._o.combine == "median":
            ranked = sorted(values.values())
            value = (ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]) / 2
        else:
            value = sum(values.values()) / len(values)
        return of_value(value, explanation=why, parts=dict(values))
