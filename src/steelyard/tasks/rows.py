"""A row of a data file to a `Task`: the column mapping, the checks, and the errors that say where and what to do."""

from __future__ import annotations

import difflib
import hashlib
import math
import re
from collections.abc import Mapping, Sequence

import msgspec

from steelyard.errors import DataError
from steelyard.schema.canon import content_hash
from steelyard.schema.message import Message, ToolSpec
from steelyard.schema.task import Agentic, Split, Task
from steelyard.tasks.choices import LETTERS, index_of
from steelyard.tasks.messages import BadMessage, messages_of, tools_of
from steelyard.tasks.options import ROLES, LoadOptions
from steelyard.tasks.paths import MISSING, lookup, steps_of, without

_SPLITS: Mapping[str, Split] = {
    "public": "public",
    "held_out": "held_out",
    "held-out": "held_out",
    "heldout": "held_out",
    "private": "held_out",
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_LIKELY = {
    "input": ("question", "prompt", "query", "problem", "instruction", "text", "messages", "turns"),
    "target": ("answer", "ideal", "label", "expected", "reference", "output", "solution", "gold", "ground_truth"),
}  # fmt: skip
_MAX_ID = 512


class RowReader:
    """Turns rows of one file into tasks. `shown` is the file's name in errors."""

    def __init__(self, options: LoadOptions, shown: str, *, works: bool = False) -> None:
        self.options, self.shown, self._works = options, shown, works
        self._plain = not options.fields
        self.found: set[str] = set()  # mapped roles for which some row had a value
        self._hide = False  # the row at hand is held out: errors say what is wrong, not what stands there
        self._steps: dict[str, tuple[str | int, ...]] = {}
        for column in options.fields.values():
            for name in _names(column):
                self._steps[name] = steps_of(name)
        self._unmapped = tuple(r for r in ROLES if r not in options.fields)

    def task(self, row: dict[str, object], index: int, line: int) -> Task:
        """The task in `row`, number `index` from 0, that begins on `line`. Raises DataError."""
        # until the split is known: a share is drawn by id or cluster, so that any row may be one
        self._hide = self.options.held_out is not None
        if self._plain:
            taken = {role: row[role] for role in ROLES if role in row}
            rest = {k: v for k, v in row.items() if k not in taken} if len(taken) < len(row) else {}
        else:
            taken, rest = self._mapped(row, line)
        self._hide = self._hide or _SPLITS.get(str(taken.get("split")).strip().lower()) == "held_out"
        task_id = self._id(taken.get("id"), row, index, line)
        cluster = self._text(taken["cluster"], "cluster", line) if "cluster" in taken else ""
        split = self._split(taken.get("split"), task_id, cluster, line)
        self._hide = split == "held_out"
        choices = self._choices(taken.get("choices"), line) if "choices" in taken else ()
        conditions = self._conditions(taken["conditions"], line) if "conditions" in taken else {}
        images, tools = taken.get("images"), taken.get("tools")
        # only readers of task directories make this column; in a data file it is one like any other
        work = msgspec.convert(rest.pop("agentic", None), Agentic | None) if self._works else None
        return Task(
            id=task_id,
            input=self._input(taken.get("input"), row, line, has_images=bool(images)),
            target=self._target(taken.get("target"), choices, line),
            choices=choices,
            conditions=conditions,
            cluster=cluster,
            split=split,
            fields=rest,
            tools=self._tools(tools, line) if tools else (),
            images=self._texts(images, "images", line) if images else (),
            human_minutes=self._minutes(taken.get("human_minutes"), line),
            agentic=work,
        )

    def fail(self, message: str, line: int, *, wanted: str = "", got: str = "", fix: str = "") -> DataError:
        """The DataError to raise about a row; of a held-out row it repeats nothing."""
        if self._hide:
            wanted, got = "", "(the row is held out: its content is not shown)"
        return DataError(message, where=f"{self.shown}:{line}", wanted=wanted, got=got[:300], fix=fix)

    def _mapped(self, row: dict[str, object], line: int) -> tuple[dict[str, object], dict[str, object]]:
        taken: dict[str, object] = {}
        rest: object = row
        for role, column in self.options.fields.items():
            value: object
            if isinstance(column, str):
                value = lookup(row, column, self._steps[column])
                if value is MISSING and role in ("input", "target"):
                    raise self._no_column(role, column, row, line)
            elif isinstance(column, dict):
                found = {k: lookup(row, c, self._steps[c]) for k, c in column.items()}
                value = {k: v for k, v in found.items() if v is not MISSING} or MISSING
            elif role == "id":
                value = self._joined(column, row, line)
            elif role == "conditions":
                found = {c: lookup(row, c, self._steps[c]) for c in column}
                value = {k: v for k, v in found.items() if v is not MISSING} or MISSING
            else:
                several = [lookup(row, c, self._steps[c]) for c in column]
                value = [v for v in several if v is not MISSING and v not in (None, "")] or MISSING
            if value is not MISSING:
                taken[role] = value
                self.found.add(role)
            for name in _names(column):
                rest = without(rest, (name,) if name in row else self._steps[name])
        left = rest if isinstance(rest, dict) else {}
        for role in self._unmapped:
            if role in left:
                taken[role] = left.pop(role)
        return taken, left

    def _joined(self, columns: tuple[str, ...], row: dict[str, object], line: int) -> str:
        """The values of several columns as one id. Raises DataError when one is missing: two ids could be the same."""
        parts = []
        for column in columns:
            value = lookup(row, column, self._steps[column])
            if value is MISSING or value is None or value == "":
                raise self._no_column("id", column, row, line)
            parts.append(self._text(value, column, line))
        return ":".join(parts)

    def _no_column(self, role: str, column: str, row: dict[str, object], line: int) -> DataError:
        near = difflib.get_close_matches(column, list(row), 1)
        return self.fail(
            f"no column `{column}`, which `fields` maps to `{role}`",
            line,
            wanted=f"a value at `{column}`",
            got="columns " + (", ".join(map(str, row)) or "(none)"),
            fix=f"did you mean `{near[0]}`?" if near else f"map `{role}` to one of these columns",
        )

    def _text(self, value: object, what: str, line: int) -> str:
        if isinstance(value, str):
            return value
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return str(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise self.fail(
                    f"`{what}` is {value}", line, wanted="a text or a finite number", fix="leave it out"
                )
            return repr(value)
        raise self.fail(
            f"`{what}` is of the wrong type", line, wanted="a text or a number", got=_shape(value)
        )

    def _texts(self, value: object, what: str, line: int) -> tuple[str, ...]:
        return tuple(
            self._text(v, f"{what}[{i}]", line)
            for i, v in enumerate(value if isinstance(value, list) else [value])
        )

    def _input(
        self, value: object, row: dict[str, object], line: int, *, has_images: bool
    ) -> str | tuple[Message, ...]:
        if isinstance(value, str) and (value.strip() or has_images):
            return value
        if isinstance(value, list) and value:
            try:
                return messages_of(value)
            except BadMessage as e:
                raise self.fail(
                    "a message is wrong", line, wanted=e.wanted, got=f"input{e.path}: {e.got}"
                ) from None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._text(value, "input", line)
        if isinstance(value, dict | bool):
            raise self.fail(
                "`input` is of the wrong type", line, wanted="a text or a list of messages", got=_shape(value)
            )
        if has_images:
            return ""
        likely = [c for c in _LIKELY["input"] if c in row]
        fix = f"map it: `fields: {{input: {likely[0] if likely else 'COLUMN'}}}`"
        if value is None and {"instance_id", "base_commit"} <= set(row):
            fix = "these are SWE-bench instances: name the folder of clones, `repos: FOLDER` (`check --repos FOLDER`)"
        raise self.fail(
            "a task without input" if value is None else "`input` is empty",
            line,
            wanted="a text or messages under `input`",
            got="columns " + (", ".join(map(str, row)) or "(none)"),
            fix=fix,
        )

    def _id(self, value: object, row: dict[str, object], index: int, line: int) -> str:
        if value is None or value == "":
            return str(index + 1) if self.options.ids == "row" else content_hash(row)[:16]
        text = self._text(value, "id", line)
        if not text.strip() or len(text) > _MAX_ID or _CONTROL.search(text):
            raise self.fail(
                "an id that cannot be shown",
                line,
                wanted=f"1 to {_MAX_ID} characters, none of them control characters",
                got=ascii(text),
                fix="rename it, or map `id` to another column",
            )
        return text

    def _target(self, value: object, choices: tuple[str, ...], line: int) -> str | tuple[str, ...]:
        if value is None:
            return ""
        if isinstance(value, list):
            several = self._texts(value, "target", line)
            if choices:
                if len(several) != 1:
                    raise self.fail(
                        "several targets for one choice", line, wanted="one right option", got=_shape(value)
                    )
                return self._choice_target(value[0], choices, line)
            return several[0] if len(several) == 1 else several
        if choices:
            return self._choice_target(value, choices, line)
        return self._text(value, "target", line)

    def _choice_target(self, value: object, choices: tuple[str, ...], line: int) -> str:
        text = self._text(value, "target", line)
        if text == "":
            return ""
        start = self.options.target_index
        if start is not None and text.strip().isdigit() and text.strip().isascii():
            at = int(text) - start
            if 0 <= at < len(choices):
                return choices[at]
            raise self.fail(
                "the target counts past the choices",
                line,
                wanted=f"{start} to {start + len(choices) - 1}",
                got=text,
            )
        if index_of(text, choices) is None:
            number = text.strip().isdigit()
            raise self.fail(
                "the target is not among the choices",
                line,
                wanted=f"one of {list(choices)!r}"[:200]
                + f", or a letter from A to {LETTERS[len(choices) - 1]}",
                got=repr(text),
                fix="a number that counts choices needs `target_index: 0` (or 1)"
                if number
                else "correct the row",
            )
        return text

    def _choices(self, value: object, line: int) -> tuple[str, ...]:
        if value is None or value in ("", []):
            return ()
        if isinstance(value, str):
            text = value.strip()
            if text.startswith("["):
                value = self._json(text, "choices", line)
            elif self.options.choice_separator and self.options.choice_separator in text:
                value = [part.strip() for part in text.split(self.options.choice_separator)]
        if not isinstance(value, list):
            raise self.fail(
                "`choices` is not a list",
                line,
                wanted="a list of texts",
                got=_shape(value),
                fix='write a JSON list, map several columns, or set `choice_separator: "|"`',
            )
        choices = self._texts(value, "choices", line)
        if not 2 <= len(choices) <= len(LETTERS):
            raise self.fail(
                "a number of choices that cannot be shown",
                line,
                wanted=f"2 to {len(LETTERS)} choices",
                got=str(len(choices)),
            )
        bare = [c.strip() for c in choices]
        if "" in bare or len(set(bare)) < len(bare):
            twice = next((c for c in bare if not c or bare.count(c) > 1), "")
            raise self.fail(
                "two choices are the same" if twice else "an empty choice",
                line,
                wanted="options that differ",
                got=repr(twice),
                fix="correct the row: no answer could be told right",
            )
        return choices

    def _conditions(self, value: object, line: int) -> dict[str, str]:
        if value is None or value == "":
            return {}
        if isinstance(value, str) and value.lstrip().startswith("{"):
            value = self._json(value, "conditions", line)
        if not isinstance(value, dict):
            raise self.fail(
                "`conditions` is not a mapping",
                line,
                wanted="names and values, as in {difficulty: 3}",
                got=_shape(value),
                fix="name the columns: `fields: {conditions: [difficulty]}`",
            )
        return {str(k): self._text(v, f"conditions.{k}", line) for k, v in value.items() if v is not None}

    def _split(self, value: object, task_id: str, cluster: str, line: int) -> Split:
        if value is None or value == "":
            share = self.options.held_out
            if share is None:
                return "public"
            key = cluster if self.options.split_by == "cluster" and cluster else task_id
            return "held_out" if hash_share(key, self.options.split_seed) < share else "public"
        split = _SPLITS.get(str(value).strip().lower())
        if split is None:
            raise self.fail(
                "a split that is not known",
                line,
                wanted="public or held_out",
                got=repr(value),
                fix="map `split` to another column, or rename the value",
            )
        return split

    def _tools(self, value: object, line: int) -> tuple[ToolSpec, ...]:
        if isinstance(value, str):
            value = self._json(value, "tools", line)
        try:
            return tools_of(value)
        except BadMessage as e:
            raise self.fail("a tool is wrong", line, wanted=e.wanted, got=f"tools{e.path}: {e.got}") from None

    def _minutes(self, value: object, line: int) -> float | None:
        if value is None or value == "":
            return None
        try:
            minutes = float(value) if isinstance(value, int | float | str) else math.nan
        except ValueError:
            minutes = math.nan
        if isinstance(value, bool) or not (math.isfinite(minutes) and minutes > 0):
            raise self.fail("`human_minutes` is wrong", line, wanted="a number above 0", got=repr(value))
        return minutes

    def _json(self, text: str, what: str, line: int) -> object:
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as e:
            raise self.fail(
                f"`{what}` holds broken JSON", line, wanted="JSON", got=f"{text[:80]!r}: {e}"
            ) from None


def hash_share(key: str, seed: int) -> float:
    """A number in [0, 1) that depends on `key` and `seed` only (SHA-256)."""
    digest = hashlib.sha256(f"{seed}\0{key}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def _names(column: str | tuple[str, ...] | dict[str, str]) -> Sequence[str]:
    if isinstance(column, str):
        return (column,)
    return tuple(column.values()) if isinstance(column, dict) else column


def _shape(value: object) -> str:
    names = {
        dict: "a mapping", list: "a list", str: "a text", bool: "a truth value", int: "a number",
        float: "a number", type(None): "nothing",
    }  # fmt: skip
    return f"{names.get(type(value), type(value).__name__)}: {str(value)[:80]!r}"
