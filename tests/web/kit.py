"""A page server in this process, plain requests to it, and checks that every page has to pass in a browser."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from steelyard.ledger import open_ledger
from steelyard.web import server


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Pages:
    """A server over one ledger. `url` has the token in it when there is one."""

    url: str
    runs: dict[str, str] = field(default_factory=dict)
    place: str = ""

    @property
    def base(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    def at(self, path: str) -> str:
        return self.base + path

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return self.ask("GET", path, headers)

    def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: str | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            headers = {k.lower(): v for k, v in answer.getheaders()}
            cookies = tuple(v for k, v in answer.getheaders() if k.lower() == "set-cookie")
            return Answer(answer.status, headers, answer.read(), cookies)
        finally:
            connection.close()


@contextlib.contextmanager
def served(
    place: Path,
    runs: dict[str, str] | None = None,
    *,
    token: bool = False,
    reveal: bool = False,
    named: str = "",
    only: tuple[tuple[str, str], ...] = (),
) -> Iterator[Pages]:
    """Pages over the ledger at `place`, on a free port, in a thread."""
    ledger = open_ledger(str(place), create=False)
    options = server.Options(port=0, token=token, reveal=reveal, place=named, only=only)
    bound = server.bind(options)
    running = server.make_server(ledger, bound, options)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [bound.socket]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not running.started and time.monotonic() < deadline:
        time.sleep(0.01)
    assert running.started, "the page server did not start"
    try:
        yield Pages(bound.url, dict(runs or {}), str(place))
    finally:
        running.should_exit = True
        thread.join(20)
        bound.socket.close()
        ledger.close()
