"""The line between tests and the code under test, and the signed channel to the outside."""

from __future__ import annotations

import builtins
import hashlib
import hmac
import json
import os
import socket
from collections.abc import Callable
from typing import Any, NoReturn

import codec  # type: ignore[import-not-found]  # a sibling, found where it is shown

_BUILTIN = {name: kind for name, kind in vars(builtins).items() if isinstance(kind, type)}
_MOST = 1 << 28


def pair() -> tuple[int, int]:
    """Both ends of a line."""
    a, b = socket.socketpair()
    return a.detach(), b.detach()


def write(fd: int, data: bytes) -> None:
    """All of it."""
    while data:
        data = data[os.write(fd, data) :]


def read(fd: int, size: int) -> bytes:
    """Exactly `size` bytes, or what there was before the end."""
    parts, left = [], size
    while left:
        data = os.read(fd, min(left, 1 << 20))
        if not data:
            break
        parts.append(data)
        left -= len(data)
    return b"".join(parts)


def send(fd: int, message: dict[str, Any]) -> None:
    """One message."""
    try:
        raw = json.dumps(message).encode()
    except RecursionError:
        raw = json.dumps({"foreign": "a value that is nested too deeply"}).encode()
    write(fd, len(raw).to_bytes(8, "big") + raw)


def reply(fd: int) -> dict[str, Any]:
    """One message; `RuntimeError` when the other side has ended or talks nonsense."""
    head = read(fd, 8)
    size = int.from_bytes(head, "big")
    if len(head) < 8 or size > _MOST:
        raise RuntimeError("the code under test has ended")
    try:
        message: dict[str, Any] = json.loads(read(fd, size))
    except ValueError as e:
        raise RuntimeError("the code under test answered nonsense") from e
    return message


def channel(fd: int, key: bytes) -> Callable[..., None]:
    """A function that tells signed, numbered notes."""
    count = 0
    # Taken now: later the tree's code could put others in their place.
    dumps, sign, put = json.dumps, hmac.new, os.write

    def tell(**note: Any) -> None:
        nonlocal count
        count += 1
        body = dumps({"serial": count, **note}).encode()
        raw = sign(key, body, hashlib.sha256).hexdigest().encode() + b" " + body + b"\n"
        while raw:
            raw = raw[put(fd, raw) :]

    return tell


def caller(fd: int, module: str, name: str, foreign: Callable[[str], None]) -> Callable[..., Any]:
    """A function that is called on the other side; changes to its arguments are made here too."""

    def call(*args: Any, **kwargs: Any) -> Any:
        writer = codec.Writer()
        try:
            message = {
                "module": module,
                "name": name,
                "args": [writer.value(a) for a in args],
                "kwargs": {k: writer.value(v) for k, v in kwargs.items()},
            }
            message["contents"] = writer.contents()
            known = list(writer.objects)
        except (codec.Foreign, RecursionError) as e:
            foreign(str(e))
        send(fd, message)
        said = reply(fd)
        if "foreign" in said:
            foreign(said["foreign"])
        reader = codec.Reader(said["contents"], known)
        if "raised" in said:
            _raise(said, reader)
        return reader.value(said["value"])

    return call


def _raise(said: dict[str, Any], reader: Any) -> NoReturn:
    kind = _BUILTIN.get(said["raised"], object)
    if not issubclass(kind, Exception):  # SystemExit and the like must not end the tests
        raise RuntimeError(f"the code under test raised {kind.__name__}")  # noqa: TRY004 - it is its failure
    raise kind(*[reader.value(a) for a in said["args"]])


def answer(message: dict[str, Any], find: Callable[[str, str], Any]) -> dict[str, Any]:
    """Call what is asked for: a result, an exception of a built-in type, or what cannot cross."""
    reader = codec.Reader(message["contents"])
    args = [reader.value(raw) for raw in message["args"]]
    kwargs = {name: reader.value(raw) for name, raw in message["kwargs"].items()}
    writer = codec.Writer(reader.objects)
    try:
        function = find(message["module"], message["name"])
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
