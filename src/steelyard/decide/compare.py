"""Better, worse, equivalent or undecided: every contestant against one baseline, with reasons and what
would decide it.

Does not rank contestants among themselves (`stats.ratings`) and does not choose the margin. Only tasks that
both sides have are compared; ungraded trials are left out (missing at random) and bound the difference from
both sides.

Fixed size: the paired, cluster-robust interval of `stats.paired`, simultaneous over contestants by max-T
(`stats.multiplicity`), and Holm's p-value; a difference is called only when both agree. Sequential: hedged
betting over tasks (clusters) in the order of the table, valid however often it is read, level shared by the
contestants. Equivalent: the interval at level 1 - 2 alpha lies inside the margin (two one-sided tests).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

import numpy as np

from steelyard.decide.pilot import split_of, task_sums
from steelyard.decide.results import Results
from steelyard.decide.spending import NOT_READ, Spending, spending
from steelyard.errors import DataError
from steelyard.stats.base import Coded, Estimate, Figure, Interval, nested
from steelyard.stats.multiplicity import bands_of
from steelyard.stats.paired import Paired, PairedOptions, TaskPairs, compare_pairs, pair_up
from steelyard.stats.planning import Goal, tasks_needed
from steelyard.stats.sequential import paired_betting
from steelyard.unknown import Unknown, is_known


class Verdict(enum.StrEnum):
    """What is concluded about a contestant against the baseline."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """`alpha`: chance of any wrong call of a difference among all contestants. `margin`: what counts as no
    difference.

    `sequential`: the table is looked at repeatedly while it grows.
    """

    alpha: float = 0.05
    margin: float | None = 0.02
    sequential: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 0.5:
            raise DataError("alpha: out of range", wanted="between 0 and 0.5", got=str(self.alpha))
        if self.margin is not None and not 0 < self.margin < np.inf:
            raise DataError("margin: out of range", wanted="above 0, such as 0.02", got=str(self.margin))


@dataclass(frozen=True, slots=True)
class Comparison:
    """One contestant less the baseline; `paired` has the effect, the means, wins and losses, and what
    pairing gained.

    `interval` holds for all contestants together at 1 - alpha; `equivalence` is the interval that is held
    against the margin. `worst_best` are the differences if every ungraded trial of the contestant had
    failed and of the baseline passed, and the other way round. `would_decide` says what more would settle
    it, empty when settled. `spending` is what both took; no verdict rests on it.
    """

    contestant: str
    baseline: str
    verdict: Verdict
    paired: Paired
    interval: Interval | Unknown
    p_value: Figure
    p_method: str
    equivalence: Interval | Unknown
    margin: float | None
    worst_best: tuple[float, float] | Unknown
    ungraded: int
    reasons: tuple[str, ...]
    would_decide: tuple[str, ...]
    spending: Spending = NOT_READ


@dataclass(frozen=True, slots=True)
class Comparisons:
    """All comparisons with one baseline, in order of appearance; `method` names how they were made
    simultaneous."""

    baseline: str
    items: tuple[Comparison, ...]
    method: str
    alpha: float
    notes: tuple[str, ...]


METHODS = {
    "baseline_mean": "mean over the common tasks of the task's mean over its graded trials",
    "contestant_mean": "mean over the common tasks of the task's mean over its graded trials",
    "wins": "tasks with a higher mean than the baseline's",
    "losses": "tasks with a lower mean than the baseline's",
    "ties": "tasks with the baseline's mean",
    "correlation": "Pearson, of task means",
    "se_unpaired": "root of the sum of both sides' cluster-robust variances",
    "worst_best": "difference of means over tasks with ungraded trials at the ends of the scale",
    "ungraded": "count",
    "spending.left_out": "common tasks of which a graded trial has no known cost, or time",
}
"""How the figures are made that do not carry a method of their own."""


def compare(results: Results, baseline: str = "", options: CompareOptions | None = None) -> Comparisons:
    """Compare every other contestant with `baseline` (by default `Results.usual_baseline`).

    Raises DataError with fewer than two contestants, an unknown baseline, or no task in common.
    """
    options = options or CompareOptions()
    if len(results.names) < 2:
        raise DataError(
            f"only one contestant ({results.names[0]})",
            where=results.source,
            wanted="two or more to compare",
            fix="measure the other one in the same run (one more under `contestants`), or add its rows to the table",
        )
    notes = list(results.notes)
    if not baseline:
        baseline = results.usual_baseline
        why = "as the plan says" if baseline == results.baseline else "the first in the table"
        notes.append(f"baseline: {baseline}, {why}")
    results.require([baseline])
    names = tuple(n for n in results.names if n != baseline)
    if options.sequential:
        pairs = tuple(pairs_of(closed(results, (baseline, name)), baseline, name) for name in names)
    else:
        pairs = tuple(pairs_of(results, baseline, name) for name in names)
    make = _sequential if options.sequential else _fixed
    items, method = make(results, baseline, names, pairs, options)
    took = tuple(
        replace(
            c,
            spending=spending(
                results, (baseline, c.contestant), level=1.0 - options.alpha, shared=len(names)
            ),
        )
        for c in items
    )
    return Comparisons(baseline, took, method, options.alpha, tuple(notes))


def pairs_of(results: Results, baseline: str, contestant: str) -> TaskPairs:
    """Per-task means of both, over the graded trials of tasks that both have."""
    places = [results.names.index(baseline), results.names.index(contestant)]
    rows = np.flatnonzero(results.graded & np.isin(results.contestant.index, places))
    parent = None
    if results.cluster is not None:
        parent = Coded(nested(results.task, results.cluster), results.cluster.labels)
    if rows.size == 0:
        fix = "check the score column: an empty score means ungraded"
        raise DataError(f"no graded trial of {baseline} and {contestant}", where=results.source, fix=fix)
    task = Coded(results.task.index[rows], results.task.labels)
    return pair_up(results.score[rows], task, results.contestant.index[rows] == places[1], parent)


def _fixed(
    results: Results,
    baseline: str,
    names: tuple[str, ...],
    pairs: tuple[TaskPairs, ...],
    options: CompareOptions,
) -> tuple[tuple[Comparison, ...], str]:
    how = _how(results, options)
    if len(names) == 1:
        paired = compare_pairs(pairs[0], how)
        calls = [(paired, paired.difference.interval, paired.p_value, paired.p_method)]
        method = "pointwise"
    else:
        bands = bands_of(names, pairs, how)
        holm = [f"{c.p_method}, Holm" for c in bands.comparisons]
        calls = list(zip(bands.comparisons, bands.intervals, bands.p_holm, holm, strict=True))
        method = bands.method
    # each contestant may be called equivalent: the error is shared by them
    tost = replace(how, level=1.0 - 2.0 * options.alpha / len(names))
    items = []
    for name, pair, (paired, interval, p_value, p_method) in zip(names, pairs, calls, strict=True):
        none: Interval | Unknown = Unknown("no margin given")
        equivalence = none if options.margin is None else compare_pairs(pair, tost).difference.interval
        call = _Call(interval, equivalence, p_value, p_method)
        items.append(_comparison(results, (baseline, name), paired, call, options))
    return tuple(items), method


def _sequential(
    results: Results,
    baseline: str,
    names: tuple[str, ...],
    pairs: tuple[TaskPairs, ...],
    options: CompareOptions,
) -> tuple[tuple[Comparison, ...], str]:
    if results.bounds is None:
        raise DataError(
            "sequential comparison of unbounded scores", wanted="bounds", fix="give --bounds LOW HIGH"
        )
    how = _how(results, options)
    items = []
    for pair, name in zip(pairs, names, strict=True):
        interval = sequential_interval(pair, results.bounds, 1.0 - options.alpha / len(names))
        call = _Call(interval, interval, Unknown("the interval decides"), "none: confidence sequence")
        items.append(_comparison(results, (baseline, name), compare_pairs(pair, how), call, options))
    return tuple(items), "hedged betting confidence sequences, level shared by the contestants"


def _how(results: Results, options: CompareOptions) -> PairedOptions:
    return PairedOptions(level=1.0 - options.alpha, bounds=results.bounds, seed=options.seed)


@dataclass(frozen=True, slots=True)
class _Call:
    """What a verdict rests on."""

    interval: Interval | Unknown
    equivalence: Interval | Unknown
    p_value: Figure
    p_method: str


def _comparison(
    results: Results, names: tuple[str, str], paired: Paired, call: _Call, options: CompareOptions
) -> Comparison:
    verdict, reasons = _call(call, options)
    worst_best, ungraded = _missing(results, *names)
    return Comparison(
        contestant=names[1],
        baseline=names[0],
        verdict=verdict,
        paired=paired,
        interval=call.interval,
        p_value=call.p_value,
        p_method=call.p_method,
        equivalence=call.equivalence,
        margin=options.margin,
        worst_best=worst_best,
        ungraded=ungraded,
        reasons=(*reasons, *paired.difference.notes),
        would_decide=_would_decide(results, names, verdict, paired.difference, options),
    )


def sequential_interval(pairs: TaskPairs, bounds: tuple[float, float], level: float) -> Interval | Unknown:
    """Confidence sequence of the mean difference over tasks, or clusters weighted by their size, in table
    order."""
    # clusters are numbered anew in the order in which their first task stands in the table
    _, first, label = np.unique(pairs.cluster.index, return_index=True, return_inverse=True)
    index = np.argsort(np.argsort(first))[label]
    sizes = np.bincount(index).astype(np.float64)
    base = np.bincount(index, weights=pairs.baseline) / sizes
    other = np.bincount(index, weights=pairs.contestant) / sizes
    # means of scores within bounds may pass them by a rounding error
    base, other = np.clip(base, *bounds), np.clip(other, *bounds)
    mean = float(np.average(other - base, weights=sizes))
    return paired_betting(base, other, level=level, bounds=bounds, weights=sizes / sizes.max()).around(mean)


def closed(results: Results, names: tuple[str, ...], trials: int = 0) -> Results:
    """The rows of tasks of which every one of `names` has `trials` rows (0: the most that any cell has),
    graded or not.

    A sequential look may use a task only once and whole: a mean that still changes would be counted twice.
    """
    places = [results.names.index(name) for name in names]
    cells = results.task.index * len(results.names) + results.contestant.index
    counts = np.bincount(cells, minlength=results.task.size * len(results.names)).reshape(
        results.task.size, -1
    )
    wanted = trials or int(counts[:, places].max())
    whole = np.all(counts[:, places] >= wanted, axis=1)
    if not whole.any():
        raise DataError(
            "no task is complete yet",
            where=results.source,
            wanted=f"{wanted} trials of {' and '.join(names)}",
        )
    return results.take(whole[results.task.index] & np.isin(results.contestant.index, places))


def _call(call: _Call, options: CompareOptions) -> tuple[Verdict, tuple[str, ...]]:
    interval, equivalence, p_value = call.interval, call.equivalence, call.p_value
    if isinstance(interval, Unknown):
        return Verdict.UNDECIDED, (f"no interval: {interval.reason}",)
    text = f"interval [{interval.low:+.4f}, {interval.high:+.4f}]"
    side = Verdict.BETTER if interval.low > 0 else Verdict.WORSE if interval.high < 0 else None
    inside = (
        options.margin is not None
        and not isinstance(equivalence, Unknown)
        and -options.margin < equivalence.low
        and equivalence.high < options.margin
    )
    if side is not None and is_known(p_value) and p_value > options.alpha:
        reason = f"{text} leaves out 0, but the exact test does not agree (p = {p_value:.3f})"
        return (
            (Verdict.EQUIVALENT, (reason, "inside the margin")) if inside else (Verdict.UNDECIDED, (reason,))
        )
    if side is not None:
        extra = (f"the difference is smaller than the margin {options.margin:g}",) if inside else ()
        return side, (f"{text} leaves out 0", *extra)
    if inside and not isinstance(equivalence, Unknown):
        shown = f"interval [{equivalence.low:+.4f}, {equivalence.high:+.4f}] at level {equivalence.level:g}"
        return Verdict.EQUIVALENT, (f"{shown} lies inside the margin of {options.margin:g}",)
    wide = "" if options.margin is None else f" and reaches beyond the margin of {options.margin:g}"
    return Verdict.UNDECIDED, (f"{text} includes 0{wide}",)


def _missing(results: Results, baseline: str, name: str) -> tuple[tuple[float, float] | Unknown, int]:
    """The difference of mean scores with ungraded trials at their worst and best, and how many there are."""
    if results.bounds is None:
        return Unknown("scores have no bounds"), 0
    low, high = results.bounds
    ends = []
    lost = 0
    for who in (baseline, name):
        mine = results.contestant.index == results.names.index(who)
        lost += int((mine & ~results.graded).sum())
        counts = np.bincount(results.task.index[mine], minlength=results.task.size)
        means = []
        for value in (low, high):
            filled = np.where(results.graded, results.score, value)[mine]
            sums = np.bincount(results.task.index[mine], weights=filled, minlength=results.task.size)
            means.append(float((sums[counts > 0] / counts[counts > 0]).mean()))
        ends.append(means)
    return (ends[1][0] - ends[0][1], ends[1][1] - ends[0][0]), lost


def _would_decide(
    results: Results, names: tuple[str, str], verdict: Verdict, effect: Estimate, options: CompareOptions
) -> tuple[str, ...]:
    if verdict is not Verdict.UNDECIDED:
        return ()
    try:
        split = split_of(results, names)
    except DataError as e:
        return (e.message,)
    counts = [task_sums(results, name).counts for name in names]
    used = (counts[0] > 0) & (counts[1] > 0)
    trials = tuple(int(np.median(c[used])) for c in counts)
    told = []
    if split.between == 0.0 and not any(split.noise):
        if options.margin is None:
            return ("no task differs, and no margin says how small a difference would count as none",)
        needed = alike_needed(options.margin, options.alpha)
        return (
            f"no task differs: about {needed} tasks alike would show equivalence within {options.margin:g}",
        )
    if is_known(effect.value) and effect.value != 0.0:
        goal = Goal(difference=abs(effect.value), level=1.0 - options.alpha)
        purpose = f"to show a difference as large as the one seen ({effect.value:+.4f})"
        told.append(_plan(purpose, tasks_needed(split, goal, trials), trials, int(used.sum())))
    if options.margin is not None:
        goal = Goal(difference=options.margin, level=1.0 - 2.0 * options.alpha, power=0.9)
        purpose = f"to show equivalence within {options.margin:g} if there is no difference"
        told.append(_plan(purpose, tasks_needed(split, goal, trials), trials, int(used.sum())))
    noise = sum(v / k for v, k in zip(split.noise, trials, strict=True))
    if not split.mixed and noise > split.between:
        told.append("most of the uncertainty is from trial to trial: more trials of the same tasks help too")
    return tuple(told)


def alike_needed(distance: float, alpha: float) -> int:
    """Tasks that must all come out alike to leave out `distance`: a share of log(1/alpha)/n may still differ."""
    return int(np.ceil(-np.log(alpha) / distance))


def _plan(purpose: str, needed: int, trials: tuple[int, ...], tasks: int) -> str:
    each = " and ".join(str(k) for k in dict.fromkeys(trials))
    more = f", {needed - tasks} more than now" if needed > tasks else ", as many as now: chance decided"
    return f"{purpose}: about {needed} tasks with {each} trial{'' if trials == (1, 1) else 's'} each{more}"
