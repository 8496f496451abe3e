"""Dialects by name, client and server side. Each is imported when it is first asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import cast

from steelyard.errors import UserError
from steelyard.wire.base import Dialect, ServerDialect

CLIENTS = {
    "openai-chat": ("chat", "ChatDialect"),
    "openai-responses": ("responses", "ResponsesDialect"),
    "anthropic-messages": ("anthropic", "AnthropicDialect"),
}
SERVERS = {
    "openai-chat": ("chat_server", "ChatServer"),
    "openai-responses": ("responses_server", "ResponsesServer"),
    "anthropic-messages": ("anthropic_server", "AnthropicServer"),
}


@cache
def dialect(name: str) -> Dialect:
    """The client side of a dialect. Raises UserError for an unknown name."""
    return cast("Dialect", _load(CLIENTS, name))


@cache
def server_dialect(name: str) -> ServerDialect:
    """The server side of a dialect. Raises UserError for an unknown name."""
    return cast("ServerDialect", _load(SERVERS, name))


def _load(table: dict[str, tuple[str, str]], name: str) -> object:
    if name not in table:
        raise UserError("unknown dialect", wanted="one of " + ", ".join(table), got=name)
    module, class_ = table[name]
    return getattr(import_module(f"steelyard.wire.{module}"), class_)()
