"""View 2: a run at a glance. The verdict, the leaderboard with intervals, coverage, cost, tokens and time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from steelyard.decide.leaderboard import Line, Versus
from steelyard.ledger.base import RunInfo
from steelyard.runner.results import Results, Stopped, notes
from steelyard.runner.trials import Why, whys
from steelyard.stats.base import Figure
from steelyard.unknown import is_known
from steelyard.web.ask import Ask
from steelyard.web.base import Table, View
from steelyard.web.desk import Desk
from steelyard.web.figures import points, span_points
from steelyard.web.tags import all_tags
from steelyard.web.views.runs import Live, live_of

SORTS = ("score", "contestant", "coverage", "cost", "per_trial", "seconds", "speed", "tokens")

LOOKED_AT = 300
"""Trials without a verdict whose causes are counted; of more, about a third of this from all over the run, and the page
says so."""


@dataclass(frozen=True, slots=True)
class SummaryPage:
    """The board of one run. `lines` are those of the chosen suite, of all suites when `suite` is empty."""

    run: RunInfo
    live: Live | None
    sentence: str
    level: float
    suite: str
    suites: tuple[str, ...]
    lines: tuple[Line, ...]
    versus: tuple[Versus, ...]
    notes: tuple[str, ...]
    whys: tuple[Why, ...]
    n_ungraded: int
    stopped: tuple[Stopped, ...]
    low: float
    high: float
    reach: float
    scorer: str
    scorers: tuple[str, ...]
    tags: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The run's name."""
        return self.run.name or self.run.run

    @property
    def command(self) -> str:
        """What prints the same; of another scorer than the newest only `steelyard page` does."""
        return "" if self.scorer else f"steelyard show {self.run.run}"

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdict, the differences and the notes, above the printed table."""
        said = [
            f"{v.leader} less {v.other}: {points(v.difference.value)} points ({span_points(v.difference)}), {v.verdict}"
            for v in self.versus
        ]
        return (self.sentence, *said, *self.notes)

    def table(self) -> Table:
        """One row a contestant."""
        columns = ("contestant", "suite", "score", "low", "high", "level", "method", "tasks", "graded", "ungraded",
                   "waiting", "planned", "coverage", "if_ungraded_wrong", "if_ungraded_right", "cost_dollars",
                   "dollars_per_trial", "seconds", "tokens_per_second", "input_tokens", "output_tokens", "abstained",
                   "format_failures", "refused", "truncated")  # fmt: skip
        return Table(columns, (_row(x, self.level) for x in self.lines))


def _row(x: Line, level: float) -> tuple[object, ...]:
    i = x.estimate.interval
    ends = (i.low, i.high, i.level) if is_known(i) else (i, i, level)
    return (x.contestant, x.suite, x.estimate.value, *ends, x.estimate.method, x.estimate.n_tasks, x.n_graded,
            x.n_ungraded, x.n_waiting, x.n_planned, x.coverage, x.all_wrong, x.all_right, x.cost_dollars,
            x.cost_per_trial, x.seconds, x.tokens_per_second, x.input_tokens, x.output_tokens, x.abstained,
            x.format_failures, x.refused, x.truncated)  # fmt: skip


def build(desk: Desk, ask: Ask) -> SummaryPage:
    """The run that the path names, sorted and cut to a suite as the query says."""
    run = desk.run(ask.param("run"))
    scorers = desk.cached(run, ("scorers",), lambda: desk.ledger.scorers(run.run))
    found = desk.results(run, ask.text("scorer"))
    suites = tuple(u.name for u in found.plan.suites)
    suite = ask.one_of("suite", ("", *suites), "")
    lines = [x for x in found.board.by_suite if x.suite == suite] if suite else list(found.board.overall)
    low, high = scale(lines)
    return SummaryPage(
        run=run,
        live=live_of(desk, run),
        sentence=found.board.sentence,
        level=found.board.level,
        suite=suite,
        suites=suites,
        lines=tuple(_sorted(lines, ask)),
        versus=found.board.versus,
        notes=tuple(notes(found)),
        whys=_whys(desk, run, found),
        n_ungraded=found.n_ungraded,
        stopped=found.stopped,
        low=low,
        high=high,
        reach=reach(found.board.versus),
        scorer=ask.text("scorer"),
        scorers=scorers,
        tags=all_tags(desk.ledger).get(run.run, ()),
    )


def _whys(desk: Desk, run: RunInfo, found: Results) -> tuple[Why, ...]:
    if not found.n_ungraded:
        return ()
    many = found.n_ungraded > LOOKED_AT
    most = LOOKED_AT // 3 if many else found.n_ungraded
    return desk.cached(run, ("whys", most), lambda: whys(desk.ledger, run.run, most=most, spread=many))


def scale(lines: Sequence[Line]) -> tuple[float, float]:
    """The ends of the axis on which all intervals of a page are drawn: tenths that hold every one of them."""
    # an axis cut to the data, and said so in the caption: differences of contestants are what is looked for
    ends = [e for x in lines if is_known(x.estimate.interval)
            for e in (x.estimate.interval.low, x.estimate.interval.high)]  # fmt: skip
    ends += [x.estimate.value for x in lines if is_known(x.estimate.value)]
    if not ends:
        return 0.0, 1.0
    return max(0.0, math.floor(10 * min(ends)) / 10), min(1.0, math.ceil(10 * max(ends)) / 10)


def reach(versus: Sequence[Versus]) -> float:
    """How far from zero the axis of the differences goes: tenths that hold every interval."""
    ends = [abs(e) for v in versus if is_known(v.difference.interval)
            for e in (v.difference.interval.low, v.difference.interval.high)]  # fmt: skip
    return min(1.0, max(1, math.ceil(10 * max(ends, default=1.0))) / 10)


def _figure(value: Figure) -> tuple[bool, float]:
    return (True, value) if is_known(value) else (False, 0.0)


_KEYS: dict[str, Callable[[Line], tuple[bool, float]]] = {
    "score": lambda x: _figure(x.estimate.value),
    "coverage": lambda x: (True, x.coverage),
    "cost": lambda x: _figure(x.cost_dollars),
    "per_trial": lambda x: _figure(x.cost_per_trial),
    "seconds": lambda x: _figure(x.seconds),
    "speed": lambda x: _figure(x.tokens_per_second),
    "tokens": lambda x: _figure(x.output_tokens),
}


def _sorted(lines: Sequence[Line], ask: Ask) -> list[Line]:
    """Unknown figures come last whichever way."""
    by = ask.one_of("sort", SORTS, "score")
    up = ask.one_of(
        "dir", ("up", "down"), "up" if by in ("contestant", "cost", "per_trial", "seconds") else "down"
    )
    if by == "contestant":
        return sorted(lines, key=lambda x: x.contestant.lower(), reverse=up == "down")
    key = _KEYS[by]
    sign = 1 if up == "up" else -1
    return sorted(lines, key=lambda x: (not key(x)[0], sign * key(x)[1]))


VIEWS = (View("summary", "/runs/{run}", build, tab="Summary", order=10, key="s"),)
