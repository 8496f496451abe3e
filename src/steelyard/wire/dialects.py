"""Dialects by name, client and server side."""

from __future__ import annotations

from steelyard.errors import UserError
from steelyard.wire.base import Dialect, ServerDialect
from steelyard.wire.chat import ChatDialect
from steelyard.wire.chat_server import ChatServer

CLIENTS: dict[str, Dialect] = {"openai-chat": ChatDialect()}
SERVERS: dict[str, ServerDialect] = {"openai-chat": ChatServer()}


def dialect(name: str) -> Dialect:
    """The client side of a dialect. Raises UserError for an unknown name."""
    found = CLIENTS.get(name)
    if found is None:
        raise UserError("unknown dialect", wanted="one of " + ", ".join(CLIENTS), got=name)
    return found


def server_dialect(name: str) -> ServerDialect:
    """The server side of a dialect. Raises UserError for an unknown name."""
    found = SERVERS.get(name)
    if found is None:
        raise UserError("unknown dialect", wanted="one of " + ", ".join(SERVERS), got=name)
    return found
