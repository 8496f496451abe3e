"""Verdicts as JSON values, JUnit XML, a Markdown comment and plain lines.

Does not decide anything. Names come from contestants and are hostile: control characters are shown as
escapes, Markdown and XML specials are escaped.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from steelyard.decide.gate import Check, GateReport
from steelyard.decide.rules import Outcome
from steelyard.stats.base import Interval
from steelyard.unknown import Unknown

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


def plain(value: object) -> Plain:
    """Any frozen result as JSON values: a figure that is not known is {"unknown": reason}, never null or
    0."""
    if isinstance(value, Unknown):
        return {"unknown": value.reason}
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | np.floating):
        number = float(value)
        return number if np.isfinite(number) else {"unknown": f"{number}"}
    if isinstance(value, np.integer | np.bool_):
        return value.item()
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value.tolist()]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    return str(value)


def clean(text: str) -> str:
    """Text for terminals and files: control characters and direction marks as escapes, so that they do
    nothing."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def interval_text(interval: Interval | Unknown) -> str:
    """[low, high] with four digits, or why there is none."""
    if isinstance(interval, Unknown):
        return str(interval)
    return f"[{interval.low:.4f}, {interval.high:.4f}]"


def junit(report: GateReport) -> str:
    """JUnit XML, one test case a check.

    Regression and undecided are failures (their type says which: a skipped test would read as a pass),
    below coverage and infrastructure are errors.
    """
    failures = sum(c.outcome in (Outcome.REGRESSION, Outcome.UNDECIDED) for c in report.checks)
    errors = sum(c.outcome in (Outcome.BELOW_COVERAGE, Outcome.INFRASTRUCTURE) for c in report.checks)
    counts = f'tests="{len(report.checks)}" failures="{failures}" errors="{errors}"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="steelyard" {counts}>',
        f'  <testsuite name="steelyard gate" {counts}>',
    ]
    for check in report.checks:
        name = quoteattr(clean(f"{check.contestant}: {check.subject}"))
        lines.append(f"    <testcase classname={quoteattr(clean(check.rule))} name={name}>")
        text = escape("\n".join(clean(x) for x in (*check.reasons, *check.would_decide)))
        if check.outcome is Outcome.PASSED:
            lines.append(f"      <system-out>{text}</system-out>")
        else:
            tag = "failure" if check.outcome in (Outcome.REGRESSION, Outcome.UNDECIDED) else "error"
            message = quoteattr(clean(check.reasons[0] if check.reasons else ""))
            lines.append(f'      <{tag} type="{check.outcome.value}" message={message}>{text}</{tag}>')
        lines.append("    </testcase>")
    lines += ["  </testsuite>", "</testsuites>"]
    return "\n".join(lines) + "\n"


def markdown(report: GateReport) -> str:
    """A comment for a pull request: the verdict, a row a check, reasons below."""
    lines = [
        f"### Steelyard gate: {report.outcome.value}",
        "",
        "| rule | contestant | part | verdict | value | interval | held against | graded |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for check in report.checks:
        value = str(check.value) if isinstance(check.value, Unknown) else f"{check.value:.4f}"
        graded = ", ".join(f"{c.share:.1%}" for c in check.coverage) or "none"
        cells = [check.rule, check.contestant, check.subject, check.outcome.value, value,
                 interval_text(check.interval), check.threshold, graded]  # fmt: skip
        lines.append("| " + " | ".join(_cell(c) for c in cells) + " |")
    lines.append("")
    for check in report.checks:
        lines += [f"- {_cell(check.contestant)}, {_cell(check.subject)}: {_cell(r)}" for r in _told(check)]
    lines += [f"- note: {_cell(n)}" for n in report.notes]
    return "\n".join(lines) + "\n"


def gate_lines(report: GateReport) -> tuple[str, ...]:
    """Plain lines for a terminal; the last is the verdict."""
    lines = []
    for check in report.checks:
        head = (
            f"{check.outcome.value:14}  {check.rule}: {check.contestant}, {check.subject} ({check.threshold})"
        )
        lines += [clean(head), *(clean(f"                {r}") for r in _told(check))]
    lines += [clean(f"note: {n}") for n in report.notes]
    return (*lines, f"gate: {report.outcome.value}")


def _told(check: Check) -> tuple[str, ...]:
    method = () if isinstance(check.interval, Unknown) else (f"method: {check.interval.method}",)
    return (*check.reasons, *(f"to settle it: {w}" for w in check.would_decide), *method)


def _cell(text: str) -> str:
    escaped = clean(text).replace("\\", "\\\\")
    for mark in "|*_`[]<>#":
        escaped = escaped.replace(mark, "\\" + mark)
    return escaped
