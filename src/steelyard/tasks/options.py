"""How a data file becomes tasks: which column is what, which tasks are held out, what images may be."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from steelyard.errors import PlanError

Column = str | tuple[str, ...] | dict[str, str]
"""A column or a path into it (`data.question`, `turns[0]`); several columns; or names for columns (conditions)."""

ROLES = (
    "id", "input", "target", "choices", "conditions", "cluster", "split", "tools", "images", "human_minutes",
)  # fmt: skip
"""What a column can be for a task. All other columns are kept as `fields`."""


class LoadOptions(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Options of `steelyard.tasks.load`; in a plan they stand beside `source`, in a YAML suite at its top.

    `fields` maps roles to columns; several columns for `id` are joined with ":". `where` keeps only the rows that
    hold these values (`{mode: direct}`, paths as in `fields`). `held_out` is the share of tasks put into the held-out
    split by a hash of their id (or of their cluster: `split_by`) and `split_seed`; a task that names its split
    keeps it. `ids` is `row` (1, 2, ...) or `hash` (of the row's content, stable when rows are added) for tasks
    without an id. `target_index` 0 or 1 says that a whole-number target counts choices from there.
    `choice_separator` splits a text of choices. `few_shot` names a file of examples. `repos` is a
    folder of clones, and says that the file holds SWE-bench instances. Images, sounds and files are looked
    up below the suite's folder unless `allow_outside`. Limits are bytes.
    """

    name: str = ""
    fields: dict[str, Column] = {}
    where: dict[str, str | int | float | bool] = {}
    held_out: float | None = None
    split_by: Literal["id", "cluster"] = "id"
    split_seed: int = 0
    ids: Literal["row", "hash"] = "row"
    target_index: Literal[0, 1] | None = None
    choice_separator: str = ""
    few_shot: str = ""
    repos: str = ""
    allow_outside: bool = False
    image_bytes: int = 20 * 2**20
    audio_bytes: int = 20 * 2**20
    row_bytes: int = 64 * 2**20
    unpacked_bytes: int = 8 * 2**30


def options_of(given: LoadOptions | Mapping[str, object], where: str = "options") -> LoadOptions:
    """Checked options from plain data. Raises PlanError that names the option, wanted and got."""
    if isinstance(given, LoadOptions):
        plain: object = msgspec.to_builtins(given)
    else:
        plain = dict(given)
        known = LoadOptions.__struct_fields__
        for key in given:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, 1)
                raise PlanError(
                    f"unknown option `{key}`",
                    where=where,
                    wanted="one of " + ", ".join(known),
                    got=str(key),
                    fix=f"did you mean `{near[0]}`?" if near else "remove it",
                )
    try:
        options = msgspec.convert(plain, LoadOptions)
    except msgspec.ValidationError as e:
        raise PlanError(
            "an option of the suite is wrong", where=where, wanted="a value of its type", got=str(e)
        ) from None
    for role in options.fields:
        if role not in ROLES:
            near = difflib.get_close_matches(role, ROLES, 1)
            raise PlanError(
                f"`fields` maps `{role}`, which no task has",
                where=f"{where}.fields",
                wanted="one of " + ", ".join(ROLES),
                got=role,
                fix=f"did you mean `{near[0]}`?" if near else "other columns are kept without mapping",
            )
    if options.held_out is not None and not 0 <= options.held_out <= 1:
        raise PlanError(
            "a share out of range",
            where=f"{where}.held_out",
            wanted="a number from 0 to 1",
            got=str(options.held_out),
        )
    return options
