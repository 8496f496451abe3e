"""`steelyard doctor`: what a file of results can support, or (`--sandbox`) which isolation this machine gives."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from steelyard.cli.out import data, emit_json, guarded
from steelyard.cli.source import Source, load, load_table, maybe_source_options, split_source
from steelyard.cli.verdicts import doctor_text
from steelyard.errors import DataError, ExitCode, UsageError

if TYPE_CHECKING:
    from steelyard.decide.diagnose import Diagnosis


@click.command("doctor")
@maybe_source_options
@click.option("--sandbox", is_flag=True, help="Try every protection of the sandbox and print the table.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@guarded
def command(**options: object) -> None:
    """Say what the results or votes in SOURCE can and cannot support; or check what this machine gives.

    With --sandbox exits with 0 when the sandbox holds, 7 when it does not.
    """
    source, own = split_source(options)
    as_json = bool(own["as_json"])
    if own["sandbox"]:
        sys.exit(print_sandbox(as_json=as_json))
    if not source.source:
        raise UsageError("nothing to check", wanted="SOURCE, or --sandbox")
    found = look_over(source)
    if as_json:
        emit_json(found)
    else:
        data(doctor_text(found))


def look_over(source: Source) -> Diagnosis:
    """The diagnosis of a table of results, of votes, or of a run."""
    # lazy: numpy and scipy are needed only now
    from steelyard.cli.rank import votes_of
    from steelyard.decide.diagnose import diagnose, diagnose_votes
    from steelyard.ledger.tables import is_votes

    table = load_table(source)
    if table is not None and is_votes(table):
        votes = votes_of(source)
        if votes is not None:
            return diagnose_votes(votes)
    try:
        found = diagnose(load(source, amounts=True, table=table))
    except DataError as e:
        if table is None or "unknown column" not in e.message:
            raise
        found = diagnose(load(replace(source, ignore_rest=True), amounts=True, table=table))
        found = replace(found, notes=(*found.notes, f"columns were left out (--ignore-rest): {e.message}"))
    shape = "run" if table is None else table.shape
    return replace(found, facts=(f"read as: {shape}", *found.facts))


def print_sandbox(*, as_json: bool) -> int:
    """Print the sandbox's table; returns the exit code."""
    # lazy: the self-check loads the launcher, which no other check needs
    from steelyard.sandbox.container import engine
    from steelyard.sandbox.selfcheck import self_check

    report, containers = self_check(), engine()
    if as_json:
        document = {
            "format": "steelyard.doctor.sandbox/1",
            "rung": report.rung,
            "why": report.why or None,
            "root": os.geteuid() == 0,
            "container": containers or None,
            "checks": [
                {"name": c.name, "what": c.what, "held": c.held, "soft": c.soft, "detail": c.detail or None}
                for c in report.checks
            ],
        }
        click.echo(json.dumps(document, indent=1))
    else:
        for check in report.checks:
            state = "soft" if check.held and check.soft else "held" if check.held else "BROKEN"
            click.echo(f"{state:7}{check.name:14}{check.what}{': ' + check.detail if check.detail else ''}")
        click.echo(f"rung: {report.rung or 'none can be had'}{': ' + report.why if report.why else ''}")
        by_name = (
            f"by name, with an image ({containers} answers)"
            if containers
            else "no: no podman or docker answers"
        )
        click.echo(f"container: {by_name}")
    return ExitCode.OK if report.rung else ExitCode.INFRASTRUCTURE
