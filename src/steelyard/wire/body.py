"""From the pieces of one HTTP answer to a `Reply` or a `Fault`, for every dialect. No I/O, no clock.

Decides what all dialects share: statuses, error objects, HTML, event streams, limits, stamps. What the JSON
means is the codec's.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from steelyard.errors import Fault
from steelyard.schema.reply import Reply, Timing
from steelyard.wire.faults import clean, fault, kind_of_status, retry_after
from steelyard.wire.sse import EventReader
from steelyard.wire.values import decode, error_fault, flags, is_error, obj

MOST_BODY_BYTES = 64 << 20


class StreamState(Protocol):
    """What a stream has said so far. `ended`: its last marker came; `finished`: no content can be missing."""

    ended: bool
    finished: bool

    def event(self, name: str, data: bytes) -> bool:
        """Take one event; True when it carried content. Raises Fault."""
        ...

    def reply(self) -> Reply:
        """All of it. Called only when `finished`. Raises Fault."""
        ...


class Codec(Protocol):
    """The part of a dialect that reads JSON."""

    def reply(self, value: dict[str, object]) -> Reply:
        """A reply in one piece. Raises Fault."""
        ...

    def stream(self) -> StreamState:
        """A fresh state for a streamed reply."""
        ...


class BodyParser:
    """The `ReplyParser` of every dialect.

    `done` turns True when nothing that can still come matters: the stream's last marker came, or a Fault is
    certain. The transport may then stop reading.
    """

    __slots__ = (
        "_ats", "_body", "_chunks", "_codec", "_connect_ns", "_events", "_fault", "_first_byte", "_first_token",
        "_headers", "_html", "_sent", "_size", "_sniffed", "_sse", "_status", "_stream", "_wants_stream", "done",
    )  # fmt: skip

    def __init__(self, codec: Codec, *, stream: bool) -> None:
        self._codec, self._wants_stream = codec, stream
        self.done = False
        self._sent = self._connect_ns = 0
        self._first_byte = 0
        self._first_token: int | None = None
        self._chunks: list[int] = []
        self._status, self._headers = 0, dict[str, str]()
        self._html = self._sse = self._sniffed = False
        self._body: list[bytes] = []
        self._ats: list[int] = []
        self._size = 0
        self._stream: StreamState | None = None
        self._events: EventReader | None = None
        self._fault: Fault | None = None

    def begin(self, sent: int, connect_ns: int) -> None:
        """The request's last byte was handed over at `sent`."""
        self._sent, self._connect_ns = sent, connect_ns

    def head(self, status: int, headers: list[tuple[bytes, bytes]], at: int) -> None:
        """The status line and headers came."""
        self._first_byte, self._status = at, status
        self._headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in headers}
        self._sse, self._html = flags(self._headers)
        if self._sse and 200 <= status < 300:
            self._open_stream()

    def feed(self, data: bytes, at: int) -> None:
        """A piece of the body. Faults wait for `finish`."""
        if self.done:
            return
        self._size += len(data)
        if self._size > MOST_BODY_BYTES:
            self._fail(fault("too_large", f"the answer is over {MOST_BODY_BYTES} bytes"))
            return
        if self._events is None or not self._sniffed:
            self._body.append(data)
            self._ats.append(at)
        if self._events is not None:
            self._feed_events(data, at)
        elif self._wants_stream and not self._sniffed and 200 <= self._status < 300:
            self._sniff()

    def finish(self, at: int, *, clean: bool) -> Reply:
        """The reply. Raises Fault."""
        if self._fault is not None:
            raise self._fault
        if not 200 <= self._status < 300:
            raise self._status_fault()
        reply = self._streamed(clean=clean) if self._stream is not None else self._whole(clean=clean)
        sent = self._sent
        timing = Timing(
            first_byte_ns=self._first_byte - sent,
            done_ns=at - sent,
            first_token_ns=None if self._first_token is None else self._first_token - sent,
            chunk_ns=tuple([c - sent for c in self._chunks]),
            connect_ns=self._connect_ns,
        )
        return msgspec.structs.replace(reply, timing=timing)

    def _fail(self, broken: Fault) -> None:
        self._fault, self.done = broken, True
        self._body.clear()

    def _open_stream(self) -> None:
        self._stream, self._events = self._codec.stream(), EventReader()

    def _sniff(self) -> None:
        """A server may stream events under another content type."""
        start = b"".join(self._body).lstrip()
        if start.startswith((b"data:", b"event:", b":")):
            self._open_stream()
            for data, at in zip(self._body, self._ats, strict=True):
                self._feed_events(data, at)
        self._sniffed = len(start) >= len(b"event:")

    def _feed_events(self, data: bytes, at: int) -> None:
        assert self._events is not None
        try:
            for name, payload in self._events.feed(data):
                self._event(name, payload, at)
        except Fault as broken:
            self._fail(broken)

    def _event(self, name: str, payload: bytes, at: int) -> None:
        assert self._stream is not None
        if not self._sniffed:
            self._sniffed = True  # events do come: the raw bytes are not needed any more
            self._body.clear()
        if self._stream.ended:
            return
        if self._stream.event(name, payload):
            if self._first_token is None:
                self._first_token = at
            self._chunks.append(at)
        self.done = self._stream.ended

    def _streamed(self, *, clean: bool) -> Reply:
        assert self._stream is not None
        assert self._events is not None
        if clean and not self._stream.ended:
            self._last_event()
        if self._stream.finished:
            return self._stream.reply()
        if not clean:
            raise fault(
                "broken_body", f"the connection closed in the middle of the stream, after {self._size} bytes"
            )
        if not self._sniffed and self._body:
            return self._whole(clean=True)
        raise fault("stream_unfinished", "the stream ended without its finish marker")

    def _last_event(self) -> None:
        """Some servers leave out the empty line after their last event. When it is cut, the stream is."""
        assert self._events is not None
        try:
            for name, payload in self._events.rest():
                self._event(name, payload, self._ats[-1] if self._ats else self._first_byte)
        except Fault as broken:
            if broken.kind not in ("bad_json", "bad_encoding"):
                raise

    def _whole(self, *, clean: bool) -> Reply:
        data = b"".join(self._body)
        if not clean:
            raise fault(
                "broken_body", f"the connection closed in the middle of the answer, after {len(data)} bytes"
            )
        if not data.strip():
            raise fault("empty_body", f"HTTP {self._status} without a body")
        if self._html or data[:200].lstrip()[:1] == b"<":
            raise fault("not_json", f"wanted JSON, got {_snippet(data)!r}")
        value = decode(data)
        body = obj(value)
        if is_error(body) and not any(body.get(k) for k in ("choices", "output", "content")):
            raise error_fault(self._status, body, retry_after=retry_after(self._headers))
        if not isinstance(value, dict):
            raise fault("bad_shape", f"wanted a JSON object, got {_snippet(data)!r}")
        return self._codec.reply(body)

    def _status_fault(self) -> Fault:
        data = b"".join(self._body)
        wait = retry_after(self._headers)
        if not self._html and data[:200].lstrip()[:1] in (b"{", b"["):
            try:
                value = decode(data)
            except Fault:
                value = None
            if isinstance(value, list) and value:
                value = value[0]  # Gemini wraps its errors in an array
            if isinstance(value, dict):
                return error_fault(self._status, value, retry_after=wait)
        said = f"HTTP {self._status}" + (f": {_snippet(data)}" if data.strip() else "")
        return fault(kind_of_status(self._status), said, retry_after=wait)


def _snippet(data: bytes) -> str:
    return clean(data[:600].decode("utf-8", "replace"), limit=4000)
