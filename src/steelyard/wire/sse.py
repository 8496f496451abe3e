"""Server-sent events (WHATWG HTML, 9.2) without I/O: bytes in, events out; and the other way round."""

from __future__ import annotations

import re

from steelyard.wire.faults import fault

_EOL = rb"\r\n|\n|\r"
MOST_EVENT_BYTES = 16 << 20
"""An event longer than this ends the stream with a Fault: memory stays bounded."""


class EventReader:
    """Cuts a byte stream into events, however it was cut into chunks.

    `feed` gives `(event name, data)` pairs that the chunk completed; `rest` what a stream that ends without an
    empty line still holds (providers forget it, so it is used, unlike in browsers). Ids and retry times are
    ignored: a model's stream cannot be resumed.
    """

    __slots__ = ("_data", "_event", "_parts", "_pending_cr", "_size", "_started")

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # pieces of the line that is not ended yet
        self._event = ""
        self._data: list[bytes] = []
        self._size = 0
        self._started = False
        self._pending_cr = False

    def feed(self, chunk: bytes) -> list[tuple[str, bytes]]:
        """Events completed by this chunk. Raises Fault `too_large`."""
        if self._pending_cr and chunk:
            # a CR ended the last chunk and its line; a LF right after belongs to it
            self._pending_cr = False
            if chunk[0] == 0x0A:
                chunk = chunk[1:]
        if b"\n" not in chunk and b"\r" not in chunk:
            # a long line in many small chunks must not be scanned and copied again for each
            self._parts.append(chunk)
            self._grow(len(chunk))
            return []
        lines = re.split(_EOL, chunk) if b"\r" in chunk else chunk.split(b"\n")
        self._pending_cr = chunk.endswith(b"\r")
        if self._parts:
            lines[0] = b"".join(self._parts) + lines[0]
        last = lines.pop()
        self._parts = [last] if last else []
        out: list[tuple[str, bytes]] = []
        for line in lines:
            self._line(line, out)
        self._grow(len(last))
        return out

    def rest(self) -> list[tuple[str, bytes]]:
        """The event that the end of the stream left without its empty line, if any."""
        out: list[tuple[str, bytes]] = []
        if self._parts:
            self._line(b"".join(self._parts), out)
            self._parts = []
        self._line(b"", out)
        return out

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > MOST_EVENT_BYTES:
            raise fault("too_large", f"an event of the stream is over {MOST_EVENT_BYTES} bytes")

    def _line(self, line: bytes, out: list[tuple[str, bytes]]) -> None:
        if not self._started:
            self._started = True
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            if self._data:
                out.append((self._event, self._data[0] if len(self._data) == 1 else b"\n".join(self._data)))
            self._event, self._data, self._size = "", [], 0
        elif line.startswith(b"data:"):
            value = line[6:] if line[5:6] == b" " else line[5:]
            self._data.append(value)
            self._grow(len(value))
        elif line.startswith(b"event:"):
            self._event = line[6:].strip().decode("utf-8", "replace")
        elif line == b"data":
            self._data.append(b"")


def event(data: bytes, name: str = "") -> bytes:
    """One event on the wire; `data` is a single line."""
    if name:
        return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"
