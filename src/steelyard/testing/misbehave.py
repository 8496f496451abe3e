"""Every way in which an endpoint can go wrong, as bytes on a socket, and the fault that a client must see.

Used by `steelyard.testing.stub`. Each `Misbehaviour` answers one request badly in the dialect that it came in.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from steelyard.schema.reply import Reply
from steelyard.wire.base import Delta, Request, ServerDialect
from steelyard.wire.faults import TABLE, fault
from steelyard.wire.serve import Outgoing


@dataclass(frozen=True, slots=True)
class Scene:
    """What a misbehaviour has to work with: the request, the reply that should have been, how long `hang` hangs."""

    dialect: ServerDialect
    request: Request
    reply: Reply
    retry_after: float = 0.01
    hang_s: float = 3600.0

    def body(self) -> bytes:
        """The right body: JSON, or the whole event stream."""
        if not self.request.stream:
            return self.dialect.encode_reply(self.reply)
        said = self.dialect.stream(self.request, self.reply)
        return said.start() + b"".join(map(said.delta, deltas(self.reply))) + said.end(self.reply)

    def head(self, *, length: int | None = None, status: str = "200 OK", kind: str = "") -> bytes:
        """The right head; chunked when `length` is None."""
        kind = kind or ("text/event-stream" if self.request.stream else "application/json")
        framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{framing}\r\n\r\n".encode()


def deltas(reply: Reply) -> list[Delta]:
    """A reply in pieces of a word each, as a model would stream it."""
    out = [Delta(reasoning=piece) for piece in _words(reply.reasoning)]
    words = _words(reply.text)
    if reply.logprobs and "".join(p.token for p in reply.logprobs) == reply.text:
        out += [Delta(text=p.token, logprobs=(p,)) for p in reply.logprobs]
    else:
        out += [Delta(text=piece, logprobs=reply.logprobs if i == 0 else ()) for i, piece in enumerate(words)]
        if reply.logprobs and not words:
            out.append(Delta(logprobs=reply.logprobs))
    out += [Delta(refusal=piece) for piece in _words(reply.refusal)]
    for i, call in enumerate(reply.tool_calls):
        out.append(Delta(tool=i, tool_id=call.id, tool_name=call.name))
        half = len(call.arguments) // 2
        out += [Delta(tool=i, arguments=a) for a in (call.arguments[:half], call.arguments[half:]) if a]
    return out


def _words(text: str) -> list[str]:
    words = text.split(" ")
    return [w for w in (*(w + " " for w in words[:-1]), words[-1]) if w]


Act = Callable[[Scene], Outgoing]
Write = Callable[[Scene, asyncio.Transport], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """`kind` is the fault that a client must see, "" when the reply is right after all. `billed`: would a provider
    ask for money?"""

    kind: str
    act: Act
    billed: bool = False


def _error(
    kind: str, *, message: str = "scripted", headers: tuple[tuple[str, str], ...] = ()
) -> Misbehaviour:
    def act(scene: Scene) -> Outgoing:
        status, body = scene.dialect.encode_fault(fault(kind, message))
        return Outgoing(status, body, headers=headers)

    return Misbehaviour(kind, act)


def _limited(scene: Scene) -> Outgoing:
    status, body = scene.dialect.encode_fault(fault("rate_limited", "slow down"))
    return Outgoing(status, body, headers=(("retry-after", f"{scene.retry_after:g}"),))


def _plain(kind: str, status: int, body: bytes, content_type: str = "text/plain") -> Misbehaviour:
    return Misbehaviour(kind, lambda _: Outgoing(status, body, content_type), billed=status == 200)


def _raw(
    kind: str, write: Callable[[Scene, asyncio.Transport], Awaitable[None]], *, billed: bool = True
) -> Misbehaviour:
    def act(scene: Scene) -> Outgoing:
        async def takeover(transport: asyncio.Transport) -> None:
            await write(scene, transport)

        return Outgoing(body=takeover)

    return Misbehaviour(kind, act, billed)


async def _close(scene: Scene, transport: asyncio.Transport) -> None:
    transport.close()


async def _reset(scene: Scene, transport: asyncio.Transport) -> None:
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _garbage(scene: Scene, transport: asyncio.Transport) -> None:
    transport.write(b"\x16\x03\x01 this is not HTTP\r\n\r\n")


async def _cut_head(scene: Scene, transport: asyncio.Transport) -> None:
    transport.write(scene.head(length=10)[:25])


async def _cut(scene: Scene, transport: asyncio.Transport) -> None:
    body = scene.body()
    transport.write(scene.head(length=len(body)) + body[: len(body) // 2])


async def _cut_chunk(scene: Scene, transport: asyncio.Transport) -> None:
    body = scene.body()
    transport.write(scene.head() + b"%x\r\n%s" % (len(body), body[: len(body) // 2]))


async def _half_close(scene: Scene, transport: asyncio.Transport) -> None:
    body = scene.body()
    transport.write(scene.head(length=len(body)) + body[: len(body) // 2])
    transport.write_eof()
    await asyncio.sleep(min(scene.hang_s, 1.0))


async def _hang(scene: Scene, transport: asyncio.Transport) -> None:
    await asyncio.sleep(scene.hang_s)


async def _hang_body(scene: Scene, transport: asyncio.Transport) -> None:
    body = scene.body()
    transport.write(scene.head(length=len(body)) + body[: len(body) // 2])
    await asyncio.sleep(scene.hang_s)


async def _trickle(scene: Scene, transport: asyncio.Transport) -> None:
    body = scene.body()
    whole = scene.head(length=len(body)) + body
    for i in range(len(whole)):
        transport.write(whole[i : i + 1])
        await asyncio.sleep(0)


async def _wrong_length(scene: Scene, transport: asyncio.Transport) -> None:
    body = scene.dialect.encode_reply(scene.reply)
    transport.write(scene.head(length=len(body) - 20, kind="application/json") + body)


async def _bad_gzip(scene: Scene, transport: asyncio.Transport) -> None:
    transport.write(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 6\r\n\r\nnozip!")


def _whole(body: bytes, content_type: str = "application/json") -> Outgoing:
    return Outgoing(200, body, content_type)


def _cut_json(scene: Scene) -> Outgoing:
    return _whole(scene.dialect.encode_reply(scene.reply)[:-15])


def _bad_utf8(scene: Scene) -> Outgoing:
    body = scene.dialect.encode_reply(scene.reply)
    return _whole(body[:-1] + b', "x": "\xff\xfe"}')


def _error_body(scene: Scene) -> Outgoing:
    return _whole(b'{"error": {"message": "something went wrong", "type": "scripted"}}')


def _overloaded_body(scene: Scene) -> Outgoing:
    return _whole(b'{"error": {"message": "try later", "code": 503}}')


def _empty_choices(scene: Scene) -> Outgoing:
    key = {"openai-chat": "choices", "openai-responses": "output", "anthropic-messages": "content"}[
        scene.dialect.name
    ]
    marks = {"openai-responses": '"status": "completed", ', "anthropic-messages": '"type": "message", '}
    return _whole(f'{{{marks.get(scene.dialect.name, "")}"id": "x", "{key}": []}}'.encode())


def _stream(kind: str, spoil: Callable[[Scene, list[bytes]], bytes], otherwise: Act) -> Misbehaviour:
    """For a streamed request, the events of the right stream, spoilt; otherwise the nearest thing without one."""

    def act(scene: Scene) -> Outgoing:
        if not scene.request.stream:
            return otherwise(scene)
        said = scene.dialect.stream(scene.request, scene.reply)
        return _whole(
            spoil(scene, [said.start(), *map(said.delta, deltas(scene.reply))]), "text/event-stream"
        )

    return Misbehaviour(kind, act, billed=True)


def _with_error(scene: Scene, events: list[bytes]) -> bytes:
    said = scene.dialect.stream(scene.request, scene.reply)
    return b"".join(events[: len(events) // 2 + 1]) + said.error(fault("server_error", "scripted"))


KINDS: dict[str, Misbehaviour] = {
    "400": _error("bad_request"),
    "401": _error("auth"),
    "404": _error("not_found"),
    "408": _error("request_timeout"),
    "409": _error("conflict"),
    "413": _error("request_too_large"),
    "418": _plain("rejected", 418, b"I am a teapot"),
    "429": Misbehaviour("rate_limited", _limited),
    "500": _error("server_error"),
    "502": _plain("server_error", 502, b"<html><title>502 Bad Gateway</title></html>", "text/html"),
    "503": _error("overloaded"),
    "529": _plain("overloaded", 529, b""),
    "302": Misbehaviour("redirect", lambda _: Outgoing(302, headers=(("location", "http://127.0.0.1:1/"),))),
    "quota": _error("quota"),
    "context_length": _error("context_length"),
    "content_policy": _error("content_policy"),
    "html": _plain("not_json", 200, b"<!doctype html><p>Please log in", "text/html"),
    "empty_body": _plain("empty_body", 200, b"", "application/json"),
    "empty_choices": Misbehaviour("empty_choices", _empty_choices, billed=True),
    "bad_shape": _plain("bad_shape", 200, b'[{"object": "list"}]', "application/json"),
    "bad_json": Misbehaviour("bad_json", _cut_json, billed=True),
    "bad_utf8": Misbehaviour("bad_encoding", _bad_utf8, billed=True),
    "error_body": Misbehaviour("error_body", _error_body),
    "error_body_503": Misbehaviour("overloaded", _overloaded_body),
    "close": _raw("connection_lost", _close),
    "reset": _raw("connection_lost", _reset),
    "garbage": _raw("bad_http", _garbage),
    "cut_head": _raw("bad_http", _cut_head),
    "cut": _raw("broken_body", _cut),
    "cut_chunk": _raw("broken_body", _cut_chunk),
    "half_close": _raw("broken_body", _half_close),
    "wrong_length": _raw("bad_json", _wrong_length),
    "bad_gzip": _raw("bad_http", _bad_gzip),
    "hang": _raw("timeout_first_byte", _hang),
    "hang_body": _raw("timeout_body", _hang_body),
    "trickle": _raw("", _trickle),
    "stream_unfinished": _stream(
        "stream_unfinished", lambda _, e: b"".join(e[:-1]), _raw("broken_body", _cut).act
    ),
    "stream_error": _stream("server_error", _with_error, _error("server_error").act),
    "stream_bad_json": _stream(
        "bad_json", lambda _, e: b"".join(e[:1]) + b'data: {"cut": \n\n' + b"".join(e[1:]), _cut_json
    ),
}
"""Name -> misbehaviour. `hang` and `hang_body` need a short timeout in the client."""

QUICK = tuple(k for k in KINDS if k not in ("hang", "hang_body", "trickle"))
"""Those that end by themselves."""
RETRYABLE = tuple(k for k in QUICK if TABLE[KINDS[k].kind].retryable)
"""Those after which the same request may be sent again, and which end by themselves."""
