"""The transport against real sockets: kept connections, limits, every way in which an answer can break."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path

import pytest

from steelyard.errors import Fault, UserError
from steelyard.schema.message import Message
from steelyard.schema.reply import Reply
from steelyard.wire import body as body_module
from steelyard.wire import connection as connection_module
from steelyard.wire.base import Endpoint, HttpRequest, Request
from steelyard.wire.client import Client
from steelyard.wire.faults import TABLE

BODY = json.dumps(
    {"choices": [{"message": {"content": "four"}, "finish_reason": "stop"}], "model": "m"}
).encode()
ASK = Request("m", (Message("user", "2 + 2?"),))
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]


def http(
    body: bytes = BODY, *, status: str = "200 OK", headers: str = "", length: int | None = None
) -> bytes:
    size = len(body) if length is None else length
    return (
        f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n{headers}\r\n".encode()
        + body
    )


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length")
    )
    return head + await reader.readexactly(length)


class Raw:
    """A server whose every byte is scripted; counts requests and connections."""

    def __init__(self, script: Script) -> None:
        self.script, self.requests, self.connections = script, list[bytes](), 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.requests.append(await read_request(reader))
                await self.script(reader, writer, len(self.requests))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def raw(script: Script) -> AsyncIterator[Raw]:
    server = Raw(script)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listening.close()


def saying(data: bytes, *, close: bool = False) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        writer.write(data)
        await writer.drain()
        if close:
            writer.close()
            raise ConnectionResetError

    return script


async def once(script: Script, *, ask: Request = ASK, timeout_s: float = 5.0) -> Reply:
    async with raw(script) as server:
        client = Client(Endpoint(server.url, secret="sk-topsecret", timeout_s=timeout_s))
        try:
            return await client.complete(ask)
        finally:
            await client.aclose()


def fault_of(script: Script, *, ask: Request = ASK, timeout_s: float = 5.0) -> Fault:
    with pytest.raises(Fault) as caught:
        asyncio.run(once(script, ask=ask, timeout_s=timeout_s))
    assert caught.value.kind in TABLE
    assert "sk-topsecret" not in str(caught.value)
    return caught.value


def test_a_connection_is_kept_and_used_again() -> None:
    async def main() -> None:
        async with raw(saying(http())) as server:
            client = Client(Endpoint(server.url, secret="sk-topsecret"))
            replies = [await client.complete(ASK) for _ in range(5)]
            await client.aclose()
            assert [r.text for r in replies] == ["four"] * 5
            assert server.connections == 1
            assert b"POST /v1/chat/completions HTTP/1.1\r\n" in server.requests[0]
            assert b"authorization: Bearer sk-topsecret\r\n" in server.requests[0]
            assert replies[0].timing is not None
            assert replies[1].timing is not None
            assert replies[0].timing.connect_ns > 0 == replies[1].timing.connect_ns
            assert 0 < replies[0].timing.first_byte_ns <= replies[0].timing.done_ns

    asyncio.run(main())


def test_the_pool_is_bounded_and_everyone_is_served() -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        await asyncio.sleep(0.002)
        writer.write(http())

    async def main() -> None:
        async with raw(slowly) as server:
            client = Client(Endpoint(server.url), max_connections=3)
            replies = await asyncio.gather(*(client.complete(ASK) for _ in range(40)))
            await client.aclose()
            assert len(replies) == 40
            assert server.connections == 3

    asyncio.run(main())


@pytest.mark.parametrize("pieces", [1, 2, 7, 10_000])
def test_an_answer_in_any_pieces_is_the_same(pieces: int) -> None:
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    chunked += (
        b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in (BODY[:10], BODY[10:11], BODY[11:])) + b"0\r\n\r\n"
    )

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        size = max(1, len(chunked) // pieces)
        for i in range(0, len(chunked), size):
            writer.write(chunked[i : i + size])
            await writer.drain()
            await asyncio.sleep(0)

    assert asyncio.run(once(script)).text == "four"


@pytest.mark.parametrize(
    ("coding", "encode"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda b: zlib.compress(b)[2:-4]),
        ("identity", bytes),
    ],
)
def test_a_coded_answer_is_decoded(coding: str, encode: Callable[[bytes], bytes]) -> None:
    body = encode(BODY)
    assert asyncio.run(once(saying(http(body, headers=f"content-encoding: {coding}\r\n")))).text == "four"


@pytest.mark.parametrize("dated", [False, True])
def test_a_date_in_retry_after_counts_from_the_servers_date_or_from_now(dated: bool) -> None:
    ahead = 3600 if dated else 0  # a server whose clock goes wrong, and says so
    then = formatdate(time.time() + ahead + 30, usegmt=True)
    headers = f"retry-after: {then}\r\n" + (
        f"date: {formatdate(time.time() + ahead, usegmt=True)}\r\n" if dated else ""
    )
    broken = fault_of(saying(http(b"{}", status="429 Slow", headers=headers)))
    assert broken.kind == "rate_limited"
    assert broken.retry_after is not None
    assert 25 <= broken.retry_after <= 31


def test_a_head_over_the_limit_is_refused_however_it_comes() -> None:
    headers = f"x-long: {'a' * (256 << 10)}\r\n"
    assert fault_of(saying(http(headers=headers))).kind == "too_large"


def test_an_answer_may_end_with_the_connection_and_interim_heads_are_skipped() -> None:
    said = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" + BODY
    assert asyncio.run(once(saying(said, close=True))).text == "four"


BROKEN = {
    "closed before any byte": (saying(b"", close=True), "connection_lost"),
    "closed in the head": (saying(b"HTTP/1.1 200 OK\r\ncontent-", close=True), "bad_http"),
    "closed in the body": (saying(http(BODY[:20], length=len(BODY)), close=True), "broken_body"),
    "chunked without an end": (
        saying(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", close=True),
        "broken_body",
    ),
    "content-length too small": (saying(http(BODY, length=20), close=True), "bad_json"),
    "not HTTP": (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), "bad_http"),
    "another protocol": (
        saying(b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
        "bad_http",
    ),
    "broken gzip": (saying(http(b"\x1f\x8bgarbage", headers="content-encoding: gzip\r\n")), "bad_http"),
    "cut gzip": (saying(http(gzip.compress(BODY)[:-9], headers="content-encoding: gzip\r\n")), "broken_body"),
    "unasked coding": (saying(http(BODY, headers="content-encoding: br\r\n")), "bad_http"),
    "endless head": (saying(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 1_000_000), "too_large"),
    "redirect": (saying(http(b"", status="302 Found", headers="location: http://x/\r\n")), "redirect"),
    "two lengths": (saying(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"), "bad_http"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_way_to_break_an_answer_is_a_typed_fault(name: str) -> None:
    script, kind = BROKEN[name]
    assert fault_of(script).kind == kind


def test_time_out_before_and_after_the_first_byte() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        await reader.read(1)

    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        writer.write(http(BODY[:5], length=len(BODY)))
        await reader.read(1)

    assert fault_of(silent, timeout_s=0.05).kind == "timeout_first_byte"
    assert fault_of(stuck, timeout_s=0.05).kind == "timeout_body"


def test_nothing_is_sent_twice_on_a_kept_connection_that_dies() -> None:
    async def second_dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        if n == 2:
            writer.close()
            raise ConnectionResetError
        writer.write(http())

    async def main() -> None:
        async with raw(second_dies) as server:
            client = Client(Endpoint(server.url))
            await client.complete(ASK)
            with pytest.raises(Fault) as caught:
                await client.complete(ASK)
            assert (caught.value.kind, caught.value.paid, caught.value.retryable) == (
                "connection_lost",
                None,
                True,
            )
            assert len(server.requests) == 2
            assert (await client.complete(ASK)).text == "four"
            await client.aclose()

    asyncio.run(main())


def test_a_kept_connection_that_the_server_closed_is_not_used() -> None:
    closed = asyncio.Event()

    async def then_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        writer.write(http())
        await writer.drain()
        await asyncio.sleep(0.01)
        closed.set()
        raise ConnectionResetError

    async def main() -> None:
        async with raw(then_close) as server:
            client = Client(Endpoint(server.url))
            for _ in range(2):
                closed.clear()
                assert (await client.complete(ASK)).text == "four"
                await closed.wait()
                await asyncio.sleep(0.02)
            assert server.connections == 2
            await client.aclose()

    asyncio.run(main())


def test_bytes_that_nobody_asked_for_never_become_the_next_answer() -> None:
    twice = http() + http(BODY.replace(b"four", b"evil"))

    async def main() -> None:
        async with raw(saying(twice)) as server:
            client = Client(Endpoint(server.url))
            assert [(await client.complete(ASK)).text for _ in range(3)] == ["four"] * 3
            await client.aclose()
            assert server.connections == 3

    asyncio.run(main())


def test_a_cancelled_call_closes_its_connection_and_the_pool_goes_on() -> None:
    async def first_hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        if n == 1:
            await reader.read(1)
            return
        writer.write(http())

    async def main() -> None:
        async with raw(first_hangs) as server:
            client = Client(Endpoint(server.url), max_connections=1)
            first = asyncio.create_task(client.complete(ASK))
            second = asyncio.create_task(client.complete(ASK))
            third = asyncio.create_task(client.complete(ASK))
            await asyncio.sleep(0.05)
            first.cancel()
            second.cancel()
            assert (await third).text == "four"
            assert server.connections == 2
            await client.aclose()

    asyncio.run(main())


def test_a_stream_that_says_done_is_over_even_if_the_server_never_closes() -> None:
    events = (
        b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    )
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        writer.write(head + b"%x\r\n%s\r\n" % (len(events), events))
        await reader.read(1)

    reply = asyncio.run(once(hangs, ask=Request("m", ASK.messages, stream=True), timeout_s=2.0))
    assert reply.text == "hi"
    assert reply.timing is not None
    assert reply.timing.first_token_ns is not None


def test_no_connection_says_why() -> None:
    async def call(url: str) -> None:
        client = Client(Endpoint(url, connect_timeout_s=2.0))
        try:
            await client.complete(ASK)
        finally:
            await client.aclose()

    for url, kinds in (
        ("http://127.0.0.1:1/v1", {"refused"}),
        ("http://no-such-host.invalid/v1", {"dns"}),
        ("http://" + "a" * 70 + ".invalid/v1", {"dns"}),
    ):
        with pytest.raises(Fault) as caught:
            asyncio.run(call(url))
        assert caught.value.kind in kinds
        assert caught.value.paid is False


def test_tls_to_a_plain_server_is_a_tls_fault() -> None:
    async def main() -> None:
        async with raw(saying(http())) as server:
            client = Client(Endpoint(server.url.replace("http:", "https:"), connect_timeout_s=0.5))
            await client.complete(ASK)

    with pytest.raises(Fault) as caught:
        asyncio.run(main())
    assert caught.value.kind in ("tls", "refused", "connect_timeout")


def test_the_key_is_in_no_error_and_in_no_reply() -> None:
    said = "Incorrect API key provided: sk-topsecret. Bearer sk-topsecret"
    echo = json.dumps({"error": {"message": said, "code": "invalid_api_key"}}).encode()
    broken = fault_of(saying(http(echo, status="401 Unauthorized")))
    assert broken.kind == "auth"
    assert "[key]" in str(broken)
    assert broken.__context__ is None, "the text before scrubbing must not hang on the fault"
    reply = asyncio.run(once(saying(http(BODY.replace(b"four", b"your key is sk-topsecret")))))
    assert reply.text == "your key is [key]"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://x/",
        "http://",
        "http://x:99999/",
        "http://u:p@x/",
        "http://x/a b",
        "http://[::1/",
    ],
)
def test_a_base_url_that_cannot_be_is_refused_before_any_call(url: str) -> None:
    with pytest.raises(UserError):
        Client(Endpoint(url))


def test_a_key_in_a_header_or_in_the_address_is_as_secret() -> None:
    async def main() -> None:
        async with raw(saying(http(b'{"error": "HEADER-KEY and QUERY-KEY"}', status="500 No"))) as server:
            endpoint = Endpoint(server.url + "?api_key=QUERY-KEY", headers=(("api-key", "HEADER-KEY"),))
            assert "HEADER-KEY" not in repr(endpoint)
            client = Client(endpoint)
            with pytest.raises(Fault) as caught:
                await client.complete(ASK)
            await client.aclose()
            assert b"?api_key=QUERY-KEY HTTP/1.1\r\n" in server.requests[0]
            assert "QUERY-KEY" not in str(caught.value)
            assert "HEADER-KEY" not in str(caught.value)

    asyncio.run(main())


def test_headers_cannot_be_injected() -> None:
    async def main() -> None:
        client = Client(Endpoint("http://127.0.0.1:1/v1", secret="a\r\nx: y"))
        await client.complete(ASK)

    with pytest.raises(UserError):
        asyncio.run(main())


def test_raw_exchange_and_the_joining_of_paths() -> None:
    async def main() -> None:
        async with raw(saying(http(b"teapot", status="418 I am a teapot"))) as server:
            base = server.url
            cases = {
                (base, "/chat/completions"): b"POST /v1/chat/completions HTTP",
                (base + "/", "/v1/messages"): b"POST /v1/messages HTTP",
                (base + "/chat/completions", "/chat/completions"): b"POST /v1/chat/completions HTTP",
                (base + "?api-version=1", "/x"): b"POST /v1/x?api-version=1 HTTP",
                (base + "?a=1", "/x?b=2"): b"POST /v1/x?b=2&a=1 HTTP",
                (base.removesuffix("/v1"), ""): b"POST / HTTP",
            }
            for (url, path), line in cases.items():
                client = Client(Endpoint(url))
                answer = await client.exchange(HttpRequest("POST", path, (), b"{}"))
                await client.aclose()
                assert (answer.status, answer.body) == (418, b"teapot")
                assert server.requests[-1].startswith(line), server.requests[-1]

    asyncio.run(main())


def test_closing_the_client_ends_calls_in_flight() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        await reader.read(1)

    async def main() -> None:
        async with raw(silent) as server:
            client = Client(Endpoint(server.url), max_connections=1)
            calls = [asyncio.create_task(client.complete(ASK)) for _ in range(3)]
            await asyncio.sleep(0.05)
            await client.aclose()
            kinds = [
                r.kind for r in await asyncio.gather(*calls, return_exceptions=True) if isinstance(r, Fault)
            ]
            assert sorted(kinds) == ["connection_lost", "refused", "refused"]

    asyncio.run(main())


def test_closing_the_client_ends_calls_that_are_connecting() -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        ended.release()

    ended = asyncio.Semaphore(0)

    async def main() -> None:
        listening = await asyncio.start_server(never, "127.0.0.1", 0)
        url = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"  # its handshake never ends
        client = Client(Endpoint(url))
        call = asyncio.create_task(client.complete(ASK))
        cancelled = asyncio.create_task(client.complete(ASK))
        await asyncio.sleep(0.05)
        cancelled.cancel()
        await asyncio.sleep(0)
        await client.aclose()
        first, second = await asyncio.gather(call, cancelled, return_exceptions=True)
        assert isinstance(first, Fault)
        assert (first.kind, first.paid) == ("refused", False)
        assert isinstance(second, asyncio.CancelledError)
        for _ in range(2):
            await ended.acquire()
        listening.close()

    asyncio.run(main())


def test_a_connection_whose_call_was_cancelled_while_it_was_made_serves_the_next_call() -> None:
    async def main() -> None:
        async with raw(saying(http())) as server:
            client = Client(Endpoint(server.url))
            call = asyncio.create_task(client.complete(ASK))
            await asyncio.sleep(0)  # it has begun to connect
            await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            await asyncio.sleep(0.05)
            assert (await client.complete(ASK)).text == "four"
            assert server.connections == 1
            await client.aclose()

    asyncio.run(main())


def test_the_head_limit_is_above_what_providers_send() -> None:
    assert connection_module.MOST_HEAD_BYTES >= 64 << 10


def test_a_certificate_that_does_not_verify_is_the_operators_and_is_never_retried(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program to make a certificate")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-out",
        cert,
        "-days",
        "1",
    ]
    subprocess.run([*made, "-subj", "/CN=localhost"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    async def main() -> None:
        server = Raw(saying(http()))
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
        url = f"https://localhost:{listening.sockets[0].getsockname()[1]}/v1"
        strict, lax = Client(Endpoint(url)), Client(Endpoint(url, verify_tls=False))
        with pytest.raises(Fault) as caught:
            await strict.complete(ASK)
        assert (caught.value.kind, caught.value.retryable, caught.value.paid) == (
            "tls_certificate",
            False,
            False,
        )
        assert [(await lax.complete(ASK)).text for _ in range(3)] == ["four"] * 3
        assert server.connections == 1
        await strict.aclose()
        await lax.aclose()
        listening.close()

    asyncio.run(main())


def test_a_bomb_of_compressed_zeros_is_refused_within_the_limit() -> None:
    squeezed = zlib.compressobj(9)
    body = squeezed.compress(b"0" * (200 << 20)) + squeezed.flush()
    tracemalloc.start()
    broken = fault_of(saying(http(body, headers="content-encoding: deflate\r\n")), timeout_s=60.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert broken.kind == "too_large"
    assert peak < 3 * body_module.MOST_BODY_BYTES, f"peak {peak >> 20} MiB"


def test_an_endless_stream_of_comments_ends_at_the_limit_and_a_line_without_end_too() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"

    async def endless(writer: asyncio.StreamWriter, piece: bytes) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()

    async def comments(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        await endless(writer, b": " + b"x" * 65_000 + b"\n")

    async def line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        await endless(writer, b"data: " + b"x" * 65_000)

    ask = Request("m", ASK.messages, stream=True)
    assert fault_of(comments, ask=ask, timeout_s=60.0).kind == "too_large"
    assert fault_of(line, ask=ask, timeout_s=60.0).kind == "too_large"


def test_a_large_request_and_a_large_answer_pass() -> None:
    large = json.dumps(
        {"choices": [{"message": {"content": "x" * 5_000_000}, "finish_reason": "stop"}]}
    ).encode()
    ask = Request("m", (Message("user", "y" * 5_000_000),))
    assert len(asyncio.run(once(saying(http(large)), ask=ask, timeout_s=30.0)).text) == 5_000_000


def test_running_out_of_files_is_our_fault_and_not_the_providers() -> None:
    script = (
        "import asyncio, resource, sys\n"
        "from steelyard.errors import Fault\n"
        "from steelyard.wire.base import Endpoint, HttpRequest\n"
        "from steelyard.wire.client import Client\n"
        "async def main():\n"
        "    client = Client(Endpoint(sys.argv[1], timeout_s=1.0))\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))\n"
        "    ask = HttpRequest('POST', '/x', (), b'{}')\n"
        "    found = await asyncio.gather(*(client.exchange(ask) for _ in range(30)), return_exceptions=True)\n"
        "    print(sorted({f'{f.kind} {f.ended_by} {f.paid}' for f in found if isinstance(f, Fault)}))\n"
        "    await client.aclose()\n"
        "asyncio.run(main())\n"
    )

    async def main() -> None:
        async with raw(saying(http())) as server:
            command = [sys.executable, "-c", script, server.url]
            found = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
            said, _ = await found.communicate()
            assert said.decode().strip() == "['no_sockets us False']"

    asyncio.run(main())


def test_proxies_of_the_environment_are_not_used() -> None:
    env = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), "http://127.0.0.1:1")
    script = (
        "import asyncio, sys\n"
        "from steelyard.wire.base import Endpoint, HttpRequest\n"
        "from steelyard.wire.client import Client\n"
        "async def main():\n"
        "    client = Client(Endpoint(sys.argv[1]))\n"
        "    print((await client.exchange(HttpRequest('POST', '/x', (), b'{}'))).status)\n"
        "    await client.aclose()\n"
        "asyncio.run(main())\n"
    )

    async def main() -> None:
        async with raw(saying(http())) as server:
            command = [sys.executable, "-c", script, server.url]
            found = await asyncio.create_subprocess_exec(
                *command, env={**os.environ, **env}, stdout=subprocess.PIPE
            )
            said, _ = await found.communicate()
            assert said.strip() == b"200"
            assert len(server.requests) == 1

    asyncio.run(main())
