"""`steelyard doctor --sandbox`: which isolation this machine gives, each protection proven by trying it."""

from __future__ import annotations

import json
import os
import sys

import click

from steelyard.errors import ExitCode


@click.command()
@click.option("--sandbox", is_flag=True, help="Try every protection of the sandbox and print the table.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, sandbox: bool, as_json: bool) -> None:
    """Check what this machine gives. Exits with 0 when the sandbox holds, 7 when it does not."""
    if not sandbox:
        raise click.UsageError("nothing to check: give --sandbox")
    sys.exit(print_sandbox(as_json=as_json))


def print_sandbox(*, as_json: bool) -> int:
    """Print the sandbox's table; returns the exit code."""
    # lazy: the self-check loads the launcher, which no other check needs
    from steelyard.sandbox.selfcheck import self_check

    report = self_check()
    if as_json:
        document = {
            "format": "steelyard.doctor.sandbox/1",
            "rung": report.rung,
            "why": report.why or None,
            "root": os.geteuid() == 0,
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
    return ExitCode.OK if report.rung else ExitCode.INFRASTRUCTURE
