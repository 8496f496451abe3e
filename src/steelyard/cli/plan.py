"""`steelyard plan`: what it will cost to know."""

from __future__ import annotations

from dataclasses import dataclass

import click

from steelyard.cli.common import json_option
from steelyard.cli.out import data, emit_json, guarded
from steelyard.cli.source import load, maybe_source_options, pair, split_source
from steelyard.cli.verdicts import plan_text
from steelyard.errors import UsageError


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said, beside the source."""

    half_width: float | None
    difference: float | None
    power: float
    level: float
    baseline: str
    contestant: tuple[str, ...]
    price: tuple[str, ...]
    task_cost: float
    these_tasks: int | None
    max_tasks: int
    max_trials: int
    rate: float | None
    between: float | None
    noise: tuple[float, ...]
    as_json: bool


@click.command("plan")
@maybe_source_options
@click.option("--half-width", type=float, default=None, help="Know each score to +- this.")
@click.option(
    "--difference", type=float, default=None, help="Detect a difference of this size from the baseline."
)
@click.option("--power", default=0.8, show_default=True, help="Chance to detect the difference.")
@click.option("--level", default=0.95, show_default=True, help="Confidence of the interval or test.")
@click.option(
    "--baseline",
    default="",
    metavar="NAME",
    help="Compare with NAME [default: the plan's, else the first in the table].",
)
@click.option("--contestant", multiple=True, metavar="NAME", help="Only NAME (may be repeated).")
@click.option("--price", multiple=True, metavar="NAME=COST", help="A trial of NAME costs so much.")
@click.option("--task-cost", default=0.0, help="What preparing one task costs.")
@click.option(
    "--these-tasks", type=int, default=None, metavar="N", help="Ask about exactly N tasks: trials only."
)
@click.option("--max-tasks", default=10_000_000, help="No more tasks can be had.")
@click.option("--max-trials", default=64, show_default=True, help="At most so many trials of a task.")
@click.option("--rate", type=float, default=None, help="Without a pilot: the pass rate that you expect.")
@click.option("--between", type=float, default=None, help="Without a pilot: variance between tasks.")
@click.option(
    "--noise", type=float, multiple=True, help="With --between: variance of a trial, once a contestant."
)
@json_option
@guarded
def command(**options: object) -> None:
    """Tasks, trials and money to know a score or a difference, from the pilot SOURCE or from given variances."""
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.knowing import METHODS, know, knowing
    from steelyard.stats.planning import Goal, Split, rate_split

    source, own = split_source(options)
    o = Options(**own)  # type: ignore[arg-type] # click checked them
    if (o.half_width is None) == (o.difference is None):
        raise UsageError(
            "what is to be known?", wanted="--half-width or --difference, one of the two",
            got="none" if o.difference is None else "both", fix="say how well: --half-width 0.05",
        )  # fmt: skip
    goal = Goal(
        o.half_width, o.difference, o.level, o.power, task_cost=o.task_cost, max_tasks=o.max_tasks,
        max_trials=o.max_trials, fixed_tasks=o.these_tasks,
    )  # fmt: skip
    if source.source:
        results = load(source, amounts=True)
        if o.contestant:
            results = results.of(dict.fromkeys((o.baseline or results.usual_baseline, *o.contestant)))
        prices = {name: _price(value) for name, value in (pair(p, "--price") for p in o.price)}
        plans = knowing(results, goal, baseline=o.baseline, prices=prices)
    elif o.between is not None:
        plans = (know(Split(o.between, o.noise or (0.0,) * (1 if o.difference is None else 2)), goal),)
    elif o.rate is not None:
        one = rate_split(o.rate)
        plans = (know(one if o.difference is None else Split(2 * one.between, one.noise * 2), goal),)
    else:
        raise UsageError(
            "no pilot", wanted="SOURCE, or --rate, or --between with --noise",
            fix="name a file of results or a run, or guess the pass rate: --rate 0.7",
        )  # fmt: skip
    if o.as_json:
        emit_json({"plans": plans, "methods": METHODS})
    else:
        data(plan_text(plans))


def _price(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--price {text}", wanted="NAME=NUMBER") from None
