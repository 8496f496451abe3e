"""The only way out of a sandbox: a proxy outside it, for hosts named beforehand, that adds the credentials.

The listening socket lives in the sandbox's own network namespace and is accepted from here, so there is no
route, no name service and no socket file inside. Three forms are taken: CONNECT (a tunnel: nothing can be
added), a proxy request for an `http://` address (sent on over TLS when the rule says so), and a plain
request whose path starts with the host's name, for programs that only know a base URL.

Not covered: a server that repeats the credentials in its answer tells them to the sandbox; a tunnel's
content is not seen.
"""

from __future__ import annotations

import ipaddress
import re
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from steelyard.errors import UsageError

_HEAD = 64 << 10
_HOST = re.compile(r"[0-9a-z._:-]+")  # names, and addresses of both kinds
_IDLE_S = 300.0
_CONNECT_S = 20.0
_MOST_OPEN, _MOST_RECORDS = 128, 10_000  # each open connection is a thread of ours
_HOP = {
    b"connection",
    b"proxy-connection",
    b"keep-alive",
    b"te",
    b"trailer",
    b"upgrade",
    b"proxy-authorization",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A host that may be reached. `inject` are headers added outside; `tls` encrypts proxied requests;
    `connect_to` overrides where the connection goes (a fixed address instead of the name service)."""

    host: str
    port: int = 443
    inject: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    tls: bool = True
    connect_to: tuple[str, int] | None = None

    @classmethod
    def parse(cls, text: str) -> Rule:
        """`HOST` or `HOST:PORT`; port 80 and ports of this machine are spoken to in plain HTTP."""
        host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
        host, port = (host, port) if colon else (text, "443")
        host = host.strip("[]").lower()
        if not host or not port.isdigit() or not 0 < int(port) < 65536 or not _HOST.fullmatch(host):
            raise UsageError("an allowed host is HOST or HOST:PORT", got=text, fix="name each host in full")
        return cls(host, int(port), tls=int(port) != 80 and not _is_here(host))


class _Refused(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Gate:
    """Serves one sandbox's listener until stopped, and keeps a record of every connection."""

    port = 3128

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = {(rule.host, rule.port): rule for rule in rules}
        self._lock = threading.Lock()
        self._records: list[dict[str, Any]] = []
        self._stop = threading.Event()
        self._open: set[socket.socket] = set()
        self._unrecorded = 0
        self._started = time.monotonic()

    def environment(self) -> tuple[tuple[str, str], ...]:
        """What makes ordinary programs inside use the proxy."""
        url = f"http://127.0.0.1:{self.port}"
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        return tuple((n, url) for name in names for n in (name, name.lower()))

    def serve(self, listener: socket.socket) -> None:
        """Accept in a thread of its own until `stop`."""
        threading.Thread(target=self._accept, args=(listener,), daemon=True, name="steelyard-egress").start()

    def stop(self) -> list[dict[str, Any]]:
        """End every connection; the records."""
        self._stop.set()
        with self._lock:
            for sock in self._open:
                sock.close()
            more = [{"more_connections": self._unrecorded}] if self._unrecorded else []
            return [*self._records, *more]

    def _accept(self, listener: socket.socket) -> None:
        listener.settimeout(0.2)
        while not self._stop.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            record: dict[str, Any] = {"at_s": round(time.monotonic() - self._started, 3), "allowed": False}
            if not self._admit(client, record):
                client.close()
                continue
            threading.Thread(
                target=self._handle, args=(client, record), daemon=True, name="steelyard-egress"
            ).start()

    def _admit(self, client: socket.socket, record: dict[str, Any]) -> bool:
        """Record a connection; False when there are as many as may be open at once."""
        with self._lock:
            room = len(self._open) < _MOST_OPEN
            if room:
                self._open.add(client)
            else:
                record["refused"] = f"more than {_MOST_OPEN} connections at once"
            if len(self._records) < _MOST_RECORDS:
                self._records.append(record)
            else:
                self._unrecorded += 1
            return room

    def _handle(self, client: socket.socket, record: dict[str, Any]) -> None:
        try:
            client.settimeout(_CONNECT_S)
            self._request(client, record)
        except _Refused as e:
            record["refused"] = str(e)
            body = f"steelyard: {e}\n".encode()
            head = f"HTTP/1.1 {e.status} Refused\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            _send(client, head.encode() + body)
        except (OSError, ValueError) as e:
            record["error"] = str(e)
        finally:
            with self._lock:
                self._open.discard(client)
            client.close()

    def _request(self, client: socket.socket, record: dict[str, Any]) -> None:
        head, rest = _read_head(client)
        lines = head.split(b"\r\n")
        parts = lines[0].decode("latin-1").split(" ")
        if len(parts) != 3:
            raise _Refused(400, "not an HTTP request")
        method, target, _ = parts
        host, port, path = _destination(method, target)
        record |= {"host": host, "port": port, "method": method}
        rule = self._rules.get((host, port))
        if rule is None and method != "CONNECT":  # `http://host/` means the rule's port, TLS or not
            rule = next((r for r in self._rules.values() if r.host == host and port == 80), None)
        if rule is None:
            raise _Refused(403, f"{host}:{port} is not on the list of allowed hosts")
        upstream = _connect(rule)
        record["allowed"] = True
        with self._lock:
            self._open.add(upstream)
        try:
            if method == "CONNECT":
                _send(client, b"HTTP/1.1 200 Connected\r\n\r\n")
                _send(upstream, rest)
            else:
                if rule.tls:
                    context = ssl.create_default_context()
                    upstream = context.wrap_socket(upstream, server_hostname=rule.host)
                head, length = _rewrite(method, path, lines[1:], rule)
                _send(upstream, head)
                _body(client, upstream, rest, length)
            record["up"], record["down"] = _relay(client, upstream, both=method == "CONNECT")
        finally:
            with self._lock:
                self._open.discard(upstream)
            upstream.close()


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        if len(data) > _HEAD:
            raise _Refused(431, "the request's head is too long")
        more = client.recv(16384)
        if not more:
            raise _Refused(400, "the request's head is not complete")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _destination(method: str, target: str) -> tuple[str, int, str]:
    """(host, port, path) from the three forms of a request line."""
    if method == "CONNECT":
        host, _, port = target.rpartition(":")
        return host.strip("[]").lower(), int(port), ""
    if target.startswith("http://"):
        place, slash, path = target[7:].partition("/")
        host, colon, port = place.rpartition(":")
        return ((host if colon else place).lower(), int(port) if colon else 80, slash + path or "/")
    if target.startswith("/"):
        place, _, path = target[1:].partition("/")
        host, colon, port = place.rpartition(":")
        return ((host if colon else place).lower(), int(port) if colon else 80, "/" + path)
    raise _Refused(400, "only http:// addresses and CONNECT are taken")


def _rewrite(method: str, path: str, headers: list[bytes], rule: Rule) -> tuple[bytes, int]:
    injected = {name.lower().encode() for name, _ in rule.inject}
    kept, length = [], 0
    for line in headers:
        name, _, value = line.partition(b":")
        lowered = name.strip().lower()
        if lowered == b"transfer-encoding":
            raise _Refused(411, "a body needs a Content-Length here")
        if lowered == b"content-length":
            length = int(value)
        if lowered not in _HOP and lowered not in injected and lowered != b"host":
            kept.append(line)
    standard = 443 if rule.tls else 80
    place = rule.host if rule.port == standard else f"{rule.host}:{rule.port}"
    first = [f"{method} {path} HTTP/1.1", f"Host: {place}", "Connection: close"]
    added = [f"{k}: {v}" for k, v in rule.inject]
    return b"\r\n".join([*[t.encode("latin-1") for t in (*first, *added)], *kept]) + b"\r\n\r\n", length


def _body(client: socket.socket, upstream: socket.socket, rest: bytes, length: int) -> None:
    """Exactly the announced bytes: what follows would be a request that nobody looked at."""
    _send(upstream, rest[:length])
    left = length - len(rest)
    while left > 0:
        data = client.recv(min(left, 65536))
        if not data:
            return
        _send(upstream, data)
        left -= len(data)


def _relay(client: socket.socket, upstream: socket.socket, *, both: bool) -> tuple[int, int]:
    up = down = 0
    ends = [client, upstream] if both else [upstream]
    while ends:
        pending = isinstance(upstream, ssl.SSLSocket) and upstream.pending()
        ready = [upstream] if pending else select.select(ends, [], [], _IDLE_S)[0]
        if not ready:
            break
        for sock in ready:
            data = sock.recv(65536)
            if not data:
                return up, down
            if sock is client:
                _send(upstream, data)
                up += len(data)
            else:
                _send(client, data)
                down += len(data)
    return up, down


def _connect(rule: Rule) -> socket.socket:
    if rule.connect_to:
        return socket.create_connection(rule.connect_to, timeout=_CONNECT_S)
    problem: OSError | None = None
    for _, _, _, _, address in socket.getaddrinfo(rule.host, rule.port, type=socket.SOCK_STREAM):
        ip = ipaddress.ip_address(str(address[0]).split("%")[0])
        # A name that somebody else can point at this machine is not this machine's name.
        if (ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast) and not _is_here(
            rule.host
        ):
            raise _Refused(403, f"{rule.host} resolves to {ip}, which is not a place outside")
        try:
            return socket.create_connection((str(address[0]), rule.port), timeout=_CONNECT_S)
        except OSError as e:
            problem = e
    raise _Refused(502, f"{rule.host}:{rule.port} cannot be reached: {problem}")


def _is_here(host: str) -> bool:
    """Whether the user's own words name this machine or an address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def _send(sock: socket.socket, data: bytes) -> None:
    if data:
        sock.sendall(data)
