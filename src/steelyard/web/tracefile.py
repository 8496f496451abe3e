"""A recorded trace read in one pass without holding it: long texts stay in the ledger and are read in parts.

A trace is JSON of any size: ten thousand events, one message of a hundred megabytes. `skeleton` streams it once, keeps
what is short and the beginning of what is long, and notes where the rest of each long text lies; `part` reads a stretch
of such a text. Nothing here knows of pages.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from steelyard.errors import DataError
from steelyard.schema.trace import Trace, decode_trace

Read = Callable[[int, int], bytes]
"""Bytes [start, stop) of the payload, clipped to its end."""

WINDOW = 4 << 20
LONG, PREVIEW = 16_384, 4_096
SMALL_LONG, SMALL_PREVIEW = 1_024, 512
LARGEST = 24 << 20
"""Bytes of a skeleton; a trace of very many middling texts keeps less of each."""
PART = 64 << 10

_INSIDE = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Long:
    """A text of which only the beginning is in the skeleton: the JSON string's bytes [start, stop) in the payload;
    `rest` is where what the skeleton holds ends."""

    start: int
    rest: int
    stop: int


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The trace with long texts cut; where one was cut, `nonce:i:` stands at its end and `longs[i]` has the rest."""

    trace: Trace
    longs: tuple[Long, ...]
    nonce: str
    size: int

    def split(self, text: str) -> tuple[str, Long | None]:
        """A text of the skeleton without its mark, and where its rest is (None: it is whole). Of a text that was made
        of several values (a call's arguments as JSON) marks may stand anywhere: what is missing there is said."""
        mark = re.compile(rf"{self.nonce}:(\d+):")
        found = list(mark.finditer(text))
        if found and found[-1].end() == len(text):
            last = found[-1]
            return mark.sub(self._missing, text[: last.start()]), self.longs[int(last[1])]
        return (mark.sub(self._missing, text) if found else text), None

    def _missing(self, mark: re.Match[str]) -> str:
        cut = self.longs[int(mark[1])]
        return f"… ({cut.stop - cut.rest} bytes more: steelyard show --trace)"


def skeleton(read: Read) -> Skeleton:
    """Read a payload once. Raises DataError when it is no trace."""
    nonce = secrets.token_hex(12)
    raw, longs, size = _cut(read, nonce, LONG, PREVIEW)
    if len(raw) > LARGEST:
        raw, longs, size = _cut(read, nonce, SMALL_LONG, SMALL_PREVIEW)
    try:
        return Skeleton(decode_trace(bytes(raw)), tuple(longs), nonce, size)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as e:
        raise DataError(
            "the trial's trace cannot be read", wanted="a trace as Steelyard writes it", got=str(e)[:200]
        ) from e


class _Cutter:
    """Takes a JSON text in windows; what it gives is the text with long strings cut."""

    def __init__(self, nonce: str, long: int, preview: int) -> None:
        self.out, self.longs = bytearray(), list[Long]()
        self._nonce, self._long, self._preview = nonce, long, preview
        self._text: bytearray | None = None
        self._start = self._length = 0

    def take(self, window: bytes, offset: int) -> int:
        """Read a window that begins at byte `offset` of the payload; returns how many bytes of it were used."""
        i = 0
        while i < len(window):
            if self._text is None:
                quote = window.find(b'"', i)
                if quote < 0:
                    self.out += window[i:]
                    return len(window)
                self.out += window[i : quote + 1]
                i = quote + 1
                self._text, self._start, self._length = bytearray(), offset + i, 0
                continue
            found = _INSIDE.match(window, i)
            end = found.end() if found else i
            room = self._long + 1 - len(self._text)
            if room > 0:
                self._text += window[i : min(end, i + room)]
            self._length += end - i
            i = end
            if i == len(window) or window[i : i + 1] != b'"':
                return i  # the string, or an escape at the window's end, goes on in the next one
            self._close()
            self.out += b'"'
            i += 1
        return i

    def _close(self) -> None:
        text = self._text or bytearray()
        if self._length > self._long:
            kept = aligned(bytes(text[: self._preview]))
            rest = self._start + kept
            self.out += text[:kept] + f"{self._nonce}:{len(self.longs)}:".encode()
            self.longs.append(Long(self._start, rest, self._start + self._length))
        else:
            self.out += text
        self._text = None


def _cut(read: Read, nonce: str, long: int, preview: int) -> tuple[bytearray, list[Long], int]:
    cutter, at = _Cutter(nonce, long, preview), 0
    while window := read(at, at + WINDOW):
        used = cutter.take(window, at)
        if not used:
            break
        at += used
    return cutter.out, cutter.longs, at


def aligned(raw: bytes) -> int:
    """How much of the beginning of a JSON string's inside can be decoded by itself: no escape, character or surrogate
    pair is cut."""
    found = _INSIDE.match(raw)
    end = found.end() if found else 0
    tail = re.search(
        rb"(?:\\u[dD][89abAB][0-9a-fA-F]{2})?\\u[0-9a-fA-F]{0,3}\Z", raw[:end][-24:]
    ) or re.search(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\Z", raw[:end][-24:])
    if tail and _escape_begins(raw[:end], end - (len(raw[:end][-24:]) - tail.start())):
        end -= len(raw[:end][-24:]) - tail.start()
    try:
        raw[:end].decode()
    except UnicodeDecodeError as e:
        if end - e.start < 4:
            end = e.start
    return end


def _escape_begins(raw: bytes, at: int) -> bool:
    """Whether the backslash at `at` begins an escape, and is not the second of a pair."""
    before = at
    while before > 0 and raw[before - 1 : before] == b"\\":
        before -= 1
    return (at - before) % 2 == 0


def decoded(raw: bytes) -> str:
    """The inside of a JSON string as text. Raises DataError when it does not stand by itself."""
    try:
        return str(json.loads(b'"' + raw + b'"', strict=False))
    except ValueError as e:
        raise DataError("?start", wanted="a start that a page gave", got=str(e)[:100]) from e


def part(read: Read, long: Long, start: int) -> tuple[str, int]:
    """About `PART` bytes of a long text from `start` (`long.start`, `long.rest`, or what this gave), and where the
    next part begins (`long.stop`: there is none)."""
    raw = read(start, min(long.stop, start + PART))
    end = len(raw) if start + len(raw) >= long.stop else aligned(raw)
    return decoded(raw[:end]), start + end


def finds(read: Read, long: Long, word: str) -> bool:
    """Whether a long text holds `word`, in any case of ASCII letters; read in windows."""
    wanted = json.dumps(word, ensure_ascii=False)[1:-1].encode().lower()
    at = long.rest
    while at < long.stop:
        window = read(at, min(long.stop, at + WINDOW))
        if wanted in window.lower():
            return True
        if at + len(window) >= long.stop:
            return False
        at += max(1, len(window) - len(wanted))
    return False


def strings(value: object) -> Iterator[str]:
    """Every text in plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for k, v in value.items():
            yield str(k)
            yield from strings(v)
    elif isinstance(value, list | tuple):
        for v in value:
            yield from strings(v)
