"""A rule and results in, a verdict out: pass, regression, undecided, below coverage, infrastructure.

Does not guess: what is not shown is undecided, and below the coverage floor nothing is judged at all.
Undecided is no pass: it has an exit code of its own, and says how many tasks would settle it.

Regression tier: with d the contestant's mean less the baseline's, pass when the interval of d lies above
-margin, regression when it lies below. Both ends come from one two-sided interval at level 1 - error/m for
m checks, so that the chance of *any* false word of the gate is at most `error`; in the sequential form at
every look at once. Launch tier: a report card, each journey's pass rate against its floor; unless the rule says
`ungraded: random` the word holds whatever the ungraded trials would have been. Frontier tier: a
suite that is meant to be hard (about 30 %); it does not fail a release, it says when the suite has become
too easy or hopeless.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from steelyard.decide.compare import alike_needed, closed, pairs_of, sequential_interval
from steelyard.decide.coverage import Coverage, coverage
from steelyard.decide.pilot import split_of
from steelyard.decide.results import SUITE_NAMES, Results
from steelyard.decide.rules import Outcome, Rule, Tier
from steelyard.errors import DataError
from steelyard.stats.base import Coded, Figure, FloatArray, Interval, nested
from steelyard.stats.paired import PairedOptions, TaskPairs, compare_pairs, pair_up
from steelyard.stats.planning import Goal, Split, tasks_needed
from steelyard.stats.sequential import HEDGED, hedged_betting
from steelyard.stats.twolevel import two_level
from steelyard.unknown import Unknown, is_known


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a gate's report.

    `value` and `interval` are of the difference (regression) or of the pass rate (launch, frontier), in the
    metric's unit; `threshold` says what they are held against.
    """

    rule: str
    tier: Tier
    contestant: str
    subject: str
    outcome: Outcome
    value: Figure
    interval: Interval | Unknown
    threshold: str
    coverage: tuple[Coverage, ...]
    reasons: tuple[str, ...]
    would_decide: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GateReport:
    """All checks and the verdict: a shown regression first, then infrastructure, coverage, undecided,
    pass."""

    checks: tuple[Check, ...]
    outcome: Outcome
    notes: tuple[str, ...]


_WORST = (
    Outcome.REGRESSION,
    Outcome.INFRASTRUCTURE,
    Outcome.BELOW_COVERAGE,
    Outcome.UNDECIDED,
    Outcome.PASSED,
)


def gate(results: Results, rules: tuple[Rule, ...]) -> GateReport:
    """Judge `results` by every rule; each rule's error is shared by its checks.

    Raises DataError when a rule names a contestant or a condition that is not in the results.
    """
    checks: list[Check] = []
    for rule in rules:
        table = results.where(rule.where) if rule.where else results
        for name in (rule.contestant, rule.baseline):
            if name:
                results.of([name])
        cases = _cases(table, rule)
        for contestant, subject, part in cases:
            checks.append(_check(part, rule, contestant, subject, rule.error / len(cases)))
    outcome = next(o for o in _WORST if any(c.outcome is o for c in checks))
    return GateReport(tuple(checks), outcome, results.notes)


@dataclass(frozen=True, slots=True)
class _Subject:
    name: str
    floor: float | None = None


def _cases(table: Results, rule: Rule) -> list[tuple[str, _Subject, Results]]:
    names = [rule.contestant] if rule.contestant else [n for n in table.names if n != rule.baseline]
    if not names:
        raise DataError(
            f"rule {rule.name}: no contestant but the baseline",
            where=table.source,
            got=rule.baseline,
            fix="add rows of the contestant to be judged",
        )
    subjects: list[tuple[_Subject, Results]] = [(_Subject("all tasks", rule.floor), table)]
    if rule.journeys:
        subjects = [(_Subject(j.name, j.floor), table.where(j.where)) for j in rule.journeys]
    elif rule.by:
        column = (table.conditions or {}).get(
            rule.by, table.suite if rule.by in ("suite", *SUITE_NAMES) else None
        )
        values = [str(x) for x in column.labels] if column is not None else [""]
        subjects = [(_Subject(v, rule.floor), table.where({rule.by: v})) for v in values]
    return [(name, subject, part) for name in names for subject, part in subjects]


