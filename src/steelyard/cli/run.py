"""`steelyard run plan.yaml`: measure what a plan says, keep every answer, print the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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
from steelyard.cli.out import clean, count, packed, say

if TYPE_CHECKING:
    from steelyard.ledger.base import Ledger
    from steelyard.runner.base import Prepared, RunOutcome


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line said."""

    plan: Path
    dry_run: bool
    n_show: int
    ray_address: str | None
    no_live: bool
    interactive: bool
    place: str | None
    as_json: bool


@click.command("run")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would be sent and its worst-case cost; send nothing.")
@click.option("--show", "n_show", default=3, metavar="N", help="With --dry-run: how many requests to print.")
@click.option(
    "--ray", "ray_address", default=None, metavar="ADDRESS", help="Run attempts on a Ray cluster (`local`)."
)
@click.option("--no-live", is_flag=True, help="Plain lines instead of the live view.")
@click.option(
    "--interactive",
    is_flag=True,
    help="Ask at the terminal where the rules or the plan of an agent say `ask`.",
)
@ledger_option
@json_option
@packed(RunOptions)
def command(o: RunOptions) -> None:
    """Run the plan file PLAN.

    Exit codes: 0 complete; 3 the plan or its data is wrong; 4 the ledger cannot be used; 5 complete, but some
    trials have no verdict; 6 a cap was reached; 7 no trial has a verdict; 130 stopped.
    See docs/reference/exit-codes.md.
    """
    found = _measured(o, environment())
    if found is not None:
        finish(*found, as_json=o.as_json, place=o.place or "")


def _measured(o: RunOptions, environ: Mapping[str, str]) -> tuple[Ledger, RunOutcome] | None:
    """The ledger and how the run ended; None after a dry run. The table is made from the ledger alone: what the run
    held in memory is gone by then."""
    # lazy: the engine is loaded after the command line is known to be right
    from steelyard.cli.live import watcher
    from steelyard.runner.planfile import read_plan
    from steelyard.runner.prepare import prepare
    from steelyard.runner.session import Options, begin

    ready = prepare(read_plan(o.plan, environ))
    _say_left_out(ready)
    if o.dry_run:
        # lazy: only needed here
        from steelyard.cli.dry import print_dry_run

        print_dry_run(ready, o.n_show, as_json=o.as_json)
        return None
    executor = None
    if o.ray_address is not None:
        # lazy: an optional extra
        from steelyard.runner.ray import RayExecutor

        executor = RayExecutor(o.ray_address, environ)
    ledger = open_place(o.place, create=True)
    approver = None
    if o.interactive:
        # lazy: only needed here
        from steelyard.cli.approve import TerminalApprover

        approver = TerminalApprover()
    watch = watcher(plain=o.no_live or o.as_json or o.interactive)
    options = Options(environ, our_version(), watch=watch, executor=executor, approver=approver)
    return ledger, run_async(lambda: begin(ready, ledger, options))


SHOWN = 5
"""Tasks that are left out and named."""


def _say_left_out(ready: Prepared) -> None:
    """Tasks of other tools that cannot be done here: the score is that of the others."""
    for use in ready.plan.suites:
        left_out = [(task, why) for suite, task, why in ready.left_out if suite == use.name]
        if left_out:
            n = count(len(left_out), "task")
            say(f"suite {clean(use.name)}: {n} left out, which cannot be done here:")
        for name, why in left_out[:SHOWN]:
            say(f"  {clean(name, 80)}: {clean(why, 300)}")
        if len(left_out) > SHOWN:
            say(f"  and {len(left_out) - SHOWN} more")
