"""Which votes are doubtful by themselves: cast twice, too fast to have read, or by side instead of by content.

Not covered: a person who votes at random (no test here wrongs those who merely disagree), and whoever knows these
tests and stays below them. A finding is a suspicion with its evidence; what is done with it is decided elsewhere.
Coordination between annotators is in `vote_coordination`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special

from steelyard.stats.base import FloatArray, IntArray, fraction, same_length


@dataclass(frozen=True, slots=True, eq=False)
class Cast:
    """Votes in the order in which they were cast, one entry a vote.

    `voter`, `item` (task and the two answers, whichever side) and `a` (left), `b` (right) are codes from 0; `outcome`
    is 2 (left won), 1 (tie), 0 (right won); `at` seconds on one clock; `seconds` from showing to voting, NaN when not
    known; `read` characters that were shown.
    """

    voter: IntArray
    item: IntArray
    a: IntArray
    b: IntArray
    outcome: IntArray
    at: FloatArray
    seconds: FloatArray
    read: FloatArray

    def __post_init__(self) -> None:
        names = ("item", "a", "b", "outcome", "at", "seconds", "read")
        same_length(len(self.voter), [(n, len(getattr(self, n))) for n in names])

    def __len__(self) -> int:
        return len(self.voter)


@dataclass(frozen=True, slots=True)
class Finding:
    """Doubtful votes (places in the table), the check's name, the voters, the evidence in words, whom they favour."""

    check: str
    votes: tuple[int, ...]
    voters: tuple[int, ...]
    detail: str
    contestant: int | None = None


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """How strict the checks are.

    `alpha` bounds, for each check that is a test, the chance that it ever wrongs anybody honest, all annotators and
    all looks taken together. `side` is the share of left (or of right) among decided votes that passes as human.
    `taste` is how far (logits) an honest annotator may favour one contestant beyond what everybody else's votes say,
    and `crowd` how far several annotators together may for a while;
    `agreement` how often two independent people may agree on the same two answers. `least_seconds`, and a hundredth of
    a second for every two characters shown up to `most_seconds`, is the least time for a vote.
    Checks that look at annotators one by one or two by two look at the `busiest`.
    """

    alpha: float = 0.01
    side: float = 0.6
    taste: float = 0.6
    crowd: float = 0.3
    agreement: float = 0.85
    least_seconds: float = 1.0
    most_seconds: float = 5.0
    busiest: int = 300


def duplicates(cast: Cast) -> Iterator[Finding]:
    """Votes of one annotator on the same two answers after its first one."""
    n_items = int(cast.item.max(initial=0)) + 1
    key = cast.voter * n_items + cast.item
    _, first = np.unique(key, return_index=True)
    again = np.setdiff1d(np.arange(len(cast)), first)
    for voter in np.unique(cast.voter[again]).tolist():
        mine = again[cast.voter[again] == voter]
        yield Finding("duplicate", _places(mine), (voter,), f"{len(mine)} votes on answers already voted on")


def too_fast(cast: Cast, options: CheckOptions) -> Iterator[Finding]:
    """Votes cast before anybody could have read: a rule, not a test. Votes without a time are left alone.

    Reading is about 20 characters a second; the rule asks for a tenth of that time at most `most_seconds`.
    """
    least = np.clip(cast.read / 200.0, options.least_seconds, options.most_seconds)
    with np.errstate(invalid="ignore"):
        fast = np.flatnonzero(cast.seconds < least)
    for voter in np.unique(cast.voter[fast]).tolist():
        mine = fast[cast.voter[fast] == voter]
        slowest = float(cast.seconds[mine].max())
        yield Finding(
            "too_fast",
            _places(mine),
            (voter,),
            f"{len(mine)} votes within {slowest:.1f} s or less of being shown",
        )


def position_only(cast: Cast, options: CheckOptions) -> Iterator[Finding]:
    """All votes of annotators who choose a side rather than an answer.

    Sides are drawn by coin, so whatever somebody prefers, a decided vote goes left with chance one half, plus a habit
    that up to `side` passes as human. Evidence is the mixture e-value against "at most `side`" for either direction:
    a uniform mixture of likelihood ratios, a supermartingale under the null, so looking after every vote costs
    nothing (Ville's inequality; Robbins 1970). Flagged at 1 / (alpha / annotators).
    """
    fraction(options.alpha, "alpha")
    if not len(cast):
        return
    decided = cast.outcome != 1
    people = int(cast.voter.max()) + 1
    n = np.bincount(cast.voter[decided], minlength=people)
    left = np.bincount(cast.voter[decided & (cast.outcome == 2)], minlength=people)
    limit = math.log(len(np.unique(cast.voter)) / options.alpha)
    evidence = {
        "left": side_evidence(left, n, options.side),
        "right": side_evidence(n - left, n, options.side),
    }
    doubtful = (np.maximum(*evidence.values()) - math.log(2) >= limit) & (n > 0)
    for voter in np.flatnonzero(doubtful).tolist():
        mine = np.flatnonzero(cast.voter == voter)
        for side, k in (("left", left[voter]), ("right", n[voter] - left[voter])):
            found = float(evidence[side][voter]) - math.log(2)
            if found >= limit:
                odds = _times(found)
                detail = (
                    f"{k} of {n[voter]} decided votes went {side}; {odds} against a share of {options.side:g}"
                )
                yield Finding("position_only", _places(mine), (voter,), detail)


def side_evidence(k: IntArray, n: IntArray, side: float) -> FloatArray:
    """Log e-value of `k` of `n` against a share of at most `side`: log of the mean over p in (side, 1) of
    (p/side)^k ((1-p)/(1-side))^(n-k). Arrays of any one shape; minus infinity where the mean underflows."""
    upper = special.betaincc(k + 1, n - k + 1, side)
    null = k * math.log(side) + (n - k) * math.log1p(-side)
    with np.errstate(divide="ignore"):
        found = np.log(upper) + special.betaln(k + 1, n - k + 1) - null - math.log1p(-side)
    return np.asarray(found, np.float64)


def _places(index: IntArray) -> tuple[int, ...]:
    return tuple(int(i) for i in index)


def _times(log: float) -> str:
    return f"{math.exp(min(log, 30.0)):,.0f} to 1" if log < 30 else "over 10^13 to 1"
