"""A function of the user's own: `module:function` or `path/to/file.py:function`.

It is loaded and run in the scoring process only, under a time and a memory limit an item, without the environment's
credentials. That protects a run from mistakes, not from malice: the function is the user's own code. It gets the `Item`
and returns a Score, a bool, a number in [0, 1], or a mapping with `value` and, if wanted, `extracted`, `explanation`,
`parts`.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from msgspec import field

from steelyard.errors import PlanError
from steelyard.schema.score import Outcome, Score, ungraded
from steelyard.scorers.base import Item
from steelyard.scorers.common import Options, TextScorer, of_value
from steelyard.scorers.outcomes import Kind, before


class PythonOptions(Options, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """`function` names the code, `arguments` go to it by keyword. `sha256` pins a file: other content is refused."""

    function: str
    arguments: dict[str, object] = field(default_factory=dict)
    sha256: str = ""


class PythonScorer(TextScorer):
    """Runs the function. The version holds the file's hash, so that a changed function is a new scorer."""

    kind: ClassVar[Kind] = "custom"
    needs_target = False
    linear = False

    def __init__(self, options: PythonOptions, base_dir: Path | None = None) -> None:
        where, _, self._name = options.function.rpartition(":")
        if not where or not self._name.isidentifier():
            raise PlanError(
                "no function named", where="scorer.function", wanted="module:function or path/to/file.py:function",
                got=options.function,
            )  # fmt: skip
        self._module, self._path = where, None
        if where.endswith(".py"):
            self._path = ((base_dir or Path()) / where).resolve()
            options = _pinned(options, self._path, self._name)
        super().__init__(options, base_dir)
        self._arguments = options.arguments
        self._function: Callable[..., object] | None = None

    def pinned(self) -> dict[str, object]:
        """The spec with the file's absolute path and hash."""
        if self._path is None:
            return self.spec
        return {**self.spec, "function": f"{self._path}:{self._name}"}

    def score(self, item: Item) -> Score:
        """Call the function. What it raises comes through: the scoring process makes it `grader_crashed`."""
        done = before(item, self.kind)
        if done is not None:
            return done
        if self._function is None:
            self._function = self._load()
        return as_score(self._function(item, **self._arguments))

    def _load(self) -> Callable[..., object]:
        if self._path is not None:
            name = f"steelyard_scorer_{self._path.stem}"
            spec = importlib.util.spec_from_file_location(name, self._path)
            if spec is None or spec.loader is None:
                raise ImportError(f"{self._path} cannot be loaded")
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            sys.path.insert(0, str(self._path.parent))
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(self._module)
        found = getattr(module, self._name)
        if not callable(found):
            raise TypeError(f"{self._name} is no function")
        return found  # type: ignore[no-any-return]  # callable() narrows to a function of unknown type


def _pinned(options: PythonOptions, path: Path, name: str) -> PythonOptions:
    """The options with the file's hash; refuses a file that is missing, broken, changed or without the function."""
    import ast  # lazy: 10 ms at start that only own functions need

    try:
        source = path.read_bytes()
        tree = ast.parse(source)
    except OSError as e:
        raise PlanError(
            "the scorer's file cannot be read", where=str(path), wanted="a Python file", got=e.strerror or str(e),
            fix="the path starts from the plan file's folder",
        ) from None  # fmt: skip
    except (SyntaxError, ValueError) as e:
        raise PlanError("the scorer's file is no Python", where=str(path), got=str(e)) from None
    names = [n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    names += [
        t.id for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)
    ]
    names += [a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names]
    if name not in names and "*" not in names:
        raise PlanError(
            f"no function `{name}`", where=str(path), wanted=name, got=", ".join(names) or "an empty file"
        )
    found = hashlib.sha256(source).hexdigest()
    if options.sha256 and options.sha256 != found:
        raise PlanError(
            "the scorer's file was changed", where=str(path), wanted=options.sha256[:12], got=found[:12],
            fix="restore it, or judge the run again under the new version with `steelyard rescore`",
        )  # fmt: skip
    return PythonOptions(
        **{f: getattr(options, f) for f in PythonOptions.__struct_fields__ if f != "sha256"}, sha256=found
    )


def as_score(result: object) -> Score:
    """The score that a function's result means; ungraded when it means none."""
    if isinstance(result, Score):
        return _checked(result)
    if isinstance(result, bool):
        return of_value(float(result))
    if isinstance(result, int | float):
        return _of_number(float(result), {})
    if isinstance(result, dict):
        value = result.get("value", result.get("score"))
        if isinstance(value, bool | int | float):
            return _of_number(float(value), result)
    return ungraded("grader_crashed", f"the function returned {type(result).__name__}: {result!r}"[:300])


def _of_number(value: float, more: dict[str, object]) -> Score:
    if not (math.isfinite(value) and 0 <= value <= 1):
        return ungraded("grader_crashed", f"the function returned {value}, wanted a number from 0 to 1")
    parts = more.get("parts")
    numbers = (
        {str(k): float(v) for k, v in parts.items() if isinstance(v, int | float)}
        if isinstance(parts, dict)
        else {}
    )
    return of_value(
        value,
        extracted=str(more.get("extracted", "")),
        explanation=str(more.get("explanation", ""))[:2000],
        parts=numbers,
    )


def _checked(score: Score) -> Score:
    known = score.value is not None and math.isfinite(score.value) and 0 <= score.value <= 1
    if (score.outcome is Outcome.UNGRADED) == (score.value is None) and (known or score.value is None):
        return score
    return ungraded("grader_crashed", f"the function returned an impossible score: {score!r}"[:300])
