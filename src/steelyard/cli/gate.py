"""`steelyard gate`: hold results against a rule file; the exit code is the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from steelyard.cli.common import json_option
from steelyard.cli.out import data, emit_json, guarded, leave
from steelyard.cli.source import load, read_yaml, source_options, split_source
from steelyard.cli.verdicts import gate_text, junit, markdown


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said, beside the source."""

    rules: Path
    junit: Path | None
    markdown: Path | None
    as_json: bool


FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("gate")
@click.argument("rules", type=FILE)
@source_options
@click.option("--junit", type=FILE, default=None, help="Write JUnit XML here.")
@click.option("--markdown", type=FILE, default=None, help="Write a Markdown comment here.")
@json_option
@guarded
def command(**options: object) -> None:
    """Judge SOURCE (files of results of any tool, or a run) by the rules in the YAML file RULES.

    Exit codes: 0 pass, 10 regression, 11 undecided, 12 below the coverage floor, 7 nothing was measured.
    """
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.gate import gate
    from steelyard.decide.rules import rules_from

    source, own = split_source(options)
    o = Options(**own)  # type: ignore[arg-type] # click checked them
    rules = rules_from(read_yaml(o.rules), str(o.rules))
    report = gate(load(source, amounts=any(r.metric != "score" for r in rules)), rules)
    if o.junit:
        o.junit.write_text(junit(report), encoding="utf-8")
    if o.markdown:
        o.markdown.write_text(markdown(report), encoding="utf-8")
    if o.as_json:
        emit_json({"exit_code": int(report.outcome.exit_code), "report": report})
    else:
        data(gate_text(report))
    leave(report.outcome.exit_code)
