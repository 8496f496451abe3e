"""Tables with a column a contestant made into one row a trial, and what to do when a column is lacking.

Does not guess: a table of two metrics looks like one of two contestants, so the columns must be named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from steelyard.decide.cells import Column, numbers
from steelyard.errors import DataError, RowsError

_LOOKED_AT = 200


def long_form(columns: Mapping[str, Column], wide: Sequence[str], source: str) -> dict[str, Column]:
    """One row for every row and contestant of `wide`; row r of the table is row r, r + n, r + 2n ... of the result."""
    lost = [name for name in wide if name not in columns]
    if lost:
        got = ", ".join(lost)
        fix = "name columns of the table with --column score=NAME"
        raise DataError("no such score column", where=source, wanted=", ".join(columns), got=got, fix=fix)
    rows = len(columns[wide[0]])
    out: dict[str, Column] = {
        "contestant": [name for name in wide for _ in range(rows)],
        "score": [cell for name in wide for cell in columns[name]],
    }
    for name in ("contestant", "score"):
        if name in columns and name not in wide:
            fix = f"name one score column only, or leave {name} out with --ignore {name}"
            raise DataError(
                f"several score columns and a {name} column", where=source, got=", ".join(wide), fix=fix
            )
    for name, column in columns.items():
        if name not in wide:
            many = len(wide)
            out[name] = np.tile(column, many) if isinstance(column, np.ndarray) else list(column) * many
    return out


def how_to_name(needed: str, free: Mapping[str, Column], *, contestants: bool) -> str:
    """What to do when no column is the `task` or `score`; `free` are the columns that are nothing yet."""
    scores = [name for name, column in free.items() if _may_be_scores(column)]
    if needed == "score" and scores:
        one = f"--column score={scores[0]}" if len(scores) == 1 else "--column score=NAME"
        if contestants or len(scores) < 2:
            return f"say which column holds the score: {one}"
        each = " ".join(f"--column score={name}" for name in scores[:8])
        return f"say which column holds the score: {one}; or, when each column is a contestant: {each}"
    texts = [name for name in free if name not in scores]
    guess = texts[0] if needed == "task" and len(texts) == 1 else "NAME"
    return f"say which column holds the {needed}: --column {needed}={guess}"


def _may_be_scores(column: Column) -> bool:
    try:
        numbers(list(column[:_LOOKED_AT]), "score", "")
    except RowsError:
        return False
    return True
