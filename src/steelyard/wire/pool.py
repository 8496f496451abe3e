"""Where an endpoint is, and the pool of kept connections to it."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
import time
from collections import deque
from functools import cache
from urllib.parse import urlsplit

from steelyard.errors import Fault, UserError
from steelyard.wire.base import Endpoint, HttpRequest
from steelyard.wire.connection import DEFAULT_KEEP_SECONDS, Connection
from steelyard.wire.faults import clean, fault

_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)
_HEADER = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"


class Address:
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
        self.numeric = ":" in self.host or self.host.replace(".", "").isdigit() or self.host == "localhost"
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


class Pool:
    """Connections to one address: idle ones last in, first out; callers wait first come, first served."""

    def __init__(self, where: Address, endpoint: Endpoint, most: int) -> None:
        self._where, self._endpoint, self._most = where, endpoint, most
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._connecting: set[asyncio.Task[Connection]] = set()
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
            if len(self._open) + len(self._connecting) < self._most:
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
        for task in list(self._connecting):
            task.cancel()
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
        """A new connection. It is made in a task of its own, so that a cancelled call neither leaks a socket that is
        just about to stand (asyncio does) nor wastes it: the next call gets it."""
        task = asyncio.get_running_loop().create_task(self._make())
        self._connecting.add(task)
        task.add_done_callback(self._made)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():  # by aclose
                raise fault("refused", "the client is closed") from None
            task.add_done_callback(self._keep)
            raise

    def _made(self, task: asyncio.Task[Connection]) -> None:
        self._connecting.discard(task)
        if task.cancelled() or task.exception() is not None:
            self._wake()
        elif task.result().usable:
            self._open.add(task.result())

    def _keep(self, task: asyncio.Task[Connection]) -> None:
        if not task.cancelled() and task.exception() is None and task.result().usable:
            task.result().idle_until = asyncio.get_running_loop().time() + DEFAULT_KEEP_SECONDS
            self._free(task.result())

    async def _make(self) -> Connection:
        where, limit = self._where, self._endpoint.connect_timeout_s
        begun = time.monotonic_ns()
        try:
            context = _tls_context(self._endpoint.verify_tls) if where.tls else None
            async with asyncio.timeout(limit):
                transport, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._free, self._lost),
                    where.host,
                    where.port,
                    ssl=context,
                    # a host whose IPv6 leads nowhere costs this long, not the whole connect timeout
                    happy_eyeballs_delay=None if where.numeric else 0.25,
                )
        except TimeoutError:
            raise fault("connect_timeout", f"no connection within {limit:g} s") from None
        except (OSError, UnicodeError) as e:
            raise _connect_fault(e, tls=where.tls) from None
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
    if isinstance(e, OSError) and e.errno in _OURS:
        return fault(
            "no_sockets", f"cannot connect ({said}); lower the concurrency, or raise the limit (ulimit -n)"
        )
    return fault("refused", f"cannot connect ({said})")
