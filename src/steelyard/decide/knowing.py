"""What it will cost to know: a pilot and a goal in, tasks, trials and money out, for one contestant or a
pair.

Does not run anything. The arithmetic is `stats.planning`; this adds names, prices, and what the pilot
itself can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from steelyard.decide.pilot import mean_cost, split_of, task_sums
from steelyard.decide.results import Results
from steelyard.errors import DataError
from steelyard.stats.base import Figure
from steelyard.stats.planning import Design, Goal, Split, cheapest, detectable, expected_half_width
from steelyard.unknown import Unknown


@dataclass(frozen=True, slots=True)
class Knowing:
    """The plan for one contestant's score, or for the second contestant against the first.

    `now` is the half-width, or the smallest difference that would be detected, with the tasks and trials at
    hand (Unknown without a pilot). `cost` is the design's in the unit of `prices`; Unknown without prices.
    """

    contestants: tuple[str, ...]
    split: Split
    goal: Goal
    design: Design | Unknown
    prices: tuple[float, ...] | Unknown
    cost: Figure
    now: Figure
    sentence: str


NO_PILOT = Unknown("no pilot was given")
NO_PRICE = Unknown("no cost is known: give prices, or a cost column")


METHODS = {
    "between": "variance over tasks of the true mean (difference): sample variance less the trials' share",
    "noise": "mean over tasks of the sample variance of its trials",
    "now": "normal half-width, or smallest difference detected with the power, from the pilot's split",
    "prices": "given, or mean over trials with a known cost",
    "cost": "tasks times (task cost + trials times prices)",
    "tasks_range": "tasks at the ends of an 80 % chi-squared interval of the pilot's variance",
}
"""How the figures are made that do not carry a method of their own."""


def knowing(
    results: Results, goal: Goal, *, baseline: str = "", prices: Mapping[str, float] | None = None
) -> tuple[Knowing, ...]:
    """Plans from a pilot: for every contestant's score (half-width), or for each against `baseline`
    (difference).

    `prices` of a trial override the mean costs of the table. Raises DataError with too few tasks or
    contestants.
    """
    if goal.difference is None:
        groups: list[tuple[str, ...]] = [(name,) for name in results.names]
    else:
        if len(results.names) < 2:
            raise DataError(
                "a difference needs two contestants",
                where=results.source,
                got=", ".join(results.names),
                fix="add rows of another contestant, or plan one score: --half-width",
            )
        base = baseline or results.usual_baseline
        results.of([base])
        groups = [(base, name) for name in results.names if name != base]
    for name in prices or {}:
        results.of([name])
    return tuple(_from_pilot(results, names, goal, prices or {}) for names in groups)


def _from_pilot(results: Results, names: tuple[str, ...], goal: Goal, prices: Mapping[str, float]) -> Knowing:
    split = split_of(results, names)
    found = [prices.get(n, mean_cost(results, n)) for n in names]
    known = tuple(p for p in found if p is not None)
    counts = [task_sums(results, n).counts for n in names]
    used = counts[0] > 0
    for c in counts[1:]:
        used = used & (c > 0)
    tasks = int(used.sum())
    trials = tuple(max(1, round(float(c[used].mean()))) for c in counts)
    now: Figure = Unknown("no two scores of the pilot differ")
    if split.between > 0.0 or any(split.noise):
        now = (
            expected_half_width(split, tasks, trials, level=goal.level)
            if goal.difference is None
            else detectable(split, tasks, trials, level=goal.level, power=goal.power)
        )
    return know(split, goal, names=names, prices=known if len(known) == len(names) else NO_PRICE, now=now)


def know(
    split: Split,
    goal: Goal,
    *,
    names: tuple[str, ...] = (),
    prices: tuple[float, ...] | Unknown = NO_PRICE,
    now: Figure = NO_PILOT,
) -> Knowing:
    """The plan from variances that are given. Without prices every trial counts as 1, and no cost is told."""
    count = len(split.noise)
    used = (1.0,) * count if isinstance(prices, Unknown) else prices
    design = cheapest(split, replace(goal, costs=used))
    cost: Figure = (
        prices if isinstance(prices, Unknown) else design if isinstance(design, Unknown) else design.cost
    )
    names = names or (("contestant",) if count == 1 else ("a", "b"))
    return Knowing(names, split, goal, design, prices, cost, now, _sentence(names, goal, design, cost))


def _sentence(names: tuple[str, ...], goal: Goal, design: Design | Unknown, cost: Figure) -> str:
    what = (
        f"to know {names[0]}'s score to +-{goal.size:g}"
        if goal.difference is None
        else f"to detect a difference of {goal.size:g} between {' and '.join(names)} with power {goal.power:g}"
    )
    if isinstance(design, Unknown):
        return f"{what}: {design.reason}"
    trials = (
        " and ".join(str(k) for k in design.trials) if len(set(design.trials)) > 1 else str(design.trials[0])
    )
    plural = "" if trials == "1" else "s"
    each = "" if len(names) == 1 else " each" if len(set(design.trials)) == 1 else " respectively"
    money = "" if isinstance(cost, Unknown) else f", cost {cost:.6g}"
    return f"{what}: {design.tasks} tasks with {trials} trial{plural}{each}, {design.total_trials} trials in all{money}"
