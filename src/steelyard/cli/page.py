"""`steelyard page`: the figures of one page of `steelyard view`, by its address; no server is started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from steelyard.cli.common import json_option, ledger_option, open_place
from steelyard.cli.out import clean, data, packed, table_stream
from steelyard.errors import UsageError
from steelyard.unknown import Unknown

if TYPE_CHECKING:
    from steelyard.web.base import Page

SHARES = frozenset(
    {"score", "low", "high", "mean", "coverage", "solved", "disagreement", "flips", "difference", "left_mean",
     "right_mean", "if_ungraded_wrong", "if_ungraded_right"}
)  # fmt: skip
"""Columns that pages show in percent (differences in points): so are they printed; `--csv` and `--json` keep shares."""

LONG = 60
"""A text of more characters, or of several lines, makes its rows be printed one cell a line."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said."""

    address: str
    place: str | None
    reveal: bool
    as_csv: bool
    as_json: bool


@click.command("page")
@click.argument("address")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV on stdout: the page's download.")
@click.option(
    "--reveal", is_flag=True, help="Show held-out content too; marks the split as exposed for good."
)
@ledger_option
@json_option
@packed(Options)
def command(o: Options) -> None:
    """Print the figures of the page at ADDRESS, such as '/runs/last/grid?sort=flips' or what a browser shows as its
    address: the same that `steelyard view` shows there, in the same order."""
    # lazy: numpy and the pages are needed only now
    from steelyard.web.address import commands, find
    from steelyard.web.desk import Desk
    from steelyard.web.downloads import as_csv, as_json
    from steelyard.web.registry import find_views

    if o.as_csv and o.as_json:
        raise UsageError("--csv and --json", wanted="one of them")
    found = find(find_views(), o.address)
    desk = Desk(open_place(o.place, create=False), reveal=o.reveal, named=o.place or "")
    wanted = found.ask.with_format("csv" if o.as_csv else "json" if o.as_json else "")
    page = found.view.build(desk, wanted)
    if o.as_json:
        data(
            as_json(page, commands(desk, found.view, found.ask, page).same).decode(
                "utf-8", "backslashreplace"
            )
        )
    elif o.as_csv:
        table = as_csv(page.table()).decode("utf-8", "backslashreplace").replace("\r\n", "\n").rstrip("\n")
        table_stream().write(f"{table}\n")
    else:
        for text in _lines(page):
            data(text)


def _lines(page: Page) -> list[str]:
    table = page.table()
    rows = [
        [_cell(name, value) for name, value in zip(table.columns, row, strict=True)] for row in table.rows
    ]
    head = [clean(page.title, 200), *(clean(s, 1000) for s in getattr(page, "sentences", ()))]
    if any(len(c) > LONG or "\n" in c for row in rows for c in row):
        return [*head, *_apart(table.columns, rows)]
    head.append("")
    names = [f"{n} %" if n in SHARES else n for n in table.columns]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    numeric = [all(_is_figure(r[i]) for r in rows) for i in range(len(names))]
    return [*head, *(_row(cells, widths, numeric) for cells in (names, *rows))]


def _row(cells: list[str], widths: list[int], numeric: list[bool]) -> str:
    placed = (c.rjust(w) if right else c.ljust(w) for c, w, right in zip(cells, widths, numeric, strict=True))
    return "  ".join(placed).rstrip()


def _is_figure(text: str) -> bool:
    return text in ("", "-") or text[0] in "+-0123456789"


def _apart(columns: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    """One cell a line, rows apart: for rows with long texts."""
    said = []
    for row in rows:
        said.append("──")
        for name, text in zip(columns, row, strict=True):
            if text:
                shown = name + (" %" if name in SHARES else "")
                apart = "\n  " + text.replace("\n", "\n  ")  # a text cannot pass for a line of ours
                said.append(f"{shown}: {text}" if "\n" not in text else shown + ":" + apart)
    return said


def _cell(name: str, value: object) -> str:
    if value is None or isinstance(value, Unknown):
        return "-"
    if isinstance(value, float) and name in SHARES:
        return f"{100 * value:.1f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return clean(str(value), 6000)
