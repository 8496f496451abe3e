"""What a tool is, and how a call of one is carried out: looked up, read, judged by the rules, run, told.

Whatever a model sends ends in a result that says what to do next; it never ends the trial. What ends it is raised:
`Fault` (the sandbox broke, the operator was needed) or `LimitReachedError`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from steelyard.schema.message import ImagePart, ToolCall, ToolSpec
from steelyard.wire.values import whole

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


class ToolError(Exception):
    """A call cannot be done; the text tells the model why, and what to do next."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call gave. `submitted` set: the contestant has handed in."""

    text: str
    error: bool = False
    images: tuple[ImagePart, ...] = ()
    submitted: str | None = None
    data: Mapping[str, object] = field(default_factory=dict)


class Tool(Protocol):
    """A tool of one trial. `acts` says that it can change something or reach somebody; `hosts` whom it talks to."""

    @property
    def spec(self) -> ToolSpec:
        """What the model is told of it."""
        ...

    @property
    def acts(self) -> bool:
        """See above."""
        ...

    @property
    def hosts(self) -> tuple[str, ...]:
        """See above."""
        ...

    async def call(self, arguments: dict[str, object]) -> Outcome:
        """Do it. Raises ToolError for the model, Fault for the runner."""
        ...


@dataclass(frozen=True, slots=True)
class SimpleTool:
    """A tool from a function of checked arguments."""

    spec: ToolSpec
    run: Callable[[dict[str, object]], object]
    acts: bool = True
    hosts: tuple[str, ...] = ()

    async def call(self, arguments: dict[str, object]) -> Outcome:
        """Run it; it may be asynchronous."""
        found = self.run(arguments)
        if hasattr(found, "__await__"):
            found = await found
        return found if isinstance(found, Outcome) else Outcome(str(found))


_NAMED = 20
"""Tools that are named to a model which asked for another: a list of hundreds would fill its conversation."""


def find(tools: Sequence[Tool], name: str) -> Tool:
    """The tool of this name. Raises ToolError that names those there are."""
    for tool in tools:
        if tool.spec.name == name:
            return tool
    names = [t.spec.name for t in tools]
    near = difflib.get_close_matches(name, names, 1)
    hint = f" Did you mean `{near[0]}`?" if near else ""
    more = f", or one of {len(names) - _NAMED} more: see `find_tools`" if len(names) > _NAMED else ""
    raise ToolError(f"There is no tool `{name[:80]}`.{hint} Call one of: {', '.join(names[:_NAMED])}{more}.")


def read_arguments(call: ToolCall, spec: ToolSpec) -> dict[str, object]:
    """The arguments of a call, held against the tool's schema as far as names and plain types go. Raises ToolError."""
    try:
        value: object = sayable(json.loads(call.arguments)) if call.arguments.strip() else {}
    except (ValueError, RecursionError) as e:
        at = f" at character {e.pos}" if isinstance(e, json.JSONDecodeError) else ""
        raise ToolError(
            f"The arguments of `{spec.name}` are not valid JSON ({type(e).__name__}{at}). "
            "Call it again with one JSON object; escape quotes and newlines inside strings."
        ) from None
    if not isinstance(value, dict):
        raise ToolError(
            f"The arguments of `{spec.name}` must be one JSON object, not {type(value).__name__}. Call it again."
        )
    check(value, spec)
    return value


def sayable(value: object) -> object:
    """The value with texts without halves of surrogate pairs, which JSON and file names can hold and UTF-8 cannot."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, dict):
        return {whole(str(k)): sayable(v) for k, v in value.items()}
    return [sayable(v) for v in value] if isinstance(value, list) else value


def check(arguments: Mapping[str, object], spec: ToolSpec) -> None:
    """Required names are there, no unknown ones, plain types fit. Raises ToolError."""
    properties = spec.parameters.get("properties")
    known: Mapping[str, object] = properties if isinstance(properties, Mapping) else {}
    needed = spec.parameters.get("required")
    missing = [n for n in (needed if isinstance(needed, list | tuple) else ()) if n not in arguments]
    if missing:
        raise ToolError(
            f"`{spec.name}` needs {', '.join(f'`{n}`' for n in missing)}. Call it again with: {_usage(spec)}."
        )
    if known and spec.parameters.get("additionalProperties") is False:
        extra = [n for n in arguments if n not in known]
        if extra:
            raise ToolError(
                f"`{spec.name}` has no argument `{str(extra[0])[:60]}`. Call it again with: {_usage(spec)}."
            )
    for name, value in arguments.items():
        schema = known.get(name)
        wanted = schema.get("type") if isinstance(schema, Mapping) else None
        if isinstance(wanted, str) and not _fits(value, wanted):
            raise ToolError(
                f"`{name}` of `{spec.name}` must be of type {wanted}, not {type(value).__name__}. Call it again."
            )
        options = schema.get("enum") if isinstance(schema, Mapping) else None
        if isinstance(options, list | tuple) and value not in options:
            shown = ", ".join(map(str, options))
            raise ToolError(f"`{name}` of `{spec.name}` must be one of {shown}; got {str(value)[:60]!r}.")


def _fits(value: object, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted == "boolean"
    if wanted == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(wanted, (object,)))


def _usage(spec: ToolSpec) -> str:
    properties = spec.parameters.get("properties")
    names = list(properties) if isinstance(properties, Mapping) else []
    return ", ".join(f"`{n}`" for n in names) or "no arguments"


def schema(properties: Mapping[str, object], required: Sequence[str] = ()) -> dict[str, object]:
    """A JSON schema of an object that allows nothing else."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }
