"""A task's tools as an MCP server: the official SDK talks to it, and nothing that an agent sends breaks it."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from steelyard.contestants.capture.tasktools import TaskTools
from steelyard.errors import EndedBy, Fault
from steelyard.schema.message import ToolSpec
from steelyard.wire.serve import Incoming, Server

SPEC = ToolSpec(
    "get_order",
    "An order.",
    {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]},
)


async def carried(name: str, arguments: dict[str, object]) -> str:
    if arguments.get("order_id") == "broken":
        raise Fault("gone", ended_by=EndedBy.GRADER, kind="environment", paid=None)
    return f"{name}: {arguments['order_id']} é"


def asked(tools: TaskTools, body: object, method: str = "POST") -> tuple[int, object]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    out = asyncio.run(tools.answer(Incoming(method, "/mcp", "", {}, data, 0)))
    assert isinstance(out.body, bytes)
    return out.status, json.loads(out.body) if out.body else None


def test_the_official_client_lists_and_calls() -> None:
    mcp = pytest.importorskip("mcp", reason="needs the extra `mcp`")
    from mcp.client.streamable_http import streamable_http_client

    async def go() -> tuple[list[str], str, bool, str]:
        sock = socket.create_server(("127.0.0.1", 0))
        tools = TaskTools((SPEC,), carried)
        server = Server(tools.answer)
        await server.start(sock)
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/mcp"
        async with streamable_http_client(url) as streams, mcp.ClientSession(*streams[:2]) as session:
            hello = await session.initialize()
            listed = await session.list_tools()
            found = await session.call_tool("get_order", {"order_id": "A1"})
            await session.send_ping()
        await server.aclose()
        sock.close()
        return (
            [t.name for t in listed.tools],
            found.content[0].text,
            bool(found.is_error),
            hello.server_info.name,
        )

    assert asyncio.run(go()) == (["get_order"], "get_order: A1 é", False, "task")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"[" * 100_000, -32700),
        ({"id": 1, "method": "resources/list"}, -32601),
        ({"id": 1, "method": "tools/call", "params": {"name": "nope"}}, -32602),
        ({"id": 1, "method": "tools/call", "params": {"name": ["x"]}}, -32602),
        ({"id": 1, "method": "tools/call", "params": {"name": "get_order", "arguments": [1]}}, -32602),
        ({"id": 1, "method": 5}, -32600),
        (5, -32600),
    ],
)
def test_what_is_wrong_is_said(body: object, code: int) -> None:
    _, said = asked(TaskTools((SPEC,), carried), body)
    assert isinstance(said, dict)
    assert said["error"]["code"] == code


def test_notifications_want_no_answer_and_batches_one_each() -> None:
    tools = TaskTools((SPEC,), carried)
    note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert asked(tools, note) == (202, None)
    status, said = asked(tools, [note, {"id": 7, "method": "ping"}])
    assert (status, said) == (200, [{"jsonrpc": "2.0", "id": 7, "result": {}}])
    assert asked(tools, b"", "GET")[0] == 405
    assert asked(tools, b"", "DELETE")[0] == 200


def test_when_it_breaks_the_trial_is_over_and_no_later_call_is_carried_out() -> None:
    told: list[str] = []
    tools = TaskTools(
        (SPEC,), carried, note=lambda kind, words, data: told.append(words), broke=lambda: told.append("!")
    )
    call = {
        "id": 1,
        "method": "tools/call",
        "params": {"name": "get_order", "arguments": {"order_id": "broken"}},
    }
    assert asked(tools, call)[1]["result"]["isError"]  # type: ignore[index] # an answer of this shape
    call["params"] = {"name": "get_order", "arguments": {"order_id": "A1"}}
    assert asked(tools, call)[1]["result"]["isError"]  # type: ignore[index] # as above
    assert told == ["get_order: it broke", "!"]
    assert tools.fault is not None
    assert tools.fault.ended_by is EndedBy.GRADER
