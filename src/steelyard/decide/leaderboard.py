"""The leaderboard of a run: each contestant's score with its interval, coverage, bounds, cost and speed, and who leads.

Arrays in, frozen rows out; nothing is read here. The score is the mean over tasks of the task's mean over its graded
trials, cluster-robust. Trials without a verdict are in no mean: coverage says how many there are, and `all_wrong` and
`all_right` bound the score whatever they would have been. With several suites the overall score is the plain mean of
the suites' scores (each suite counts once, however many tasks it has).

Not covered: scores after adaptive spending come from the stopping rule (`Stopper.progress`), whose interval stays valid
at every look; give them as `sequential` and they replace the fixed-sample estimate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from steelyard.decide.tally import Evidence, Tally, bounds, coded, grouped, tally
from steelyard.stats.base import Estimate, Figure, FloatArray, IntArray, Interval
from steelyard.stats.clusters import cluster_sums, estimate_mean
from steelyard.stats.paired import difference_p
from steelyard.stats.paired_forms import difference_interval
from steelyard.unknown import Unknown, is_known


@dataclass(frozen=True, slots=True)
class Line:
    """One contestant on one suite (or over all: `suite` is empty).

    Scores in [0, 1]. `coverage` is graded over planned trials. Money in dollars, `seconds` the mean time of an
    answer, `tokens_per_second` output tokens over that time (closed loop: what the trials saw).
    """

    contestant: str
    suite: str
    estimate: Estimate
    coverage: float
    all_wrong: Figure
    all_right: Figure
    n_planned: int
    n_graded: int
    n_ungraded: int
    n_waiting: int
    cost_dollars: Figure
    cost_per_trial: Figure
    seconds: Figure
    tokens_per_second: Figure
    input_tokens: Figure
    output_tokens: Figure
    abstained: int
    format_failures: int
    refused: int
    truncated: int


@dataclass(frozen=True, slots=True)
class Versus:
    """The leader against one other, paired by task: `difference` is leader minus other, level corrected for many."""

    leader: str
    other: str
    difference: Estimate
    verdict: str


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """Lines sorted by overall score, best first; `by_suite` holds the lines of each suite; `sentence` says it."""

    overall: tuple[Line, ...]
    by_suite: tuple[Line, ...]
    versus: tuple[Versus, ...]
    sentence: str
    level: float


NO_SPEED = Unknown("an agent's time is that of whole trials, its tools and waits included")
NAMED = 5
"""Contestants that a sentence names; the table below it has them all."""

Sequential = Mapping[tuple[int, int], Estimate]
"""(suite, contestant) to the estimate of a stopping rule."""


def leaderboard(
    evidence: Evidence,
    *,
    level: float = 0.95,
    sequential: Sequential | None = None,
    coverage_floor: float = 0.0,
) -> Leaderboard:
    """Lines, comparisons with the leader, and a sentence. Pure: the same evidence gives the same board."""
    n_c, n_s = len(evidence.contestants), len(evidence.suites)
    sums = tally(evidence)
    by_suite = [
        [_line(evidence, sums, (c, s), level, (sequential or {}).get((s, c))) for s in range(n_s)]
        for c in range(n_c)
    ]
    overall = [
        lines[0] if n_s == 1 else _over_suites(lines, level, _speed(evidence, sums, c, slice(None)))
        for c, lines in enumerate(by_suite)
    ]
    order = sorted(range(n_c), key=lambda c: _rank_key(overall[c].estimate.value))
    versus: tuple[Versus, ...] = ()
    if n_c > 1:
        lines = [overall[c] for c in order]
        versus = (
            _sequential_versus(lines, level) if sequential else _against_leader(evidence, sums, order, level)
        )
    return Leaderboard(
        overall=tuple(overall[c] for c in order),
        by_suite=tuple(line for c in order for line in by_suite[c]),
        versus=versus,
        sentence=_sentence([overall[c] for c in order], versus, coverage_floor),
        level=level,
    )


def _rank_key(value: Figure) -> float:
    return -value if is_known(value) else math.inf


def _line(e: Evidence, sums: Tally, at: tuple[int, int], level: float, sequential: Estimate | None) -> Line:
    c, s = at
    mine = sums.spans[s]
    graded, planned, value_sum = sums.graded[c][mine], e.planned[c][mine], sums.value_sum[c][mine]
    n_graded, n_planned = int(graded.sum()), int(planned.sum())
    # without a graded trial a stopping rule knows the bounds only, and their middle is no score
    estimate = (sequential if n_graded else None) or _mean(value_sum, graded, e.clusters[mine], level)
    low, high = bounds(value_sum, graded, planned)

    def total(name: str) -> float:
        return float(sums.totals[name][c, s])

    ungraded = int(total("ungraded"))
    out, tokens_in = total("output_tokens"), total("input_tokens")
    seconds, speed = _speed(e, sums, c, slice(s, s + 1))
    cost: Figure = (total("cost_pusd") + total("other_cost_pusd")) / 1e12
    if total("unpriced") + total("other_unpriced") > 0:
        cost = Unknown("the cost of some attempts is not known")
    metered = out + tokens_in > 0
    return Line(
        contestant=e.contestants[c],
        suite=e.suites[s],
        estimate=estimate,
        coverage=n_graded / n_planned if n_planned else 0.0,
        all_wrong=low,
        all_right=high,
        n_planned=n_planned,
        n_graded=n_graded,
        n_ungraded=ungraded,
        n_waiting=max(0, n_planned - n_graded - ungraded),
        cost_dollars=cost,
        cost_per_trial=cost / (n_graded + ungraded) if is_known(cost) and n_graded + ungraded else _no(cost),
        seconds=seconds,
        tokens_per_second=speed,
        input_tokens=tokens_in if metered else Unknown("tokens not reported"),
        output_tokens=out if metered else Unknown("tokens not reported"),
        abstained=int(total("abstained")),
        format_failures=int(total("format_failures")),
        refused=int(total("refused")),
        truncated=int(total("truncated")),
    )


def _speed(e: Evidence, sums: Tally, c: int, suites: slice) -> tuple[Figure, Figure]:
    """(mean seconds of an answer, output tokens a second) over some suites. An attempt that broke has no time."""
    seconds, timed, out = (
        float(sums.totals[name][c, suites].sum()) for name in ("seconds", "timed", "output_tokens")
    )
    if seconds <= 0 or timed <= 0:
        return Unknown("no attempt was timed"), Unknown("tokens or times not reported")
    if c in e.agents:
        return seconds / timed, NO_SPEED
    return seconds / timed, out / seconds if out > 0 else Unknown("tokens or times not reported")


def _no(cost: Figure) -> Unknown:
    return cost if isinstance(cost, Unknown) else Unknown("no trial ended")


def _mean(value_sum: FloatArray, graded: FloatArray, clusters: IntArray, level: float) -> Estimate:
    has = graded > 0
    if not has.any():
        none = Unknown("no graded trial")
        return Estimate(none, none, none, "mean over tasks", 0, 0, 0)
    n_trials = int(graded.sum())
    if has.all():
        table = grouped(value_sum / graded, clusters, n_trials)
    else:
        table = grouped(value_sum[has] / graded[has], clusters[has], n_trials)
    return estimate_mean(table, level=level, bounds=(0.0, 1.0), method="mean over tasks")


def _over_suites(lines: Sequence[Line], level: float, speed: tuple[Figure, Figure]) -> Line:
    """The plain mean over suites; suites are independent, so variances add. Times are over all answers."""
    n = len(lines)
    values = [line.estimate.value for line in lines]
    known = [v for v in values if is_known(v)]
    value: Figure = sum(known) / n if len(known) == n else Unknown("a suite has no graded trial")
    interval: Interval | Unknown = Unknown("a suite has no interval")
    ends = [line.estimate.interval for line in lines]
    bands = [i for i in ends if is_known(i)]
    if is_known(value) and len(bands) == n:
        interval = _mean_of_intervals(value, known, bands, level)
    ses = [line.estimate.se for line in lines]
    known_se = [x for x in ses if is_known(x)]
    se: Figure = (
        math.sqrt(sum(x * x for x in known_se)) / n if len(known_se) == n else Unknown("a suite has no SE")
    )
    estimate = Estimate(
        value,
        se,
        interval,
        "mean of suites",
        sum(line.estimate.n_trials for line in lines),
        sum(line.estimate.n_tasks for line in lines),
        sum(line.estimate.n_clusters for line in lines),
    )

    def total(name: str) -> Figure:
        parts: list[Figure] = [getattr(line, name) for line in lines]
        whole = [p for p in parts if is_known(p)]
        return sum(whole) if len(whole) == n else next(p for p in parts if not is_known(p))

    def mean(name: str) -> Figure:
        whole = total(name)
        return whole / n if is_known(whole) else whole

    graded = sum(line.n_graded for line in lines)
    planned = sum(line.n_planned for line in lines)
    cost = total("cost_dollars")
    ended = graded + sum(line.n_ungraded for line in lines)
    return Line(
        contestant=lines[0].contestant,
        suite="",
        estimate=estimate,
        coverage=graded / planned if planned else 0.0,
        all_wrong=mean("all_wrong"),
        all_right=mean("all_right"),
        n_planned=planned,
        n_graded=graded,
        n_ungraded=ended - graded,
        n_waiting=sum(line.n_waiting for line in lines),
        cost_dollars=cost,
        cost_per_trial=cost / ended if is_known(cost) and ended else _no(cost),
        seconds=speed[0],
        tokens_per_second=speed[1],
        input_tokens=total("input_tokens"),
        output_tokens=total("output_tokens"),
        abstained=sum(line.abstained for line in lines),
        format_failures=sum(line.format_failures for line in lines),
        refused=sum(line.refused for line in lines),
        truncated=sum(line.truncated for line in lines),
    )


def _mean_of_intervals(
    value: float, values: Sequence[float], bands: Sequence[Interval], level: float
) -> Interval:
    """MOVER (Zou and Donner 2008): limits of a mean of independent estimates from the limits of each."""
    n = len(values)
    down = math.sqrt(sum((v - b.low) ** 2 for v, b in zip(values, bands, strict=True))) / n
    up = math.sqrt(sum((b.high - v) ** 2 for v, b in zip(values, bands, strict=True))) / n
    return Interval(max(0.0, value - down), min(1.0, value + up), level, "MOVER over suites")


def _against_leader(e: Evidence, sums: Tally, order: Sequence[int], level: float) -> tuple[Versus, ...]:
    """The leader against each other one, paired by task; Bonferroni over the comparisons."""
    leader = order[0]
    corrected = 1 - (1 - level) / (len(order) - 1)
    out = []
    for other in order[1:]:
        a, b = sums.graded[leader], sums.graded[other]
        both = (a > 0) & (b > 0)
        if not both.any():
            none = Unknown("no task is graded for both")
            nothing = Estimate(none, none, none, "paired by task", 0, 0, 0)
            out.append(Versus(e.contestants[leader], e.contestants[other], nothing, "undecided"))
            continue
        diff = sums.value_sum[leader][both] / a[both] - sums.value_sum[other][both] / b[both]
        weights = _suite_weights(e.suite_of[both])
        unit = coded(e.clusters[both])
        own = None if bool(np.all(weights == 1.0)) else weights
        table = cluster_sums(diff, unit, n_trials=int((a[both] + b[both]).sum()), weights=own)
        estimate = estimate_mean(table, level=corrected, bounds=None, method="paired by task")
        if estimate.n_clusters > 1:
            # as `compare` has it: Student's t is too sure of a few tasks
            estimate = replace(estimate, interval=difference_interval(diff, unit, corrected, own))
        verdict = "undecided"
        if is_known(estimate.interval) and estimate.interval.low > 0:
            p, test = difference_p(table, diff, estimate)
            # as `compare` has it: few tasks that differ must convince the exact test, too
            if is_known(p) and p > 1 - corrected:
                estimate = replace(estimate, notes=(*estimate.notes, f"{test}: p = {p:.3f}"))
            else:
                verdict = "better"
        out.append(Versus(e.contestants[leader], e.contestants[other], estimate, verdict))
    return tuple(out)


def _sequential_versus(lines: Sequence[Line], level: float) -> tuple[Versus, ...]:
    """The leader against each other one after adaptive spending.

    Trials went where each contestant's own score needed them, so a paired mean over all trials would not be honest. The
    difference's limits come from the two contestants' intervals, which hold at every look (MOVER, Zou and Donner
    2008), each arm widened from `level` to the level corrected for the comparisons made.
    """
    leader = lines[0]
    corrected = 1 - (1 - level) / (len(lines) - 1)
    wider = float(special.ndtri(0.5 + corrected / 2) / special.ndtri(0.5 + level / 2))
    out = []
    for other in lines[1:]:
        a, b = leader.estimate, other.estimate
        if not (is_known(a.value) and is_known(b.value) and is_known(a.interval) and is_known(b.interval)):
            none = Unknown("a score has no interval")
            nothing = Estimate(none, none, none, "difference of sequential scores", 0, 0, 0)
            out.append(Versus(leader.contestant, other.contestant, nothing, "undecided"))
            continue
        d = a.value - b.value
        down = wider * math.hypot(a.value - a.interval.low, b.interval.high - b.value)
        up = wider * math.hypot(a.interval.high - a.value, b.value - b.interval.low)
        interval = Interval(
            max(-1.0, d - down), min(1.0, d + up), corrected, "MOVER of intervals valid at every look"
        )
        se: Figure = Unknown("a confidence sequence has no standard error")
        n = min(a.n_tasks, b.n_tasks)
        estimate = Estimate(d, se, interval, "difference of sequential scores", a.n_trials + b.n_trials, n, n)
        out.append(
            Versus(
                leader.contestant, other.contestant, estimate, "better" if interval.low > 0 else "undecided"
            )
        )
    return tuple(out)


def _suite_weights(suite_of: IntArray) -> FloatArray:
    """Weights with mean 1 that make every suite count once."""
    counts = np.bincount(suite_of)
    present = np.count_nonzero(counts)
    return np.asarray(suite_of.size / (present * counts[suite_of]), dtype=np.float64)


def _sentence(overall: Sequence[Line], versus: Sequence[Versus], coverage_floor: float) -> str:
    thin = [line for line in overall if line.coverage < coverage_floor]
    if thin:
        names = _listed([f"{line.contestant} {line.coverage:.0%}" for line in thin])
        return f"No verdict: coverage is below the floor of {coverage_floor:.0%} ({names})."
    if not versus:
        best = overall[0].estimate
        if not is_known(best.value):
            return f"{overall[0].contestant}: {best.value}."
        if not is_known(best.interval):
            return f"{overall[0].contestant} scores {best.value:.1%}; its interval is {best.interval}."
        i = best.interval
        return f"{overall[0].contestant} scores {best.value:.1%}, {i.level:.0%} interval {i.low:.1%} to {i.high:.1%}."
    better = [v for v in versus if v.verdict == "better"]
    open_ = [v for v in versus if v.verdict != "better"]
    leader = versus[0].leader
    if not better and all(v.difference.value == 0 for v in versus):
        return (
            f"Undecided: {leader} and {versus[0].other if len(versus) == 1 else 'all others'} score the same."
        )
    if not better:
        close = next(
            (v for v in versus if is_known(v.difference.interval) and v.difference.interval.low > 0), None
        )
        if close is None:
            return f"Undecided: {leader} leads, but no difference from it is clear yet."
        test = close.difference.notes[-1]
        return f"Undecided: {leader} leads by {_effect(close)}, but too few tasks differ ({test})."
    effect = _effect(better[0])
    if not open_:
        return f"{leader} is better than all others: {effect}."
    over, names = _listed([v.other for v in better]), _listed([v.other for v in open_])
    return f"{leader} is better than {over} ({effect}); undecided against {names}."


def _effect(v: Versus) -> str:
    """Points, over whom, and the interval; both are known."""
    d = v.difference
    assert is_known(d.value)
    assert is_known(d.interval)
    span = f"{100 * d.interval.low:.1f} to {100 * d.interval.high:.1f}"
    return f"{100 * d.value:.1f} points over {v.other} ({span})"


def _listed(names: Sequence[str]) -> str:
    """Names as a sentence can hold them: all of a few, of many the first and how many more."""
    if len(names) <= NAMED:
        return ", ".join(names)
    return f"{', '.join(names[: NAMED - 1])} and {len(names) - NAMED + 1} more"
