"""What a request to the capturing endpoint is, by its method and path; and which headers pass either way. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from steelyard.wire.serve import Incoming
from steelyard.wire.values import Json, encode

What = Literal["call", "count", "models", "hello", "tools", "other"]

_TRIMMED = r"^/+(?:v1(?:beta\d*|alpha)?/+)*"
# a base URL may end in /v1 or not, and some programs add it a second time
_CALLS = {
    "chat/completions": "openai-chat",
    "responses": "openai-responses",
    "messages": "anthropic-messages",
}
_GOOGLE = r"models/([^/:]+):(generateContent|streamGenerateContent|countTokens)"
UP = frozenset({"accept", "anthropic-beta", "anthropic-version", "content-type", "openai-beta", "user-agent"})
"""Request headers that reach the provider. All others stay here: credentials, hosts, projects, addresses."""
DOWN = frozenset({"request-id", "retry-after", "retry-after-ms", "x-request-id", "x-should-retry"})
"""Headers of the provider's answer that reach the agent, besides the content type."""


@dataclass(frozen=True, slots=True)
class Route:
    """What is asked for, in which dialect ("" when the path does not say); `item` is a model's name in the path, and
    `stream` whether the path asks for a stream."""

    what: What
    dialect: str = ""
    item: str = ""
    stream: bool = False


def route(incoming: Incoming) -> Route:
    """Which request this is."""
    path = re.sub(_TRIMMED, "", incoming.path).rstrip("/")
    anthropic = "anthropic-version" in incoming.headers
    if path == "mcp":
        return Route("tools")
    if incoming.method == "POST":
        if path in _CALLS:
            return Route("call", _CALLS[path])
        if path == "messages/count_tokens":
            return Route("count", "anthropic-messages")
        google = re.fullmatch(_GOOGLE, path)
        if google is not None:
            item, verb = google.groups()
            what: What = "count" if verb == "countTokens" else "call"
            return Route(what, "gemini", item, verb == "streamGenerateContent")
    if incoming.method in ("GET", "HEAD"):
        if not path:
            return Route("hello")
        head, _, item = path.partition("/")
        if head == "models":
            return Route("models", "anthropic-messages" if anthropic else "openai-chat", item)
    return Route("other", "anthropic-messages" if anthropic else "openai-chat")


def passed_up(headers: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """The headers of a request that the provider may see. Characters that cannot be sent are left out with theirs."""
    kept = []
    for name, value in headers.items():
        if (name in UP or name.startswith("x-stainless-")) and re.fullmatch(r"[\x20-\x7e]{0,2000}", value):
            kept.append((name, value))
    return tuple(kept)


def query_up(query: str) -> str:
    """The one query that is known to matter."""
    return "?beta=true" if query == "beta=true" else ""


def listing(found: Route, model: str) -> bytes:
    """The models that there are: the contestant's."""
    if found.dialect == "anthropic-messages":
        one: Json = {
            "type": "model",
            "id": model,
            "display_name": model,
            "created_at": "1970-01-01T00:00:00Z",
        }
        many: Json = {"data": [one], "has_more": False, "first_id": model, "last_id": model}
    else:
        one = {"id": model, "object": "model", "created": 0, "owned_by": "steelyard"}
        many = {"object": "list", "data": [one]}
    return encode(one if found.item else many)
