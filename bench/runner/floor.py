"""The floor: the same work in 60 lines of asyncio streams; keep-alive, no retries, no resume, JSONL log.

usage: python floor.py DATA.jsonl HOST:PORT CONCURRENCY OUT.jsonl
"""

import asyncio
import json
import sys


async def worker(host: str, port: int, tasks: "asyncio.Queue[dict[str, str]]", out, score: list[int]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    while True:
        try:
            task = tasks.get_nowait()
        except asyncio.QueueEmpty:
            break
        body = json.dumps(
            {"model": "stub", "messages": [{"role": "user", "content": task["input"]}], "max_tokens": 16}
        ).encode()
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: stub\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n" % len(body) + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        reply = json.loads(await reader.readexactly(length))
        text = reply["choices"][0]["message"]["content"]
        good = text.strip() == task["target"]
        score[0] += good
        out.write(
            json.dumps(
                {
                    "id": task["id"],
                    "input": task["input"],
                    "target": task["target"],
                    "text": text,
                    "good": good,
                    "usage": reply["usage"],
                }
            )
            + "\n"
        )
    writer.close()


async def main() -> None:
    path, address, concurrency, out_path = sys.argv[1:]
    host, port = address.split(":")
    tasks: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    with open(path) as f:
        for line in f:
            tasks.put_nowait(json.loads(line))
    n, score = tasks.qsize(), [0]
    with open(out_path, "w") as out:
        await asyncio.gather(*(worker(host, int(port), tasks, out, score) for _ in range(int(concurrency))))
    print(f"accuracy {score[0] / n:.3f} of {n}")


asyncio.run(main())
