"""Paths into a row (`data.question`, `turns[0]`), and files beside a suite that may not be elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from steelyard.errors import DataError

_STEP = re.compile(r"([^.\[\]]+)|\[(-?\d+)\]")
MISSING = object()
"""What `lookup` gives when there is nothing at the path (None is a value)."""


def steps_of(path: str) -> tuple[str | int, ...]:
    """The keys and indexes of a path; a plain column name is one key."""
    steps: list[str | int] = []
    at = 0
    for match in _STEP.finditer(path):
        if path[at : match.start()] not in ("", "."):
            return (path,)
        steps.append(match.group(1) if match.group(1) is not None else int(match.group(2)))
        at = match.end()
    return tuple(steps) if steps and at == len(path) else (path,)


def lookup(row: dict[str, object], path: str, steps: tuple[str | int, ...]) -> object:
    """The value at a path, a column of exactly that name first; MISSING when there is none."""
    if path in row:
        return row[path]
    value: object = row
    for step in steps:
        if isinstance(value, dict):
            value = value.get(str(step), MISSING)
        elif isinstance(value, list) and str(step).lstrip("-").isdigit():
            i = int(step)
            value = value[i] if -len(value) <= i < len(value) else MISSING
        else:
            return MISSING
        if value is MISSING:
            return MISSING
    return value


def matches(row: dict[str, object], where: Mapping[str, object]) -> bool:
    """Whether the row holds all these values; 3, 3.0 and "3" are the same, as are true and "true"."""
    return all(
        _plain(lookup(row, column, steps_of(column))) == _plain(value) for column, value in where.items()
    )


def _plain(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.17g}" if isinstance(value, float) else str(value)
    return value


def without(value: object, steps: tuple[str | int, ...]) -> object:
    """A copy of `value` in which the leaf at `steps` is gone (lists keep their length: the leaf becomes None)."""
    head, rest = steps[0], steps[1:]
    if isinstance(value, dict):
        key = str(head)
        if not rest:
            return {k: v for k, v in value.items() if k != key}
        return {k: without(v, rest) if k == key else v for k, v in value.items()}
    if isinstance(value, list) and str(head).lstrip("-").isdigit():
        at = int(head) % len(value) if value else 0
        return [(without(v, rest) if rest else None) if i == at else v for i, v in enumerate(value)]
    return value


def beside(root: Path, name: str, *, allow_outside: bool, what: str, where: str) -> Path:
    """The file `name` below the folder `root`. Raises DataError when it is missing or outside (links followed)."""
    if "\0" in name:
        raise DataError(
            "a path with a NUL character", where=where, wanted="a path of a file", got=repr(name)[:200]
        )
    path = (root / name).resolve()
    if not allow_outside and not path.is_relative_to(root.resolve()):
        raise DataError(
            f"{what} is outside the suite's folder",
            where=where,
            wanted=f"a path below {root}",
            got=name,
            fix="move the file beside the suite, or set `allow_outside: true`",
        )
    if not path.is_file():
        raise DataError(
            f"{what} is missing",
            where=where,
            wanted=f"a file at {path}",
            got="a folder" if path.is_dir() else "nothing there",
            fix="paths start from the suite file's folder",
        )
    return path
