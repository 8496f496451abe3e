"""A figure as one line of a table, whatever estimator made it: what `steelyard estimate` prints.

Estimates nothing. Every line keeps its method's name, the counts that it rests on and the notes that belong to it.
"""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.stats.base import Estimate, Figure, Interval
from steelyard.unknown import Unknown

NO_INTERVAL = Unknown("no interval is made of this figure")
"""The interval of counts, of parts of a variance, of one-sided limits: nothing is missing."""


@dataclass(frozen=True, slots=True)
class Line:
    """`figure` names what `value` is, of `subject` (a contestant, a judge, a suite). Counts are None where it has none.

    `value` may be Unknown with its reason, and so may `interval`. `method` names estimator and interval.
    """

    subject: str
    figure: str
    value: Figure
    interval: Interval | Unknown
    trials: int | None
    tasks: int | None
    clusters: int | None
    method: str
    notes: tuple[str, ...] = ()


def line_of(subject: str, figure: str, estimate: Estimate) -> Line:
    """An `Estimate` as a line."""
    interval = estimate.interval
    method = estimate.method
    if not isinstance(interval, Unknown) and interval.method != method:
        method = f"{method}, {interval.method}"
    counts = (estimate.n_trials, estimate.n_tasks, estimate.n_clusters)
    return Line(subject, figure, estimate.value, interval, *counts, method, estimate.notes)


def plain_line(subject: str, figure: str, value: Figure, method: str, *, trials: int | None = None) -> Line:
    """A figure without an interval."""
    return Line(subject, figure, value, NO_INTERVAL, trials, None, None, method)
