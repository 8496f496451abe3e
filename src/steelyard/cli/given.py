"""Tables that are no results, as columns by role: what `steelyard estimate` reads for judges, ratings and votes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from steelyard.cli.common import json_option
from steelyard.cli.out import say
from steelyard.cli.source import pair
from steelyard.cli.verdicts import line
from steelyard.errors import DataError, RowsError, UsageError

if TYPE_CHECKING:
    from steelyard.decide.cells import Column
    from steelyard.ledger.tables import Table
    from steelyard.stats.base import IntArray

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What every one of these commands is told; `cluster` only where the estimator takes clusters."""

    files: tuple[str, ...]
    column: tuple[str, ...]
    where: tuple[str, ...]
    cluster: str = ""
    level: float
    as_json: bool


def table_options(function: F) -> F:
    """FILE... and the options of `Asked`."""
    for option in reversed(
        (
            click.argument("files", nargs=-1, required=True, metavar="FILE..."),
            click.option("--column", multiple=True, metavar="ROLE=NAME", help="Read column NAME as ROLE."),
            click.option("--where", multiple=True, metavar="NAME=VALUE", help="Only rows with this value."),
            click.option("--level", default=0.95, show_default=True, help="Confidence."),
            json_option,
        )
    ):  # fmt: skip
        function = option(function)
    return function


def cluster_option(function: F) -> F:
    """`--cluster NAME`."""
    text = "Rows alike in this column belong together."
    return click.option("--cluster", default="", metavar="NAME", help=text)(function)


@dataclass(frozen=True, slots=True)
class Given:
    """The rows `index` of a table: `columns` by their names, `roles` by what they hold, `several` as named on the
    command line for a role that takes more columns than one."""

    table: Table
    index: IntArray
    columns: Mapping[str, Column]
    roles: Mapping[str, Column]
    several: Mapping[str, Column]

    @contextmanager
    def located(self) -> Iterator[None]:
        """Errors name the file and its lines."""
        # lazy: numpy is needed only now
        from steelyard.decide.roles import rows_of
        from steelyard.ledger.tables import located

        try:
            with rows_of(self.index):
                yield
        except RowsError as e:
            found = located(e, self.table)
            if found is e:
                found.place(self.table.source)
            raise found from e
        except DataError as e:
            e.place(self.table.source)
            raise


def read(asked: Asked, wanted: Mapping[str, tuple[str, ...]], *, several: str = "") -> Given:
    """The table of all files. `several` is the role that --column may name more than once."""
    # lazy: numpy is needed only now
    from steelyard.decide.roles import by_role, matching, taken
    from steelyard.ledger.shapes import read_any
    from steelyard.ledger.tables import joined

    pairs = [pair(c, "--column") for c in asked.column]
    if asked.cluster:
        pairs.append(("cluster", asked.cluster))
    for role, name in pairs:
        if role not in wanted:
            raise UsageError(f"--column {role}={name}: no such role", wanted=", ".join(wanted), got=role)
    names = [name for role, name in pairs if role == several]
    many = names if len(names) > 1 else []
    rename = {role: name for role, name in pairs if not (many and role == several)}
    if len(rename) + len(many) < len(pairs):
        raise UsageError(
            "--column: a role is named twice", wanted="one column a role", got=" ".join(asked.column)
        )
    table = joined([_with_model(read_any(Path(f))) for f in asked.files])
    index = matching(table.columns, [pair(w, "--where") for w in asked.where], table.source)
    columns = taken(table.columns, index)
    found = by_role(
        columns, {r: a for r, a in wanted.items() if not (many and r == several)}, rename, table.source
    )
    for role, name in found.items():
        if name != role and role not in rename:
            say(line(f"column {name} is read as {role}"))
    for name in many:
        by_role(columns, {}, {several: name}, table.source)
    return Given(
        table, index, columns, {r: columns[n] for r, n in found.items()}, {n: columns[n] for n in many}
    )


def _with_model(table: Table) -> Table:
    """AlpacaEval's annotations name the model in generator_2; joined tables must keep it."""
    if "generator_2" not in table.columns or "contestant" in table.columns:
        return table
    columns = {("contestant" if n == "generator_2" else n): c for n, c in table.columns.items()}
    return replace(table, columns=columns)


def need_roles(given: Given, roles: Sequence[str], wanted: Mapping[str, tuple[str, ...]]) -> None:
    """Raise DataError unless there is a column of each of these roles."""
    # lazy: numpy is needed only now
    from steelyard.decide.roles import need

    with given.located():
        need(dict.fromkeys(given.roles, ""), roles, given.table.columns, wanted)
