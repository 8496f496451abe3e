"""Codex groups tools (those of MCP servers) in namespaces, which other dialects lack: made flat and back. No I/O.

`mcp__task` with `get_order` is the function `mcp__task__get_order` of another dialect, and in a reply of ours
`mcp__task:get_order`, which the server side of the responses dialect writes as a call within its namespace.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from steelyard.schema.reply import Reply
from steelyard.wire.values import Json, items, obj, text


def flat(value: Json) -> Json:
    """A request of the responses dialect without namespaces: their functions, and calls of them, by flat name."""
    if not any(obj(t).get("type") == "namespace" for t in items(value.get("tools"))):
        return value
    tools: list[object] = []
    for tool in items(value.get("tools")):
        if obj(tool).get("type") != "namespace":
            tools.append(tool)
            continue
        name = text(obj(tool).get("name"))
        functions = [obj(f) for f in items(obj(tool).get("tools"))]
        tools += [{**f, "name": _flat(name, f)} for f in functions if f.get("type") == "function"]
    said = [
        {
            **{k: v for k, v in obj(i).items() if k != "namespace"},
            "name": _flat(text(obj(i)["namespace"]), obj(i)),
        }
        if obj(i).get("type") == "function_call" and obj(i).get("namespace")
        else i
        for i in items(value.get("input"))
    ]
    return {**value, "tools": tools, **({"input": said} if isinstance(value.get("input"), list) else {})}


def named(reply: Reply, value: Json) -> Reply:
    """A reply whose calls of flat names are calls within the namespaces of the request `value` again."""
    names: Mapping[str, str] = {
        _flat(text(space.get("name")), obj(f)): f"{text(space.get('name'))}:{text(obj(f).get('name'))}"
        for space in map(obj, items(value.get("tools")))
        if space.get("type") == "namespace"
        for f in items(space.get("tools"))
    }
    calls = tuple(msgspec.structs.replace(c, name=names.get(c.name, c.name)) for c in reply.tool_calls)
    return msgspec.structs.replace(reply, tool_calls=calls)


def _flat(space: str, tool: Json) -> str:
    return f"{space}__{text(tool.get('name'))}"