def _check(table: Results, rule: Rule, contestant: str, subject: _Subject, alpha: float) -> Check:
    sides = (rule.baseline, contestant) if rule.tier is Tier.REGRESSION else (contestant,)
    blank = Check(
        rule.name, rule.tier, contestant, subject.name, Outcome.INFRASTRUCTURE,
        Unknown("not judged"), Unknown("not judged"), _threshold(rule, subject), (), (),
    )  # fmt: skip
    lost = [s for s in sides if s not in table.names]
    if lost:
        return replace(blank, reasons=(f"no trial of {' and '.join(lost)}: nothing was measured",))
    covered = tuple(c for c in coverage(table) if c.contestant in sides)
    blank = replace(blank, coverage=covered)
    none = [c.contestant for c in covered if c.graded == 0]
    if none:
        return replace(blank, reasons=(f"no graded trial of {' and '.join(none)}: nothing was measured",))
    low = [c for c in covered if c.share < rule.coverage]
    if low:
        reasons = tuple(f"{c.sentence}; the floor is {rule.coverage:.1%}" for c in low)
        return replace(blank, outcome=Outcome.BELOW_COVERAGE, reasons=reasons,
                       would_decide=("mend what keeps trials from being graded, then resume",))  # fmt: skip
    if rule.sequential:
        table = closed(table, sides, rule.trials)
    if rule.tier is Tier.REGRESSION:
        return _regression(table, rule, blank, alpha)
    return _rate(table, rule, blank, subject, alpha)


def _regression(table: Results, rule: Rule, blank: Check, alpha: float) -> Check:
    pairs, unit = _pairs(table, rule, blank.contestant)
    how = PairedOptions(level=1.0 - alpha, bounds=table.bounds if rule.metric == "score" else None)
    paired = compare_pairs(pairs, how)
    interval = paired.difference.interval
    if rule.sequential:
        if table.bounds is None:
            raise DataError(
                f"rule {rule.name}: sequential looks at unbounded scores", fix="give the scores' bounds"
            )
        interval = sequential_interval(pairs, table.bounds, 1.0 - alpha)
    # lower is better: turn the axis, so that "above -margin" is good for every metric
    sign = 1.0 if rule.metric == "score" else -1.0
    edge = 0.0 if rule.relative else rule.margin
    found = replace(blank, value=paired.difference.value, interval=interval)
    if isinstance(interval, Unknown):
        return replace(found, outcome=Outcome.UNDECIDED, reasons=(f"no interval: {interval.reason}",))
    good = interval.scaled(sign)
    shown = f"difference {_signed(paired.difference.value)}{unit} [{interval.low:+.4g}, {interval.high:+.4g}]"
    if good.low > -edge:
        return replace(
            found, outcome=Outcome.PASSED, reasons=(f"{shown}: not worse by more than the margin",)
        )
    if good.high < -edge:
        return replace(
            found, outcome=Outcome.REGRESSION, reasons=(f"{shown}: worse by more than the margin",)
        )
    worse = (
        "; worse than the baseline, but whether by more than the margin is not shown" if good.high < 0 else ""
    )
    more: tuple[str, ...] = ()
    if rule.metric == "score" and not rule.relative:
        more = _settle(
            table, (rule.baseline, blank.contestant), _distance(paired.difference.value, -edge), alpha
        )
    reasons = (f"{shown}: reaches over the margin{worse}",)
    return replace(found, outcome=Outcome.UNDECIDED, reasons=reasons, would_decide=more)


