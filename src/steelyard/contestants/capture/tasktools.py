"""A task's own tools for a command-line agent: an MCP server beside the captured model endpoint (`/mcp`, no session).

Tools alone: no resources, prompts, sampling, nor messages from our side. Every call is on the trace, whatever the
agent's own record says. The agent writes the requests: nothing in them is trusted.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from steelyard.errors import Fault
from steelyard.schema.message import ToolSpec
from steelyard.wire.serve import Incoming, Outgoing

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Revisions of the protocol that are spoken, the newest first."""
MOST_CALLS = 2000
_PARSE, _INVALID, _NO_METHOD, _PARAMS = -32700, -32600, -32601, -32602

Note = Callable[[str, str, dict[str, object]], None]
"""What goes on the trace: kind, words, data."""


@dataclass(slots=True)
class TaskTools:
    """What is offered, and who carries a call out. `fault` is set when that broke: it is no doing of the agent's."""

    specs: Sequence[ToolSpec]
    call: Callable[[str, dict[str, object]], Awaitable[str]]
    note: Note = lambda *_: None
    broke: Callable[[], None] = lambda: None
    fault: Fault | None = None
    calls: int = 0
    _names: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        self._names = frozenset(s.name for s in self.specs)

    async def answer(self, incoming: Incoming) -> Outgoing:
        """One request."""
        if incoming.method == "DELETE":
            return Outgoing(body=b"")
        if incoming.method != "POST":
            return Outgoing(405, b"", headers=(("allow", "POST"),))
        try:
            asked = json.loads(incoming.body)
        except (ValueError, RecursionError):
            return _json(_error(None, _PARSE, "this is not JSON"), 400)
        many = asked if isinstance(asked, list) else [asked]
        answers = [a for one in many[:100] if (a := await self._one(one)) is not None]
        if not answers:
            return Outgoing(202, b"")
        return _json(answers if isinstance(asked, list) else answers[0])

    async def _one(self, asked: object) -> dict[str, object] | None:
        """The answer to one message; None: it wants none."""
        if not isinstance(asked, dict) or not isinstance(asked.get("method"), str):
            return (
                None
                if isinstance(asked, dict) and "method" not in asked
                else _error(None, _INVALID, "no method")
            )
        number, method, params = asked.get("id"), asked["method"], asked.get("params")
        if number is None:
            return None
        told: Mapping[str, object] = params if isinstance(params, dict) else {}
        match method:
            case "initialize":
                return _result(number, _hello(told))
            case "ping":
                return _result(number, {})
            case "tools/list":
                return _result(number, {"tools": [_described(s) for s in self.specs]})
            case "tools/call":
                return await self._called(number, told)
        return _error(number, _NO_METHOD, f"no such method here: {method[:100]}; there are tools alone")

    async def _called(self, number: object, told: Mapping[str, object]) -> dict[str, object]:
        name, arguments = told.get("name"), told.get("arguments", {})
        if not isinstance(name, str) or name not in self._names:
            known = ", ".join(sorted(self._names))
            return _error(number, _PARAMS, f"no such tool: {str(name)[:100]}; there are {known}")
        if not isinstance(arguments, dict):
            return _error(number, _PARAMS, "arguments must be an object")
        self.calls += 1
        if self.fault is not None or self.calls > MOST_CALLS:
            return _result(number, _text("The task's tools are closed.", failed=True))
        try:
            said = await self.call(name, arguments)
        except Fault as broken:
            self.fault = broken
            self.note(
                "task_tool", f"{name}: it broke", {"name": name, "arguments": arguments, "fault": str(broken)}
            )
            self.broke()
            return _result(number, _text("The task's tools are closed.", failed=True))
        self.note("task_tool", name, {"name": name, "arguments": arguments, "result": said})
        return _result(number, _text(said))


def _hello(told: Mapping[str, object]) -> dict[str, object]:
    wanted = told.get("protocolVersion")
    return {
        "protocolVersion": wanted if wanted in VERSIONS else VERSIONS[1],
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "task", "version": "1"},
    }


def _described(spec: ToolSpec) -> dict[str, object]:
    schema = spec.parameters or {"type": "object", "properties": {}}
    return {"name": spec.name, "description": spec.description, "inputSchema": schema}


def _text(said: str, *, failed: bool = False) -> dict[str, object]:
    return {"content": [{"type": "text", "text": said}], "isError": failed}


def _result(number: object, value: dict[str, object]) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "result": value}


def _error(number: object, code: int, said: str) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": said}}


def _json(value: object, status: int = 200) -> Outgoing:
    return Outgoing(status, json.dumps(value).encode())
