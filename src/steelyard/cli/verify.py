"""`steelyard verify`: recompute every hash chain and name any row that is altered, missing, cut or out of order."""

from __future__ import annotations

import click

from steelyard.cli.common import json_option, ledger_option, open_place
from steelyard.cli.out import clean, data, emit_json, guarded, leave
from steelyard.errors import ExitCode


@click.command("verify")
@click.argument("run", required=False)
@click.option(
    "--head", default="", metavar="HASH", help="The head that RUN must have (as noted when it closed)."
)
@ledger_option
@json_option
@guarded
def command(run: str | None, *, head: str, place: str | None, as_json: bool) -> None:
    """Check all runs, or RUN. Exit code 0 when every row is as it was written, 13 when not."""
    ledger = open_place(place, create=False)
    info = ledger.find(run) if run is not None else None
    report = ledger.verify(info.run if info is not None else None, head=head)
    if as_json:
        emit_json(report)
    else:
        for problem in report.problems:
            data(clean(problem))
        for name, h in report.heads.items():
            data(f"{name}  head {h}")
        data(
            f"{report.n_runs} chains, {report.n_records} records: "
            + ("ALTERED" if report.problems else "as written")
        )
    leave(ExitCode.TAMPERED if report.problems else ExitCode.OK)
