"""The transport: a pool of kept connections to one endpoint, and `complete`: a `Request` in, a `Reply` out.

Not covered: HTTP/2, proxies (`HTTP_PROXY` is not read: no call goes where the user did not name), redirects (a
fault), cookies. Nothing is ever sent twice here: a request whose bytes were written may have been paid, so it
ends in a `Fault` and the caller decides by its `retryable` and `paid`.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import Protocol, TypeVar
from urllib.parse import parse_qsl, urlsplit

import msgspec

from steelyard.errors import Fault, UserError
from steelyard.schema.reply import Reply, Timing
from steelyard.wire.base import Endpoint, HttpRequest, Request
from steelyard.wire.body import MOST_BODY_BYTES
from steelyard.wire.connection import Connection, Sink
from steelyard.wire.dialects import dialect
from steelyard.wire.faults import clean, fault

T_co = TypeVar("T_co", covariant=True)
_HEADER = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie")


class Finishing(Sink, Protocol[T_co]):
    """A sink that says a value at the end."""

    def finish(self, at: int, *, clean: bool) -> T_co:
        """The value. Raises Fault."""
        ...


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole HTTP answer, unread."""

    status: int
    headers: dict[str, str]
    body: bytes
    timing: Timing


class Client:
    """Calls to one endpoint, on one event loop. `max_connections` bounds the pool; further calls wait their turn.

    A cancelled call closes its connection. `endpoint.timeout_s` counts from when the request is sent until its
    answer is fully read; connecting has `connect_timeout_s` of its own.
    """

    def __init__(self, endpoint: Endpoint, *, max_connections: int = 256) -> None:
        self.endpoint = endpoint
        self._dialect = dialect(endpoint.dialect)
        self._where = _Address(endpoint)
        self._pool = _Pool(self._where, endpoint, max_connections)
        self._heads: dict[tuple[str, str, tuple[tuple[str, str], ...]], bytes] = {}
        self._secrets = _secrets(endpoint)
        # secrets as they look inside JSON text, to search an encoded reply
        self._needles = tuple(msgspec.json.encode(s)[1:-1] for s in self._secrets)

    async def complete(self, request: Request) -> Reply:
        """One call. Raises Fault; its text holds no credential."""
        http = self._dialect.encode(request)
        reply = await self.send(http, self._dialect.parser(request))
        if self._needles:
            raw = msgspec.json.encode(reply)
            if any(n in raw for n in self._needles):
                # an endpoint that echoes its headers must not carry the key into the ledger
                for n in self._needles:
                    raw = raw.replace(n, b"[key]")
                reply = msgspec.json.decode(raw, type=Reply)
        return reply

    async def exchange(self, http: HttpRequest) -> HttpAnswer:
        """One raw exchange, whatever its status. Raises Fault when no whole answer comes."""
        return await self.send(http, _RawSink())

    async def send(self, http: HttpRequest, sink: Finishing[T_co]) -> T_co:
        """One exchange, its answer given to `sink`. Raises Fault; its text holds no credential."""
        key = (http.method, http.path, http.headers)
        head = self._heads.get(key)
        if head is None:
            if len(self._heads) > 1000:
                self._heads.clear()
            head = self._heads[key] = self._where.head(http, self._credential(http))
        payload = b"%s%d\r\n\r\n%s" % (head, len(http.body), http.body)
        try:
            connection = await self._pool.take()
            waiter = connection.start(payload, sink, self.endpoint.timeout_s)
            try:
                at, whole = await waiter
            except asyncio.CancelledError:
                connection.give_up(waiter)
                raise
            return sink.finish(at, clean=whole)
        except Fault as broken:
            scrubbed = self._scrubbed(broken, http)
        # raised outside of the handler: the unscrubbed one must not hang on it as its context
        raise scrubbed

    async def aclose(self) -> None:
        """Close every connection. Calls in flight end in a Fault."""
        await self._pool.aclose()

    def _credential(self, http: HttpRequest) -> tuple[tuple[str, str], ...]:
        given = {k.lower() for k, _ in (*http.headers, *self.endpoint.headers)}
        auth = self._dialect.auth(self.endpoint.secret) if self.endpoint.secret else ()
        return (*self.endpoint.headers, *((k, v) for k, v in auth if k.lower() not in given))

    def _scrubbed(self, broken: Fault, http: HttpRequest) -> Fault:
        said = clean(str(broken), self._secrets)
        return Fault(
            f"{http.method} {clean(self._where.shown(http.path), self._secrets)}: {said}",
            ended_by=broken.ended_by,
            kind=broken.kind,
            retryable=broken.retryable,
            retry_after=broken.retry_after,
            paid=broken.paid,
        )


