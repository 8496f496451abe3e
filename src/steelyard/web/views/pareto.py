"""View 9: quality against cost or seconds, with error bars, the front, who is sufficient, and one picked."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.decide.front import FrontPoint, price_estimates
from steelyard.decide.objective import Objective, Stage
from steelyard.decide.select import choose
from steelyard.decide.selection import Candidate, StageChoice
from steelyard.errors import DataError
from steelyard.ledger.base import RunInfo
from steelyard.ledger.runs import counts_of_cells, results_of_cells, results_of_run
from steelyard.stats.base import Estimate
from steelyard.unknown import Unknown, is_known
from steelyard.web import plots
from steelyard.web.ask import Ask
from steelyard.web.base import Table, View
from steelyard.web.desk import Desk

MANY = 20_000
"""Planned trials from which on a task's trials are read as their mean (see `results_of_cells`)."""
MARGINS = ("1", "2", "5", "10")
AXES = ("cost", "seconds")


@dataclass(frozen=True, slots=True)
class Dot:
    """A contestant as a point. `x`, `y` and the ends of its bars are pixels, None where there is no interval."""

    contestant: str
    quality: Estimate
    price: Estimate | Unknown
    point: FrontPoint | None
    standing: str
    why: str
    requirements: tuple[str, ...]
    x: float | None
    y: float | None
    x_bar: tuple[float, float] | None
    y_bar: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class ParetoPage:
    """The choice of `steelyard select` for one objective, drawn; `sufficient_y` is its line."""

    run: RunInfo
    axis: str
    within: str
    floor: str
    choice: StageChoice | None
    reason: str
    dots: tuple[Dot, ...]
    x_axis: plots.Axis | None
    y_axis: plots.Axis | None
    front: tuple[tuple[float, float], ...]
    sufficient: float | Unknown
    sufficient_y: float | None
    pick: Dot | None
    objective: str
    notes: tuple[str, ...]

    @property
    def title(self) -> str:
        """The run."""
        return f"Quality and {'cost' if self.axis == 'cost' else 'time'} · {self.run.name or self.run.run}"

    @property
    def labels(self) -> dict[str, float]:
        """Where each point's name stands: above it, moved away from names that would lie on it."""
        placed: list[tuple[float, float]] = []
        out = {}
        for d in sorted(self.dots, key=lambda d: d.y or 0.0):
            if d.x is None or d.y is None:
                continue
            y = d.y - 9
            while any(abs(y - other) < 15 and abs(d.x - x) < 260 for x, other in placed):
                y += 4
            placed.append((d.x, y))
            out[d.contestant] = y
        return out

    @property
    def pipeline(self) -> str:
        """The file that the command reads."""
        return f"stages:\n  - name: all\n    objective: {self.objective}\n"

    @property
    def command(self) -> str:
        """None but `steelyard page`: `steelyard select` reads a file, which the page shows."""
        return ""

    def table(self) -> Table:
        """One row a contestant."""
        a = self.axis
        columns = ("contestant", "quality", "low", "high", a, f"{a}_low", f"{a}_high", "on_front", "front_confidence",
                   "standing")  # fmt: skip
        return Table(columns, map(_row, self.dots))


def _row(d: Dot) -> tuple[object, ...]:
    q, p = d.quality.interval, d.price if isinstance(d.price, Unknown) else d.price.interval
    value = d.price if isinstance(d.price, Unknown) else d.price.value
    return (d.contestant, d.quality.value, *((q.low, q.high) if is_known(q) else (q, q)), value,
            *((p.low, p.high) if is_known(p) else (p, p)), d.point.on_front if d.point else None,
            d.point.confidence if d.point else None, d.standing)  # fmt: skip


def build(desk: Desk, ask: Ask) -> ParetoPage:
    """The run's contestants on two axes."""
    run = desk.run(ask.param("run"))
    large = run.n_tasks * len(run.contestants) * desk.ledger.plan(run.run).trials.count > MANY
    priced = desk.cached(run, ("priced",), lambda: _has_cost(desk, run))
    axis = ask.one_of("axis", AXES, "cost" if priced else "seconds")
    within, floor = ask.text("within", "2"), ask.text("floor")
    objective = _objective(within, floor, axis)
    made = desk.cached(
        run, ("pareto", axis, within, floor), lambda: _choice(desk, run, objective, large=large)
    )
    if isinstance(made, Unknown):
        return _nothing(run, ask, made.reason)
    notes = ["error bars: 95 %, over tasks (clusters)"]
    if large:
        notes.append(
            f"over {MANY:,} trials: a task's trials are taken as their mean, tasks with an unknown cost left out"
        )
    return _drawn(run, ask, made, objective, axis, tuple(notes))


def _has_cost(desk: Desk, run: RunInfo) -> bool:
    return bool((desk.ledger.cells(run.run).columns["cost_pusd"] > 0).any())


def _objective(within: str, floor: str, axis: str) -> Objective:
    prefer = "cheapest" if axis == "cost" else "fastest"
    try:
        if floor:
            value = float(floor)
            if not 0 <= value <= 1:
                raise ValueError(floor)
            return Objective(within=None, at_least=value, prefer=prefer)
        points = float(within)
        if not 0 <= points <= 100:
            raise ValueError(within)
        return Objective(within=points / 100, prefer=prefer)
    except ValueError:
        raise DataError("?within or ?floor", wanted="points from 0 to 100, or a score from 0 to 1") from None


