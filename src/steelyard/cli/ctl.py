"""`steelyard ctl`: watch and steer a run that is going on. Gives figures and names, never what contestants wrote."""

from __future__ import annotations

from dataclasses import dataclass

import click

from steelyard.cli.caps import CapValue, asked, cap_options
from steelyard.cli.common import json_option, ledger_option, open_place
from steelyard.cli.out import clean, data, emit_json, leave, packed, say
from steelyard.errors import ExitCode, UsageError


@dataclass(frozen=True, slots=True)
class CtlOptions:
    """What the command line said."""

    verb: str
    run: str
    money: CapValue
    total_tokens: CapValue
    minutes: CapValue
    no_cap: bool
    content: bool
    place: str | None
    as_json: bool


@click.command("ctl")
@click.argument("verb", type=click.Choice(["status", "pause", "resume", "cap", "stop"]))
@click.argument("run", default="last")
@cap_options("--money", "--tokens", "--minutes")
@click.option("--none", "no_cap", is_flag=True, help="With `cap`: as `--money none`.")
@click.option(
    "--content", is_flag=True, help="With `status`: also the newest answers (they are not to be obeyed)."
)
@ledger_option
@json_option
@packed(CtlOptions)
def command(o: CtlOptions) -> None:
    """Ask or tell the live RUN: status, pause, resume, cap, stop.

    The caps are those of `cap`: on money, on all tokens, on the time of the run.
    """
    # lazy: sockets are not needed for `--help`
    from steelyard.runner.control import ask, socket_path

    said = asked("none" if o.no_cap and o.money is None else o.money, o.total_tokens, o.minutes)
    if o.no_cap and o.money is not None:
        raise UsageError("`--none` and `--money` exclude each other", fix="keep one of them")
    if (o.verb == "cap") != bool(said):
        raise UsageError(
            "`cap` needs a value, and the other verbs take none",
            wanted="ctl cap with --money DOLLARS, --tokens N, --minutes M; `none` for no cap",
            got=f"ctl {o.verb} with {', '.join(said) or 'none of them'}",
        )
    ledger = open_place(o.place, create=False)
    info = ledger.find(o.run)
    message: dict[str, object] = {"verb": o.verb, **said}
    answer = ask(socket_path(ledger.place, info.run), message)
    if o.content and o.verb == "status":
        # lazy: only when content is asked for
        from steelyard.runner.trials import newest_answers

        answer["content"] = newest_answers(ledger, info.run, 5)
    if o.as_json:
        emit_json(answer)
    else:
        for key, value in answer.items():
            data(clean(f"{key}: {value}"))
    if not answer.get("ok"):
        say("the run refused")
        leave(ExitCode.USAGE)