def _secrets(endpoint: Endpoint) -> tuple[str, ...]:
    found = {endpoint.secret} | {
        part
        for name, value in endpoint.headers
        if name.lower() in _SECRET_HEADERS or "key" in name.lower() or "token" in name.lower()
        for part in (value, value.partition(" ")[2])
    }
    query = parse_qsl(urlsplit(endpoint.base_url).query)
    found |= {value for name, value in query if "key" in name.lower() or "token" in name.lower()}
    # a very short "secret" (a local server's dummy key) would tear ordinary words apart
    return tuple(sorted((s for s in found if len(s) >= 6), key=len, reverse=True))


class _Address:
    """Where an endpoint is, and the head of a request to it."""

    def __init__(self, endpoint: Endpoint) -> None:
        url = endpoint.base_url
        wanted = "http://host[:port]/path or https://..."
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as e:
            raise UserError("base_url cannot be read", wanted=wanted, got=clean(f"{url} ({e})")) from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError("base_url is no HTTP address", wanted=wanted, got=clean(url) or "nothing")
        if parts.username or parts.password:
            raise UserError(
                "base_url holds a credential", fix="give the key by its environment variable (key_env)"
            )
        if not url.isascii() or re.search(r"[\x00-\x20\x7f]", url):
            raise UserError("base_url holds a space or a character outside ASCII", got=clean(url))
        self.tls = parts.scheme == "https"
        self.host = parts.hostname
        self.port = port or (443 if self.tls else 80)
        shown = f"[{self.host}]" if ":" in self.host else self.host
        self._authority = shown if port is None else f"{shown}:{port}"
        self._scheme, self._base, self._query = parts.scheme, parts.path.rstrip("/"), parts.query

    def _path(self, path: str) -> str:
        """The base path and the dialect's, joined; what both name (`/v1`, or the whole path) is said once."""
        base = self._base
        if path and base.endswith(path):
            return base
        if base.endswith("/v1") and path.startswith("/v1/"):
            base = base[: -len("/v1")]
        return base + path or "/"

    def shown(self, path: str) -> str:
        """The URL for error texts: no query, which may hold a key."""
        return f"{self._scheme}://{self._authority}{self._path(path).partition('?')[0]}"

    def head(self, http: HttpRequest, credential: tuple[tuple[str, str], ...]) -> bytes:
        """Everything up to the content length. Raises UserError for a header that cannot be sent."""
        target = self._path(http.path)
        if self._query:
            target += ("&" if "?" in target else "?") + self._query
        if not target.isascii() or re.search(r"[\x00-\x20\x7f]", target):
            raise UserError("the path holds a space or a character outside ASCII", got=clean(target))
        lines = [f"{http.method} {target} HTTP/1.1", f"host: {self._authority}"]
        given = {"host", "content-length", "transfer-encoding", "connection"}
        ours = (("accept", "*/*"), ("accept-encoding", "identity"), ("user-agent", "steelyard"))
        for name, value in (*http.headers, *credential, *ours):
            lower = name.lower()
            if not re.fullmatch(_HEADER, name) or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
                raise UserError("a header cannot be sent", wanted="no control characters", got=clean(name))
            if lower not in given:
                given.add(lower)
                lines.append(f"{lower}: {value.strip()}")
        text = "\r\n".join([*lines, "content-length: "])
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError:
            raise UserError(
                "a header or a key holds a character outside Latin-1", where=self.shown(http.path)
            ) from None


