"""The process that holds the code under test: imports its modules and calls functions by name.

Started with one socket as descriptor 3. Everything it says is the word of the code under test.
"""

from __future__ import annotations

import builtins
import importlib
import json
import os
import sys
from typing import Any, BinaryIO

sys.path.insert(0, "/grader")
import codec  # type: ignore[import-not-found]

_BUILTIN = {name: kind for name, kind in vars(builtins).items() if isinstance(kind, type)}


def main() -> None:
    """Answer calls until the other side has gone."""
    line: BinaryIO = os.fdopen(3, "r+b", buffering=0)
    sys.path[:] = [p for p in sys.path if p != "/grader"]
    sys.path[:0] = json.loads(sys.argv[1])
    sys.setrecursionlimit(int(sys.argv[2]))
    while True:
        head = read(line, 8)
        if len(head) < 8:
            return
        message = json.loads(read(line, int.from_bytes(head, "big")))
        try:
            raw = json.dumps(answer(message)).encode()
        except RecursionError:
            raw = json.dumps({"foreign": "a value that is nested too deeply"}).encode()
        line.write(len(raw).to_bytes(8, "big") + raw)


def read(line: BinaryIO, size: int) -> bytes:
    """Exactly `size` bytes, or what there was before the end."""
    data = b""
    while len(data) < size:
        more = line.read(size - len(data))
        if not more:
            break
        data += more
    return data


def answer(message: dict[str, Any]) -> dict[str, Any]:
    """Call what is asked for; a result, an exception of a built-in type, or what cannot cross."""
    reader = codec.Reader(message["contents"])
    args = [reader.value(raw) for raw in message["args"]]
    kwargs = {name: reader.value(raw) for name, raw in message["kwargs"].items()}
    writer = codec.Writer(reader.objects)
    try:
        function = getattr(importlib.import_module(message["module"]), message["name"])
        result: dict[str, Any] = {"value": writer.value(function(*args, **kwargs))}
    except codec.Foreign as e:
        return {"foreign": str(e)}
    except BaseException as e:  # noqa: BLE001 - whatever it raises is its answer
        kind = type(e)
        if _BUILTIN.get(kind.__name__) is not kind:
            return {"foreign": f"an exception of type {kind.__module__}.{kind.__qualname__}"}
        try:
            result = {"raised": kind.__name__, "args": [writer.value(a) for a in e.args]}
        except codec.Foreign:
            result = {"raised": kind.__name__, "args": [["n", str(e)]]}
    try:
        result["contents"] = writer.contents()
    except codec.Foreign as e:
        return {"foreign": str(e)}
    return result


if __name__ == "__main__":
    main()
