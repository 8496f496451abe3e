"""What a fit of Bradley-Terry ratings returns, and the scales on which to read it.

Not covered: fitting (see `ratings`), ranks (see `ratings_ranks`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from steelyard.errors import DataError
from steelyard.stats.base import Estimate, Figure, FloatArray, IntArray, Interval, t_quantile
from steelyard.unknown import Unknown

ELO_PER_LOGIT = 400.0 / math.log(10.0)


@dataclass(frozen=True, slots=True)
class Basis:
    """What every figure of one fit shares: level, degrees of freedom, counts, method."""

    level: float
    votes: int
    contestants: int
    clusters: int
    method: str
    notes: tuple[str, ...] = ()

    def estimate(self, value: Figure, se: Figure, interval: Interval | Unknown, df: Figure) -> Estimate:
        """An `Estimate` with these counts and notes."""
        counts = (self.votes, self.contestants, self.clusters)
        return Estimate(value, se, interval, self.method, *counts, df, self.notes)

    def unknown(self, value: float, why: str) -> Estimate:
        """A figure whose error cannot be given."""
        return self.estimate(value, Unknown(why), Unknown(why), Unknown(why))

    def student(self, value: float, variance: float, df: float) -> Estimate:
        """Value and Student interval; Unknown spread for one cluster or no variance."""
        if self.clusters < 2:
            return self.unknown(value, "one cluster of votes shows no spread between clusters")
        if not variance > 1e-18:
            return self.unknown(value, "the votes show no spread to estimate an error from")
        se = math.sqrt(variance)
        half = t_quantile(self.level, df) * se
        return self.estimate(value, se, Interval(value - half, value + half, self.level, self.method), df)


@dataclass(frozen=True, slots=True)
class Rated:
    """A contestant's line of a table: its name, its votes, its figure."""

    name: str
    votes: int
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Ratings:
    """Fitted ratings, best first.

    `theta` are logits that sum to zero, shape (K,); `covariance` is theirs, shape (K, K). `position` is the
    first-shown side's advantage in logits, or why there is none; `coefficients` are the covariates' effects in
    logits per unit (per root mean square when standardised). `df` are the degrees of freedom of each
    rating; `few[i]`: all votes of i lie in one cluster.
    """

    names: tuple[str, ...]
    theta: FloatArray
    covariance: FloatArray
    votes: IntArray
    df: FloatArray
    few: tuple[bool, ...]
    position: Estimate | Unknown
    coefficients: dict[str, Estimate]
    basis: Basis

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that must be shown wherever these ratings are shown."""
        return self.basis.notes

    def index(self, name: str) -> int:
        """The place of `name` in `names`; `DataError` when it was not rated."""
        if name not in self.names:
            raise DataError(
                f"{name!r} is not among the rated contestants", wanted=", ".join(self.names[:8]), got=name
            )
        return self.names.index(name)

    def rating(self, name: str) -> Estimate:
        """The rating of `name` in logits relative to the mean of all contestants."""
        return self._rating(self.index(name))

    def _rating(self, i: int) -> Estimate:
        value = float(self.theta[i])
        if self.few[i]:
            return self.basis.unknown(value, f"all votes of {self.names[i]} lie in one cluster")
        return self.basis.student(value, float(self.covariance[i, i]), float(self.df[i]))

    def difference(self, first: str, second: str) -> Estimate:
        """Rating of `first` minus rating of `second`, in logits; accounts for their covariance."""
        i, j = self.index(first), self.index(second)
        if i == j:
            raise DataError(f"{first!r} is compared with itself", wanted="two contestants")
        weights = np.zeros(len(self.names))
        weights[i], weights[j] = 1.0, -1.0
        return self._linear(weights, float(self.theta[i] - self.theta[j]))

    def win_probability(self, first: str, second: str) -> Estimate:
        """Chance that `first` beats `second` shown in random order, a tie as half; ends transformed."""
        gap = self.difference(first, second)
        if isinstance(gap.value, Unknown):
            return gap
        p = float(special.expit(gap.value))
        se: Figure = gap.se if isinstance(gap.se, Unknown) else gap.se * p * (1 - p)
        interval: Interval | Unknown = gap.interval
        if isinstance(interval, Interval):
            low, high = float(special.expit(interval.low)), float(special.expit(interval.high))
            interval = Interval(low, high, interval.level, interval.method)
        return self.basis.estimate(p, se, interval, gap.df)

    def elo(self, *, centre: float = 1000.0, anchor: str | None = None) -> tuple[Rated, ...]:
        """Ratings on the Elo scale (400 points are odds of ten), mean `centre`; or `anchor` fixed at `centre`."""
        out = []
        for i, name in enumerate(self.names):
            gap = self._rating(i) if anchor is None else self._to_anchor(name, anchor)
            value = gap.value if isinstance(gap.value, Unknown) else centre + ELO_PER_LOGIT * gap.value
            se: Figure = gap.se if isinstance(gap.se, Unknown) else ELO_PER_LOGIT * gap.se
            interval = gap.interval
            if isinstance(interval, Interval):
                scaled = interval.scaled(ELO_PER_LOGIT)
                interval = Interval(
                    centre + scaled.low, centre + scaled.high, interval.level, interval.method
                )
            out.append(Rated(name, int(self.votes[i]), self.basis.estimate(value, se, interval, gap.df)))
        return tuple(out)

    def win_rates(self) -> tuple[Rated, ...]:
        """Mean fitted chance to beat each of the others, shown in random order; interval by the delta method.

        The interval is made on the logit scale, so it stays inside 0 to 1.
        """
        k = len(self.names)
        p = special.expit(self.theta[:, None] - self.theta[None, :])
        np.fill_diagonal(p, 0.0)
        slope = p * (1 - p)
        np.fill_diagonal(slope, 0.0)
        out = []
        for i, name in enumerate(self.names):
            weights = -slope[i] / (k - 1)
            weights[i] = slope[i].sum() / (k - 1)
            rate = float(p[i].sum() / (k - 1))
            on_logit = self._linear(weights / (rate * (1 - rate)), float(special.logit(rate)))
            se: Figure = on_logit.se if isinstance(on_logit.se, Unknown) else on_logit.se * rate * (1 - rate)
            interval = on_logit.interval
            if isinstance(interval, Interval):
                ends = special.expit(interval.low), special.expit(interval.high)
                interval = Interval(float(ends[0]), float(ends[1]), interval.level, interval.method)
            out.append(Rated(name, int(self.votes[i]), self.basis.estimate(rate, se, interval, on_logit.df)))
        return tuple(out)

    def _to_anchor(self, name: str, anchor: str) -> Estimate:
        if name != anchor:
            return self.difference(name, anchor)
        self.index(anchor)
        return self.basis.unknown(0.0, "the anchor's rating is fixed, not estimated")

    def _linear(self, weights: FloatArray, value: float) -> Estimate:
        """The estimate of weights @ theta."""
        main = np.flatnonzero(np.abs(weights) >= 0.5 * np.abs(weights).max())
        few = [self.names[i] for i in main if self.few[i]]
        if few:
            return self.basis.unknown(value, f"all votes of {', '.join(few)} lie in one cluster")
        # a contrast is as uncertain as its shakiest main part
        df = float(self.df[main].min())
        return self.basis.student(value, float(weights @ self.covariance @ weights), df)
