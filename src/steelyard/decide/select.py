"""The cheapest sufficient contestant of every stage of the user's own pipeline, and what would change that.

Does not extrapolate from one stage to another, and does not multiply stages into a score of the whole. A
contestant is *sufficient* when every requirement of the stage is shown: quality within the margin of every
other contestant (or above a floor), every limit held. It is *rejected* when one is refuted, *open*
otherwise. All requirements must be shown at once (an intersection-union test), so that none needs a
correction for the others; the candidates share the error (Bonferroni), so that the chance that an
insufficient contestant is called sufficient is at most 1 - confidence.

Quality: the paired, cluster-robust interval of `stats.paired`, one end. Quantiles: "p95 under 2 s" is
"fewer than 5 % of trials take longer", by the cluster-robust Clopper-Pearson limit. Means of cost and
seconds: Student's t over tasks, corrected for skew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from steelyard.decide.coverage import Counted, counts
from steelyard.decide.front import front
from steelyard.decide.objective import Limit, Stage
from steelyard.decide.pilot import mean_cost, split_of, task_sums
from steelyard.decide.results import Results
from steelyard.decide.selection import (
    Candidate,
    Change,
    Requirement,
    Selection,
    StageChoice,
    Standing,
)
from steelyard.errors import DataError
from steelyard.stats.base import Coded, Estimate, Figure, Interval, codes, nested
from steelyard.stats.clusters import clustered_rate
from steelyard.stats.paired import PairedOptions, TaskPairs, mean_difference
from steelyard.stats.planning import Goal, tasks_needed
from steelyard.stats.twolevel import two_level
from steelyard.unknown import Unknown, is_known

METHODS = {
    "cost": "mean over trials with a known cost",
    "seconds": "mean over graded trials with a known time",
    "quality": "mean over the common tasks of the task's mean (front)",
    "price": "mean over the common tasks of the task's mean cost or seconds",
    "on_front": "nobody is at least as good and at most as dear, and better in one, by the means",
    "confidence": "share of 2,000 bootstrap samples of tasks (whole clusters) in which it is on the front",
    "cheapest": "share of 2,000 bootstrap samples of tasks (whole clusters) in which its price is the lowest",
    "confidence_in_price": "share of 2,000 bootstrap samples in which the chosen one has the lowest price",
    "gap": "observed figure less what it is held against",
    "tasks": "Miller 2024, eq. 9, at the observed gap and the stage's confidence, power 0.8",
}
"""How the figures are made that do not carry a method of their own."""


def select(results: Results, stages: tuple[Stage, ...], *, seed: int = 0) -> Selection:
    """Choose for every stage. Raises DataError when a stage has no rows, one contestant, or no price to
    prefer by."""
    choices = tuple(choose(results, stage, seed=seed) for stage in stages)
    return Selection(choices, _total(choices))


def choose(
    results: Results, stage: Stage, *, seed: int = 0, covered: Sequence[Counted] | None = None
) -> StageChoice:
    """The choice of one stage.

    Of a table whose rows are tasks' means (`results_of_cells`) `covered` says how many trials were planned and graded:
    the coverage floor is held against it. It must be of the same rows, so not with `where`.
    """
    table = results.where(stage.where) if stage.where else results
    if stage.contestants:
        table = table.of(stage.contestants)
    objective = stage.objective
    if len(table.names) < 2 and objective.within is not None:
        raise DataError(
            f"stage {stage.name}: one contestant",
            wanted="two or more",
            got=", ".join(table.names),
            fix="add rows of another contestant, or check the stage's `where`",
        )
    metric = "seconds" if objective.prefer == "fastest" else "cost"
    alpha = (1.0 - objective.confidence) / len(table.names)
    known = {c.contestant: c for c in (counts(table) if covered is None else covered)}
    pairs = _Differences(table, alpha) if objective.within is not None else None
    candidates = tuple(_candidate(table, known[name], stage, pairs, alpha) for name in table.names)
    order = _preference(candidates, stage)
    sufficient = [c for c in order if c.standing is Standing.SUFFICIENT]
    chosen: str | Unknown = Unknown("nobody is shown to be sufficient")
    provisional = ""
    if sufficient:
        chosen = sufficient[0].contestant
        ahead = order[: order.index(sufficient[0])]
    else:
        ahead = order
        guesses = [c for c in candidates if c.standing is Standing.OPEN] or list(candidates)
        provisional = max(
            guesses, key=lambda c: c.quality.value if is_known(c.quality.value) else -np.inf
        ).contestant
    price = _price_confidence(table, [c.contestant for c in sufficient], objective.prefer, seed)
    changes = [_change(table, c, stage, alpha) for c in ahead if c.standing is Standing.OPEN]
    return StageChoice(
        stage.name, objective.sentence(), chosen, provisional, price, candidates,
        front(table, metric, seed=seed), tuple(changes), results.notes,
    )  # fmt: skip


class _Differences:
    """The paired difference of each two contestants over the tasks that both have: tasks' means are made once."""

    def __init__(self, table: Results, alpha: float) -> None:
        self._how = PairedOptions(level=1.0 - 2.0 * alpha, bounds=table.bounds)
        self._sums = {name: task_sums(table, name) for name in table.names}
        self._means = {name: s.means for name, s in self._sums.items()}
        self._unit = np.arange(table.task.size)
        if table.cluster is not None:
            self._unit = nested(table.task, table.cluster)
        self._whole = codes(self._unit, "cluster")
        self.names = tuple(name for name in table.names if self._sums[name].counts.any())

    def of(self, baseline: str, contestant: str) -> Estimate:
        """Contestant less baseline. Raises DataError when they share no task."""
        a, b = self._sums[baseline].counts, self._sums[contestant].counts
        both = (a > 0) & (b > 0)
        n = int(both.sum())
        if not n:
            raise DataError(f"no task has a score of both {baseline} and {contestant}")
        tasks = Coded(np.arange(n), range(n))
        cluster = self._whole if n == both.size else codes(self._unit[both], "cluster")
        trials = a[both] + b[both]
        dropped = int(((a > 0) | (b > 0)).sum()) - n
        one, two = self._means[baseline][both], self._means[contestant][both]
        single = bool((trials == 2).all())
        pairs = TaskPairs(tasks, one, two, cluster, int(trials.sum()), single, dropped)
        return mean_difference(pairs, self._how)


