"""The leaderboard as a table for people and as JSON: every figure is one that `decide.leaderboard` returned."""

from __future__ import annotations

import io
import os
import shutil
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from steelyard.cli.out import clean, plain
from steelyard.unknown import Unknown, is_known

if TYPE_CHECKING:
    from steelyard.decide.leaderboard import Line
    from steelyard.runner.results import Results
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
    if isinstance(value, Unknown):
        return "unknown"
    if value == 0:
        return "$0"
    return f"${value:.4f}" if value < 1 else f"${value:.2f}"


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
    for note in _notes(found):
        console.print(Text(f"- {clean(note)}"))
    return stream.getvalue().rstrip("\n")


def _table(title: str, lines: tuple[Line, ...] | list[Line], level: float) -> Table:
    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    bounded = any(_bounds(line) for line in lines)
    table.add_column("contestant", overflow="fold")
    for name in ("score %", f"{level:.0%} interval", "tasks", "graded", "coverage"):
        table.add_column(name, justify="right", no_wrap=True)
    if bounded:
        table.add_column("if ungraded wrong - right", justify="right")
    for name in ("abstained", "unreadable", "cost", "$/trial", "time", "tok/s"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        row = [
            clean(line.contestant, 60),
            percent(line.estimate.value),
            interval_text(line),
            str(line.estimate.n_tasks),
            str(line.n_graded),
            f"{100 * line.coverage:.1f}%",
        ]
        if bounded:
            row.append(_bounds(line))
        row += [
            str(line.abstained),
            str(line.format_failures),
            _dollars(line.cost_dollars),
            _dollars(line.cost_per_trial),
            _seconds(line.seconds),
            f"{line.tokens_per_second:.0f}" if is_known(line.tokens_per_second) else "-",
        ]
        table.add_row(*[Text(cell) for cell in row])
    return table


def _notes(found: Results) -> list[str]:
    notes = []
    methods = sorted({line.estimate.method for line in found.board.overall})
    n = len(found.board.versus)
    paired = f" Differences are paired by task, corrected for {n} comparisons." if n else ""
    notes.append(f"Score: {'; '.join(methods)}.{paired} Time is what trials saw (closed loop).")
    if found.n_ungraded:
        notes.append(
            f"{found.n_ungraded} trials have no verdict and are in no mean; the bounds say what they could change."
        )
    waiting = sum(line.n_waiting for line in found.board.overall)
    if waiting:
        notes.append(f"{waiting} planned trials are not done yet.")
    for name in found.exposed:
        notes.append(f"The held-out split of {name} is exposed: somebody has looked at it.")
    sentences = {s.sentence for s in found.stopped if s.sentence}
    notes += sorted(sentences)[:6]
    for line in found.board.overall:
        notes += [f"{line.contestant}: {note}" for note in line.estimate.notes]
    return notes
