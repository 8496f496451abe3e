"""The page model as a download: JSON with all figures and their methods, CSV with the page's rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

from steelyard.stats.base import Estimate
from steelyard.unknown import Unknown, plain
from steelyard.web.base import Page, Table

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a text begins that a spreadsheet would run; the last four are the full-width forms of the first."""


_PIECE = 65_536
"""Characters of a piece of CSV."""


def as_json(page: Page, command: str = "") -> bytes:
    """The whole model; `Unknown` as {"unknown": reason}. NaN never gets this far: json refuses it.

    `command` is what prints the same, when it is more than the page knows.
    """
    body = plain(page)
    assert isinstance(body, dict)
    body["command"] = command or page.command
    return json.dumps(body, ensure_ascii=False, allow_nan=False, indent=1).encode("utf-8", "backslashreplace")


def as_csv(table: Table) -> bytes:
    """The rows. A text that a spreadsheet would run as a formula gets an apostrophe before it."""
    return b"".join(csv_pieces(table))


def csv_pieces(table: Table) -> Iterator[bytes]:
    """As `as_csv`, in pieces of some 64 KiB: a million rows never lie in memory together."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow([_cell(v) for v in row])
        if out.tell() >= _PIECE:
            yield out.getvalue().encode("utf-8", "backslashreplace")
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: object) -> object:
    if isinstance(value, Estimate):
        value = value.value
    if isinstance(value, Unknown):
        return f"unknown: {value.reason}"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value
