"""Several scorers as one: all must pass, any may, or a weighted mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import msgspec
from msgspec import field

from steelyard.errors import PlanError
from steelyard.schema.score import Outcome, Score, ungraded
from steelyard.scorers.base import Caller, Item, Judge, Scorer
from steelyard.scorers.common import Options, TextScorer, of_value, version_of
from steelyard.scorers.outcomes import Kind


class CompositeOptions(Options, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """`of` holds scorers by label. `combine`: `all` must pass, `any` may, or the `mean` by `weights` (else equal)."""

    of: dict[str, dict[str, object] | str]
    combine: Literal["all", "any", "mean"] = "all"
    weights: dict[str, float] = field(default_factory=dict)


def check_options(options: CompositeOptions) -> None:
    """Raises PlanError for no parts, or weights that do not fit them."""
    if not options.of:
        raise PlanError("a composite of nothing", where="scorer.of", wanted="at least one scorer", got="{}")
    for label, weight in options.weights.items():
        if label not in options.of:
            raise PlanError(
                "a weight for no part",
                where=f"scorer.weights.{label}",
                wanted=", ".join(options.of),
                got=label,
            )
        if not (math.isfinite(weight) and weight > 0):
            raise PlanError(
                "a weight out of range", where=f"scorer.weights.{label}", wanted="above 0", got=str(weight)
            )
    if options.weights and options.combine != "mean":
        raise PlanError("weights belong to `combine: mean`", where="scorer.weights", got=options.combine)


class Composite(TextScorer):
    """Scorers without a model. It needs the scoring process when one of them does."""

    kind: ClassVar[Kind] = "custom"
    needs_target = False

    def __init__(self, options: CompositeOptions, parts: Mapping[str, Scorer], base_dir: Path | None) -> None:
        super().__init__(options, base_dir)
        self._o, self._parts = options, parts
        self.linear = all(p.linear for p in parts.values())
        self.version = _version(self.code, options, parts)

    def check(self, item: Item) -> str:
        """Every part must be able to judge the task."""
        for label, part in self._parts.items():
            wrong = part.check(item) if isinstance(part, TextScorer) else ""
            if wrong:
                return f"{label}: {wrong}"
        return ""

    def score(self, item: Item) -> Score:
        """Score each part, and combine."""
        return combined({label: part.score(item) for label, part in self._parts.items()}, self._o)


class CompositeJudge:
    """Scorers of which at least one asks a model; those without one must be linear, as they run beside the calls."""

    def __init__(self, options: CompositeOptions, parts: Mapping[str, Scorer | Judge]) -> None:
        for label, part in parts.items():
            if isinstance(part, Scorer) and not part.linear:
                raise PlanError(
                    f"`{label}` needs the scoring process, which a composite with a judge does not have",
                    where=f"scorer.of.{label}",
                    wanted="exact, includes, numeric, choice, f1, tool_calls or judges",
                    got=part.name,
                    fix="use two suites with the same source, one for each scorer",
                )
        self.name, self._o, self._parts = options.type, options, parts
        self.spec: dict[str, object] = msgspec.to_builtins(options)
        self.version = _version(1, options, parts)
        roles = [r for p in parts.values() if isinstance(p, Judge) for r in p.roles]
        self.roles: tuple[str, ...] = tuple(dict.fromkeys(roles))
        self.calls: tuple[str, ...] = tuple(
            r for p in parts.values() if isinstance(p, Judge) for r in p.calls
        )

    async def judge(self, item: Item, call: Caller) -> Score:
        """Score each part in order, and combine."""
        scores = {}
        for label, part in self._parts.items():
            scores[label] = part.score(item) if isinstance(part, Scorer) else await part.judge(item, call)
        return combined(scores, self._o)


def _version(code: int, options: CompositeOptions, parts: Mapping[str, Scorer | Judge]) -> str:
    versions = {label: f"{p.name}@{p.version}" for label, p in parts.items()}
    return version_of(code, [msgspec.to_builtins(options), versions])


def combined(scores: Mapping[str, Score], options: CompositeOptions) -> Score:
    """One score of many; ungraded only where a part that is ungraded could change it."""
    values = {label: s.value for label, s in scores.items() if s.value is not None}
    lost = [s for s in scores.values() if s.value is None]
    parts = dict(values)
    if lost and not _settled(list(values.values()), options.combine):
        return ungraded(lost[0].cause, lost[0].explanation)
    if values and not lost and all(s.outcome is Outcome.ABSTAINED for s in scores.values()):
        return msgspec.structs.replace(next(iter(scores.values())), parts=parts)
    if options.combine == "mean":
        weights = {label: options.weights.get(label, 1.0) for label in values}
        value = sum(weights[k] * v for k, v in values.items()) / sum(weights.values())
    else:
        value = float((all if options.combine == "all" else any)(v >= 1 for v in values.values()))
    score = of_value(min(1.0, value), explanation=_why(scores), parts=parts)
    # where any part may pass, an answer that one of them could read was read
    unread = (all if options.combine == "any" else any)(s.format_failure for s in scores.values())
    return msgspec.structs.replace(score, format_failure=unread and value == 0)


def _settled(values: Sequence[float], combine: str) -> bool:
    """True when no missing value could change the result."""
    if combine == "all":
        return any(v < 1 for v in values)
    return combine == "any" and any(v >= 1 for v in values)


def _why(scores: Mapping[str, Score]) -> str:
    said = [f"{label}: {s.explanation}" for label, s in scores.items() if s.explanation]
    return "; ".join(said)[:1000]