class _Pool:
    """Connections to one address: idle ones last in, first out; callers wait first come, first served."""

    def __init__(self, where: _Address, endpoint: Endpoint, most: int) -> None:
        self._where, self._endpoint, self._most = where, endpoint, most
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._connecting = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed = False

    async def take(self) -> Connection:
        """A connection, kept or new. Raises Fault when none can be made."""
        while not self._closed:
            now = asyncio.get_running_loop().time()
            while self._idle:
                connection = self._idle.pop()
                if connection.usable and connection.idle_until > now:
                    return connection
                # closed by now, or about to be: a request written to it could be lost, and could be paid
                connection.abort()
                self._open.discard(connection)
            if len(self._open) + self._connecting < self._most:
                return await self._connect()
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # our turn had come; the next one takes it
                raise
        raise fault("refused", "the client is closed")

    async def aclose(self) -> None:
        """Close all."""
        self._closed = True
        while self._waiting:
            self._wake()
        open_ = list(self._open)
        for connection in open_:
            connection.shut()
        if open_:
            await asyncio.wait([c.gone for c in open_], timeout=1.0)

    def _wake(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _free(self, connection: Connection) -> None:
        if self._closed:
            connection.abort()
        else:
            self._idle.append(connection)
            self._wake()

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._wake()

    async def _connect(self) -> Connection:
        where, limit = self._where, self._endpoint.connect_timeout_s
        begun = time.monotonic_ns()
        self._connecting += 1
        made = False
        try:
            context = _tls_context(self._endpoint.verify_tls) if where.tls else None
            async with asyncio.timeout(limit):
                transport, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._free, self._lost),
                    where.host,
                    where.port,
                    ssl=context,
                    # a host whose IPv6 leads nowhere costs this long, not the whole connect timeout
                    happy_eyeballs_delay=0.25,
                )
            made = True
        except TimeoutError:
            raise fault("connect_timeout", f"no connection within {limit:g} s") from None
        except (OSError, UnicodeError) as e:
            raise _connect_fault(e, tls=where.tls) from None
        finally:
            self._connecting -= 1
            if not made:
                self._wake()
        if self._closed:
            connection.abort()
            raise fault("refused", "the client is closed")
        if connection.gone.done():
            raise fault("refused", "the server closed the connection as soon as it stood")
        sock = transport.get_extra_info("socket")
        if sock is not None:
            # a long answer without a byte must not let a router forget the connection
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.connect_ns = time.monotonic_ns() - begun
        self._open.add(connection)
        return connection


@cache
def _tls_context(verify: bool) -> ssl.SSLContext:  # noqa: FBT001 - a cache key
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _connect_fault(e: Exception, *, tls: bool) -> Fault:
    said = clean(str(e), limit=200)
    if isinstance(e, socket.gaierror | UnicodeError):
        return fault("dns", f"the host name does not resolve ({said})")
    if isinstance(e, ssl.SSLCertVerificationError):
        return fault(
            "tls_certificate",
            f"the certificate does not verify ({e.verify_message}); is SSL_CERT_FILE needed?",
        )
    if isinstance(e, ssl.SSLError) or (tls and isinstance(e, ConnectionResetError | ConnectionAbortedError)):
        return fault("tls", f"the TLS handshake broke ({said})")
    return fault("refused", f"cannot connect ({said})")


class _RawSink:
    """Collects an answer without reading it."""

    def __init__(self) -> None:
        self.done = False
        self._status = self._sent = self._connect_ns = self._first = 0
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0

    def begin(self, sent: int, connect_ns: int) -> None:
        self._sent, self._connect_ns = sent, connect_ns

    def head(self, status: int, headers: list[tuple[bytes, bytes]], at: int) -> None:
        self._status, self._first = status, at
        self._headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in headers}

    def feed(self, data: bytes, at: int) -> None:
        self._size += len(data)
        if self._size > MOST_BODY_BYTES:
            self.done = True
        else:
            self._body.append(data)

    def finish(self, at: int, *, clean: bool) -> HttpAnswer:
        if self._size > MOST_BODY_BYTES:
            raise fault("too_large", f"the answer is over {MOST_BODY_BYTES} bytes")
        if not clean:
            raise fault(
                "broken_body", f"the connection closed in the middle of the answer, after {self._size} bytes"
            )
        timing = Timing(self._first - self._sent, at - self._sent, connect_ns=self._connect_ns)
        return HttpAnswer(self._status, self._headers, b"".join(self._body), timing)
