"""What `select` says: every stage with its candidates, their requirements, the choice, and what would change it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from steelyard.decide.front import FrontPoint
from steelyard.stats.base import Estimate, Figure, Interval
from steelyard.unknown import Unknown


class Standing(enum.StrEnum):
    """What is known of a requirement, or of a candidate."""

    SUFFICIENT = "sufficient"
    OPEN = "open"
    REJECTED = "rejected"


NO_GAP = Unknown("not a comparison of quality")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement of one candidate: its figure, its interval, and what it is held against."""

    name: str
    standing: Standing
    value: Figure
    interval: Interval | Unknown
    sentence: str
    rival: str = ""
    gap: Figure = NO_GAP
    """How far the figure lies inside (above 0) the requirement; planning starts from it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A contestant in a stage."""

    contestant: str
    standing: Standing
    quality: Estimate
    cost: Figure
    seconds: Figure
    requirements: tuple[Requirement, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Change:
    """What would settle an open candidate that would be chosen if it were sufficient."""

    contestant: str
    tasks: int
    more_tasks: int
    trials: int
    cost: Figure
    sentence: str


@dataclass(frozen=True, slots=True)
class StageChoice:
    """The choice of one stage.

    `chosen` is Unknown with its reason when nobody is shown to be sufficient; `provisional` then names the
    best guess. `confidence_in_price` is the share of bootstrap samples in which nobody sufficient is
    cheaper (or faster).
    """

    stage: str
    objective: str
    chosen: str | Unknown
    provisional: str
    confidence_in_price: Figure
    candidates: tuple[Candidate, ...]
    front: tuple[FrontPoint, ...]
    changes: tuple[Change, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """All stages; `cost` is the sum of the chosen contestants' mean cost a trial, one trial a stage."""

    stages: tuple[StageChoice, ...]
    cost: Figure
