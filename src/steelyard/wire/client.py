"""The transport: a pool of kept connections to one endpoint, and `complete`: a `Request` in, a `Reply` out.

Not covered: HTTP/2, proxies (`HTTP_PROXY` is not read: no call goes where the user did not name), redirects (a
fault), cookies. Nothing is ever sent twice here: a request whose bytes were written may have been paid, so it
ends in a `Fault` and the caller decides by its `retryable` and `paid`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar
from urllib.parse import parse_qsl, urlsplit

import msgspec

from steelyard.errors import Fault
from steelyard.schema.reply import Reply, Timing
from steelyard.wire.base import Endpoint, HttpRequest, Request
from steelyard.wire.body import MOST_BODY_BYTES
from steelyard.wire.connection import Sink
from steelyard.wire.dialects import dialect
from steelyard.wire.faults import clean, fault
from steelyard.wire.keys import SHORTEST
from steelyard.wire.pool import Address, Pool

T_co = TypeVar("T_co", covariant=True)
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
        self._where = Address(endpoint)
        self._pool = Pool(self._where, endpoint, max_connections)
        self._heads: dict[tuple[str, str, tuple[tuple[str, str], ...]], bytes] = {}
        self._secrets = _secrets(endpoint)

    async def complete(self, request: Request) -> Reply:
        """One call. Raises Fault; its text holds no credential."""
        http = self._dialect.encode(request)
        return self.without_keys(await self.send(http, self._dialect.parser(request)))

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must reach nobody but the endpoint, the longest first."""
        return self._secrets

    def without_keys(self, reply: Reply) -> Reply:
        """The reply; a key that it repeats is `[key]`."""
        return without(reply, self._secrets)

    async def exchange(self, http: HttpRequest) -> HttpAnswer:
        """One raw exchange, whatever its status; a key that is echoed is `[key]`. Raises Fault when no whole answer
        comes."""
        answer = await self.send(http, _RawSink())
        body = answer.body
        for s in self._secrets:
            body = body.replace(s.encode(), b"[key]")
        return answer if body is answer.body else replace(answer, body=body)

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


def without(reply: Reply, secrets: Iterable[str]) -> Reply:
    """The reply; a secret that it repeats is `[key]`: an echo of headers must not carry a key into the ledger."""
    needles = [msgspec.json.encode(s)[1:-1] for s in secrets]  # as they look inside JSON text
    if needles:
        raw = msgspec.json.encode(reply)
        if any(n in raw for n in needles):
            for n in needles:
                raw = raw.replace(n, b"[key]")
            reply = msgspec.json.decode(raw, type=Reply)
    return reply


def _secrets(endpoint: Endpoint) -> tuple[str, ...]:
    found = {endpoint.secret, *endpoint.secrets} | {
        part
        for name, value in endpoint.headers
        if name.lower() in _SECRET_HEADERS or "key" in name.lower() or "token" in name.lower()
        for part in (value, value.partition(" ")[2])
    }
    query = parse_qsl(urlsplit(endpoint.base_url).query)
    found |= {value for name, value in query if "key" in name.lower() or "token" in name.lower()}
    return tuple(sorted((s for s in found if len(s) >= SHORTEST), key=len, reverse=True))


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
