"""Runs the application with uvicorn: binds first, so that the address is known before anybody is told of it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn
from anyio import to_thread

from steelyard.errors import UsageError
from steelyard.ledger.base import Ledger
from steelyard.web.access import Access, access_for
from steelyard.web.app import make_app
from steelyard.web.desk import Desk
from steelyard.web.memory import share_heaps
from steelyard.web.protocol import BoundedProtocol

PORT = 7477
"""Where the pages are unless that port is taken: then on a free one."""

THREADS = 8
"""Pages made at once: more would not be faster on a few cores, and each holds its columns in memory."""


@dataclass(frozen=True, slots=True)
class Options:
    """Where to listen. `port` None: 7477, or a free one; 0: a free one. `names` are further names of this host.

    `public` is the origin by which browsers reach it through a proxy."""

    host: str = "127.0.0.1"
    port: int | None = None
    token: bool = False
    reveal: bool = False
    names: tuple[str, ...] = ()
    public: str = ""
    only: tuple[tuple[str, str], ...] = ()
    """For people who judge: the arenas and queues (kind, name) that are shown, and nothing else."""
    place: str = ""
    """The ledger's place as command lines have to name it; "" when they find it without being told."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A socket that listens, and who may come in."""

    socket: socket.socket
    access: Access
    url: str
    """With the token, when there is one."""


def bind(options: Options) -> Bound:
    """Take the port. Raises UsageError when it cannot be had."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    taken = ""
    for port in (options.port,) if options.port is not None else (PORT, 0):
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((options.host, port))
        except (OSError, OverflowError) as e:
            listener.close()
            taken = str(e)
            continue
        actual = int(listener.getsockname()[1])
        names = tuple({socket.gethostname(), *options.names})
        access = access_for(options.host, actual, token=options.token, names=names, public=options.public)
        return Bound(listener, access, url_of(options.host, actual, access))
    raise UsageError(
        f"cannot listen on {options.host}:{options.port}",
        got=taken,
        fix="choose another with --port, or --port 0 for a free one",
    )


def url_of(host: str, port: int, access: Access) -> str:
    """The address to open, with the token when there is one."""
    query = f"?token={access.token}" if access.token else ""
    if access.public:
        return f"{access.public}/{query}"
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - shown, not bound
    return f"http://{shown}:{port}/{query}"


def serve(ledger: Ledger, bound: Bound, options: Options, started: Callable[[], None] | None = None) -> None:
    """Answer until interrupted. `started` is called when the first request would be answered."""
    share_heaps()
    make_server(ledger, bound, options, started).run(sockets=[bound.socket])


def make_server(
    ledger: Ledger, bound: Bound, options: Options, started: Callable[[], None] | None = None
) -> uvicorn.Server:
    """The server, not yet running. Its log says nothing but errors: pages are looked at, not audited."""
    desk = Desk(ledger, reveal=options.reveal, named=options.place)
    config = uvicorn.Config(
        make_app(desk, bound.access, options.only),
        log_level="error",  # what strangers send is no warning to whoever looks at pages
        access_log=False,
        server_header=False,
        lifespan="off",
        http=BoundedProtocol,
        ws="none",
        loop="asyncio",
        timeout_graceful_shutdown=2,
        proxy_headers=False,
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            to_thread.current_default_thread_limiter().total_tokens = THREADS
            await super().startup(sockets)
            if started is not None:
                started()

    return Server(config)
