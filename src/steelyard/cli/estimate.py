"""`steelyard estimate`: one method of `stats`, asked for by name, on a file of any tool or a run of the ledger."""

from __future__ import annotations

import click

from steelyard.cli.estimate_results import SUBCOMMANDS
from steelyard.cli.estimate_tables import SUBCOMMANDS as OF_TABLES


@click.group("estimate")
def command() -> None:
    """One method by name: repeats, abstention, rare failures, judges, length control, a suite's life."""


for _each in (*SUBCOMMANDS, *OF_TABLES):
    command.add_command(_each)
