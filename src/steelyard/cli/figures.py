"""Lines of figures for people and for programs: what every subcommand of `steelyard estimate` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from steelyard.cli.out import data, emit_json
from steelyard.cli.verdicts import columns, line, number, short
from steelyard.unknown import Unknown

if TYPE_CHECKING:
    from steelyard.decide.lines import Line


def show(found: Sequence[Line], *, as_json: bool, notes: Sequence[str] = ()) -> None:
    """Print lines: a table, then why figures are unknown, then methods and notes, each once."""
    if as_json:
        emit_json({"lines": list(found), "notes": list(notes)})
        return
    rows: list[tuple[str, ...]] = [("of", "figure", "value", "interval", "trials", "tasks", "clusters")]
    for x in found:
        counts = ("" if n is None else str(n) for n in (x.trials, x.tasks, x.clusters))
        rows.append((x.subject, x.figure, _value(x), "" if _bare(x) else short(x.interval), *counts))
    out = columns(rows)
    for x in found:
        if isinstance(x.value, Unknown):
            out.append(line(f"{x.subject}, {x.figure}: unknown, because {x.value.reason}"))
        elif isinstance(x.interval, Unknown) and not _bare(x):
            out.append(line(f"{x.subject}, {x.figure}: no interval, because {x.interval.reason}"))
    figures: dict[str, dict[str, None]] = {}
    for x in found:
        figures.setdefault(x.method, {})[x.figure] = None
    out += [line(f"method: {method} ({', '.join(names)})") for method, names in figures.items()]
    out += dict.fromkeys(line(f"note: {n}") for x in found for n in x.notes)
    out += [line(f"note: {n}") for n in notes]
    data("\n".join(out))


def _bare(x: Line) -> bool:
    # lazy: numpy is needed only where there are lines
    from steelyard.decide.lines import NO_INTERVAL

    return isinstance(x.interval, Unknown) and x.interval == NO_INTERVAL


def _value(x: Line) -> str:
    if isinstance(x.value, Unknown):
        return "unknown"
    if _bare(x) and x.value == round(x.value):
        return f"{x.value:.0f}"
    return number(x.value) if x.value == 0 or abs(x.value) >= 0.01 else f"{x.value:.3g}"
