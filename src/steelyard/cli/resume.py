"""`steelyard resume RUN`: take up a run that was stopped, capped or killed."""

from __future__ import annotations

import click

from steelyard.cli.common import (
    environment,
    finish,
    json_option,
    ledger_option,
    open_place,
    our_version,
    run_async,
)
from steelyard.cli.out import guarded


@click.command("resume")
@click.argument("run", default="last")
@click.option(
    "--retry-ungraded",
    is_flag=True,
    help="Try what has no answer again; judge what has no verdict again.",
)
@click.option(
    "--max-cost", type=click.FloatRange(0, 1e6), default=None, metavar="DOLLARS", help="A new money cap."
)
@click.option("--no-live", is_flag=True, help="Plain lines instead of the live view.")
@ledger_option
@json_option
@guarded
def command(
    run: str, *, retry_ungraded: bool, max_cost: float | None, no_live: bool, place: str | None, as_json: bool
) -> None:
    """Take up RUN (an id, its beginning, a name, or `last`) where it ended.

    Finished attempts are never sent again. What was in flight when a run was killed is listed as possibly paid, keeps
    its reservation under the caps, and is sent again.
    """
    # lazy: the engine is loaded after the command line is known to be right
    from steelyard.cli.live import watcher
    from steelyard.runner.session import Options, take_up
    from steelyard.schema.price import PUSD

    ledger = open_place(place, create=False)
    watch = watcher(plain=no_live or as_json)
    cap = None if max_cost is None else int(max_cost * PUSD)
    options = Options(environment(), our_version(), watch=watch, retry_ungraded=retry_ungraded, money_cap=cap)
    outcome = run_async(lambda: take_up(ledger, run, options))
    finish(ledger, outcome, as_json=as_json, place=place or "")
