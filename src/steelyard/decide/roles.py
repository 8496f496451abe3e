"""Columns by what they hold, for tables that are no results: judges' scores, ratings, preferences, answers.

Does not know what a role means, and reads no files. Every refusal names columns or rows of the table as it was given.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from steelyard.decide.cells import Column
from steelyard.decide.columns import plain_name
from steelyard.decide.results import nearest
from steelyard.errors import DataError, RowsError
from steelyard.stats.base import BoolArray, IntArray

Roles = Mapping[str, tuple[str, ...]]
"""Role to the other names under which a column of it is known."""


def by_role(
    columns: Mapping[str, Column], roles: Roles, rename: Mapping[str, str], source: str = ""
) -> dict[str, str]:
    """The name of each role's column: what `rename` says, else the first under the role's name or an alias.

    A column serves one role unless `rename` says otherwise. Raises DataError for a name that is not there.
    """
    for role, name in rename.items():
        here(columns, name, f"for {role}", source)
    used, found = set(rename.values()), dict(rename)
    plain = {plain_name(n): n for n in reversed(list(columns))}
    for own in (True, False):  # every role's own name goes before another's alias
        for role, others in roles.items():
            names = (role,) if own else others
            free = [plain[n] for n in names if n in plain and plain[n] not in used]
            if role not in found and free:
                found[role] = free[0]
                used.add(free[0])
    return found


def here(columns: Mapping[str, Column], name: str, what: str, source: str = "") -> Column:
    """The column of this name. Raises DataError, naming those that are there."""
    if name not in columns:
        raise DataError(
            f"no column {name!r} {what}", where=source, wanted=", ".join(columns), got=name,
            fix=nearest(name, list(columns)),
        )  # fmt: skip
    return columns[name]


def need(
    found: Mapping[str, str], wanted: Sequence[str], columns: Mapping[str, Column], roles: Roles
) -> None:
    """Raise DataError unless every role of `wanted` has a column."""
    for role in wanted:
        if role not in found:
            raise DataError(
                f"no {role} column", wanted=" or ".join((role, *roles[role][:4])),
                got=", ".join(columns) or "no columns", fix=f"name it with --column {role}=NAME",
            )  # fmt: skip


def texts(column: Column) -> list[str | None]:
    """Each cell as trimmed text, None where it is empty; 1, 1.0 and "1" are the same text."""
    cells = column.tolist() if isinstance(column, np.ndarray) else column
    return [_text(x) for x in cells]


def _text(x: object) -> str | None:
    if isinstance(x, float):
        return None if math.isnan(x) else (str(int(x)) if x.is_integer() else str(x))
    return None if x is None else (str(x).strip() or None)


def whole(column: Column, name: str, fix: str = "") -> list[str]:
    """As `texts`, of a column without empty cells. Raises RowsError for these."""
    found = texts(column)
    bad = tuple(i for i, x in enumerate(found) if x is None)
    if bad:
        fix = fix or f"give every row a {name}"
        raise RowsError(f"{name} is empty", rows=bad, wanted="a value in every row", fix=fix)
    return [x for x in found if x is not None]


def named(columns: Mapping[str, Column], names: Sequence[str], source: str = "") -> list[str]:
    """What a row belongs to: the values of several columns with | between."""
    each = [whole(here(columns, n, "to tell rows apart by", source), n) for n in names]
    return ["|".join(values) for values in zip(*each, strict=True)]


def matching(columns: Mapping[str, Column], pairs: Sequence[tuple[str, str]], source: str = "") -> IntArray:
    """The rows where every named column has its value (true and false in any case)."""
    keep: BoolArray = np.ones(len(next(iter(columns.values()))) if columns else 0, dtype=np.bool_)
    for name, value in pairs:
        cells = texts(here(columns, name, "to choose rows by", source))
        bare = value.lower() if value.lower() in ("true", "false") else value
        same = [
            x is not None and (x == value or (x.lower() == bare and x in ("True", "False"))) for x in cells
        ]
        if not any(same):
            known = list(dict.fromkeys(x for x in cells if x is not None))
            raise DataError(
                f"no row has {name} = {value!r}", where=source, wanted=", ".join(known[:12]), got=value,
                fix=nearest(value, known),
            )  # fmt: skip
        keep &= np.array(same)
    if not keep.any() and keep.size:
        raise DataError("no row has all of these values", where=source, fix="leave one --where out")
    return np.flatnonzero(keep)


def taken(columns: Mapping[str, Column], index: IntArray) -> dict[str, Column]:
    """These rows of every column."""
    return {n: c[index] if isinstance(c, np.ndarray) else [c[i] for i in index] for n, c in columns.items()}


@contextmanager
def rows_of(index: IntArray) -> Iterator[None]:
    """Name rows by their places in the whole table where a part of it, `index`, is worked on."""
    try:
        yield
    except RowsError as e:
        rows = tuple(int(index[r]) for r in e.rows)
        message = e.message.split(" (row", 1)[0]
        raise type(e)(message, rows=rows, wanted=e.wanted, got=e.got, fix=e.fix) from e


def groups(labels: Sequence[str]) -> dict[str, IntArray]:
    """The rows of each label, in order of first appearance."""
    place = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    index = np.array([place[x] for x in labels], np.int64)
    order = np.argsort(index, kind="stable")
    ends = np.cumsum(np.bincount(index, minlength=len(place)))[:-1]
    return dict(zip(place, np.split(order, ends), strict=True))


def looked_up(keys: Sequence[str], known: Sequence[str], values: Sequence[str]) -> list[str]:
    """The value of each key from another table. Raises DataError where that says two things, RowsError where none."""
    table: dict[str, str] = {}
    for i, (key, value) in enumerate(zip(known, values, strict=True)):
        if table.setdefault(key, value) != value:
            raise RowsError(
                f"{key} has two labels", rows=(i,), wanted="one", got=f"{table[key]} and {value}",
                fix="keep one of the rows",
            )  # fmt: skip
    bad = tuple(i for i, k in enumerate(keys) if k not in table)
    if bad:
        raise RowsError(
            "no label of these", rows=bad, wanted="each in the file of labels", got=keys[bad[0]],
            fix="add them there, or check that both files name items alike",
        )  # fmt: skip
    return [table[k] for k in keys]
