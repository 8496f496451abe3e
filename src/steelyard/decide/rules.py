"""The rule file of a gate: what is written in it, checked key by key.

Does not read files and does not judge (`decide.gate`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from steelyard.decide.results import nearest
from steelyard.errors import ExitCode, PlanError


class Tier(enum.StrEnum):
    """What a gate is for."""

    REGRESSION = "regression"
    LAUNCH = "launch"
    FRONTIER = "frontier"


class Outcome(enum.StrEnum):
    """What a gate says; each has its own exit code. `regression` also names a journey below its floor."""

    PASSED = "pass"
    REGRESSION = "regression"
    UNDECIDED = "undecided"
    BELOW_COVERAGE = "below coverage"
    INFRASTRUCTURE = "infrastructure"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a gate that ends so."""
        return {
            Outcome.PASSED: ExitCode.OK,
            Outcome.REGRESSION: ExitCode.REGRESSION,
            Outcome.UNDECIDED: ExitCode.UNDECIDED,
            Outcome.BELOW_COVERAGE: ExitCode.BELOW_COVERAGE,
            Outcome.INFRASTRUCTURE: ExitCode.INFRASTRUCTURE,
        }[self]


METRICS = ("score", "cost", "seconds")


@dataclass(frozen=True, slots=True)
class Journey:
    """A part of the suite that users live through, by the values of its conditions, and the rate that it
    must have."""

    name: str
    where: Mapping[str, str]
    floor: float


@dataclass(frozen=True, slots=True)
class Rule:
    """One gate.

    tier: see `Tier`. metric: score (higher is better), cost or seconds (lower is better). margin: how much
    worse than the baseline is still accepted, in units of the metric, or a share of the baseline's mean
    when `relative`. coverage: least share of planned trials with a grade. error: chance that the rule says
    anything false. sequential: looked at repeatedly while results come in; then a task counts once it has
    `trials` trials of every side (0: as many as any has). floor and journeys: launch. ungraded: how a launch
    reads trials without a grade: "wrong" (a floor is shown with all of them wrong, and missed with all of them
    right) or "random" (as if they went like the graded ones). band: frontier, the pass rates that a frontier
    suite should have.
    """

    tier: Tier
    name: str = ""
    contestant: str = ""
    baseline: str = ""
    metric: str = "score"
    margin: float = 0.02
    relative: bool = False
    coverage: float = 0.95
    error: float = 0.05
    sequential: bool = False
    trials: int = 0
    where: Mapping[str, str] = field(default_factory=dict)
    floor: float | None = None
    ungraded: str = "wrong"
    by: str = ""
    journeys: tuple[Journey, ...] = ()
    band: tuple[float, float] = (0.1, 0.5)


_KEYS = (
    "gate", "name", "contestant", "baseline", "metric", "margin", "coverage", "error", "looks", "trials", "where",
    "floor", "ungraded", "by", "journeys", "band",
)  # fmt: skip
_INSTEAD = {
    "sequential": "write looks: sequential",
    "fixed": "write looks: fixed",
    "tier": "write gate: regression",
    "alpha": "write error: 0.05",
    "level": "write error: 0.05, one less the level",
    "condition": "write where: {CONDITION: VALUE}",
}
"""Keys that other tools or our own words suggest, and what to write."""


def rules_from(document: object, where: str = "gate") -> tuple[Rule, ...]:
    """One rule, or `rules:` with a list of them. PlanError names the key, what was wanted and what to do."""
    if not isinstance(document, Mapping):
        raise PlanError("not a rule", where=where, wanted="a mapping such as {gate: regression, baseline: old}",
                        got=type(document).__name__)  # fmt: skip
    if "rules" not in document:
        return (_rule(document, where),)
    listed = document["rules"]
    if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
        raise PlanError("rules", where=where, wanted="a list of rules", got=repr(listed))
    for key in document:
        if key != "rules":
            raise PlanError(f"unknown key {key!r} beside rules", where=where, fix="put it into the rules")
    return tuple(_rule(entry, f"{where}: rules[{i}]") for i, entry in enumerate(listed))