def _pairs(table: Results, rule: Rule, contestant: str) -> tuple[TaskPairs, str]:
    """Task pairs of the metric; a relative margin is taken into the baseline: contestant - (1 + share)
    baseline."""
    if rule.metric == "score":
        pairs, unit = pairs_of(table, rule.baseline, contestant), ""
        factor = 1.0 - rule.margin
    else:
        column = table.cost if rule.metric == "cost" else table.seconds
        pairs, unit = _amount_pairs(table, rule, contestant, column), "" if rule.metric == "cost" else " s"
        factor = 1.0 + rule.margin
    if rule.relative:
        pairs = replace(pairs, baseline=pairs.baseline * factor)
    return pairs, unit


def _amount_pairs(table: Results, rule: Rule, contestant: str, column: FloatArray | None) -> TaskPairs:
    if column is None:
        raise DataError(
            f"rule {rule.name}: no {rule.metric} column", where=table.source, fix=f"add {rule.metric}"
        )
    places = [table.names.index(rule.baseline), table.names.index(contestant)]
    rows = np.flatnonzero(table.graded & np.isfinite(column) & np.isin(table.contestant.index, places))
    if rows.size == 0:
        raise DataError(f"rule {rule.name}: no {rule.metric} is known", where=table.source)
    parent = None if table.cluster is None else Coded(nested(table.task, table.cluster), table.cluster.labels)
    task = Coded(table.task.index[rows], table.task.labels)
    return pair_up(column[rows], task, table.contestant.index[rows] == places[1], parent)


def _rate(table: Results, rule: Rule, blank: Check, subject: _Subject, alpha: float) -> Check:
    value, interval, reading = _measured(table, rule, blank, alpha)
    found = replace(blank, value=value, interval=interval)
    if isinstance(interval, Unknown):
        undecided = Outcome.PASSED if rule.tier is Tier.FRONTIER else Outcome.UNDECIDED
        return replace(found, outcome=undecided, reasons=(f"no interval: {interval.reason}",))
    rate = str(value) if isinstance(value, Unknown) else f"{value:.4f}"
    shown = f"pass rate {rate} [{interval.low:.4f}, {interval.high:.4f}]"
    if rule.tier is Tier.FRONTIER:
        return replace(found, outcome=Outcome.PASSED, reasons=(f"{shown}: {_frontier(interval, rule.band)}",))
    floor = 0.0 if subject.floor is None else subject.floor
    shown += reading
    if interval.low >= floor:
        return replace(found, outcome=Outcome.PASSED, reasons=(f"{shown}: the floor of {floor:g} is shown",))
    if interval.high < floor:
        return replace(found, outcome=Outcome.REGRESSION, reasons=(f"{shown}: below the floor of {floor:g}",))
    more = _settle(table, (blank.contestant,), _distance(value, floor), alpha)
    if reading:
        more = ("grade the ungraded trials (resume), or write `ungraded: random` into the rule", *more)
    reasons = (f"{shown}: the floor of {floor:g} is not shown",)
    return replace(found, outcome=Outcome.UNDECIDED, reasons=reasons, would_decide=more)


def _measured(
    table: Results, rule: Rule, blank: Check, alpha: float
) -> tuple[Figure, Interval | Unknown, str]:
    """Mean of the graded trials; the interval the rule holds a floor against; how it reads ungraded trials."""
    mine = table.contestant.index == table.names.index(blank.contestant)
    graded = mine & table.graded
    column = np.where(table.graded, table.score, 0.0)
    value, interval = _mean((column[graded], table.task.index[graded], graded), table, rule, alpha)
    lost = sum(c.trials - c.graded + c.missing for c in blank.coverage)
    if rule.tier is not Tier.LAUNCH or rule.ungraded == "random" or not lost or table.bounds is None:
        return value, interval, ""
    rows = np.flatnonzero(mine)
    tasks = table.task.index[rows]
    per_task = np.bincount(tasks, minlength=table.task.size)
    # tasks without a row, where others have one, count as so many ungraded trials (see `coverage`)
    absent = np.flatnonzero(per_task == 0) if not rule.sequential else np.empty(0, np.int64)
    more = np.repeat(absent, int(np.median(per_task[per_task > 0])))
    if table.cluster is not None:
        home = np.zeros(table.task.size, np.int64)
        home[table.task.index] = np.arange(table.task.index.size)
        rows = np.concatenate([rows, home[more]])
    known = np.concatenate([table.graded[mine], np.zeros(more.size, np.bool_)])
    score = np.concatenate([column[mine], np.zeros(more.size)])
    task = np.concatenate([tasks, more])
    worst, best = (
        _mean((np.where(known, score, end), task, rows), table, rule, alpha)[1] for end in table.bounds
    )
    if isinstance(worst, Unknown) or isinstance(best, Unknown):
        return value, worst if isinstance(worst, Unknown) else best, ""
    wide = replace(worst, high=best.high, method=f"{worst.method}; ungraded all wrong to all right")
    return value, wide, f" with {lost} ungraded trials all wrong or all right"


