"""`steelyard select`: the cheapest sufficient contestant of every stage of a pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from steelyard.cli.common import json_option
from steelyard.cli.out import data, emit_json, guarded
from steelyard.cli.source import load, read_yaml, source_options, split_source
from steelyard.cli.verdicts import select_text, with_methods


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said, beside the source."""

    pipeline: Path
    seed: int
    as_json: bool


@click.command("select")
@click.argument("pipeline", type=click.Path(dir_okay=False, path_type=Path))
@source_options
@click.option("--seed", default=0, show_default=True, help="For the bootstrap of the front.")
@json_option
@guarded
def command(**options: object) -> None:
    """Choose a contestant for every stage of the YAML file PIPELINE from SOURCE (results with costs, or runs)."""
    # lazy: numpy and scipy are needed only now
    from steelyard.decide.objective import pipeline_from
    from steelyard.decide.select import METHODS, select

    source, own = split_source(options)
    o = Options(**own)  # type: ignore[arg-type] # click checked them
    stages = pipeline_from(read_yaml(o.pipeline), str(o.pipeline))
    found = select(load(source, amounts=True), stages, seed=o.seed)
    if o.as_json:
        emit_json(with_methods(found, METHODS))
    else:
        data(select_text(found))
