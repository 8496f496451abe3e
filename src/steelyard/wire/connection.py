"""One HTTP/1.1 connection of a client: bytes out, an answer in, every chunk stamped on the monotonic clock.

llhttp (httptools) does the parsing in C. One request at a time; no pipelining. A connection is kept only when its
answer was read to the very end and nothing followed it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import httptools

from steelyard.errors import Fault
from steelyard.wire.faults import fault

if TYPE_CHECKING:
    from zlib import _Decompress

MOST_HEAD_BYTES = 256 << 10
_DRAIN_SECONDS = 1.0
DEFAULT_KEEP_SECONDS = 4.0
"""Servers close idle connections after 5 s (uvicorn, Node) or more; a `keep-alive: timeout=N` header says more."""


class Sink(Protocol):
    """What takes an answer. See `ReplyParser`."""

    done: bool

    def begin(self, sent: int, connect_ns: int) -> None:
        """The request was handed over."""

    def head(self, status: int, headers: list[tuple[bytes, bytes]], at: int) -> None:
        """Status and headers."""

    def feed(self, data: bytes, at: int) -> None:
        """A piece of the body."""


class Connection(asyncio.Protocol):
    """A connection and the answer that it is reading. `free` is called when it may be used again, `lost` at its end."""

    __slots__ = (
        "_at", "_complete", "_eof_ends", "_first", "_free", "_head_bytes", "_headers", "_in_head", "_keep",
        "_keep_seconds", "_lost", "_may_be_raw", "_named_bytes", "_parser", "_poisoned",
        "_sink", "_timer", "_unzip", "_waiter", "connect_ns", "gone", "idle_until", "transport",
    )  # fmt: skip

    def __init__(self, free: Callable[[Connection], None], lost: Callable[[Connection], None]) -> None:
        self._free, self._lost = free, lost
        self.transport: asyncio.Transport | None = None
        self.connect_ns = 0
        self.idle_until = 0.0
        self.gone = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._sink: Sink | None = None
        self._waiter: asyncio.Future[tuple[int, bool]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._keep_seconds = DEFAULT_KEEP_SECONDS
        self._reset()

    def _reset(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = self._named_bytes = self._first = self._at = 0
        self._in_head = True
        self._complete = self._keep = self._poisoned = self._eof_ends = False
        self._unzip: _Decompress | None = None
        self._may_be_raw = False

    # the client's side

    def start(self, payload: bytes, sink: Sink, timeout_s: float) -> asyncio.Future[tuple[int, bool]]:
        """Send a request. The future gives (when the answer ended, whether it ended cleanly), or raises Fault."""
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        self._reset()
        self._sink = sink
        self._waiter = loop.create_future()
        self._timer = loop.call_later(timeout_s, self._expire, timeout_s)
        self.transport.write(payload)
        sink.begin(time.monotonic_ns(), self.connect_ns)
        self.connect_ns = 0
        return self._waiter

    @property
    def usable(self) -> bool:
        """False when the connection is closed, or on its way there."""
        return self.transport is not None and not self.transport.is_closing()

    def abort(self) -> None:
        """Close now; whatever is in flight is given up."""
        self._sink = self._waiter = None
        if self._timer is not None:
            self._timer.cancel()
        if self.transport is not None:
            self.transport.abort()

    def give_up(self, waiter: asyncio.Future[tuple[int, bool]]) -> None:
        """The caller of `start` was cancelled: close, unless its answer is over and the connection is another's."""
        if self._waiter is waiter:
            self.abort()

    def shut(self) -> None:
        """The pool closes: what is in flight ends in a Fault."""
        self._fail(fault("connection_lost", "the client was closed"))

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._at = at = time.monotonic_ns()
        if self._sink is None and (self._complete or self._in_head):
            self.abort()  # nothing was asked: whatever this is, it must not become the next answer
            return
        if not self._first:
            self._first = at
        if self._in_head:
            if self._head_bytes > MOST_HEAD_BYTES:
                self._fail(fault("too_large", f"the head of the answer is over {MOST_HEAD_BYTES} bytes"))
                return
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as e:
            self._fail(e.__context__ or e)
            return
        except httptools.HttpParserUpgrade:
            self._fail(fault("bad_http", "the server switched to another protocol"))
            return
        except httptools.HttpParserError as e:
            self._poisoned = True
            if not self._complete:
                self._fail(fault("bad_http", f"wanted HTTP/1.1, got {bytes(data[:60])!r} ({e})"))
                return
        if self._complete:
            self._end(clean=True)
        elif self._sink is not None and self._sink.done:
            self._deliver(clean=True)
            self._drain()

    def eof_received(self) -> None:
        """The server closed its side."""
        self._at = time.monotonic_ns()
        self._cut(clean=self._eof_ends and (self._unzip is None or self._unzip.eof), why=None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if self._waiter is not None:
            self._at = time.monotonic_ns()
            self._cut(clean=self._eof_ends and exc is None, why=exc)
        if self._timer is not None:
            self._timer.cancel()
        if not self.gone.done():
            self.gone.set_result(None)
        self._lost(self)

    # llhttp's side: callbacks must not raise

    def on_message_begin(self) -> None:
        """A status line starts; a second one without a second request is a fault of the server."""
        if self._complete:
            self._poisoned = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        if not self._complete:
            self._headers.append((name, value))
            self._named_bytes += len(name) + len(value)
            if self._named_bytes > MOST_HEAD_BYTES:
                self._fail(fault("too_large", f"the head of the answer is over {MOST_HEAD_BYTES} bytes"))

    def on_headers_complete(self) -> None:
        """The head is whole. 1xx heads are skipped."""
        if self._complete:
            return
        status = self._parser.get_status_code()
        if status < 200:
            return
        self._in_head = False
        framed = dated = False
        for name, value in self._headers:
            lower = name.lower()
            if lower in (b"content-length", b"transfer-encoding"):
                framed = True
            elif lower == b"date":
                dated = True
            elif lower == b"content-encoding":
                self._open_coding(value.strip().lower())
            elif lower == b"keep-alive":
                self._read_keep_alive(value)
        self._eof_ends = not framed
        if not dated and status >= 400:
            # what a date in Retry-After counts from, when the server does not say what time it has
            self._headers.append((b"date", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()).encode()))
        if self._sink is not None:
            self._sink.head(status, self._headers, self._first)

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        if self._complete or self._sink is None:
            return
        if self._unzip is None:
            self._sink.feed(data, self._at)
        else:
            self._feed_coded(data)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self._in_head:  # it was a 1xx
            self._headers = []
            return
        if self._complete:
            return
        self._complete = True
        self._keep = self._parser.should_keep_alive()

    # helpers

    def _read_keep_alive(self, value: bytes) -> None:
        for item in value.split(b","):
            key, _, number = item.strip().partition(b"=")
            if key.lower() == b"timeout" and number.isdigit():
                self._keep_seconds = min(max(int(number[:6]) - 1.0, 0.0), 60.0)

    def _open_coding(self, coding: bytes) -> None:
        if coding in (b"", b"identity"):
            return
        # lazy: `accept-encoding: identity` is asked for, so few servers ever need it
        import zlib

        if coding in (b"gzip", b"x-gzip", b"deflate"):
            self._unzip = zlib.decompressobj(zlib.MAX_WBITS | 32)
            self._may_be_raw = coding == b"deflate"
        else:
            self._fail(
                fault("bad_http", f"content-encoding {coding.decode('latin-1')!r}, identity was asked for")
            )

    def _feed_coded(self, data: bytes) -> None:
        # lazy: see _open_coding
        import zlib

        assert self._unzip is not None
        try:
            while data and self._sink is not None and not self._sink.done:
                try:
                    plain = self._unzip.decompress(data, 1 << 20)
                except zlib.error:
                    if not self._may_be_raw:
                        raise
                    # what many servers call deflate has no zlib header
                    self._unzip = zlib.decompressobj(-zlib.MAX_WBITS)
                    plain = self._unzip.decompress(data, 1 << 20)
                self._may_be_raw = False
                if plain:
                    self._sink.feed(plain, self._at)
                data = self._unzip.unconsumed_tail
        except zlib.error as e:
            self._fail(fault("bad_http", f"the content coding of the answer is broken ({e})"))

    def _end(self, *, clean: bool) -> None:
        clean = clean and (self._unzip is None or self._unzip.eof)
        self._deliver(clean=clean)
        if self._keep and not self._poisoned and self.usable:
            self.idle_until = asyncio.get_running_loop().time() + self._keep_seconds
            self._free(self)
        elif self.transport is not None:
            self.transport.abort()

    def _deliver(self, *, clean: bool) -> None:
        waiter, self._waiter, self._sink = self._waiter, None, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if waiter is not None and not waiter.done():
            waiter.set_result((self._at, clean))

    def _drain(self) -> None:
        """The reply is known before the answer's last byte (`[DONE]`): wait a moment for that byte, to keep the
        connection."""
        if self.transport is not None:
            self._timer = asyncio.get_running_loop().call_later(_DRAIN_SECONDS, self.transport.abort)

    def _fail(self, broken: BaseException) -> None:
        waiter = self._waiter
        self.abort()
        if waiter is not None and not waiter.done():
            waiter.set_exception(broken)

    def _cut(self, *, clean: bool, why: Exception | None) -> None:
        if self._waiter is None:
            return
        if self._in_head:
            said = f" ({why})" if why else ""
            if self._first:
                self._fail(fault("bad_http", f"the connection closed in the head of the answer{said}"))
            else:
                self._fail(fault("connection_lost", f"the connection closed before any answer came{said}"))
            return
        self._keep = False
        self._end(clean=clean)

    def _expire(self, timeout_s: float) -> None:
        if self._first:
            broken: Fault = fault("timeout_body", f"no complete answer within {timeout_s:g} s")
        else:
            broken = fault("timeout_first_byte", f"no byte of an answer within {timeout_s:g} s")
        self._fail(broken)
