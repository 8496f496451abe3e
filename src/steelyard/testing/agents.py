"""Scripted twins for command-line agents: the adapter of the tiny agent, and models that answer by a script."""

from __future__ import annotations

import json
import re
import shlex
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from steelyard.schema.message import ToolCall, text_of
from steelyard.schema.reply import Reply, Usage
from steelyard.wire.base import Request

AGENT = Path(__file__).with_name("agent_cli.py")
FINISHED = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
"""What mini-swe-agent wants printed when the work is done."""
DIALECTS = {"chat": "openai-chat", "responses": "openai-responses", "messages": "anthropic-messages"}


def write_adapter(path: Path, dialect: str = "chat", *args: str, script: Path = AGENT) -> Path:
    """An adapter file for `script` (the tiny agent, or another program that takes its options)."""
    command = [sys.executable, "-I", str(script), "--url={url}", "--token={token}", "--model={model}",
               f"--dialect={dialect}", "--record={home}/record.json", *args, "{instruction}"]  # fmt: skip
    path.write_text(
        f"""format = 1
name = "agent-cli"
title = "agent-cli"
dialect = "{DIALECTS[dialect]}"
[install]
executable = {json.dumps(sys.executable)}
command = "nothing to install"
mounts = [{json.dumps(str(script))}]
version = [{json.dumps(sys.executable)}, "-I", {json.dumps(str(AGENT))}, "--version"]
[run]
command = {json.dumps(command)}
[transcript]
path = "{{home}}/record.json"
shape = "json"
[mcp]
[[mcp.files]]
path = "{{home}}/tools_url"
text = "{{tools_url}}"
""",
        encoding="utf-8",
    )
    return path


def commands(*steps: str, last: str = "done", usage: Usage | None = None) -> Callable[[Request], Reply]:
    """A model that asks for one shell command a turn, then says `last`. It goes by how many tool results the
    conversation holds, so it serves any number of agents at once."""

    def reply(request: Request) -> Reply:
        turn = sum(m.role == "tool" for m in request.messages)
        words = sum(len(text_of(m).split()) for m in request.messages)
        used = usage or Usage(input_tokens=max(1, words), output_tokens=10)
        if turn >= len(steps):
            return Reply(text=last, usage=used, model=request.model, response_id=f"r-{turn}")
        call = shell_call(request, steps[turn], id=f"call_{turn}")
        return Reply(
            text=f"step {turn}",
            finish="tool_calls",
            tool_calls=(call,),
            usage=used,
            model=request.model,
            response_id=f"r-{turn}",
        )

    return reply


def shell_call(request: Request, command: str, id: str = "") -> ToolCall:  # noqa: A002 - the wire's own word
    """A call of whichever tool of the request takes a shell command."""
    for tool in request.tools:
        fields = tool.parameters.get("properties")
        for key in ("command", "cmd"):
            if isinstance(fields, dict) and key in fields and "enum" not in fields[key]:
                more = {"description": "a step"} if "description" in fields else {}
                return ToolCall(id, tool.name, json.dumps({key: command, **more}))
    return ToolCall(id, "sh", json.dumps({"command": command}))


def task_tool(request: Request, name: str, **arguments: object) -> ToolCall:
    """A call of a task's own tool, by whatever name the agent offers it; of an agent without MCP, such as the tiny one,
    the request that an MCP client would send, as a shell command."""
    for tool in request.tools:
        if tool.name == name or re.fullmatch(rf"\w*[^a-z0-9]{re.escape(name)}", tool.name):
            return ToolCall("", tool.name, json.dumps(arguments))
    asked = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": name, "arguments": arguments},
    }
    program = (
        "import sys, urllib.request as u; r = u.Request(open('/tmp/home/tools_url').read(), sys.argv[1].encode()); "
        "print(u.urlopen(r).read().decode())"
    )
    return shell_call(request, f"python3 -c {shlex.quote(program)} {shlex.quote(json.dumps(asked))}")


def in_order(replies: Sequence[Reply]) -> Callable[[Request], Reply]:
    """A model that says these replies one after the other, whoever asks, and the last one for ever."""
    lock, left = threading.Lock(), list(replies)

    def reply(_: Request) -> Reply:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return reply