def _mean(
    trials: tuple[FloatArray, np.ndarray, np.ndarray], table: Results, rule: Rule, alpha: float
) -> tuple[Figure, Interval | Unknown]:
    """Mean over tasks from scores, their tasks, and rows of `table` that have their clusters."""
    score, tasks, rows = trials
    clusters = None if table.cluster is None else table.cluster.index[rows]
    found = two_level(score, tasks, clusters=clusters, level=1.0 - alpha, bounds=table.bounds).estimate
    if not rule.sequential:
        return found.value, found.interval
    if table.bounds is None:
        raise DataError(
            f"rule {rule.name}: sequential looks at unbounded scores", fix="give the scores' bounds"
        )
    units = tasks if clusters is None else clusters
    _, first, index = np.unique(units, return_index=True, return_inverse=True)
    sums = np.bincount(index, weights=score)
    sizes = np.bincount(index).astype(np.float64)
    order = np.argsort(first)
    means = np.clip(sums / sizes, *table.bounds)[order]
    weights = None if clusters is None else (sizes / sizes.max())[order]
    sequence = hedged_betting(means, level=1.0 - alpha, bounds=table.bounds, weights=weights)
    return found.value, replace(sequence, method=HEDGED).around(float(np.average(means, weights=weights)))


def _frontier(interval: Interval, band: tuple[float, float]) -> str:
    low, high = band
    if interval.low > high:
        return f"saturating, above {high:g}: retire it, or make it a regression suite"
    if interval.high < low:
        return f"too hard, below {low:g}: it cannot tell contestants apart"
    return f"a frontier, meant to lie within {low:g} to {high:g}"


def _settle(table: Results, names: tuple[str, ...], distance: Figure, alpha: float) -> tuple[str, ...]:
    if isinstance(distance, Unknown) or distance == 0.0:
        return ("the observed value lies on the edge: no number of tasks is likely to settle it",)
    try:
        split: Split = split_of(table, names)
    except DataError as e:
        return (e.message,)
    rows = table.rows / table.task.size / len(table.names)
    trials = (max(1, round(rows)),) * len(names)
    needed = alike_needed(abs(distance), alpha)
    if split.between > 0.0 or any(split.noise):
        needed = tasks_needed(split, Goal(difference=abs(distance), level=1.0 - alpha), trials)
    each = f"{trials[0]} trial{'' if trials[0] == 1 else 's'} each"
    return (f"about {needed} tasks with {each}, if the truth is what was observed; now {table.task.size}",)


def _distance(value: Figure, edge: float) -> Figure:
    return value if isinstance(value, Unknown) else value - edge


def _signed(value: Figure) -> str:
    return f"{value:+.4g}" if is_known(value) else str(value)


def _threshold(rule: Rule, subject: _Subject) -> str:
    if rule.tier is Tier.FRONTIER:
        return f"between {rule.band[0]:g} and {rule.band[1]:g}"
    if rule.tier is Tier.LAUNCH:
        return f"at least {subject.floor:g}"
    margin = f"{rule.margin:.4g}" if not rule.relative else f"{rule.margin:.0%} of the baseline"
    word = "less" if rule.metric == "score" else "more"
    return f"{rule.metric} at most {margin} {word} than {rule.baseline}"
