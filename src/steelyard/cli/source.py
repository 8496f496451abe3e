"""Where results come from: files of any tool, or runs of the ledger. Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from steelyard.cli.common import open_place
from steelyard.errors import DataError, UsageError

if TYPE_CHECKING:
    from steelyard.decide.columns import Reading
    from steelyard.decide.results import Results
    from steelyard.ledger.tables import Table

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Source:
    """SOURCE (files, or runs) and how to read it."""

    source: tuple[str, ...]
    place: str | None
    bounds: tuple[float, float] | None
    unbounded: bool
    column: tuple[str, ...]
    condition: tuple[str, ...]
    ignore: tuple[str, ...]
    ignore_rest: bool
    where: tuple[str, ...]


KEYS = ("source", "place", "bounds", "unbounded", "column", "condition", "ignore", "ignore_rest", "where")


def source_options(function: F) -> F:
    """SOURCE, --ledger and the options that say how a table is read."""
    return reading_options(click.argument("source", nargs=-1, required=True)(function))


def maybe_source_options(function: F) -> F:
    """As `source_options`, for commands that can do without SOURCE."""
    return reading_options(click.argument("source", nargs=-1)(function))


def reading_options(function: F) -> F:
    """--ledger and the options that say how a table is read."""
    for option in reversed(
        (
            click.option("--ledger", "place", metavar="PLACE", default=None, help="Ledger of the run SOURCE."),
            click.option("--bounds", type=(float, float), default=None, metavar="LOW HIGH",
                         help="A score's least and greatest value [default: 0 1]."),
            click.option("--unbounded", is_flag=True, help="Scores have no bounds."),
            click.option("--column", multiple=True, metavar="ROLE=NAME",
                         help="Read column NAME as ROLE; score twice or more: a column a contestant."),
            click.option("--condition", multiple=True, metavar="NAME", help="This column is a condition."),
            click.option("--ignore", multiple=True, metavar="NAME", help="Leave this column out."),
            click.option("--ignore-rest", is_flag=True, help="Leave out every column that is not known."),
            click.option("--where", multiple=True, metavar="NAME=VALUE", help="Only rows with this value."),
        )
    ):  # fmt: skip
        function = option(function)
    return function


def split_source(options: dict[str, object]) -> tuple[Source, dict[str, object]]:
    """The shared options as a `Source`, and the command's own."""
    return Source(**{k: options[k] for k in KEYS}), {k: v for k, v in options.items() if k not in KEYS}  # type: ignore[arg-type] # click checked them


def load(source: Source, *, amounts: bool = False, table: Table | None = None) -> Results:
    """The results of files, or else of runs of the ledger. `amounts`: cost and seconds are needed, too.

    `table`: what `load_table` gave, so that a large file is read once.
    """
    # lazy: `--help` must not load numpy
    from steelyard.ledger.runs import results_of_run, results_of_runs
    from steelyard.ledger.tables import results_of_table

    pairs = [pair(w, "--where") for w in source.where]
    table = load_table(source) if table is None else table
    if table is not None:
        found = results_of_table(table, reading(source))
    elif len(source.source) > 1:
        found = results_of_runs(open_place(source.place, create=False), source.source, amounts=amounts)
    else:
        found = results_of_run(open_place(source.place, create=False), source.source[0], amounts=amounts)
    return found.where(dict(pairs)) if pairs else found


def load_table(source: Source, *, quarantined: bool = False) -> Table | None:
    """The tables of the files as one, or kept votes; None when SOURCE names runs."""
    # lazy: `--help` must not load numpy
    from steelyard.ledger.runs import votes_of_chain
    from steelyard.ledger.shapes import read_any
    from steelyard.ledger.tables import is_file_name, joined

    paths = [Path(s) for s in source.source]
    if any(is_file_name(p) for p in paths):
        return joined([read_any(p) for p in paths])
    ledger = open_place(source.place, create=False)
    kept = {c.key for c in ledger.chains("votes")}.intersection(source.source)
    if not kept:
        return None
    runs = [s for s in source.source if s not in kept]
    if runs:
        raise DataError(
            "votes and results in one table", where=ledger.place, wanted="arenas, or runs",
            got=f"arena {', '.join(sorted(kept))}; not one: {', '.join(runs)}", fix="rank them apart",
        )  # fmt: skip
    chains = dict.fromkeys(source.source)  # an arena that is named twice votes once
    return joined([votes_of_chain(ledger, key, quarantined=quarantined) for key in chains])


def reading(source: Source) -> Reading:
    """How the table is read."""
    # lazy: `--help` must not load numpy
    from steelyard.decide.columns import ALIASES, Reading

    pairs = [pair(c, "--column") for c in source.column]
    for role, name in pairs:
        if role not in ALIASES:
            raise UsageError(f"--column {role}={name}: no such role", wanted=", ".join(ALIASES), got=role)
    if source.bounds is not None and not source.bounds[0] < source.bounds[1]:
        got = f"{source.bounds[0]:g} {source.bounds[1]:g}"
        raise UsageError("--bounds: the wrong way round", wanted="LOW HIGH, such as 0 100", got=got)
    scores = tuple(name for role, name in pairs if role == "score")
    wide = scores if len(scores) > 1 else ()
    return Reading(
        bounds=None if source.unbounded else (source.bounds or (0.0, 1.0)),
        rename={role: name for role, name in pairs if not (wide and role == "score")},
        wide=wide,
        conditions=source.condition,
        ignore=source.ignore,
        ignore_rest=source.ignore_rest,
    )


def pair(text: str, option: str) -> tuple[str, str]:
    """NAME=VALUE taken apart."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"{option} {text}", wanted="NAME=VALUE")
    return name, value


def read_yaml(path: Path) -> object:
    """A YAML (or JSON) document. Raises PlanError with the line."""
    # lazy: only commands with a rule or pipeline file need it
    import yaml

    from steelyard.errors import PlanError

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
        raise PlanError("not YAML", where=where, got=str(getattr(e, "problem", e))) from e
    except (OSError, UnicodeDecodeError) as e:
        raise PlanError("cannot be read", where=str(path), got=str(e)) from e
