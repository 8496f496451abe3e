"""Is a judge calibrated, and is it biased towards the side shown first or towards its own kind?

Not covered: agreement beyond chance (`agreement`, `alpha`), correcting scores with the judge (`ppi`). Everything
here needs labels from people; a label that a model made is refused, because agreement of two models says
nothing about either being right.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from steelyard.errors import DataError, RowsError
from steelyard.stats.agreement import Confusion, cohen_kappa, confusion
from steelyard.stats.base import Estimate, FloatArray, Interval, Labels, codes, finite, same_length
from steelyard.stats.clusters import clustered_mean
from steelyard.unknown import Unknown

_LEAST_LABELS = 30


class LabelSource(enum.StrEnum):
    """Who made a label. `PROGRAM` is a check whose answer is right by construction (tests, exact match)."""

    PERSON = "person"
    PROGRAM = "program"
    MODEL = "model"
    UNSTATED = "unstated"


class ModelMadeLabels(RowsError):
    """A judge was to be calibrated on labels that a model made, or whose maker is not stated."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a judge stands to people. `claim` is the sentence that may be printed; `calibrated` its short form.

    `kappa` and `table` as in `agreement`; `calibrated` is True when the interval of kappa lies above
    `wanted_kappa`, False when it lies below, and Unknown, with the reason, when it does neither.
    """

    table: Confusion
    kappa: Estimate
    wanted_kappa: float
    calibrated: bool | Unknown
    claim: str


def require_people(source: LabelSource | Sequence[LabelSource], labels: int) -> None:
    """Raise `ModelMadeLabels`, naming the rows, unless people or programs made every one of `labels` labels."""
    each = [source] * labels if isinstance(source, str) else list(source)
    same_length(labels, [("source", len(each))])
    try:
        kinds = [LabelSource(s) for s in each]
    except ValueError as error:
        raise DataError("source: unknown", wanted=", ".join(LabelSource), got=str(error)) from None
    bad = tuple(i for i, s in enumerate(kinds) if s in (LabelSource.MODEL, LabelSource.UNSTATED))
    if bad:
        made = sum(kinds[i] is LabelSource.MODEL for i in bad)
        raise ModelMadeLabels(
            f"these labels cannot calibrate a judge: {made} of {labels} were made by a model, "
            f"{len(bad) - made} by nobody stated",
            rows=bad,
            wanted="labels made by people, or by a program that is right by construction",
            fix="have people label these items, or call the result agreement between models",
        )


def calibrate(
    judged: Labels,
    labels: Labels,
    source: LabelSource | Sequence[LabelSource],
    *,
    clusters: Labels | None = None,
    wanted_kappa: float = 0.6,
    level: float = 0.95,
) -> Calibration:
    """Compare a judge with labels that people made, and say what may be claimed.

    Raises `ModelMadeLabels` when a model made any label, or nobody is stated to have. The default of 0.6 is
    "substantial" agreement (Landis & Koch 1977); it is a convention, so choose what your decision needs.
    """
    require_people(source, len(labels))
    kappa = cohen_kappa(judged, labels, clusters=clusters, level=level)
    table = confusion(judged, labels, level=level)
    verdict = _verdict(kappa, wanted_kappa, len(labels))
    if isinstance(verdict, Unknown):
        claim = f"not known to be calibrated: {verdict.reason}"
    elif verdict:
        claim = f"calibrated on {len(labels)} labels from people: kappa is above {wanted_kappa:g}"
    else:
        claim = f"not calibrated: kappa is below {wanted_kappa:g} on {len(labels)} labels from people"
    return Calibration(table, kappa, wanted_kappa, verdict, claim)


def _verdict(kappa: Estimate, wanted: float, labels: int) -> bool | Unknown:
    if isinstance(kappa.interval, Unknown):
        return kappa.interval
    if labels < _LEAST_LABELS:
        return Unknown(f"{labels} labels are too few to tell (at least {_LEAST_LABELS})")
    if kappa.interval.low > wanted:
        return True
    if kappa.interval.high < wanted:
        return False
    return Unknown(
        f"the interval of kappa, {kappa.interval.low:.2f} to {kappa.interval.high:.2f}, contains {wanted:g}: "
        "label more items"
    )


@dataclass(frozen=True, slots=True)
class SwapTable:
    """A pairwise judge asked twice, in both orders. Shares in 0..1 over items; Unknown without labels.

    `correct_first` and `correct_swapped` are its accuracies in each order, `correct_both` the share right in
    both, `consistent` the share of items with the same winner in both orders. `position_bias` is the
    chance of choosing the side shown first minus one half (a tie or no answer counts as neither side).
    """

    consistent: Estimate
    position_bias: Estimate
    correct_first: Estimate | Unknown
    correct_swapped: Estimate | Unknown
    correct_both: Estimate | Unknown


def swap_table(
    first: Sequence[Hashable],
    swapped: Sequence[Hashable],
    labels: Labels | None = None,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> SwapTable:
    """Position bias and accuracy of a judge that saw every pair in both orders.

    `first` holds the winner when output 1 was shown first, `swapped` when output 2 was, both named as outputs
    ("1" or "2"); any other value (a tie, None for no answer) is neither. Cluster-robust intervals; items are
    their own clusters unless `clusters` are given.
    """
    n = len(first)
    same_length(n, [("swapped", len(swapped))])
    if not n:
        raise DataError("there are no judged pairs", wanted="at least two")
    one, two = np.array([_side(x) for x in first]), np.array([_side(x) for x in swapped])
    for name, sides in (("first", one), ("swapped", two)):
        if not (sides > 0).any():
            raise DataError(
                f"{name}: names no output as winner",
                wanted='"1" or "2" for the output that won',
                got=repr(first[0]),
            )
    group = np.arange(n) if clusters is None else clusters
    chose_first = 0.5 * (_preference(one, shown_first=1) + _preference(two, shown_first=2))
    same = np.array([a == b for a, b in zip(first, swapped, strict=True)], np.float64)

    def share(values: FloatArray) -> Estimate:
        return clustered_mean(values, group, level=level, bounds=(0.0, 1.0))

    bias = _shifted(share(chose_first), -0.5)
    if labels is None:
        none = Unknown("no labels were given")
        return SwapTable(share(same), bias, none, none, none)
    gold = np.array([_side(x) for x in labels])
    same_length(n, [("labels", len(gold))])
    bad = np.flatnonzero(gold == 0)
    if bad.size:
        raise RowsError(
            "labels: neither output 1 nor output 2", rows=tuple(bad.tolist()), wanted='"1" or "2"'
        )
    right = [(one == gold) * 1.0, (two == gold) * 1.0]
    return SwapTable(share(same), bias, share(right[0]), share(right[1]), share(right[0] * right[1]))


def _side(value: Hashable) -> int:
    """1 or 2 for an output, 0 for anything else."""
    return {"1": 1, "2": 2}.get(str(value), 0)


def _preference(winner: FloatArray, *, shown_first: int) -> FloatArray:
    """1 where the side shown first was chosen, 0 where the other was, 0.5 for neither."""
    return np.where(winner == 0, 0.5, (winner == shown_first) * 1.0)


def _shifted(estimate: Estimate, by: float) -> Estimate:
    value, interval = estimate.value, estimate.interval
    return Estimate(
        value if isinstance(value, Unknown) else value + by,
        estimate.se,
        Interval(interval.low + by, interval.high + by, interval.level, interval.method)
        if isinstance(interval, Interval)
        else interval,
        estimate.method, estimate.n_trials, estimate.n_tasks, estimate.n_clusters, estimate.df, estimate.notes,
    )  # fmt: skip


def self_preference(
    judge_score: ArrayLike,
    human_score: ArrayLike,
    own: Sequence[bool] | ArrayLike,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate:
    """How much more generous a judge is, against people, to outputs of its own model than to others.

    (mean of judge - human over its own outputs) - (the same over the others'): a difference in differences, so
    that neither a generous judge nor better outputs look like bias. One entry an output, both scores on one
    scale; `clusters` (the task) may hold outputs of both kinds. Cluster-robust Student interval.
    """
    judge, people = finite(judge_score, "judge_score"), finite(human_score, "human_score")
    mine = finite(own, "own")
    same_length(len(judge), [("human_score", len(people)), ("own", len(mine))])
    bad = np.flatnonzero((mine != 0) & (mine != 1))
    if bad.size:
        raise RowsError("own: neither true nor false", rows=tuple(bad.tolist()), wanted="True or False")
    counts = int(mine.sum()), int(len(mine) - mine.sum())
    if min(counts) < 2:
        raise DataError(
            "self-preference needs outputs of both kinds",
            wanted="two or more of the judge's own model, and of others",
            got=f"{counts[0]} and {counts[1]}",
        )
    excess = judge - people
    means = excess[mine == 1].mean(), excess[mine == 0].mean()
    value = float(means[0] - means[1])
    # the mean of these equals the difference, and their spread over clusters is its influence
    n = len(excess)
    influence = np.where(mine == 1, (excess - means[0]) * n / counts[0], -(excess - means[1]) * n / counts[1])
    group = codes(np.arange(n) if clusters is None else clusters, "cluster").index
    spread = clustered_mean(influence + value, group, level=level)
    return Estimate(
        value, spread.se, spread.interval, "self-preference, difference in differences, cluster-robust",
        n, n, spread.n_clusters, spread.df,
    )  # fmt: skip
