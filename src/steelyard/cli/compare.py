"""`steelyard compare`: better, worse, equivalent or undecided against a baseline."""

from __future__ import annotations

from dataclasses import dataclass

import click

from steelyard.cli.common import json_option
from steelyard.cli.out import as_json, guarded, leave, verdict
from steelyard.cli.source import load, source_options, split_source
from steelyard.cli.verdicts import compare_text, with_methods
from steelyard.errors import ExitCode


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said, beside the source."""

    baseline: str
    contestant: tuple[str, ...]
    margin: float
    level: float
    sequential: bool
    seed: int
    exit_code: bool
    as_json: bool


@click.command("compare")
@source_options
@click.option(
    "--baseline",
    default="",
    metavar="NAME",
    help="Compare with NAME [default: the plan's, else the first in the table].",
)
@click.option("--contestant", multiple=True, metavar="NAME", help="Only NAME (may be repeated).")
@click.option("--margin", default=0.02, show_default=True, help="A difference within it is none; 0: no test.")
@click.option("--level", default=0.95, show_default=True, help="Confidence, for all contestants together.")
@click.option(
    "--sequential", is_flag=True, help="The table is still growing and is looked at again and again."
)
@click.option("--seed", default=0, show_default=True, help="For the bootstrap of simultaneous intervals.")
@click.option("--exit-code", is_flag=True, help="Exit with 10 when one is worse, 11 when one is undecided.")
@json_option
@guarded
def command(**options: object) -> None:
    """Compare contestants of SOURCE (files of results of any tool, or runs) with a baseline, paired by task."""
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.compare import METHODS, CompareOptions, Verdict, compare
    from steelyard.stats.base import fraction

    source, own = split_source(options)
    o = Options(**own)  # type: ignore[arg-type] # click checked them
    # the same check as of an estimator's level, before it turns into an error rate that the user did not write
    fraction(o.level, "level")
    results = load(source, amounts=True)
    if o.contestant:
        base = o.baseline or results.usual_baseline
        results = results.of(dict.fromkeys((base, *o.contestant)))
    how = CompareOptions(round(1.0 - o.level, 12), o.margin or None, o.sequential, o.seed)
    found = compare(results, o.baseline, how)
    verdict(as_json(with_methods(found, METHODS)) if o.as_json else compare_text(found))
    verdicts = {c.verdict for c in found.items}
    if o.exit_code and Verdict.WORSE in verdicts:
        leave(ExitCode.REGRESSION)
    if o.exit_code and Verdict.UNDECIDED in verdicts:
        leave(ExitCode.UNDECIDED)
