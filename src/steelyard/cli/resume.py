"""`steelyard resume RUN`: take up a run that was stopped, capped or killed."""

from __future__ import annotations

from dataclasses import dataclass

import click

from steelyard.cli.caps import CapValue, asked, cap_options
from steelyard.cli.common import (
    environment,
    finish,
    json_option,
    ledger_option,
    open_place,
    our_version,
    run_async,
)
from steelyard.cli.out import packed


@dataclass(frozen=True, slots=True)
class ResumeOptions:
    """What the command line said."""

    run: str
    retry_ungraded: bool
    money: CapValue
    total_tokens: CapValue
    minutes: CapValue
    no_live: bool
    interactive: bool
    place: str | None
    as_json: bool


@click.command("resume")
@click.argument("run", default="last")
@click.option(
    "--retry-ungraded",
    is_flag=True,
    help="Try what has no answer again; judge what has no verdict again.",
)
@cap_options("--max-cost", "--max-total-tokens", "--max-minutes")
@click.option("--no-live", is_flag=True, help="Plain lines instead of the live view.")
@click.option(
    "--interactive",
    is_flag=True,
    help="Ask at the terminal where the rules or the plan of an agent say `ask`.",
)
@ledger_option
@json_option
@packed(ResumeOptions)
def command(o: ResumeOptions) -> None:
    """Take up RUN (an id, its beginning, a name, or `last`) where it ended.

    Finished attempts are never sent again. What was in flight when a run was killed is listed as possibly paid, keeps
    its reservation under the caps, and is sent again. A cap that was reached is raised by an option here.
    """
    # lazy: the engine is loaded after the command line is known to be right
    from steelyard.cli.live import watcher
    from steelyard.runner.control import cap_changes
    from steelyard.runner.session import Options, take_up

    said = asked(o.money, o.total_tokens, o.minutes)
    ledger = open_place(o.place, create=False)
    approver = None
    if o.interactive:
        # lazy: only needed here
        from steelyard.cli.approve import TerminalApprover

        approver = TerminalApprover()
    options = Options(
        environment(),
        our_version(),
        watch=watcher(plain=o.no_live or o.as_json or o.interactive),
        retry_ungraded=o.retry_ungraded,
        caps=cap_changes(said) if said else {},
        approver=approver,
    )
    outcome = run_async(lambda: take_up(ledger, o.run, options))
    finish(ledger, outcome, as_json=o.as_json, place=o.place or "")
