"""The leaderboard as a table for people and as JSON: every figure is one that `decide.leaderboard` returned."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from steelyard.cli.out import clean, dollars
from steelyard.runner.results import Results, notes
from steelyard.unknown import Unknown, is_known, plain

if TYPE_CHECKING:
    from steelyard.decide.leaderboard import Line
    from steelyard.stats.base import Figure


MANY = 100_000
"""Columns of a pipe or a file, whose lines are as long as they need to be."""


def board_json(found: Results) -> dict[str, object]:
    """All figures with their methods."""
    out = plain(
        {
            "name": found.plan.name,
            "level": found.board.level,
            "verdict": found.board.sentence,
            "overall": found.board.overall,
            "by_suite": found.board.by_suite,
            "versus": found.board.versus,
            "stopping": found.stopped,
            "ungraded": found.n_ungraded,
            "exposed": found.exposed,
            "possibly_paid": found.possibly_paid,
        }
    )
    assert isinstance(out, dict)
    return out


def percent(value: Figure) -> str:
    """A share as percent with one digit."""
    return f"{100 * value:.1f}" if is_known(value) else "-"


def interval_text(line: Line) -> str:
    """`low - high` in percent; the reason when there is no interval."""
    i = line.estimate.interval
    return f"({i.reason})" if isinstance(i, Unknown) else f"{100 * i.low:.1f} - {100 * i.high:.1f}"


def _bounds(line: Line) -> str:
    if line.coverage >= 1.0 or not is_known(line.all_wrong) or not is_known(line.all_right):
        return ""
    return f"{100 * line.all_wrong:.1f} - {100 * line.all_right:.1f}"


def _dollars(value: Figure) -> str:
    return "unknown" if isinstance(value, Unknown) else dollars(value)


def _seconds(value: Figure) -> str:
    if isinstance(value, Unknown):
        return "-"
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.1f} s"


def board_text(found: Results) -> str:
    """The table, by suite where there are several, then the verdict and the notes that belong to it."""
    width = shutil.get_terminal_size((118, 24)).columns if sys.stdout.isatty() else None
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    stream = io.StringIO()

    def console(columns: int) -> Console:
        return Console(
            file=stream, width=columns, force_terminal=colour, no_color=not colour, highlight=False
        )

    texts = console(max(20, width or 118))
    shown = _Shown(console(MANY) if width is None else texts, found.board.level, width)
    board = found.board
    many = len(found.plan.suites) > 1
    title = clean(found.plan.name or "leaderboard") + (" - all suites" if many else "")
    shown.table(title, board.overall)
    if many:
        for use in found.plan.suites:
            lines = [line for line in board.by_suite if line.suite == use.name]
            lines.sort(key=lambda x: -x.estimate.value if is_known(x.estimate.value) else 9.0)
            shown.table(f"suite {clean(use.name)}", lines)
    texts.print(Text(f"\n{clean(board.sentence)}"))
    for note in notes(found):
        texts.print(Text(f"- {clean(note)}"))
    return stream.getvalue().rstrip("\n")


Column = tuple[str, list[str]]
"""Header and cells."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """Tables on a console of `width` columns; None: a file or a pipe, whose lines may be as long as they need."""

    console: Console
    level: float
    width: int | None

    def table(self, title: str, lines: Sequence[Line]) -> None:
        """Print lines. No figure is ever cut: columns that do not fit come below, under the names once more."""
        names = [clean(line.contestant, 60) for line in lines]
        names_width = min(32, max(len(name) for name in names))
        if self.width is not None:
            names_width = min(names_width, self.width // 2)
        rest = _columns(lines, self.level)
        while rest:
            n, room = len(rest), names_width
            if self.width is not None:
                n = _fitting(rest, self.width - names_width)
                room = min(names_width, self.width - _wide(rest[0])) if n == 1 else names_width
            self._print(title, names, room, rest[:n])
            rest, title = rest[n:], ""

    def _print(self, title: str, names: list[str], names_width: int, columns: list[Column]) -> None:
        table = Table(
            title=Text(title) if title else None,
            title_justify="left",
            box=None,
            pad_edge=False,
            padding=(0, 2, 0, 0),
        )
        table.add_column("contestant", overflow="fold", width=max(names_width, len("contestant")))
        for header, _ in columns:
            table.add_column(header, justify="right", no_wrap=True, min_width=len(header))
        for i, name in enumerate(names):
            table.add_row(Text(name), *[Text(cells[i]) for _, cells in columns])
        self.console.print(table, crop=False, no_wrap=True)


def _wide(column: Column) -> int:
    """Characters of a column with the gap before it."""
    header, cells = column
    return 2 + max(len(header), *map(len, cells))


def _fitting(columns: list[Column], width: int) -> int:
    """How many of the columns, one at least, stand beside each other in `width`."""
    for n, column in enumerate(columns):
        width -= _wide(column)
        if width < 0:
            return max(1, n)
    return len(columns)


def _columns(lines: Sequence[Line], level: float) -> list[Column]:
    bounded = any(_bounds(line) for line in lines)
    free = all(is_known(line.cost_dollars) and line.cost_dollars == 0 for line in lines)
    columns: list[tuple[str, Callable[[Line], str]]] = [
        ("score %", lambda x: percent(x.estimate.value)),
        (f"{level:.0%} interval", interval_text),
        ("tasks", lambda x: str(x.estimate.n_tasks)),
        ("graded", lambda x: str(x.n_graded)),
        ("coverage", lambda x: f"{100 * x.coverage:.1f}%"),
    ]
    if bounded:
        columns.append(("if ungraded wrong - right", _bounds))
    if any(line.abstained for line in lines):
        columns.append(("abstained", lambda x: str(x.abstained)))
    if any(line.format_failures for line in lines):
        columns.append(("unreadable", lambda x: str(x.format_failures)))
    if any(line.refused for line in lines):
        columns.append(("refused", lambda x: str(x.refused)))
    if any(line.truncated for line in lines):
        columns.append(("cut", lambda x: str(x.truncated)))
    columns.append(("cost", lambda x: _dollars(x.cost_dollars)))
    if not free:
        columns.append(("$/trial", lambda x: _dollars(x.cost_per_trial)))
    columns.append(("time", lambda x: _seconds(x.seconds)))
    columns.append(
        ("tok/s", lambda x: f"{x.tokens_per_second:.0f}" if is_known(x.tokens_per_second) else "-")
    )
    return [(name, [show(line) for line in lines]) for name, show in columns]
