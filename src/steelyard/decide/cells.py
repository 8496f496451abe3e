"""Cells of a table as labels and numbers: what words mean, and what to do about a cell that is no number.

Does not know columns (`decide.columns`). An empty cell is missing, never 0; NaN, infinity, percent signs and decimal
commas are refused with their rows, because what they meant is not certain.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from steelyard.errors import RowsError
from steelyard.stats.base import BoolArray, Coded, FloatArray, codes

Column = Sequence[object] | NDArray[np.generic]

_WORDS = {
    "true": 1.0, "false": 0.0, "pass": 1.0, "fail": 0.0, "passed": 1.0, "failed": 0.0, "yes": 1.0, "no": 0.0,
    "c": 1.0, "i": 0.0, "correct": 1.0, "incorrect": 0.0, "y": 1.0, "n": 0.0, "t": 1.0, "f": 0.0,
    "right": 1.0, "wrong": 0.0, "\u2713": 1.0, "\u2717": 0.0, "\u2714": 1.0, "\u2718": 0.0,
}  # fmt: skip
_UNGRADED = frozenset(("", "none", "null", "na", "n/a", "ungraded"))
_LARGEST = 1e100


def labels(column: Column, name: str) -> Coded:
    """The cells' texts as codes, numbered as they first appear. Raises RowsError where one is empty."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "iub":
        found = codes(column, name)
        # in order of first appearance, as other labels: sequential methods read the table in its order
        _, first = np.unique(found.index, return_index=True)
        order = np.argsort(first)
        place = np.argsort(order)
        return Coded(place[found.index], tuple(str(found.labels[i]) for i in order))
    # 1 and "1" are the same label in a table; so every label is its text
    if set(map(type, column)) == {str}:  # a million cells: 0.03 s in C, 0.4 s in a loop
        return codes(column, name)
    return codes([x if isinstance(x, str) or x is None else _text(x) for x in column], name)


def _text(x: object) -> str | None:
    if isinstance(x, float | np.floating):
        return None if math.isnan(x) else (str(int(x)) if float(x).is_integer() else str(float(x)))
    return str(x)


def numbers(column: Column, name: str, fix: str) -> tuple[FloatArray, BoolArray]:
    """Values and which are there; text such as "true" or "passed" counts, empty is missing, NaN is
    refused."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
        values = column.astype(np.float64)
        there = np.ones(values.size, dtype=np.bool_)
    else:
        try:
            values = np.asarray(column, dtype=np.float64)
            there = np.fromiter((x is not None for x in column), np.bool_, len(column))
        except (TypeError, ValueError):
            values, there = _slow_numbers(column, name, fix)
    # beyond this, squares overflow and variances would be silently infinite
    with np.errstate(invalid="ignore"):
        bad = np.flatnonzero(there & ~(np.abs(values) <= _LARGEST))
    if bad.size:
        shown = ", ".join(str(column[i]) for i in bad[:5])
        large = bool(np.isfinite(values[bad]).all())
        raise RowsError(
            f"{name} is too large" if large else f"{name} is NaN or infinite",
            rows=tuple(bad.tolist()),
            wanted=f"numbers up to {_LARGEST:g}" if large else "finite numbers",
            got=shown,
            fix=fix,
        )
    return values, there


def _slow_numbers(column: Column, name: str, fix: str) -> tuple[FloatArray, BoolArray]:
    values, there, bad = np.zeros(len(column)), np.ones(len(column), dtype=np.bool_), []
    for i, x in enumerate(column):
        text = "" if x is None else str(x).strip().lower()
        if text in _UNGRADED:
            there[i] = False
        elif text in _WORDS:
            values[i] = _WORDS[text]
        else:
            try:
                values[i] = float(text)
            except ValueError:
                bad.append(i)
    if bad:
        shown = ", ".join(repr(column[i]) for i in bad[:5])
        raise RowsError(
            f"{name} is not a number",
            rows=tuple(bad),
            wanted="numbers"
            if name != "score"
            else "numbers, or words such as pass and fail, true and false",
            got=shown,
            fix=_mend([str(column[i]).strip() for i in bad[:1000]]) or fix,
        )
    return values, there


def _mend(texts: Sequence[str]) -> str:
    """What to do when all these cells are written in the same foreign way; "" when they are not."""
    if all(re.fullmatch(r"[-+]?[\d.,]+\s*%", t) for t in texts):
        return "take the percent signs away and give --bounds 0 100, or write 85 % as 0.85"
    if all(re.fullmatch(r"[-+]?\d*,\d+", t) for t in texts):
        point, none = texts[0].replace(",", "."), texts[0].replace(",", "")
        if all(re.fullmatch(r"[-+]?\d{1,3},\d{3}", t) for t in texts):
            return f"write {texts[0]} as {point} or as {none}, whichever is meant"
        return f"write decimals with a point: {point}, not {texts[0]}"
    if all(
        re.fullmatch(r"[$\u20ac\u00a3]\s*[\d.,]+|[\d.,]+\s*([$\u20ac\u00a3]|ms|s|USD|usd)", t) for t in texts
    ):
        return "take the unit away: numbers only, money in one currency and time in seconds"
    return ""


def amounts(column: Column | None, name: str, scale: float = 1.0) -> FloatArray | None:
    """Money, seconds or minutes, times `scale`, NaN where a cell is empty. Raises RowsError for negative ones."""
    if column is None:
        return None
    values, there = numbers(column, name, "leave it empty where it is not known")
    bad = np.flatnonzero(there & (values < 0))
    if bad.size:
        raise RowsError(
            f"{name} is negative",
            rows=tuple(bad.tolist()),
            wanted="0 or more",
            got=", ".join(f"{v:g}" for v in values[bad[:5]]),
            fix=f"leave {name} empty where it is not known",
        )
    none = np.flatnonzero(there & (values == 0)) if name == "minutes" else np.empty(0, np.int64)
    if none.size:
        fix = "leave minutes empty where they are not known"
        raise RowsError("minutes are 0", rows=tuple(none.tolist()), wanted="minutes above 0", fix=fix)
    return np.where(there, values * scale, np.nan)
