"""Scores: the result of judging a trial, with an outcome that can say "not judged"."""

from __future__ import annotations

import enum

from msgspec import Struct


class Outcome(enum.IntEnum):
    """How a trial was judged. Stored as its number; `UNGRADED` is outside every mean and bounds it."""

    FAILED = 0
    PASSED = 1
    PARTIAL = 2
    ABSTAINED = 3
    UNGRADED = 4


class Score(Struct, frozen=True, omit_defaults=True):
    """The judgement of one trial by one version of one scorer.

    `value` is in [0, 1]: 1 passed, 0 failed, between for partial; an abstention has the value that the
    scorer's table says (0 unless stated); None when ungraded. `extracted` is the answer as it was read;
    `format_failure` is True when nothing could be read in the asked-for form (reported apart from a wrong
    answer). `cause` is set when ungraded: a short name such as `grader_timeout`, `judge_unparsable`, `provider`.
    `parts` holds named sub-scores (rubric points, tests).
    """

    outcome: Outcome
    value: float | None = None
    cause: str = ""
    extracted: str = ""
    explanation: str = ""
    format_failure: bool = False
    parts: dict[str, float] = {}


PASSED = Score(Outcome.PASSED, 1.0)
FAILED = Score(Outcome.FAILED, 0.0)


def ungraded(cause: str, explanation: str = "") -> Score:
    """A trial without a verdict, and why."""
    return Score(Outcome.UNGRADED, None, cause=cause, explanation=explanation)
