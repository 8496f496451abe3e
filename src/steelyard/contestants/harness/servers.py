"""MCP servers as tools, by the official SDK (extra `mcp`): stdio and streamable HTTP, one connection a trial.

A server that the user names by a command is the user's own program: it runs on the host, as the user, outside of the
sandbox, with PATH, HOME and the like and what `env` gives it; never with the rest of our environment. `inside` runs it
in the contestant's box, where the contestant can also stop or change it. Credentials come from the environment by
name; where one is echoed in a result, `[key]` stands for it.

Blame: a server behind a URL that cannot be reached, or one on the host that dies, is no doing of the contestant
(`provider`, the trial is tried again); a command that does not start is the operator's; one inside that dies is told to
the model. A tool that fails, refuses its arguments or takes
too long is told to the model.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TextIO
from urllib.parse import urlsplit

from steelyard.contestants.harness.boxpipes import BoxTransport
from steelyard.contestants.harness.credentials import filled, without
from steelyard.contestants.harness.hands import Hands
from steelyard.contestants.harness.options import McpServer
from steelyard.contestants.harness.tools import Outcome, ToolError
from steelyard.errors import EndedBy, Fault, PlanError
from steelyard.schema.message import ImagePart, ToolSpec

_START_S, _STOP_S = 30.0, 10.0
_TAIL = 4096
_MOST_TOOLS, _MOST_PAGES = 2000, 100
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")


def available() -> bool:
    """Whether the extra is installed."""
    # lazy: finding it must not import it
    import importlib.util

    return importlib.util.find_spec("mcp") is not None


class Said:
    """What a server on the host writes to stderr: read so that it never blocks, its end kept for when it dies."""

    def __init__(self) -> None:
        self._tail = b""
        self._reader: threading.Thread | None = None

    def __enter__(self) -> TextIO:
        inside, outside = os.pipe()
        self._reader = threading.Thread(target=self._read, args=(inside,), daemon=True, name="steelyard-mcp")
        self._reader.start()
        self._end = os.fdopen(outside, "w", encoding="utf-8")
        return self._end

    def __exit__(self, *_: object) -> None:
        self._end.close()

    def _read(self, fd: int) -> None:
        with os.fdopen(fd, "rb", buffering=0) as f:
            while more := f.read(65536):
                self._tail = (self._tail + more)[-_TAIL:]

    def last(self) -> str:
        """Its last line that is not empty, "" when it said nothing."""
        if self._reader is None:
            return ""
        self._reader.join(1.0)  # a child of the server's may still hold the other end
        lines = self._tail.decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


class Connection:
    """One server in one trial. A task of its own owns the connection: what breaks in it cannot break the trial."""

    def __init__(self, server: McpServer, environ: Mapping[str, str], hands: Hands | None) -> None:
        where = f"MCP server `{server.name}`"
        self.server, self._hands = server, hands
        env, a = filled(server.env, environ, where=where)
        headers, b = filled(server.headers, environ, where=where)
        self._env, self._headers, self._secrets = env, headers, (*a, *b)
        self._queue: asyncio.Queue[tuple[str, dict[str, object], asyncio.Future[Any]] | None] = (
            asyncio.Queue()
        )
        self._task: asyncio.Task[None] | None = None
        self._lost = ""
        self._said = Said()

    @property
    def hosts(self) -> tuple[str, ...]:
        """Whom calls of its tools talk to."""
        return (urlsplit(self.server.url).hostname or "",) if self.server.url else ()

    async def start(self) -> list[ServerTool]:
        """Connect; its tools. Raises Fault."""
        ready: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._live(ready))
        try:
            async with asyncio.timeout(_START_S):
                found = await asyncio.shield(ready)
        except TimeoutError:
            self._lost = self._lost or f"no answer within {_START_S:g} s"
            raise self.fault(start=True) from None
        except ConnectionError as e:
            self._lost = str(e)
            raise self.fault(start=True) from None
        wanted = self.server.tools
        kept = [t for t in found if not wanted or any(fnmatchcase(t.name, w) for w in wanted)]
        return [ServerTool(self._spec(t), t.name, self) for t in kept[:_MOST_TOOLS]]

    def _spec(self, tool: Any) -> ToolSpec:
        name = re.sub(r"[^A-Za-z0-9_-]", "_", f"{self.server.name}_{tool.name}")[:64]
        return ToolSpec(name, (tool.description or "")[:4000], dict(tool.input_schema or {"type": "object"}))

    def fault(self, *, start: bool = False) -> Fault:
        """The server is not there, which is not the contestant's doing; a command that does not start is the
        operator's."""
        mine = start and not self.server.url
        return Fault(
            f"MCP server `{self.server.name}`: {without(self._lost, self._secrets)[:300]}",
            ended_by=EndedBy.OPERATOR if mine else EndedBy.PROVIDER,
            kind="mcp_start" if mine else "mcp_lost",
            retryable=True,
            paid=None,
        )

    async def call(self, name: str, arguments: dict[str, object]) -> Any:
        """One call. Raises ToolError or Fault."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._task is None or self._task.done():
            raise self._gone()
        await self._queue.put((name, arguments, done))
        task = self._task
        await asyncio.wait({done, task}, return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            raise self._gone()
        return done.result()

    def _gone(self) -> Exception:
        self._lost = self._lost or "the connection ended"
        if self.server.inside:
            return ToolError(f"The server of this tool has ended ({self._lost[:200]}). Do without it.")
        return self.fault()

    def told(self, text: str) -> str:
        """A text of the server without the credentials that it was given."""
        return without(text, self._secrets)

    async def _live(self, ready: asyncio.Future[list[Any]]) -> None:
        # lazy: the extra is imported by trials that use it
        from mcp import Client, MCPError

        for name in ("mcp", "httpx2"):  # what a server says wrongly must not reach the operator's terminal
            if not logging.getLogger(name).handlers:
                logging.getLogger(name).addHandler(logging.NullHandler())
        try:
            async with AsyncExitStack() as stack:
                transport = await self._transport(stack)
                client = await stack.enter_async_context(
                    Client(transport, read_timeout_seconds=self.server.seconds)
                )
                ready.set_result(await _tools_of(client))
                while (job := await self._queue.get()) is not None:
                    name, arguments, done = job
                    try:
                        async with asyncio.timeout(self.server.seconds + 1.0):
                            done.set_result(await client.call_tool(name, arguments))
                    except TimeoutError:
                        done.set_exception(ToolError(f"The tool took longer than {self.server.seconds:g} s."))
                    except MCPError as e:
                        if _ended(e):
                            raise
                        done.set_exception(ToolError(self._why(str(e.message))))
        except BaseExceptionGroup as group:
            self._lost = "; ".join(f"{type(e).__name__}: {e}" for e in _leaves(group))
        except Exception as e:  # noqa: BLE001 - the SDK and the server may raise anything; it is attributed here
            self._lost = f"{type(e).__name__}: {e}"
        finally:
            if self._lost and (last := self._said.last()):
                self._lost = f"{self._lost}; its last line: {last}"
            if not ready.done():
                ready.set_exception(ConnectionError(self._lost or "the connection ended at its start"))
                ready.exception()

    def _why(self, message: str) -> str:
        """What the model is told of a call that came to nothing."""
        if "timed out" in message:
            return f"The tool did not answer within {self.server.seconds:g} s. Ask for less, or use another."
        return f"The tool refused the call: {self.told(message)[:2000]}"

    async def _transport(self, stack: AsyncExitStack) -> Any:
        server = self.server
        if server.url:
            # lazy: as above
            import httpx2
            from mcp.client.streamable_http import streamable_http_client

            timeout = httpx2.Timeout(30.0, read=server.seconds + 5.0)
            # the environment's proxies are not read: no call goes where the user did not name
            http = httpx2.AsyncClient(headers=self._headers, timeout=timeout, trust_env=False)
            await stack.enter_async_context(http)
            return streamable_http_client(server.url, http_client=http)
        if server.inside:
            if self._hands is None:
                raise PlanError(f"MCP server `{server.name}` is to run inside, and there is no box")
            return BoxTransport(self._hands, server.command, self._env)
        # lazy: as above
        from mcp.client.stdio import StdioServerParameters, stdio_client

        heard = stack.enter_context(self._said)
        command = StdioServerParameters(
            command=server.command[0], args=list(server.command[1:]), env=self._env
        )
        return stdio_client(command, errlog=heard)

    async def stop(self) -> None:
        """Close the connection; a server on the host is ended with it."""
        if self._task is None:
            return
        await self._queue.put(None)
        done, _ = await asyncio.wait({self._task}, timeout=_STOP_S)
        if not done:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for e in group.exceptions:
        if isinstance(e, BaseExceptionGroup):
            yield from _leaves(e)
        else:
            yield e


def _ended(e: Any) -> bool:
    # lazy: as above
    from mcp_types import CONNECTION_CLOSED

    return bool(e.code == CONNECTION_CLOSED)


async def _tools_of(client: Any) -> list[Any]:
    found: list[Any] = []
    cursor = None
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        found += page.tools
        cursor = page.next_cursor
        if not cursor or len(found) >= _MOST_TOOLS:
            break
    return found


@dataclass(frozen=True, slots=True)
class ServerTool:
    """A tool of a server."""

    spec: ToolSpec
    remote: str
    connection: Connection
    acts: bool = True

    @property
    def hosts(self) -> tuple[str, ...]:
        """The server's host."""
        return self.connection.hosts

    async def call(self, arguments: dict[str, object]) -> Outcome:
        """Ask the server."""
        result = await self.connection.call(self.remote, arguments)
        texts: list[str] = []
        images: list[ImagePart] = []
        for part in result.content:
            if part.type == "text":
                texts.append(part.text)
            elif part.type == "image" and part.mime_type in _IMAGES:
                images.append(ImagePart(media_type=part.mime_type, data=part.data))
                texts.append("[an image; it is shown below]")
            else:
                texts.append(f"[{part.type}, which cannot be shown]")
        if not texts and result.structured_content is not None:
            texts.append(json.dumps(result.structured_content, ensure_ascii=False))
        text = self.connection.told("\n".join(texts)) or "(no output)"
        return Outcome(text, error=bool(result.is_error), images=tuple(images))
