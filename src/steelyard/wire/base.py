"""What wire speaks: requests, HTTP messages, endpoints, dialects. No I/O here.

A `Dialect` turns a `Request` into bytes and the bytes of an answer into a `Reply` or a `Fault`; it never touches a
socket. The transport (`steelyard.wire.client`) moves the bytes and stamps each chunk on a monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from msgspec import Struct

from steelyard.schema.contestant import Sampling
from steelyard.schema.message import Message, ToolSpec
from steelyard.schema.reply import Reply


class Request(Struct, frozen=True, omit_defaults=True):
    """One call, in no dialect. `seed` is sent when `sampling.send_seed` and the dialect can say it."""

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    tools: tuple[ToolSpec, ...] = ()
    seed: int | None = None
    stream: bool = False


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """Method, path (joined to the endpoint's base), headers without credentials, body."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where calls go. `secret` is never shown by repr, str or errors; `headers` are sent as they are."""

    base_url: str
    dialect: str = "openai-chat"
    secret: str = field(default="", repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    timeout_s: float = 120.0
    connect_timeout_s: float = 10.0
    verify_tls: bool = True


class ReplyParser(Protocol):
    """Fed with one response; says the reply or raises a Fault. Times are monotonic nanoseconds."""

    def head(self, status: int, headers: list[tuple[bytes, bytes]], at: int) -> None:
        """The status line and headers came."""

    def feed(self, data: bytes, at: int) -> None:
        """A chunk of the body came (after transfer decoding)."""

    def finish(self, at: int, *, clean: bool) -> Reply:
        """The body ended; `clean` is False when the connection broke first. Raises Fault."""
        ...


class Dialect(Protocol):
    """A way to say requests and replies, both sides."""

    name: str

    def encode(self, request: Request) -> HttpRequest:
        """The HTTP request, credentials left out (the transport adds them)."""
        ...

    def parser(self, request: Request) -> ReplyParser:
        """A fresh parser for the answer to `request`."""
        ...

    def auth(self, secret: str) -> tuple[tuple[str, str], ...]:
        """The headers that carry the credential."""
        ...
