"""Figures as people read them. One place, so that the same number looks the same on every page.

Not rounding for effect: shares have one digit after the point in percent, money has two significant digits below a
cent. What is not known is a dash in a column, with its reason in the cell's title; see the macro `figure`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from steelyard.stats.base import Estimate, Figure
from steelyard.unknown import Unknown, is_known

DASH = "–"


def percent(value: Figure, digits: int = 1) -> str:
    """A share as percent, without the sign."""
    return f"{100 * value:.{digits}f}" if is_known(value) else DASH


def points(value: Figure) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * value:+.1f}" if is_known(value) else DASH


def span(estimate: Estimate) -> str:
    """`low – high` in percent."""
    i = estimate.interval
    return f"{100 * i.low:.1f} – {100 * i.high:.1f}" if is_known(i) else DASH


def span_points(estimate: Estimate) -> str:
    """`low to high` in points, with signs."""
    i = estimate.interval
    return f"{100 * i.low:+.1f} to {100 * i.high:+.1f}" if is_known(i) else DASH


def dollars(value: Figure) -> str:
    """Money: $0, two significant digits below a cent, else cents or more."""
    if not is_known(value):
        return DASH
    if value == 0:
        return "$0"
    if value < 0.01:
        return "$" + f"{float(f'{value:.2g}'):.12f}".rstrip("0")
    return f"${value:.4f}" if value < 1 else f"${value:,.2f}"


def pusd(value: float | Unknown | None) -> str:
    """Picodollars as money."""
    if value is None or not is_known(value):
        return DASH
    return dollars(float(value) / 1e12)


def spent(pusd_: int, unpriced: Sequence[str]) -> str:
    """What a run spent; calls without a price are said, and never count as nothing."""
    if not unpriced:
        return pusd(pusd_)
    return f"{pusd(pusd_)} + unknown" if pusd_ else "unknown"


def seconds(value: Figure | None) -> str:
    """A latency or a duration."""
    if value is None or not is_known(value):
        return DASH
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    minutes, rest = divmod(int(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def count(value: Figure | None) -> str:
    """A whole number with thin spaces between thousands."""
    if value is None or not is_known(value):
        return DASH
    return f"{int(value):,}".replace(",", "\u202f")


def short(value: Figure | None) -> str:
    """A large count in three digits: 12.3k, 4.56M."""
    if value is None or not is_known(value):
        return DASH
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def number(value: Figure | None, digits: int = 3) -> str:
    """Any other figure, in so many significant digits."""
    return DASH if value is None or not is_known(value) else f"{value:.{digits}g}"


def when(at_ns: int) -> str:
    """A moment, in the server's time zone."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at_ns / 1e9)) if at_ns else DASH


def between(estimate: Estimate) -> str:
    """`low – high` of an amount."""
    i = estimate.interval
    return f"{i.low:.4g} – {i.high:.4g}" if is_known(i) else DASH


def amount(estimate: Estimate) -> str:
    """Money or time with its interval, or why there is none."""
    if isinstance(estimate.value, Unknown):
        return str(estimate.value)
    reason = why(estimate)
    return f"{estimate.value:.4g} ({reason or between(estimate)})"


def why(value: object) -> str:
    """The reason when a figure is not known, else ""."""
    if isinstance(value, Estimate):
        return why(value.value) or why(value.interval)
    return value.reason if isinstance(value, Unknown) else ""
