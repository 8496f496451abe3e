"""What a stage of the user's pipeline must reach, as written: a mapping or one sentence.

Does not judge (`decide.select`). The sentence has clauses separated by commas or semicolons:
"quality within 2 points of the best, 95 %, cheapest; p95 latency under 2 s".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from steelyard.decide.results import nearest
from steelyard.errors import PlanError

PREFER = ("cheapest", "fastest", "best")


@dataclass(frozen=True, slots=True)
class Limit:
    """`metric` (cost or seconds) must be at most `at_most`: its mean, or its `quantile` (0.95: at most 5 %
    are above)."""

    metric: str
    at_most: float
    quantile: float | None = None

    @property
    def name(self) -> str:
        """p95 seconds, mean cost."""
        return f"mean {self.metric}" if self.quantile is None else f"p{100 * self.quantile:g} {self.metric}"


@dataclass(frozen=True, slots=True)
class Objective:
    """Sufficient is who is shown, at `confidence`, to be within `within` of the best (or at least
    `at_least`) and all limits.

    Among the sufficient the `prefer`red is chosen. At least one of `within` and `at_least` is set.
    """

    within: float | None = 0.02
    at_least: float | None = None
    confidence: float = 0.95
    prefer: str = "cheapest"
    limits: tuple[Limit, ...] = ()

    def sentence(self) -> str:
        """As a sentence that `objective_from` reads."""
        parts = []
        if self.within is not None:
            parts.append(f"quality within {100 * self.within:g} points of the best")
        if self.at_least is not None:
            parts.append(f"quality at least {self.at_least:g}")
        parts += [f"{100 * self.confidence:g} %", self.prefer]
        parts += [f"{x.name} under {x.at_most:g}{' s' if x.metric == 'seconds' else ''}" for x in self.limits]
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of the pipeline: its rows (`where`), its objective, who may take part, and the coverage
    floor."""

    name: str
    objective: Objective
    where: Mapping[str, str] = field(default_factory=dict)
    contestants: tuple[str, ...] = ()
    coverage: float = 0.9


_WITHIN = re.compile(r"quality within ([\d.]+) ?(points?|pp|%)? (?:of|from) (?:the )?best")
_AT_LEAST = re.compile(r"quality (?:at least|above|over) ([\d.]+) ?(points?|%)?")
_CONFIDENCE = re.compile(r"([\d.]+) ?%(?: confidence| confident)?")
_LIMIT = re.compile(
    r"(?:(p[\d.]+|mean|median|average) )?(latency|seconds|time|cost|price) "
    r"(?:under|below|at most|<=?) \$? ?([\d.]+) ?(ms|s|seconds)?"
)


def objective_from(value: object, where: str = "objective") -> Objective:
    """Read a sentence or a mapping {within, at_least, confidence, prefer, limits}. PlanError names what is
    wrong."""
    if isinstance(value, str):
        return _from_sentence(value, where)
    if isinstance(value, Mapping):
        return _from_mapping(value, where)
    raise PlanError(
        "not an objective", where=where, wanted="a sentence or a mapping", got=repr(value),
        fix="objective: quality within 2 points of the best, 95 %, cheapest",
    )  # fmt: skip


def pipeline_from(document: object, where: str = "pipeline") -> tuple[Stage, ...]:
    """Read {stages: [{name, where, objective, contestants, coverage}, ...]}."""
    listed = document.get("stages") if isinstance(document, Mapping) else None
    if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
        raise PlanError(
            "no stages", where=where, wanted="stages: [{name: extract, where: {suite: extract}, ...}]"
        )
    assert isinstance(document, Mapping)
    for key in document:
        if key not in ("stages", "pipeline"):
            raise PlanError(f"unknown key {key!r}", where=where, wanted="pipeline, stages")
    stages = [_stage(item, f"{where}: stages[{i}]") for i, item in enumerate(listed)]
    names = [s.name for s in stages]
    if len(set(names)) < len(names):
        raise PlanError("two stages have one name", where=where, got=", ".join(names))
    return tuple(stages)


_STAGE_KEYS = ("name", "where", "suite", "objective", "contestants", "coverage")


def _stage(item: object, where: str) -> Stage:
    if not isinstance(item, Mapping):
        raise PlanError("not a stage", where=where, wanted="a mapping", got=repr(item))
    for key in item:
        if key not in _STAGE_KEYS:
            fix = nearest(str(key), _STAGE_KEYS)
            raise PlanError(f"unknown key {key!r}", where=where, wanted=", ".join(_STAGE_KEYS), fix=fix)
    if not isinstance(item.get("name"), str) or not item["name"]:
        raise PlanError("a stage without a name", where=where, fix="name: extract")
    rows = item.get("where", {"suite": item["suite"]} if "suite" in item else {})
    if not isinstance(rows, Mapping):
        raise PlanError("where", where=where, wanted="conditions such as {suite: extract}", got=repr(rows))
    names = item.get("contestants", ())
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise PlanError("contestants", where=where, wanted="a list of names", got=repr(names))
    coverage = item.get("coverage", 0.9)
    if isinstance(coverage, bool) or not isinstance(coverage, int | float) or not 0 <= coverage <= 1:
        raise PlanError("coverage", where=where, wanted="a share from 0 to 1", got=repr(coverage))
    objective = (
        objective_from(item["objective"], f"{where}: objective") if "objective" in item else Objective()
    )
    conditions = {str(k): str(v) for k, v in rows.items()}
    return Stage(item["name"], objective, conditions, tuple(str(n) for n in names), float(coverage))


