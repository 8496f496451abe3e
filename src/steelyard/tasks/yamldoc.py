"""A YAML document whose values know where they stand, so that every error names file, line and path.

Reads the safe subset only (no tags that make objects). Values are taken with the method that says what is wanted;
unknown keys are refused with the nearest known one. Duplicate keys are refused: YAML's last-one-wins hides mistakes.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from steelyard.errors import PlanError

_MAX_BYTES = 16 * 2**20
_MAX_DEPTH = 64
_TAGS = tuple(
    f"tag:yaml.org,2002:{t}"
    for t in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value", "binary")
)
_MAX_VALUES = 2_000_000


class Doc:
    """A value of a document: its YAML node, the file, and the path inside (`contestants[0].price`)."""

    def __init__(self, node: yaml.Node, file: str, path: str = "") -> None:
        self.node, self.file, self.path = node, file, path

    @property
    def where(self) -> str:
        """`file:line (path)`, lines from 1."""
        at = f"{self.file}:{self.node.start_mark.line + 1}"
        return f"{at} ({self.path})" if self.path else at

    def fail(self, message: str, *, wanted: str = "", got: str = "", fix: str = "") -> PlanError:
        """The error to raise about this value."""
        return PlanError(message, where=self.where, wanted=wanted, got=got or self.shown(), fix=fix)

    def shown(self) -> str:
        """What stands here, short."""
        if isinstance(self.node, yaml.ScalarNode):
            return repr(self.node.value)[:80]
        return "a list" if isinstance(self.node, yaml.SequenceNode) else "a mapping"

    @property
    def is_mapping(self) -> bool:
        """True for a mapping."""
        return isinstance(self.node, yaml.MappingNode)

    @property
    def is_sequence(self) -> bool:
        """True for a list."""
        return isinstance(self.node, yaml.SequenceNode)

    @property
    def is_null(self) -> bool:
        """True for an empty value."""
        return isinstance(self.node, yaml.ScalarNode) and self.node.tag == "tag:yaml.org,2002:null"

    def entries(self, allowed: Sequence[str] | None = None) -> dict[str, Doc]:
        """The mapping as values by key; keys outside `allowed` are refused."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.fail("not a mapping", wanted="`key: value` lines")
        out: dict[str, Doc] = {}
        for k, v in self.node.value:
            key = str(k.value) if isinstance(k, yaml.ScalarNode) else ""
            child = Doc(v, self.file, f"{self.path}.{key}" if self.path else key)
            at_key = Doc(k, self.file, child.path)
            if not key:
                raise at_key.fail("a key must be a plain word", wanted="a word before the colon")
            if key in out:
                raise at_key.fail(f"`{key}` stands twice", fix="keep one of the two")
            if allowed is not None and key not in allowed:
                if key == "<<":
                    raise at_key.fail(
                        "a merge of mappings", wanted="plain keys", fix="write its keys out here"
                    )
                near = difflib.get_close_matches(key, allowed, 1)
                fix = (
                    f"did you mean `{near[0]}`?"
                    if near
                    else "remove it, or see the reference of the plan file"
                )
                raise at_key.fail(
                    f"unknown key `{key}`", wanted="one of " + ", ".join(allowed), got=key, fix=fix
                )
            out[key] = child
        return out

    def items(self) -> Iterator[Doc]:
        """The values of a list; a single value counts as a list of one."""
        if not isinstance(self.node, yaml.SequenceNode):
            yield self
            return
        for i, v in enumerate(self.node.value):
            yield Doc(v, self.file, f"{self.path}[{i}]")

    def text(self, *, allow_empty: bool = False) -> str:
        """A text; numbers and booleans are taken as written."""
        if not isinstance(self.node, yaml.ScalarNode) or self.is_null:
            raise self.fail("not a text", wanted="a text")
        value = str(self.node.value)
        if not value.strip() and not allow_empty:
            raise self.fail("an empty text", wanted="a text that is not empty")
        return value

    def choice(self, options: Sequence[str]) -> str:
        """One of some words."""
        value = self.text()
        if value not in options:
            near = difflib.get_close_matches(value, options, 1)
            raise self.fail(
                "not a value that is known here",
                wanted=" | ".join(options),
                fix=f"did you mean `{near[0]}`?" if near else "",
            )
        return value

    def number(self, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number in [low, high]."""
        wanted = f"a number from {low:g} to {high:g}"
        try:
            value = float(self.text().replace("_", ""))
        except ValueError:
            raise self.fail("not a number", wanted=wanted) from None
        if not math.isfinite(value) or not low <= value <= high:
            raise self.fail("a number out of range", wanted=wanted)
        return value

    def integer(self, low: int = 0, high: int = 2**53) -> int:
        """A whole number in [low, high]."""
        wanted = f"a whole number from {low} to {high}"
        try:
            value = float(self.text().replace("_", ""))
        except ValueError:
            raise self.fail("not a whole number", wanted=wanted) from None
        if not math.isfinite(value) or value != int(value) or not low <= value <= high:
            raise self.fail("not a whole number in range", wanted=wanted)
        return int(value)

    def boolean(self) -> bool:
        """true or false."""
        value = self.plain()
        if not isinstance(value, bool):
            raise self.fail("not a truth value", wanted="true or false")
        return value

    def plain(self) -> object:
        """The value as plain Python data (str, int, float, bool, None, list, dict)."""
        if isinstance(self.node, yaml.MappingNode):
            return {k: v.plain() for k, v in self.entries().items()}
        if isinstance(self.node, yaml.SequenceNode):
            return [v.plain() for v in self.items()]
        loader = yaml.SafeLoader("")
        try:
            value: object = loader.construct_object(self.node)
        except (yaml.YAMLError, ValueError) as e:
            raise self.fail("a value that YAML cannot read", wanted="a plain value", fix=str(e)) from None
        if isinstance(value, str | int | float | bool) or value is None:
            return value
        return str(self.node.value)


def parse(text: str, file: str) -> Doc:
    """The document in `text`. Raises PlanError with the line at which YAML stops making sense."""
    if len(text) > _MAX_BYTES:
        raise PlanError("file too long", where=file, wanted="at most 16 MiB", got=f"{len(text)} characters")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else file
        problem = str(getattr(e, "problem", "") or e)
        raise PlanError("not valid YAML", where=where, wanted="a YAML mapping", got=problem[:200]) from None
    except RecursionError:
        raise PlanError("nested too deep", where=file, wanted=f"at most {_MAX_DEPTH} levels") from None
    if node is None:
        raise PlanError("an empty file", where=file, wanted="a YAML mapping", got="nothing")
    _check_tree(node, file, 0, {})
    return Doc(node, file)


def _check_tree(node: yaml.Node, file: str, depth: int, sizes: dict[int, int]) -> int:
    """Number of values below `node` with aliases written out; refuses what would not fit in memory."""
    where = f"{file}:{node.start_mark.line + 1}"
    if depth > _MAX_DEPTH:
        raise PlanError("nested too deep", where=where, wanted=f"at most {_MAX_DEPTH} levels")
    known = sizes.get(id(node))
    if known == 0:
        raise PlanError("an alias that contains itself", where=where, fix="write the value out")
    if known is not None:
        return known
    if not node.tag.startswith(_TAGS):
        raise PlanError(
            "a tag, which would make an object", where=where, wanted="a plain value", got=node.tag[:80],
            fix="leave the tag out",
        )  # fmt: skip
    sizes[id(node)] = 0
    total = 1
    if isinstance(node, yaml.CollectionNode):
        for child in node.value:
            for part in child if isinstance(child, tuple) else (child,):
                total += _check_tree(part, file, depth + 1, sizes)
    if total > _MAX_VALUES:
        raise PlanError(
            "too many values", where=where, wanted=f"at most {_MAX_VALUES} with aliases written out"
        )
    sizes[id(node)] = total
    return total


def read(path: Path) -> Doc:
    """The document in a file. Raises PlanError when there is none, or it is not UTF-8."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise PlanError(
            "no such file", where=str(path), fix="check the path, or run `steelyard try`"
        ) from None
    except IsADirectoryError:
        raise PlanError("a folder, not a file", where=str(path), wanted="a YAML file") from None
    except UnicodeDecodeError as e:
        raise PlanError(
            "not UTF-8 text", where=str(path), got=f"byte {e.start}", fix="save it as UTF-8"
        ) from None
    except OSError as e:
        raise PlanError("cannot be read", where=str(path), got=e.strerror or str(e)) from None
    return parse(text, str(path))
