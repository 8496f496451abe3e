"""A scripted model that solves tasks by a list of steps: the twin of a real one for harnesses and agents.

``Stub(StubOptions(answer=scripted({"ledger": [bash("ls"), submit("done")]})))`` plays the steps to every conversation
whose first user message holds "ledger"; "" matches any. Which step comes next is read off the conversation itself
(how many turns the model had), so that repeats, retries and parallel trials need no state.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence

from steelyard.schema.message import Message, TextPart, ToolCall, text_of
from steelyard.schema.reply import Reply, Usage
from steelyard.wire.base import Request

Step = str | ToolCall | Sequence[ToolCall] | Reply | Callable[[Request], "str | ToolCall | Reply"]
"""A text, one call, calls in parallel, a whole reply, or a function of what the model was sent."""

_TAKEN = re.compile(r"\[the first (\d+) turns were taken out")


def call(name: str, /, id: str = "", **arguments: object) -> ToolCall:  # noqa: A002 - the wire's own word
    """A call of a tool."""
    return ToolCall(id, name, json.dumps(arguments))


def bash(command: str, **more: object) -> ToolCall:
    """A call of `bash`."""
    return ToolCall("", "bash", json.dumps({"command": command, **more}))


def submit(answer: str = "") -> ToolCall:
    """Hand in."""
    return ToolCall("", "submit", json.dumps({"answer": answer}))


def turn_of(request: Request) -> int:
    """How many replies the model has given in this conversation, those that were pruned away included."""
    told = [int(n) for m in request.messages if m.role == "user" for n in _TAKEN.findall(text_of(m))]
    return sum(1 for m in request.messages if m.role == "assistant") + sum(told)


def last_result(request: Request) -> str:
    """The text of the newest message that is not the model's own."""
    return next((text_of(m) for m in reversed(request.messages) if m.role != "assistant"), "")


def scripted(scripts: Mapping[str, Sequence[Step]], *, model: str = "") -> Callable[[Request], Reply]:
    """An `answer` for a stub. When the steps are used up it hands in."""

    def answer(request: Request) -> Reply:
        first = next((text_of(m) for m in request.messages if m.role == "user"), "")
        steps = next((s for key, s in scripts.items() if key in first), ())
        n = turn_of(request)
        step: Step = steps[n] if n < len(steps) else submit()
        return reply_of(request, step, n, model or request.model)

    return answer


def reply_of(request: Request, step: Step, n: int, model: str) -> Reply:
    """A step as a whole reply, with usage as a provider would count it (four characters a token)."""
    if callable(step):
        return reply_of(request, step(request), n, model)
    if isinstance(step, Reply):
        return step
    text = step if isinstance(step, str) else ""
    given = () if isinstance(step, str) else (step,) if isinstance(step, ToolCall) else tuple(step)
    calls = tuple(ToolCall(c.id or f"call_{n}_{i}", c.name, c.arguments) for i, c in enumerate(given))
    said = len(text) + sum(len(c.arguments) + len(c.name) for c in calls)
    return Reply(
        text=text,
        finish="tool_calls" if calls else "stop",
        tool_calls=calls,
        usage=Usage(max(1, sum(map(_size, request.messages)) // 4), max(1, said // 4), 0),
        model=model,
        response_id=f"scripted-{n}",
    )


def _size(m: Message) -> int:
    parts = (TextPart(m.content),) if isinstance(m.content, str) else m.content
    texts = sum(len(p.text) if isinstance(p, TextPart) else 400 for p in parts)
    return texts + sum(len(c.arguments) + len(c.name) for c in m.tool_calls)