def _from_sentence(text: str, where: str) -> Objective:
    found, limits = Objective(within=None), []
    for raw in re.split(r"[;,]", text.lower()):
        clause = " ".join(raw.split())
        if not clause:
            continue
        if m := _WITHIN.fullmatch(clause):
            found = replace(found, within=_points(m[1], m[2], where))
        elif m := _AT_LEAST.fullmatch(clause):
            found = replace(found, at_least=_points(m[1], m[2], where))
        elif m := _CONFIDENCE.fullmatch(clause):
            found = replace(found, confidence=_float(m[1], where) / 100.0)
        elif clause in PREFER:
            found = replace(found, prefer=clause)
        elif m := _LIMIT.fullmatch(clause):
            limits.append(_limit(m, where))
        else:
            raise PlanError(
                f"cannot read {clause!r}", where=where,
                wanted="quality within N points of the best; quality at least N; N %; cheapest, fastest or best; "
                "p95 latency under N s; mean cost under N",
                got=text, fix="mend the clause, or write the objective as a mapping",
            )  # fmt: skip
    return _checked(replace(found, limits=tuple(limits)), where)


def _points(number: str, unit: str | None, where: str) -> float:
    """2 points and 2 % are 0.02; a bare number up to 1 is itself, above it is points."""
    value = _float(number, where)
    return value / 100.0 if unit or value > 1 else value


def _float(number: str, where: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise PlanError("not a number", where=where, got=number) from None


def _limit(m: re.Match[str], where: str) -> Limit:
    which, metric = m[1] or "mean", "cost" if m[2] in ("cost", "price") else "seconds"
    quantile = (
        0.5 if which == "median" else _float(which[1:], where) / 100.0 if which.startswith("p") else None
    )
    return Limit(metric, _float(m[3], where) / (1000.0 if m[4] == "ms" else 1.0), quantile)


_KEYS = ("within", "at_least", "confidence", "prefer", "limits")


def _from_mapping(value: Mapping[object, object], where: str) -> Objective:
    for key in value:
        if key not in _KEYS:
            fix = nearest(str(key), _KEYS)
            raise PlanError(
                f"unknown key {key!r}", where=where, wanted=", ".join(_KEYS), got=str(key), fix=fix
            )
    numbers = {}
    for key in ("within", "at_least", "confidence"):
        number = value.get(key)
        if number is not None and (isinstance(number, bool) or not isinstance(number, int | float)):
            raise PlanError(key, where=where, wanted="a number", got=repr(number))
        numbers[key] = None if number is None else float(number)
    limits = value.get("limits", {})
    if not isinstance(limits, Mapping):
        raise PlanError(
            "limits", where=where, wanted="a mapping such as {p95_seconds: 2.0}", got=repr(limits)
        )
    read = []
    for name, number in limits.items():
        m = re.fullmatch(r"(?:(p[\d.]+|mean|median)_)?(seconds|cost)", str(name))
        if m is None or isinstance(number, bool) or not isinstance(number, int | float):
            raise PlanError(
                f"limit {name!r}", where=where, wanted="p95_seconds, mean_cost and a number", got=repr(number)
            )
        which = m[1] or "mean"
        quantile = (
            0.5 if which == "median" else _float(which[1:], where) / 100.0 if which.startswith("p") else None
        )
        read.append(Limit(m[2], float(number), quantile))
    objective = Objective(
        within=numbers["within"],
        at_least=numbers["at_least"],
        confidence=0.95 if numbers["confidence"] is None else numbers["confidence"],
        prefer=str(value.get("prefer", "cheapest")),
        limits=tuple(read),
    )
    return _checked(objective, where)


def _checked(found: Objective, where: str) -> Objective:
    if found.within is None and found.at_least is None:
        raise PlanError("no quality asked for", where=where, fix="quality within 2 points of the best")
    for name, number in (("within", found.within), ("at_least", found.at_least)):
        if number is not None and not 0 <= number < float("inf"):
            raise PlanError(name, where=where, wanted="0 or more", got=str(number))
    if not 0.5 <= found.confidence < 1:
        raise PlanError(
            "confidence", where=where, wanted="0.5 to below 1, such as 0.95", got=str(found.confidence)
        )
    if found.prefer not in PREFER:
        raise PlanError("prefer", where=where, wanted=", ".join(PREFER), got=found.prefer)
    for limit in found.limits:
        if not 0 < limit.at_most < float("inf") or (
            limit.quantile is not None and not 0 < limit.quantile < 1
        ):
            raise PlanError(f"limit {limit.name}", where=where, wanted="above 0, quantile within p0 to p100")
    return found
