"""The scripted endpoint misbehaves as it says, and a client sees the fault that the table names."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request

import pytest

from steelyard.errors import Fault
from steelyard.schema.contestant import Sampling
from steelyard.schema.message import Message
from steelyard.schema.reply import Reply
from steelyard.testing.misbehave import KINDS, RETRYABLE
from steelyard.testing.stub import Rule, Stub, StubOptions, drawn, stub_thread
from steelyard.wire.base import Endpoint, Request
from steelyard.wire.client import Client
from steelyard.wire.dialects import SERVERS
from steelyard.wire.faults import TABLE


def ask(text: str = "what?", *, stream: bool = False, seed: int | None = 1) -> Request:
    # every dialect wants max_tokens or does not mind it
    return Request("m", (Message("user", text),), Sampling(max_tokens=50), seed=seed, stream=stream)


def base_of(stub: Stub, dialect: str) -> str:
    return stub.url if dialect == "anthropic-messages" else stub.base_url


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("dialect", SERVERS)
def test_each_misbehaviour_gives_its_fault(dialect: str, name: str, *, stream: bool) -> None:
    async def main() -> None:
        async with Stub(
            StubOptions(rules=(Rule("", name),), answer=lambda r: "one two three four", hang_s=5)
        ) as stub:
            quick = 0.2 if name.startswith("hang") else 10.0
            client = Client(
                Endpoint(base_of(stub, dialect), dialect, secret="sk-secret-key", timeout_s=quick)
            )
            (got,) = await asyncio.gather(client.complete(ask(stream=stream)), return_exceptions=True)
            await client.aclose()
            if isinstance(got, Fault):
                # without a stream, a stream that stops is an answer that is cut
                cut = name == "stream_unfinished" and not stream
                assert got.kind == ("broken_body" if cut else KINDS[name].kind)
                assert "sk-secret-key" not in str(got)
                assert got.retryable == TABLE[got.kind].retryable
                assert not got.retryable or name in RETRYABLE or name.startswith("hang")
            else:
                assert isinstance(got, Reply), got
                assert got.text == "one two three four"
                assert KINDS[name].kind == ""
            assert stub.counts.faults == {name: 1}
            assert not stub.errors

    asyncio.run(main())


@pytest.mark.parametrize("dialect", SERVERS)
def test_right_answers_in_every_dialect_streamed_and_not(dialect: str) -> None:
    async def main() -> None:
        async with Stub(StubOptions(chunk_s=0.001, answer=lambda r: "one two three")) as stub:
            client = Client(Endpoint(base_of(stub, dialect), dialect))
            plain, streamed = [await client.complete(ask(stream=s)) for s in (False, True)]
            await client.aclose()
            assert plain.text == streamed.text == "one two three"
            assert plain.usage == streamed.usage
            assert plain.usage.output_tokens == 3
            assert streamed.timing is not None
            assert len(streamed.timing.chunk_ns) == 3
            assert list(streamed.timing.chunk_ns) == sorted(streamed.timing.chunk_ns)
            assert stub.counts.answered == {"what?": 2}

    asyncio.run(main())


def test_faults_depend_on_prompt_and_repeat_never_on_order() -> None:
    async def faults(order: list[int]) -> dict[int, str]:
        async with Stub(StubOptions(fault_rate=0.5, seed=7)) as stub:
            client = Client(Endpoint(stub.base_url))
            seen = {}
            for i in order:
                try:
                    seen[i] = (await client.complete(ask(f"task {i}"))).text
                except Fault as broken:
                    seen[i] = broken.kind
            await client.aclose()
            return seen

    forwards = asyncio.run(faults(list(range(60))))
    assert forwards == asyncio.run(faults(list(reversed(range(60)))))
    failed = sum(v in TABLE for v in forwards.values())
    assert 15 <= failed <= 45, f"P(fault) wanted 0.5, got {failed}/60"


def test_answers_depend_on_prompt_model_and_seed() -> None:
    assert drawn(ask("x", seed=1)) == drawn(ask("x", seed=1))
    assert len({drawn(ask("x", seed=s)) for s in range(50)}) == 4


def test_too_many_at_once_is_a_429_with_retry_after() -> None:
    async def main() -> None:
        async with Stub(StubOptions(max_in_flight=2, latency_s=0.05, retry_after_s=0.25)) as stub:
            client = Client(Endpoint(stub.base_url))
            found = await asyncio.gather(
                *(client.complete(ask(str(i))) for i in range(5)), return_exceptions=True
            )
            await client.aclose()
            limited = [f for f in found if isinstance(f, Fault)]
            assert [f.kind for f in limited] == ["rate_limited"] * 3
            assert [f.retry_after for f in limited] == [0.25] * 3

    asyncio.run(main())


def test_in_a_thread() -> None:
    with stub_thread(StubOptions(rules=(Rule("bad", "500", times=1),))) as stub:

        async def main() -> None:
            client = Client(Endpoint(stub.base_url))
            with pytest.raises(Fault):
                await client.complete(ask("bad"))
            await client.complete(ask("bad"))
            await client.aclose()

        asyncio.run(main())
        assert stub.counts.received == {"bad": 2}


def test_as_a_process() -> None:
    command = [sys.executable, "-m", "steelyard.testing.stub", "--rule", "x=y=429:1", "--answer", "hello"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            base = json.loads(process.stdout.readline())["base_url"]

            async def main() -> tuple[str, str]:
                client = Client(Endpoint(base))
                with pytest.raises(Fault) as caught:
                    await client.complete(ask("x=y"))
                reply = await client.complete(ask("x=y"))
                await client.aclose()
                return caught.value.kind, reply.text

            assert asyncio.run(main()) == ("rate_limited", "hello")
            with urllib.request.urlopen(base.replace("/v1", "/stub/counts")) as answer:
                counts = json.load(answer)
            assert counts["received"] == {"x=y": 2}
            assert counts["answered"] == {"x=y": 1}
        finally:
            process.kill()
