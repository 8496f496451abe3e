"""CPU milliseconds a call: our client, a floor on asyncio streams, and aiohttp and httpx where they are installed.

usage: python -m bench.wire [--n 10000] [--rounds 3] [--python OTHER_PYTHON]

CAVEATS. The stub answers at once, so this is overhead only. All clients make the request body anew for each call and
parse the answer as JSON; ours also stamps it, checks it and makes it a `Reply`. Start-up is left out. Read the ratios:
shared cores are noisy, and the rounds are interleaved for that reason. `--python` is an interpreter that has the peers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.runner.stub import Stub

NAMES = ("floor", "steelyard", "aiohttp", "httpx")


def body(i: int) -> dict[str, object]:
    ask = {"role": "user", "content": f"What is 6 times 7? item {i}"}
    return {"model": "stub", "messages": [ask], "temperature": 0.0, "max_tokens": 16}


async def floor(address: str, todo: list[int]) -> None:
    host, port = address.split(":")

    async def worker() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        while todo:
            data = json.dumps(body(todo.pop())).encode()
            head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: stub\r\ncontent-type: application/json\r\n"
            writer.write(head + b"content-length: %d\r\n\r\n" % len(data) + data)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            assert json.loads(await reader.readexactly(length))["choices"]
        writer.close()

    await asyncio.gather(*(worker() for _ in range(64)))


async def steelyard(address: str, todo: list[int]) -> None:
    from steelyard.schema.contestant import Sampling
    from steelyard.schema.message import Message
    from steelyard.wire.base import Endpoint, Request
    from steelyard.wire.client import Client

    client = Client(Endpoint(f"http://{address}/v1", secret="sk-bench-secret"))
    sampling = Sampling(temperature=0.0, max_tokens=16)

    async def worker() -> None:
        while todo:
            ask = Message("user", f"What is 6 times 7? item {todo.pop()}")
            assert (await client.complete(Request("stub", (ask,), sampling))).text

    await asyncio.gather(*(worker() for _ in range(64)))
    await client.aclose()


async def aiohttp(address: str, todo: list[int]) -> None:
    import aiohttp as peer

    async with peer.ClientSession(connector=peer.TCPConnector(limit=64)) as session:

        async def worker() -> None:
            while todo:
                async with session.post(
                    f"http://{address}/v1/chat/completions", json=body(todo.pop())
                ) as answer:
                    assert (await answer.json())["choices"]

        await asyncio.gather(*(worker() for _ in range(64)))


async def httpx(address: str, todo: list[int]) -> None:
    import httpx as peer

    async with peer.AsyncClient(limits=peer.Limits(max_connections=64)) as session:

        async def worker() -> None:
            while todo:
                answer = await session.post(f"http://{address}/v1/chat/completions", json=body(todo.pop()))
                assert answer.json()["choices"]

        await asyncio.gather(*(worker() for _ in range(64)))


def child(name: str, address: str, n: int) -> None:
    """One measurement, in a process of its own."""
    run = {"floor": floor, "steelyard": steelyard, "aiohttp": aiohttp, "httpx": httpx}[name]
    asyncio.run(run(address, list(range(64))))  # imports and first connections are not the question
    begun = time.process_time()
    asyncio.run(run(address, list(range(n))))
    print((time.process_time() - begun) / n * 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(*args.child, args.n)
        return
    print(__doc__.split("CAVEATS.")[1].strip(), end="\n\n")
    found: dict[str, list[float]] = {}
    root = Path(__file__).parents[2]
    with tempfile.TemporaryDirectory() as folder, Stub(Path(folder)) as stub:
        for _ in range(args.rounds):
            for name in NAMES:
                python = args.python if name in ("aiohttp", "httpx") else sys.executable
                n = args.n // 5 if name == "httpx" else args.n
                command = [python, "-m", "bench.wire", "--child", name, stub.address, "--n", str(n)]
                ran = subprocess.run(command, check=False, cwd=root, capture_output=True, text=True)
                if ran.returncode == 0:
                    found.setdefault(name, []).append(float(ran.stdout))
    base = statistics.median(found["floor"])
    for name in NAMES:
        if name in found:
            ms = statistics.median(found[name])
            print(
                f"{name:10} {ms:.4f} ms CPU a call   {ms / base:.2f} x the floor   {len(found[name])} rounds"
            )
        else:
            print(f"{name:10} not installed for {args.python}")


if __name__ == "__main__":
    main()