def _candidate(
    table: Results, covered: Counted, stage: Stage, pairs: _Differences | None, alpha: float
) -> Candidate:
    name = covered.contestant
    mine = table.contestant.index == table.names.index(name)
    rows = mine & table.graded
    seconds = _mean_of(table.seconds, rows)
    money = mean_cost(table, name)
    cost: Figure = Unknown("no cost is known") if money is None else money
    if covered.graded == 0 or covered.share < stage.coverage:
        none = Unknown("too few trials are graded")
        blank = Estimate(none, none, none, "none", covered.graded, 0, 0)
        why = f"{covered.sentence}; the floor is {stage.coverage:.0%}"
        return Candidate(name, Standing.OPEN, blank, cost, seconds, (), why)
    clusters = None if table.cluster is None else table.cluster.index[rows]
    level = stage.objective.confidence
    quality = two_level(
        table.score[rows], table.task.index[rows], clusters=clusters, level=level, bounds=table.bounds
    ).estimate
    # of a table of tasks' means the number of trials is not that of its rows
    quality = replace(quality, n_trials=covered.graded)
    needed = [
        *_quality(table, name, stage, pairs, alpha),
        *(_limit(table, rows, x, alpha) for x in stage.objective.limits),
    ]
    standing = Standing.SUFFICIENT
    why = "every requirement is shown"
    for found in (Standing.REJECTED, Standing.OPEN):
        lacking = [r for r in needed if r.standing is found]
        if lacking:
            standing, why = found, "; ".join(r.sentence for r in lacking)
            break
    return Candidate(name, standing, quality, cost, seconds, tuple(needed), why)


