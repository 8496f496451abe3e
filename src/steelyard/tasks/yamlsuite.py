"""A suite in one YAML file: its header, and its tasks or the name of the file that holds them.

Texts are taken as written: `target: no` is the text "no" and `target: 007` stays "007"; only `tools` and messages'
parts keep YAML's types.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from steelyard.errors import DataError, PlanError
from steelyard.tasks import yamldoc
from steelyard.tasks.options import LoadOptions, options_of
from steelyard.tasks.packed import unpacked
from steelyard.tasks.store import opened
from steelyard.tasks.yamldoc import Doc

HEADER = ("name", "description", "canary", "scorer", "prompt", "tasks")
KEYS = (*HEADER, *(f for f in LoadOptions.__struct_fields__ if f not in HEADER))
"""What may stand at the top of a YAML suite."""
_TYPED = ("tools", "scorer")


@dataclass(frozen=True, slots=True)
class YamlSuite:
    """`tasks` is a list of (line, row), or the path of a data file; `where` is the place of `tasks`."""

    declared: dict[str, object]
    tasks: list[tuple[int, dict[str, object]]] | str
    where: str


def read_suite(path: Path, *, packed: bool, limit: int) -> YamlSuite:
    """Header and tasks. Raises DataError or PlanError that name the line."""
    if packed:
        data = b"".join(unpacked(path))
    else:
        with opened(path) as file:
            data = file.read(limit + 1)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise DataError(
            "not UTF-8 text", where=f"{path}:{line}", wanted="UTF-8", got=f"byte {data[e.start]:#04x}",
            fix="save the file as UTF-8",
        ) from None  # fmt: skip
    doc = yamldoc.parse(text, str(path))
    if doc.is_sequence:
        return YamlSuite({}, _rows(doc), doc.where)
    keys = doc.entries(KEYS)
    if "tasks" not in keys:
        raise doc.fail("no `tasks`", wanted="`tasks:` with a list of tasks or a path", got=", ".join(keys))
    declared = {k: v.plain() for k, v in keys.items() if k != "tasks"}
    for key in ("name", "description", "canary", "prompt"):
        if key in keys:
            declared[key] = keys[key].text()
    for key in keys:
        if key in LoadOptions.__struct_fields__:
            options_of({key: declared[key]}, keys[key].where)
    if "scorer" in keys and not (keys["scorer"].is_mapping or isinstance(declared["scorer"], str)):
        raise keys["scorer"].fail("not a scorer", wanted="its name, or a mapping with `type`")
    tasks = keys["tasks"]
    if tasks.is_sequence:
        return YamlSuite(declared, _rows(tasks), tasks.where)
    return YamlSuite(declared, tasks.text(), tasks.where)


def _rows(doc: Doc) -> list[tuple[int, dict[str, object]]]:
    rows = []
    for item in doc.items():
        if not item.is_mapping:
            raise item.fail("a task is not a mapping", wanted="`input: ...` and `target: ...`")
        row = {k: v.plain() if k in _TYPED else as_written(v) for k, v in item.entries().items()}
        rows.append((item.node.start_mark.line + 1, row))
    return rows


def as_written(doc: Doc) -> object:
    """Plain data in which every scalar is the text in the file, and an empty one None."""
    if doc.is_mapping:
        return {k: as_written(v) for k, v in doc.entries().items()}
    if doc.is_sequence:
        return [as_written(v) for v in doc.items()]
    if doc.is_null:
        return None
    if not isinstance(doc.node, yaml.ScalarNode):
        raise PlanError("a value that YAML cannot read", where=doc.where)
    return str(doc.node.value)
