"""`steelyard gate`: hold results against a rule file; the exit code is the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from steelyard.cli.common import json_option, open_place
from steelyard.cli.out import as_json, guarded, leave, verdict, write
from steelyard.cli.source import Source, load, read_yaml, source_options, split_source
from steelyard.cli.verdicts import gate_text, junit, markdown
from steelyard.errors import LedgerError
from steelyard.unknown import plain

if TYPE_CHECKING:
    from steelyard.decide.gate import GateReport


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said, beside the source."""

    rules: Path
    junit: Path | None
    markdown: Path | None
    record: bool
    as_json: bool


FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("gate")
@click.argument("rules", type=FILE)
@source_options
@click.option("--junit", type=FILE, default=None, help="Write JUnit XML here.")
@click.option("--markdown", type=FILE, default=None, help="Write a Markdown comment here.")
@click.option(
    "--record/--no-record",
    default=True,
    help="Keep the decision beside the run, when it is one, in its ledger (`steelyard view`).",
)
@json_option
@guarded
def command(**options: object) -> None:
    """Judge SOURCE (files of results of any tool, or runs) by the rules in the YAML file RULES.

    Exit codes: 0 pass, 10 regression, 11 undecided, 12 below the coverage floor, 7 nothing was measured.
    """
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.gate import gate
    from steelyard.decide.rules import rules_from

    source, own = split_source(options)
    o = Options(**own)  # type: ignore[arg-type] # click checked them
    rules = rules_from(read_yaml(o.rules), str(o.rules))
    results = load(source, amounts=any(r.metric != "score" for r in rules))
    report = gate(results, rules)
    if o.record and results.source.startswith("run ") and len(source.source) == 1:
        _keep(source, o.rules, report)
    if o.junit:
        write(o.junit, junit(report))
    if o.markdown:
        write(o.markdown, markdown(report))
    told = {"exit_code": int(report.outcome.exit_code), "report": report}
    verdict(as_json(told) if o.as_json else gate_text(report))
    leave(report.outcome.exit_code)


def _keep(source: Source, rules: Path, report: GateReport) -> None:
    """Keep the decision with the run. The verdict stands also when it cannot be kept: that is said on stderr."""
    # lazy: only when a run of the ledger was judged
    from steelyard.ledger.gates import GateRow, keep_gate, now_ns

    try:
        ledger = open_place(source.place, create=False)
        info = ledger.find(source.source[0])
        told = cast("dict[str, object]", plain(report))
        text = rules.read_text(encoding="utf-8-sig")
        keep_gate(
            ledger,
            GateRow(now_ns(), info.run, info.name, info.head, info.n_records, str(rules), text,
                    report.outcome.value, int(report.outcome.exit_code), told, source.where),
        )  # fmt: skip
    except LedgerError as e:
        click.echo(f"warning: the decision could not be kept: {e}", err=True)