def _quality(
    table: Results, name: str, stage: Stage, pairs: _Differences | None, alpha: float
) -> list[Requirement]:
    objective, needed = stage.objective, []
    if objective.within is not None and pairs is not None:
        for rival in pairs.names:
            if rival == name:
                continue
            difference = pairs.of(rival, name)
            edge = -objective.within
            standing, text = _held(difference.value, difference.interval, edge)
            sentence = f"{name} less {rival}: {text}, wanted above {edge:g}"
            gap = difference.value - edge if is_known(difference.value) else difference.value
            needed.append(
                Requirement("quality", standing, difference.value, difference.interval, sentence, rival, gap)
            )
    if objective.at_least is not None:
        rows = table.graded & (table.contestant.index == table.names.index(name))
        clusters = None if table.cluster is None else table.cluster.index[rows]
        mean = two_level(
            table.score[rows],
            table.task.index[rows],
            clusters=clusters,
            level=1.0 - 2.0 * alpha,
            bounds=table.bounds,
        ).estimate
        standing, text = _held(mean.value, mean.interval, objective.at_least)
        gap = mean.value - objective.at_least if is_known(mean.value) else mean.value
        sentence = f"{name}: {text}, wanted at least {objective.at_least:g}"
        needed.append(Requirement("quality", standing, mean.value, mean.interval, sentence, "", gap))
    return needed


def _held(value: Figure, interval: Interval | Unknown, edge: float) -> tuple[Standing, str]:
    if isinstance(interval, Unknown) or isinstance(value, Unknown):
        return Standing.OPEN, str(interval if isinstance(interval, Unknown) else value)
    text = f"{value:.4f} [{interval.low:.4f}, {interval.high:.4f}]"
    # an edge of 0 (as good as the best) is held by a tie that is shown, too
    if interval.low >= edge:
        return Standing.SUFFICIENT, text
    return (Standing.REJECTED if interval.high < edge else Standing.OPEN), text


def _limit(table: Results, rows: np.ndarray, limit: Limit, alpha: float) -> Requirement:
    column = table.seconds if limit.metric == "seconds" else table.cost
    known = rows if column is None else rows & np.isfinite(column)
    if column is None or not known.any():
        none = Unknown(f"no {limit.metric} is known")
        return Requirement(limit.name, Standing.OPEN, none, none, f"{limit.name}: {none.reason}")
    units = table.task.index if table.cluster is None else table.cluster.index
    level = 1.0 - 2.0 * alpha
    if limit.quantile is None:
        clusters = None if table.cluster is None else table.cluster.index[known]
        mean = two_level(
            column[known], table.task.index[known], clusters=clusters, level=level, bounds=None
        ).estimate
        standing, text = _held(_negative(mean.value), _turned(mean.interval), -limit.at_most)
        text = f"{mean.value if isinstance(mean.value, Unknown) else format(mean.value, '.4g')}"
        sentence = f"{limit.name} {text} {_ends(mean.interval)}, wanted at most {limit.at_most:g}"
        return Requirement(limit.name, standing, mean.value, mean.interval, sentence)
    over = (column[known] > limit.at_most).astype(np.float64)
    rate = clustered_rate(over, units[known], level=level, form="beta")
    allowed = 1.0 - limit.quantile
    standing = Standing.OPEN
    if not isinstance(rate.interval, Unknown):
        if rate.interval.high <= allowed:
            standing = Standing.SUFFICIENT
        elif rate.interval.low > allowed:
            standing = Standing.REJECTED
    observed = float(np.quantile(column[known], limit.quantile))
    sentence = (
        f"{limit.name} {observed:.4g}, {over.mean():.1%} above {limit.at_most:g} {_ends(rate.interval)}, "
        f"wanted at most {allowed:.1%}"
    )
    return Requirement(limit.name, standing, observed, rate.interval, sentence)