Made = tuple[StageChoice, dict[str, Estimate]] | Unknown


def _choice(desk: Desk, run: RunInfo, objective: Objective, *, large: bool) -> Made:
    metric = "cost" if objective.prefer == "cheapest" else "seconds"
    try:
        # made and dropped: the table of a million trials is not worth its memory
        table = (
            results_of_cells(desk.ledger, run.run, amounts=("cost", "seconds"))
            if large
            else results_of_run(desk.ledger, run.run, amounts=True)
        )
        covered = counts_of_cells(desk.ledger, run.run) if large else None
        return choose(table, Stage("all", objective), covered=covered), price_estimates(table, metric)
    except DataError as e:
        return Unknown(e.message)


def _nothing(run: RunInfo, ask: Ask, reason: str) -> ParetoPage:
    axis = ask.one_of("axis", AXES, "cost")
    return ParetoPage(
        run, axis, "2", "", None, reason, (), None, None, (), Unknown(reason), None, None, "", ()
    )


def _drawn(
    run: RunInfo,
    ask: Ask,
    made: tuple[StageChoice, dict[str, Estimate]],
    objective: Objective,
    axis: str,
    notes: tuple[str, ...],
) -> ParetoPage:
    choice, prices = made
    values = [e for c in choice.candidates for e in _ends(c.quality)]
    best = max((c.quality.value for c in choice.candidates if is_known(c.quality.value)), default=None)
    line: float | Unknown = Unknown("no quality is known")
    if objective.at_least is not None:
        line = objective.at_least
    elif best is not None and objective.within is not None:
        line = best - objective.within
    across = [e for c in choice.candidates if c.contestant in prices for e in _ends(prices[c.contestant])]
    positive = [v for v in across if v > 0]
    x_axis = y_axis = None
    if values and positive:
        log = ask.one_of("scale", ("", "linear", "log"), "")
        wide = max(positive) / min(positive) > 20
        logarithmic = log == "log" or (not log and wide)
        x_axis = plots.axis(
            positive if logarithmic else across, plots.LEFT, plots.WIDTH - plots.RIGHT, log=logarithmic
        )
        ys = [100 * v for v in (*values, *([line] if is_known(line) else []))]
        y_axis = plots.axis(ys, plots.HEIGHT - plots.BOTTOM, plots.TOP)
    points = {p.contestant: p for p in choice.front}
    dots = tuple(
        _dot(c, prices.get(c.contestant), points.get(c.contestant), x_axis, y_axis) for c in choice.candidates
    )
    on = [d for d in dots if d.point and d.point.on_front and d.x is not None and d.y is not None]
    steps = tuple(sorted((d.x, d.y) for d in on if d.x is not None and d.y is not None))
    picked = ask.text("pick")
    return ParetoPage(
        run=run,
        axis=axis,
        within=ask.text("within", "2"),
        floor=ask.text("floor"),
        choice=choice,
        reason="" if x_axis else f"no {axis} is known",
        dots=dots,
        x_axis=x_axis,
        y_axis=y_axis,
        front=steps,
        sufficient=line,
        sufficient_y=y_axis.at(100 * line) if y_axis and is_known(line) else None,
        pick=next((d for d in dots if d.contestant == picked), None),
        objective=objective.sentence(),
        notes=(*notes, *choice.notes),
    )


def _ends(e: Estimate) -> list[float]:
    out = [e.value] if is_known(e.value) else []
    return [*out, e.interval.low, e.interval.high] if is_known(e.interval) else out


def _dot(
    c: Candidate, price: Estimate | None, point: FrontPoint | None, x: plots.Axis | None, y: plots.Axis | None
) -> Dot:
    cost: Estimate | Unknown = price if price is not None else Unknown("no price is known")
    return Dot(
        contestant=c.contestant,
        quality=c.quality,
        price=cost,
        point=point,
        standing=str(c.standing),
        why=c.why,
        requirements=tuple(r.sentence for r in c.requirements),
        x=_pixel(x, cost if isinstance(cost, Unknown) else cost.value, 1),
        y=_pixel(y, c.quality.value, 100),
        x_bar=_bar(x, cost, 1),
        y_bar=_bar(y, c.quality, 100),
    )


def _pixel(axis: plots.Axis | None, value: float | Unknown, factor: float) -> float | None:
    if axis is None or not is_known(value) or (axis.log and value <= 0):
        return None
    return axis.at(factor * value)


def _bar(axis: plots.Axis | None, e: Estimate | Unknown, factor: float) -> tuple[float, float] | None:
    if axis is None or isinstance(e, Unknown) or not is_known(e.interval):
        return None
    low = e.interval.low if e.interval.low > 0 or not axis.log else axis.low / factor
    return axis.at(factor * low), axis.at(factor * e.interval.high)


VIEWS = (View("pareto", "/runs/{run}/pareto", build, tab="Pareto", order=50, key="o", style="charts.css"),)
