"""The process that a user's function runs in: `python -m steelyard.contestants.harness.function_worker TARGET`.

Reads one JSON line a request on stdin, answers with one on what was stdout; what the function itself prints goes to
stderr. State of the module lives as long as the process, which is one trial.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
import sys
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import msgspec

from steelyard.contestants.application import load_function
from steelyard.errors import PlanError

_ARGS = re.compile(r"^\s*(?:Args|Arguments|Parameters)\s*:\s*$", re.MULTILINE)
_ARG = re.compile(r"^\s*\**(\w+)\s*(?:\([^)]*\))?\s*:\s*(.+)$")


def struct_of(function: Callable[..., object]) -> type[msgspec.Struct]:
    """A type of the function's parameters by name. Raises PlanError for what a model cannot give."""
    hints = get_type_hints(function, include_extras=True)
    said = parameters_in(inspect.getdoc(function) or "")
    fields: list[Any] = []
    for p in inspect.signature(function).parameters.values():
        if p.kind in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL, p.VAR_KEYWORD):
            raise PlanError(
                f"a tool cannot have the parameter `{p}`",
                where=getattr(function, "__name__", ""),
                wanted="parameters that can be given by name, each with a type",
            )
        kind = hints.get(p.name, str)
        if p.name in said:
            kind = Annotated[kind, msgspec.Meta(description=said[p.name])]
        fields.append((p.name, kind) if p.default is p.empty else (p.name, kind, p.default))
    fields.sort(key=len)  # required ones first
    return msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True)


def parameters_in(doc: str) -> dict[str, str]:
    """What a docstring says of each parameter, below a line `Args:`."""
    found = _ARGS.search(doc)
    if found is None:
        return {}
    out: dict[str, str] = {}
    for line in doc[found.end() :].splitlines():
        if line.strip() and (one := _ARG.match(line)):
            out[one[1]] = one[2].strip()
    return out


def described(function: Callable[..., object]) -> dict[str, object]:
    """Name, description and JSON schema of a function as a tool."""
    struct = struct_of(function)
    _, parts = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    parameters = dict(parts.pop("Arguments", {}))
    parameters.pop("title", None)
    parameters["additionalProperties"] = False
    parameters.setdefault("properties", {})
    if parts:
        parameters["$defs"] = parts
    doc = inspect.getdoc(function) or ""
    found = _ARGS.search(doc)
    text = " ".join((doc[: found.start()] if found else doc).split())
    return {"name": function.__name__, "description": text, "parameters": parameters}


def told(value: object) -> str:
    """What a function returned, as text."""
    if isinstance(value, str):
        return value
    if value is None:
        return "done"
    return msgspec.json.encode(value, enc_hook=str).decode()


def serve(function: Callable[..., object], answers: Any, *, plain: bool = False) -> None:
    """Answer requests until stdin ends; `plain`: nothing is converted, and what the function does not take is left
    out."""
    take = _as_they_are(function) if plain else _converted(function)
    for line in sys.stdin:
        try:
            arguments = take(json.loads(line))
            found = function(**arguments)
            if inspect.isawaitable(found):
                found = asyncio.run(_finish(found))
            reply = {"text": told(found)}
        except msgspec.ValidationError as e:
            reply = {"wrong": str(e)}
        except (Exception, SystemExit) as e:  # noqa: BLE001 - the user's function may raise anything; it is told
            reply = {"raised": f"{type(e).__name__}: {e}"[:2000]}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


def _converted(function: Callable[..., object]) -> Callable[[Any], dict[str, Any]]:
    struct = struct_of(function)

    def take(given: Any) -> dict[str, Any]:
        made = msgspec.convert(given, struct, strict=False)
        return {f: getattr(made, f) for f in struct.__struct_fields__}

    return take


def _as_they_are(function: Callable[..., object]) -> Callable[[Any], dict[str, Any]]:
    parameters = inspect.signature(function).parameters
    every = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return lambda given: {k: v for k, v in given.items() if every or k in parameters}


async def _finish(found: Any) -> object:
    return await found


def main(target: str, *, plain: bool = False) -> None:
    """Describe the function, then serve it; see `serve`."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        function = load_function(target, where="tools")
        spec = {"name": "judge", "description": "", "parameters": {}} if plain else described(function)
    except Exception as e:  # noqa: BLE001 - told to whoever started this process
        answers.write(
            json.dumps({"error": f"{e}" if isinstance(e, PlanError) else f"{type(e).__name__}: {e}"}) + "\n"
        )
        answers.flush()
        return
    answers.write(json.dumps({"spec": spec}) + "\n")
    answers.flush()
    serve(function, answers, plain=plain)


if __name__ == "__main__":
    main(sys.argv[1], plain="plain" in sys.argv[2:])