def _preference(candidates: tuple[Candidate, ...], stage: Stage) -> list[Candidate]:
    """Candidates with a known price, the preferred first."""
    prefer = stage.objective.prefer

    def price(c: Candidate) -> Figure:
        if prefer == "best":
            return _negative(c.quality.value)
        return c.seconds if prefer == "fastest" else c.cost

    known = [(p, k, c) for k, c in enumerate(candidates) if is_known(p := price(c))]
    if not known:
        column = {"best": "score", "fastest": "seconds", "cheapest": "cost"}[prefer]
        raise DataError(
            f"stage {stage.name}: nobody's {column} is known", wanted=f"a {column} column",
            fix=f"add {column}, or prefer something else (cheapest, fastest, best)",
        )  # fmt: skip
    return [c for _, _, c in sorted(known, key=lambda x: (x[0], x[1]))]


def _price_confidence(table: Results, sufficient: list[str], prefer: str, seed: int) -> Figure:
    if prefer == "best":
        return Unknown("quality is preferred, not a price")
    if not sufficient:
        return Unknown("nobody is shown to be sufficient")
    points = front(table, "seconds" if prefer == "fastest" else "cost", seed=seed, only=sufficient)
    mine = [p.cheapest for p in points if p.contestant == sufficient[0]]
    return mine[0] if mine else Unknown("fewer than two common tasks with a price")


def _change(table: Results, candidate: Candidate, stage: Stage, alpha: float) -> Change:
    """The tasks that would settle an open candidate: its hardest open requirement of quality decides."""
    tasks = table.task.size
    trials = max(1, round(table.rows / tasks / len(table.names)))
    worst = 0
    toward = "shown to be sufficient"
    for r in candidate.requirements:
        if r.standing is not Standing.OPEN or isinstance(r.gap, Unknown) or r.gap == 0.0:
            continue
        names = (r.rival, candidate.contestant) if r.rival else (candidate.contestant,)
        try:
            split = split_of(table, names)
        except DataError:
            continue
        goal = Goal(difference=abs(r.gap), level=1.0 - 2.0 * alpha)
        worst = max(worst, tasks_needed(split, goal, (trials,) * len(names)))
        if r.gap < 0:
            toward = "rejected"
    if worst == 0:
        why = f"{candidate.contestant}: {candidate.why}"
        return Change(candidate.contestant, tasks, 0, trials, Unknown("not a matter of more tasks"), why)
    more = max(worst - tasks, 0)
    rivals = {r.rival for r in candidate.requirements if r.rival and r.standing is Standing.OPEN}
    prices = [mean_cost(table, n) for n in (candidate.contestant, *sorted(rivals))]
    cost: Figure = Unknown("no cost is known")
    if all(p is not None for p in prices):
        cost = more * trials * float(sum(p for p in prices if p is not None))
    sentence = (
        f"{candidate.contestant} would likely be {toward} with about {worst} tasks of {trials} trials "
        f"({more} more), if the truth is what was observed"
    )
    return Change(candidate.contestant, worst, more, trials, cost, sentence)


def _total(choices: tuple[StageChoice, ...]) -> Figure:
    total = 0.0
    for choice in choices:
        cost = next((c.cost for c in choice.candidates if c.contestant == choice.chosen), None)
        if cost is None or isinstance(cost, Unknown):
            return Unknown(f"stage {choice.stage} has no choice with a known cost")
        total += cost
    return total


def _mean_of(column: np.ndarray | None, rows: np.ndarray) -> Figure:
    if column is None or not np.isfinite(column[rows]).any():
        return Unknown("not known")
    return float(np.nanmean(column[rows]))


def _negative(value: Figure) -> Figure:
    return value if isinstance(value, Unknown) else -value


def _turned(interval: Interval | Unknown) -> Interval | Unknown:
    return interval if isinstance(interval, Unknown) else interval.scaled(-1.0)


def _ends(interval: Interval | Unknown) -> str:
    return str(interval) if isinstance(interval, Unknown) else f"[{interval.low:.4g}, {interval.high:.4g}]"
