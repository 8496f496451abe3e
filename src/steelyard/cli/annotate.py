"""`steelyard annotate`: queues of single answers that people grade, blind. Open one, look at agreement and progress."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from steelyard.cli.common import json_option, ledger_option, open_place
from steelyard.cli.out import clean, data, emit_json, guarded, packed, say
from steelyard.cli.source import read_yaml
from steelyard.errors import UsageError
from steelyard.schema.score import Outcome
from steelyard.unknown import Unknown, is_known

if TYPE_CHECKING:
    from steelyard.arena.queue import Kind
    from steelyard.schema.annotation import Point
    from steelyard.stats.base import Estimate


@click.group()
def command() -> None:
    """Queues of answers that people grade in `steelyard view`: blind, some of them by several people."""


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """What the command line said."""

    name: str
    run: str
    scale: tuple[int, int] | None
    labels: str
    rubric: Path | None
    question: str
    sample: int | None
    contestant: tuple[str, ...]
    outcome: str
    overlap: float
    people: int
    lease: float
    reveal: bool
    seed: int | None
    place: str | None
    as_json: bool


@command.command(name="open")
@click.argument("name")
@click.argument("run", default="last")
@click.option(
    "--scale", type=(int, int), default=None, metavar="LOW HIGH", help="Whole numbers, HIGH is best."
)
@click.option("--labels", default="", metavar="A,B,C", help="These labels, the best first.")
@click.option("--rubric", type=click.Path(path_type=Path), help="YAML list of points: name, text, labels.")
@click.option("--question", default="", help="What people are asked.")
@click.option(
    "--sample", type=click.IntRange(1), default=None, help="So many trials, at random [default: all]."
)
@click.option("--contestant", multiple=True, metavar="NAME", help="Only of these [default: all].")
@click.option(
    "--outcome",
    type=click.Choice(["", *(o.name.lower() for o in Outcome)]),
    default="",
    help="Only trials judged so.",
)
@click.option("--overlap", default=0.2, show_default=True, help="Share of items that several people label.")
@click.option(
    "--people", type=click.IntRange(1, 20), default=2, show_default=True, help="How many label those."
)
@click.option("--lease", default=900.0, show_default=True, help="Seconds that an item is kept for a person.")
@click.option("--reveal", is_flag=True, help="Show held-out tasks too; marks the split as exposed for good.")
@click.option(
    "--seed", type=int, default=None, help="Of the order and the overlap [default: random, recorded]."
)
@ledger_option
@json_option
@packed(OpenOptions)
def open_(o: OpenOptions) -> None:
    """Open queue NAME over the trials of RUN: pass or fail, unless --scale, --labels or --rubric says otherwise."""
    # lazy: numpy is needed only now
    from steelyard.arena.queue import QueueTerms, open_queue
    from steelyard.runner.exposure import expose

    kind, points = _asked(o)
    terms = QueueTerms(
        kind=kind,
        points=points,
        sample=o.sample,
        contestants=o.contestant,
        outcome=o.outcome,
        overlap=o.overlap,
        people=o.people,
        lease_s=o.lease,
        reveal=o.reveal,
        instructions=o.question,
        seed=o.seed,
    )
    ledger = open_place(o.place, create=False)
    made = open_queue(ledger, o.name, o.run, terms)
    if o.reveal:
        versions = [u.version for u in ledger.plan(made.run).suites]
        expose(ledger, versions, at=time.time_ns(), by=f"steelyard annotate open {o.name} --reveal")
    if o.as_json:
        emit_json(made)
        return
    twice = sum(i.wanted > 1 for i in made.items)
    data(
        f"queue {made.name}: {len(made.items)} of {made.population} trials, {twice} of them for {o.people} people"
    )
    say("label with: steelyard view")


def _asked(o: OpenOptions) -> tuple[Kind, tuple[Point, ...]]:
    # lazy: numpy is needed only now
    from steelyard.arena.queue import PASS_FAIL, label_points, rubric_points, scale_points

    if sum((o.scale is not None, bool(o.labels), o.rubric is not None)) > 1:
        raise UsageError("--scale, --labels and --rubric", wanted="one of them")
    if o.scale is not None:
        return "scale", scale_points(*o.scale)
    if o.labels:
        return "labels", label_points([x.strip() for x in o.labels.split(",")])
    if o.rubric is not None:
        return "rubric", rubric_points(read_yaml(o.rubric), str(o.rubric))
    return "pass_fail", PASS_FAIL


@command.command(name="show")
@click.argument("name")
@click.option("--contestant", default="", metavar="NAME", help="The judge against people on this one only.")
@ledger_option
@json_option
@guarded
def show(name: str, contestant: str, place: str | None, *, as_json: bool) -> None:
    """Print queue NAME: progress a person, agreement, and the run's judge against people."""
    # lazy: numpy and scipy are needed only now
    from steelyard.arena.keys import key_path, load_keys
    from steelyard.arena.labels import agreement, judge_against_people
    from steelyard.arena.queue import Queue

    ledger = open_place(place, create=False)
    queue = Queue(ledger, name, load_keys(key_path(ledger.place, Path.home())))
    have, wanted = queue.complete()
    agreed, judged = agreement(queue), judge_against_people(ledger, queue, contestant)
    if as_json:
        emit_json(
            {
                "queue": name,
                "labels": have,
                "wanted": wanted,
                "forged": queue.forged(),
                "progress": queue.progress(),
                "agreement": agreed,
                "judge": judged,
            }
        )
        return
    data(f"{have} of {wanted} labels")
    for p in queue.progress():
        usual = "" if p.median_s is None else f", {p.median_s:.0f} s each"
        data(f"  {clean(p.name or p.annotator, 40)}: {p.labelled} labelled, {p.passed_on} passed on{usual}")
    for a in agreed:
        data(
            f"agreement on {clean(a.point, 60)}: alpha {_said(a.alpha)} ({a.n_labels} labels of {a.n_items} items)"
        )
        names = queue.people.names
        for u, v, n, kappa in a.pairs:
            both = f"{clean(names.get(u) or u, 40)} and {clean(names.get(v) or v, 40)}"
            data(f"  {both}: kappa {_said(kappa)} ({n} items)")
    if is_known(judged.calibration):
        said = _said(judged.calibration.kappa)
        data(f"the judge {clean(judged.scorer, 60)} on {judged.n} labelled trials: kappa {said}")
        data(f"  {judged.calibration.claim}")
    else:
        data(f"the judge against people: {judged.calibration}")
    data(f"share that people pass, over all trials: {_said(judged.mean)}")


def _said(estimate: Estimate | Unknown) -> str:
    if isinstance(estimate, Unknown):
        return str(estimate)
    value = estimate.value
    if isinstance(value, Unknown):
        return str(value)
    i = estimate.interval
    return f"{value:.3f}" + (f" [{i.low:.3f}, {i.high:.3f}]" if is_known(i) else f" (interval {i})")
