"""JSONL: one JSON object a line, UTF-8, read once to find and check the rows."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import BinaryIO, NoReturn

import msgspec

from steelyard.errors import DataError
from steelyard.tasks.store import Store

_DECODER = msgspec.json.Decoder()
_WIDE = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_WATCHED = tuple((key, f'"{key}"'.encode()) for key in ("id", "input", "target", "choices"))
_BOM = b"\xef\xbb\xbf"


def decode_row(data: bytes, shown: str, line: int) -> dict[str, object]:
    """The JSON object in a line. Raises DataError with what JSON did not like."""
    try:
        row = _DECODER.decode(data)
    except UnicodeDecodeError as e:
        at = data.find(e.object[e.start : e.start + 1]) + 1
        _fail(shown, line, "not UTF-8 text", "UTF-8", f"byte {e.object[e.start]:#04x} at column {at}",
              "save the file as UTF-8")  # fmt: skip
    except RecursionError:
        _fail(shown, line, "nested too deep", "fewer levels of lists and objects", "more than 1000")
    except msgspec.DecodeError as e:
        _bad_json(data, shown, line, str(e))
    for key, quoted in _WATCHED:
        if data.count(quoted) > 1 and _twice(data, key):
            _fail(shown, line, f"`{key}` stands twice in one row", "each name once", f"two values for {key}",
                  "keep the right one: JSON readers silently take the last")  # fmt: skip
    if not isinstance(row, dict):
        kind = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "a truth value"}
        _fail(shown, line, "not a JSON object", '{"input": ..., "target": ...} on one line',
              kind.get(type(row), "null"))  # fmt: skip
    return row


def _twice(data: bytes, key: str) -> bool:
    """Whether the outermost object has the key twice (slow, and asked only where the word occurs twice)."""
    last: list[tuple[str, object]] = []

    def note(pairs: list[tuple[str, object]]) -> dict[str, object]:
        last[:] = pairs  # the outermost object is closed last
        return dict(pairs)

    try:
        json.loads(data, object_pairs_hook=note)
    except (ValueError, RecursionError):
        return False
    return [k for k, _ in last].count(key) > 1


def _bad_json(data: bytes, shown: str, line: int, why: str) -> NoReturn:
    text = data.strip()
    fix = "check quotes, commas and brackets on this line"
    if text.startswith(b"[") or text in (b"{", b"[{"):
        fix = "a JSON document over several lines is no JSONL: name it .json, or write one object a line"
    for word in (b"NaN", b"Infinity"):
        if word in text:
            fix = f"JSON has no {word.decode()}: write null, or leave the field out"
    if text.startswith(b"{'"):
        fix = "JSON needs double quotes"
    if "out of range" in why:
        fix = "write a number of that size as a text"
    if b"\\ud" in text.lower():
        fix = "a \\ud800-\\udfff escape must stand in a pair"
    if any(b < 32 and b not in b"\t\r\n" for b in text):
        fix = "write control characters as \\u escapes"
    _fail(shown, line, "broken JSON", "one JSON object", why, fix)


def _fail(shown: str, line: int, what: str, wanted: str, got: str, fix: str = "") -> NoReturn:
    raise DataError(what, where=f"{shown}:{line}", wanted=wanted, got=got, fix=fix)


def check_start(file: BinaryIO, shown: str) -> int:
    """Where the text begins (after a UTF-8 mark). Raises DataError for other encodings and for binary files."""
    head = file.read(4)
    file.seek(0)
    if head.startswith(_BOM):
        return len(_BOM)
    wide = _WIDE.get(head[:2])
    if wide or (len(head) == 4 and head.count(0) in (2, 3)):
        _fail(shown, 1, f"a {wide or 'UTF-16'} file", "UTF-8", f"starts with {head!r}", "save it as UTF-8")
    if head.startswith((b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"(\xb5/\xfd")):
        kind = {31: "gzip", 80: "Parquet" if head == b"PAR1" else "zip", 40: "zstd"}[head[0]]
        _fail(shown, 1, f"a {kind} file under another name", "text", f"starts with {head!r}",
              "give it its own ending (.jsonl.gz, .parquet), or unpack it")  # fmt: skip
    return 0


def rows_of(
    file: BinaryIO, store: Store, row_bytes: int
) -> Generator[tuple[int, dict[str, object]], None, None]:
    """(line, row) of every line that is not blank; notes in `store` where each begins. Closes `file` at the end."""
    with file:
        yield from _rows(file, store, row_bytes)


def _rows(
    file: BinaryIO, store: Store, row_bytes: int
) -> Generator[tuple[int, dict[str, object]], None, None]:
    at = check_start(file, store.shown)
    file.seek(at)
    line = 0
    starts = store.starts
    while data := file.readline(row_bytes + 1):
        line += 1
        if len(data) > row_bytes:
            _fail(store.shown, line, "a line too long", f"at most {row_bytes} bytes", "more",
                  "keep large content in files beside the suite, or raise `row_bytes`")  # fmt: skip
        start = at
        at += len(data)
        if data.isspace():
            continue
        starts.append(start)
        yield line, decode_row(data, store.shown, line)
    starts.append(at)
