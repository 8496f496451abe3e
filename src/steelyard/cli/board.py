"""The leaderboard as a table for people and as JSON: every figure is one that `decide.leaderboard` returned."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable
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
    width = shutil.get_terminal_size((118, 24)).columns if sys.stdout.isatty() else 118
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    stream = io.StringIO()
    console = Console(
        file=stream, width=max(60, width), force_terminal=colour, no_color=not colour, highlight=False
    )
    board = found.board
    many = len(found.plan.suites) > 1
    title = clean(found.plan.name or "leaderboard") + (" - all suites" if many else "")
    console.print(_table(title, board.overall, board.level))
    if many:
        for use in found.plan.suites:
            lines = [line for line in board.by_suite if line.suite == use.name]
            lines.sort(key=lambda x: -x.estimate.value if is_known(x.estimate.value) else 9.0)
            console.print(_table(f"suite {clean(use.name)}", lines, board.level))
    console.print(Text(f"\n{clean(board.sentence)}"))
    for note in notes(found):
        console.print(Text(f"- {clean(note)}"))
    return stream.getvalue().rstrip("\n")


def _table(title: str, lines: tuple[Line, ...] | list[Line], level: float) -> Table:
    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
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
    table.add_column("contestant", overflow="fold", min_width=min(32, max(len(x.contestant) for x in lines)))
    for name, _ in columns:
        table.add_column(name, justify="right")
    for line in lines:
        table.add_row(Text(clean(line.contestant, 60)), *[Text(show(line)) for _, show in columns])
    return table