def _rule(entry: object, where: str) -> Rule:
    if not isinstance(entry, Mapping):
        raise PlanError("not a rule", where=where, wanted="a mapping", got=type(entry).__name__)
    for key in entry:
        if key not in _KEYS:
            raise PlanError(
                f"unknown key {key!r}", where=where, wanted=", ".join(_KEYS),
                fix=_INSTEAD.get(str(key)) or nearest(str(key), _KEYS),
            )  # fmt: skip
    tier = _choice(entry, "gate", tuple(t.value for t in Tier), where, "regression")
    metric = _choice(entry, "metric", METRICS, where, "score")
    looks = _choice(entry, "looks", ("fixed", "sequential"), where, "fixed")
    margin, relative = _margin(entry.get("margin", 0.02), where)
    rule = Rule(
        tier=Tier(tier),
        name=_text(entry, "name", where) or tier,
        contestant=_text(entry, "contestant", where),
        baseline=_text(entry, "baseline", where),
        metric=metric,
        margin=margin,
        relative=relative,
        coverage=_number(entry, "coverage", 0.95, (0.0, 1.0), where),
        error=_number(entry, "error", 0.05, (1e-6, 0.4), where),
        sequential=looks == "sequential",
        trials=int(_number(entry, "trials", 0, (0, 1e6), where)),
        where=_where(entry.get("where", {}), f"{where}: where"),
        floor=None if "floor" not in entry else _number(entry, "floor", 0.0, (0.0, 1.0), where),
        ungraded=_choice(entry, "ungraded", ("wrong", "random"), where, "wrong"),
        by=_text(entry, "by", where),
        journeys=_journeys(entry, where),
        band=_band(entry.get("band", (0.1, 0.5)), where),
    )
    if "ungraded" in entry and rule.tier is not Tier.LAUNCH:
        raise PlanError("ungraded", where=where, wanted="gate: launch", got=f"gate: {tier}",
                        fix="leave it out; other tiers go by graded trials above the coverage floor")  # fmt: skip
    return _consistent(rule, where)


def _consistent(rule: Rule, where: str) -> Rule:
    if rule.tier is Tier.REGRESSION and not rule.baseline:
        raise PlanError(
            "baseline is missing", where=where, wanted="the contestant to compare with", fix="baseline: NAME"
        )
    if rule.tier is Tier.LAUNCH and not rule.journeys and rule.floor is None:
        raise PlanError("floor is missing", where=where, wanted="a pass rate that must be shown",
                        fix="floor: 0.9, with `by: CONDITION` or a list of journeys")  # fmt: skip
    if rule.metric != "score" and (rule.sequential or rule.tier is not Tier.REGRESSION):
        raise PlanError(f"metric {rule.metric}", where=where, wanted="looks: fixed and gate: regression",
                        fix="cost and seconds have no upper bound, which sequential looks need")  # fmt: skip
    return rule


def _choice(entry: Mapping[object, object], key: str, names: Sequence[str], where: str, default: str) -> str:
    value = entry.get(key, default)
    if value not in names:
        fix = nearest(str(value), names)
        raise PlanError(f"{key}: {value!r}", where=where, wanted=" or ".join(names), got=repr(value), fix=fix)
    return str(value)


def _text(entry: Mapping[object, object], key: str, where: str) -> str:
    value = entry.get(key, "")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise PlanError(f"{key} is not a name", where=where, wanted="text", got=repr(value))
    return str(value)


def _number(
    entry: Mapping[object, object], key: str, default: float, within: tuple[float, float], where: str
) -> float:
    value = entry.get(key, default)
    low, high = within
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise PlanError(
            f"{key}: out of range", where=where, wanted=f"a number from {low:g} to {high:g}", got=repr(value)
        )
    return float(value)


def _margin(value: object, where: str) -> tuple[float, bool]:
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            share = float(value.strip()[:-1]) / 100.0
        except ValueError:
            share = -1.0
        if 0 <= share < 100:
            return share, True
    elif not isinstance(value, bool) and isinstance(value, int | float) and 0 <= value < float("inf"):
        return float(value), False
    raise PlanError(
        "margin", where=where, wanted="0 or more, such as 0.02, or a share such as 10%", got=repr(value)
    )


def _where(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise PlanError(
            "not a mapping", where=where, wanted="conditions such as {suite: core}", got=repr(value)
        )
    return {str(k): str(v) for k, v in value.items()}


def _journeys(entry: Mapping[object, object], where: str) -> tuple[Journey, ...]:
    listed = entry.get("journeys", ())
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise PlanError("journeys", where=where, wanted="a list", got=repr(listed))
    found = []
    for i, item in enumerate(listed):
        place = f"{where}: journeys[{i}]"
        if (
            not isinstance(item, Mapping)
            or not set(item) <= {"name", "where", "floor"}
            or "where" not in item
        ):
            raise PlanError("not a journey", where=place, wanted="{name: refund, where: {journey: refund}, floor: 0.9}",
                            got=repr(item))  # fmt: skip
        default = entry.get("floor", -1.0)
        floor = _number({"floor": item.get("floor", default)}, "floor", -1.0, (0.0, 1.0), place)
        values = _where(item["where"], f"{place}: where")
        found.append(Journey(str(item.get("name", ", ".join(values.values()))), values, floor))
    return tuple(found)


def _band(value: object, where: str) -> tuple[float, float]:
    if (
        isinstance(value, Sequence)
        and len(value) == 2
        and all(isinstance(v, int | float) for v in value)
        and 0 <= value[0] < value[1] <= 1
    ):
        return float(value[0]), float(value[1])
    raise PlanError("band", where=where, wanted="two rates such as [0.1, 0.5]", got=repr(value))
