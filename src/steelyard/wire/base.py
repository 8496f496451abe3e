"""What wire speaks: requests, HTTP messages, endpoints, dialects. No I/O here.

A `Dialect` turns a `Request` into bytes and the bytes of an answer into a `Reply` or a `Fault`; it never touches a
socket. The transport (`steelyard.wire.client`) moves the bytes and stamps each chunk on a monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from msgspec import Struct

from steelyard.errors import Fault
from steelyard.schema.contestant import Sampling
from steelyard.schema.message import Message, ToolSpec
from steelyard.schema.reply import Reply, TokenLogprob


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
    """Where calls go. `secret` and `headers`, which are sent as they are, are not shown by repr and str; nor are
    `secrets`, what else must not be repeated by a reply or an error."""

    base_url: str
    dialect: str = "openai-chat"
    secret: str = field(default="", repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout_s: float = 120.0
    connect_timeout_s: float = 10.0
    verify_tls: bool = True
    secrets: tuple[str, ...] = field(default=(), repr=False)


class Delta(Struct, frozen=True, omit_defaults=True):
    """A piece of a streamed reply. `tool` is the place of a tool call in the reply, -1 for none; its first piece
    carries `tool_id` and `tool_name`, every piece some of `arguments`."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool: int = -1
    tool_id: str = ""
    tool_name: str = ""
    arguments: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()


class ReplyParser(Protocol):
    """Fed with one response; says the reply or raises a Fault. Times are monotonic nanoseconds.

    `done` turns True when nothing that may still come matters; the transport may stop reading then.
    """

    done: bool

    def begin(self, sent: int, connect_ns: int) -> None:
        """The request's last byte was handed over at `sent`; connecting had taken `connect_ns`."""

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


class StreamEncoder(Protocol):
    """Says one streamed reply, piece by piece."""

    def start(self) -> bytes:
        """What precedes the first piece."""
        ...

    def delta(self, piece: Delta) -> bytes:
        """One piece. Raises Fault `unsupported` for what the dialect cannot say."""
        ...

    def end(self, reply: Reply) -> bytes:
        """The end; finish, usage, ids and opaque reasoning are taken from the whole reply."""
        ...

    def error(self, broken: Fault) -> bytes:
        """An error in the middle of the stream."""
        ...


class ServerDialect(Protocol):
    """The other side: requests read, replies said."""

    name: str
    path: str

    def decode_request(self, body: bytes) -> Request:
        """The request. Raises Fault `bad_request` or `unsupported` with a message for the caller."""
        ...

    def encode_reply(self, reply: Reply) -> bytes:
        """A whole reply as the body of a 200."""
        ...

    def stream(self, request: Request, head: Reply) -> StreamEncoder:
        """An encoder for a streamed reply; `head` gives model, response id and fingerprint."""
        ...

    def encode_fault(self, broken: Fault) -> tuple[int, bytes]:
        """Status and body of an error answer."""
        ...
