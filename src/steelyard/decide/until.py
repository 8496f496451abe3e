"""What the stopping rule says and answers: `Until` (the plan's rule), `Batch` and `Progress`.

Does not decide; `steelyard.decide.stopping` does.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from steelyard.errors import PlanError
from steelyard.schema.plan import Trials
from steelyard.stats.base import IntArray, Interval
from steelyard.unknown import Unknown


class Estimand(enum.StrEnum):
    """What the interval is about."""

    TASKS = "tasks"
    POPULATION = "population"


class Reason(enum.StrEnum):
    """Why a contestant gets no more trials (or still does)."""

    RUNNING = "running"
    REACHED = "reached"
    CAP = "cap"
    POPULATION = "population"
    UNGRADED = "ungraded"


@dataclass(frozen=True, slots=True)
class Until:
    """The rule: stop a contestant when its interval's half-width is at most `half_width`.

    At most `at_most` and at least `at_least` trials of each (contestant, task); `level` is that of each
    contestant's interval, at every look at once.
    """

    half_width: float
    at_most: int
    estimand: Estimand = Estimand.TASKS
    level: float = 0.95
    at_least: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.half_width < 0.5:
            raise PlanError(
                "trials.until: out of range", wanted="between 0 and 0.5", got=str(self.half_width)
            )
        if not 0.5 <= self.level < 1:
            raise PlanError("trials.level: out of range", wanted="0.5 to below 1", got=str(self.level))
        if not 1 <= self.at_least <= self.at_most <= 100_000:
            raise PlanError(
                "trials.at_most: out of range",
                wanted="1 <= at_least <= at_most <= 100000",
                got=f"at_least {self.at_least}, at_most {self.at_most}",
            )

    @classmethod
    def of(cls, trials: Trials) -> Until:
        """The rule of a plan's `trials` that has `until` set."""
        if trials.until is None:
            raise PlanError(
                "trials has a fixed count, not a half-width", wanted="until", got=f"count {trials.count}"
            )
        return cls(trials.until, trials.at_most, Estimand(trials.estimand), trials.level, trials.at_least)


@dataclass(frozen=True, slots=True)
class Batch:
    """Cells to run: parallel arrays; `trial` is the zero-based index of the trial within its cell."""

    contestant: IntArray
    task: IntArray
    trial: IntArray

    def __len__(self) -> int:
        return int(self.task.size)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where one contestant stands. `interval` holds at its level at every look at once."""

    contestant: int
    done: bool
    reason: Reason
    sentence: str
    estimate: float | Unknown
    interval: Interval
    rounds: int
    trials: int
    ungraded: int
    at_cap: float | Unknown
    """The half-width that is to be expected when every cell has its `at_most` trials."""

    @property
    def half_width(self) -> float:
        """Half of the interval's width."""
        return 0.5 * self.interval.width


def looks(rule: Until) -> tuple[int, ...]:
    """Rounds at which the population estimand is judged: doubling from `at_least`, and the cap."""
    at, found = rule.at_least, []
    while at < rule.at_most:
        found.append(at)
        at *= 2
    return (*found, rule.at_most)
