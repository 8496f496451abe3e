"""The server: kept connections, streams, limits, clients that go away or read slowly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from steelyard.errors import UserError
from steelyard.wire.base import Endpoint, HttpRequest
from steelyard.wire.client import Client
from steelyard.wire.serve import Incoming, Outgoing, Server


async def echo(incoming: Incoming) -> Outgoing:
    return Outgoing(200, incoming.body, "text/plain", (("x-path", incoming.path),))


async def talk(server: Server, sent: bytes, *, answers: int = 1) -> bytes:
    """Send bytes as they are; read until so many answers came, or the end."""
    port = int(server.url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    got = b""
    try:
        while got.count(b"HTTP/1.1 ") < answers or not got.endswith((b"\r\n\r\n", b"ok", b"body")):
            piece = await asyncio.wait_for(reader.read(65536), 2.0)
            if not piece:
                break
            got += piece
    except (TimeoutError, ConnectionError):
        pass
    writer.close()
    return got


def post(path: str, body: bytes, *, more: bytes = b"") -> bytes:
    return b"POST %s HTTP/1.1\r\nhost: x\r\n%scontent-length: %d\r\n\r\n%s" % (
        path.encode(),
        more,
        len(body),
        body,
    )


def test_pipelined_requests_are_answered_in_order() -> None:
    async def main() -> None:
        async with Server(echo) as server:
            got = await talk(server, b"".join(post(f"/{i}", b"%d ok" % i) for i in range(20)), answers=20)
            assert [
                int(p.split(b"\r\n\r\n")[1].split(b" ok")[0]) for p in got.split(b"HTTP/1.1 ")[1:]
            ] == list(range(20))

    asyncio.run(main())


def test_a_request_may_come_in_pieces_and_encoded_paths_are_decoded() -> None:
    async def main() -> None:
        async with Server(echo) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            for byte in post("/a%20b?q=1", b"ok"):
                writer.write(bytes([byte]))
                await asyncio.sleep(0)
            got = await reader.readuntil(b"ok")
            writer.close()
            assert b"x-path: /a b\r\n" in got

    asyncio.run(main())


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 200_000 + b"\r\n\r\n", b"413"),
        (post("/", b"b" * 3_000), b"413"),
        (b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", b"400"),
    ],
)
def test_what_is_wrong_or_too_large_is_refused(sent: bytes, status: bytes) -> None:
    async def main() -> None:
        async with Server(echo, max_body=2_000) as server:
            got = await talk(server, sent)
            assert got.startswith(b"HTTP/1.1 " + status)
            assert b"connection: close" in got

    asyncio.run(main())


def test_a_handler_that_raises_is_a_500_and_is_told() -> None:
    told: list[BaseException] = []

    async def broken(incoming: Incoming) -> Outgoing:
        raise ValueError("a secret of the server")

    async def main() -> None:
        async with Server(broken, on_error=told.append) as server:
            got = await talk(server, post("/", b"x") * 2, answers=2)
            assert got.count(b"HTTP/1.1 500 ") == 2
            assert b"secret" not in got

    asyncio.run(main())
    assert [str(e) for e in told] == ["a secret of the server"] * 2


def test_a_stream_that_breaks_is_cut_so_that_the_client_can_tell() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        raise ValueError("broken")

    async def streams(incoming: Incoming) -> Outgoing:
        return Outgoing(body=pieces())

    async def main() -> None:
        async with Server(streams) as server:
            got = await talk(server, post("/", b""))
            assert not got.endswith(b"0\r\n\r\n")

    asyncio.run(main())


def test_work_stops_when_the_client_goes_away() -> None:
    stopped = asyncio.Event

    async def main() -> None:
        cancelled, ended = stopped(), stopped()

        async def slow(incoming: Incoming) -> Outgoing:
            if incoming.path == "/stream":
                return Outgoing(body=pieces())
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.set()
                raise
            return Outgoing()

        async def pieces() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x"
                    await asyncio.sleep(0.001)
            finally:
                ended.set()

        async with Server(slow) as server:
            for path, event in (("/", cancelled), ("/stream", ended)):
                client = Client(Endpoint(server.url))
                call = asyncio.create_task(client.exchange(HttpRequest("POST", path, (), b"")))
                await asyncio.sleep(0.05)
                call.cancel()
                await asyncio.wait_for(event.wait(), 2.0)
                await client.aclose()

    asyncio.run(main())


def test_a_slow_reader_holds_the_stream_back() -> None:
    made = 0

    async def main() -> None:
        async def pieces() -> AsyncIterator[bytes]:
            nonlocal made
            for _ in range(2_000):
                made += 1
                yield b"x" * 65_536

        async def streams(incoming: Incoming) -> Outgoing:
            return Outgoing(body=pieces())

        async with Server(streams) as server:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
            writer.write(post("/", b""))
            await asyncio.sleep(0.3)
            writer.close()

    asyncio.run(main())
    assert made < 500, f"{made} pieces of 64 KiB were made for a client that reads none"


def test_a_value_from_outside_cannot_start_a_header() -> None:
    async def main() -> None:
        async with Server(echo) as server:
            got = await talk(server, post("/a%0d%0aevil:%20yes", b"ok"))
            assert b"x-path: /a  evil: yes\r\n" in got

    asyncio.run(main())


def test_idle_connections_and_heads_that_never_end_are_closed_but_slow_work_is_not() -> None:
    async def slow(incoming: Incoming) -> Outgoing:
        await asyncio.sleep(0.5)
        return Outgoing(body=b"ok")

    async def main() -> None:
        async with Server(slow, idle_s=0.1) as server:
            idle, w1 = await asyncio.open_connection("127.0.0.1", server.port)
            head, w2 = await asyncio.open_connection("127.0.0.1", server.port)
            w2.write(b"POST / HTTP/1.1\r\nx: ")
            work, w3 = await asyncio.open_connection("127.0.0.1", server.port)
            w3.write(post("/", b""))
            assert await asyncio.wait_for(work.readuntil(b"ok"), 5)
            for reader in (idle, head):
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await asyncio.wait_for(reader.readexactly(1), 5)
            for writer in (w1, w2, w3):
                writer.close()

    asyncio.run(main())


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    async def main() -> None:
        async with Server(echo) as server:
            with pytest.raises(UserError) as caught:
                await Server(echo, port=server.port).start()
            assert str(server.port) in str(caught.value)

    asyncio.run(main())


def test_head_and_expect_and_close() -> None:
    async def main() -> None:
        async with Server(echo) as server:
            got = await talk(server, b"HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert got.endswith(b"connection: close\r\n\r\n")
            got = await talk(server, post("/", b"body", more=b"expect: 100-continue\r\n"), answers=2)
            assert got.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")

    asyncio.run(main())
