#!/usr/bin/env python3
"""A tiny command-line agent: one tool, three dialects, the standard library alone. A scripted twin of the real ones.

It says its task to the model, runs what the model asks for with `sh`, and prints the last text. Run by path, never
imported: it stands alone, since it runs in sandboxes that hold nothing of ours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

PARAMETERS = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}


def post(url: str, token: str, body: dict[str, Any], retries: int = 0) -> Any:
    """One call, made again as the answer says when it was one too many. Ends the program with status 3 when the model
    refuses."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}", "x-api-key": token,
               "anthropic-version": "2023-06-01"}  # fmt: skip
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - the URL is the caller's
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310 - as above
            data = answer.read()
    except urllib.error.HTTPError as e:
        if e.code == 429 and retries:
            time.sleep(float(e.headers.get("retry-after") or 0.1))
            return post(url, token, body, retries - 1)
        print(f"HTTP {e.code}: {e.read()[:2000].decode(errors='replace')}", file=sys.stderr)
        raise SystemExit(3) from None
    if body.get("stream"):
        return [json.loads(line[6:]) for line in data.split(b"\n") if line.startswith(b"data: {")]
    return json.loads(data)


def shell(command: str) -> str:
    """Run a command; its output and status as text."""
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=600, check=False)
    return f"{done.stdout}{done.stderr}[exit {done.returncode}]"


class Chat:
    """OpenAI chat completions."""

    path = PATHS["chat"]

    def __init__(self, task: str) -> None:
        self.turns: list[Any] = [{"role": "user", "content": task}]

    def body(self) -> dict[str, Any]:
        """The request's own part."""
        tool = {"name": "sh", "description": "Run a shell command.", "parameters": PARAMETERS}
        return {"messages": self.turns, "tools": [{"type": "function", "function": tool}]}

    def take(self, answer: Any) -> tuple[str, list[tuple[str, str]]]:
        """(text, calls as (id, command)); the turn is kept."""
        message = _joined(answer) if isinstance(answer, list) else answer["choices"][0]["message"]
        self.turns.append({k: v for k, v in message.items() if v})
        calls = message.get("tool_calls") or []
        return message.get("content") or "", [
            (c["id"], json.loads(c["function"]["arguments"])["command"]) for c in calls
        ]

    def tell(self, call: str, output: str) -> None:
        """A result."""
        self.turns.append({"role": "tool", "tool_call_id": call, "content": output})


class Responses:
    """OpenAI responses."""

    path = PATHS["responses"]

    def __init__(self, task: str) -> None:
        self.turns: list[Any] = [{"role": "user", "content": task}]

    def body(self) -> dict[str, Any]:
        """The request's own part."""
        tool = {
            "type": "function",
            "name": "sh",
            "description": "Run a shell command.",
            "parameters": PARAMETERS,
        }
        return {"input": self.turns, "tools": [tool], "store": False}

    def take(self, answer: Any) -> tuple[str, list[tuple[str, str]]]:
        """As `Chat.take`."""
        if isinstance(answer, list):
            answer = next(e["response"] for e in answer if e["type"] == "response.completed")
        self.turns += answer["output"]
        calls = [o for o in answer["output"] if o["type"] == "function_call"]
        texts = [
            p["text"] for o in answer["output"] if o["type"] == "message" for p in o["content"] if "text" in p
        ]
        return "".join(texts), [(c["call_id"], json.loads(c["arguments"])["command"]) for c in calls]

    def tell(self, call: str, output: str) -> None:
        """A result."""
        self.turns.append({"type": "function_call_output", "call_id": call, "output": output})


class Messages:
    """Anthropic messages."""

    path = PATHS["messages"]

    def __init__(self, task: str) -> None:
        self.turns: list[Any] = [{"role": "user", "content": task}]

    def body(self) -> dict[str, Any]:
        """The request's own part."""
        tool = {"name": "sh", "description": "Run a shell command.", "input_schema": PARAMETERS}
        return {"messages": self.turns, "tools": [tool], "max_tokens": 2000}

    def take(self, answer: Any) -> tuple[str, list[tuple[str, str]]]:
        """As `Chat.take`."""
        content = _blocks(answer) if isinstance(answer, list) else answer["content"]
        self.turns.append({"role": "assistant", "content": content})
        calls = [(b["id"], b["input"]["command"]) for b in content if b["type"] == "tool_use"]
        return "".join(b["text"] for b in content if b["type"] == "text"), calls

    def tell(self, call: str, output: str) -> None:
        """A result."""
        block = {"type": "tool_result", "tool_use_id": call, "content": output}
        self.turns.append({"role": "user", "content": [block]})


def _joined(events: list[Any]) -> dict[str, Any]:
    """The message of a chat stream."""
    text, calls = "", dict[int, Any]()
    for choice in (
        e["choices"][0] for e in events
    ):  # a chunk without choices is a fault here: nobody asked for usage
        delta = choice["delta"]
        text += delta.get("content") or ""
        for piece in delta.get("tool_calls") or []:
            call = calls.setdefault(
                piece["index"], {"type": "function", "function": {"name": "", "arguments": ""}}
            )
            call["id"] = piece.get("id") or call.get("id")
            for key, value in piece["function"].items():
                call["function"][key] += value or ""
    return {"role": "assistant", "content": text, "tool_calls": [calls[i] for i in sorted(calls)]}


def _blocks(events: list[Any]) -> list[Any]:
    """The content of a messages stream."""
    blocks: dict[int, Any] = {}
    said: dict[int, str] = {}
    for e in events:
        if e["type"] == "content_block_start":
            blocks[e["index"]] = e["content_block"]
        elif e["type"] == "content_block_delta":
            piece = e["delta"].get("text") or e["delta"].get("partial_json") or ""
            said[e["index"]] = said.get(e["index"], "") + piece
    for i, block in blocks.items():
        if block["type"] == "tool_use":
            block["input"] = json.loads(said.get(i, "") or "{}")
        elif block["type"] == "text":
            block["text"] = said.get(i, "")
    return [blocks[i] for i in sorted(blocks)]


def main() -> None:
    """Work until the model asks for nothing more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", action="version", version="agent-cli 1.2.3")
    parser.add_argument("--url", required=True)
    parser.add_argument("--token", default="none")
    parser.add_argument("--model", required=True)
    parser.add_argument("--dialect", choices=tuple(PATHS), default="chat")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--turns", type=int, default=50)
    parser.add_argument("--record", default="")
    parser.add_argument("--retries", type=int, default=0)
    parser.add_argument("task")
    a = parser.parse_args()
    talk: Any = {"chat": Chat, "responses": Responses, "messages": Messages}[a.dialect](a.task)
    for _ in range(a.turns):
        body = {"model": a.model, **talk.body(), **({"stream": True} if a.stream else {})}
        text, calls = talk.take(post(a.url + talk.path, a.token, body, a.retries))
        for call, command in calls:
            talk.tell(call, shell(command))
        if a.record:
            with open(a.record, "w", encoding="utf-8") as f:  # noqa: PTH123 - stands alone
                json.dump(talk.turns, f)
        if not calls:
            print(text)
            return
    raise SystemExit(4)


if __name__ == "__main__":
    main()
