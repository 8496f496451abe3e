"""`steelyard view`: the pages over a ledger, served to this machine (or, with a token, to others)."""

from __future__ import annotations

import webbrowser
from dataclasses import dataclass
from pathlib import Path

import click

from steelyard.cli.common import json_option, ledger_option, open_place
from steelyard.cli.out import emit_json, packed, say


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said."""

    place: str | None
    host: str
    port: int | None
    name: tuple[str, ...]
    public: str
    token: bool
    reveal: bool
    only: tuple[str, ...]
    no_open: bool
    as_json: bool


@click.command("view")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=None, help="Port [default: 7477, or a free one]."
)
@click.option(
    "--name", multiple=True, metavar="HOST", help="A further name by which this host may be called."
)
@click.option(
    "--public",
    default="",
    metavar="ORIGIN",
    help="Where browsers reach it through a proxy: https://x.example.",
)
@click.option(
    "--token", is_flag=True, help="Ask for a random token on loopback, too; elsewhere it always is."
)
@click.option("--reveal", is_flag=True, help="Show held-out content; marks its split as exposed for good.")
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="Only this arena or queue, for people who judge: no runs, names, rankings or commands.",
)
@click.option("--no-open", is_flag=True, help="Do not open a browser.")
@ledger_option
@json_option
@packed(Options)
def command(o: Options) -> None:
    """Open the pages over the ledger: runs, leaderboards, traces, comparisons. Nothing leaves this machine."""
    # lazy: a server and numpy are needed only now
    from steelyard.web import server
    from steelyard.web.app import without_password
    from steelyard.web.people import judged

    ledger = open_place(o.place, create=False)
    only = judged(ledger, o.only)
    named = "" if only else _named(o.place)
    options = server.Options(o.host, o.port, o.token, o.reveal, o.name, o.public, only, named)
    bound = server.bind(options)

    def started() -> None:
        if o.as_json:
            emit_json(
                {
                    "url": bound.url,
                    "ledger": without_password(ledger.place),
                    "token": bool(bound.access.token),
                }
            )
        else:
            click.echo(bound.url)
            say("Ctrl-C ends it.")
        if not o.no_open and not o.as_json:
            webbrowser.open(bound.url)

    with bound.socket:
        server.serve(ledger, bound, options, started)


def _named(place: str | None) -> str:
    """The ledger's place as the command lines on the pages name it: from any folder, and without a password."""
    # lazy: a server and numpy are needed only now
    from steelyard.web.app import without_password

    if not place:
        return ""
    return without_password(place) if "://" in place else str(Path(place).expanduser().absolute())
