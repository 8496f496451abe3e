"""Traces of any size read in one pass: nothing is lost, and long texts come back in parts."""

from __future__ import annotations

import json
import time
import tracemalloc

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.errors import DataError
from steelyard.schema.message import Message, ToolCall
from steelyard.schema.trace import Happened, Said, Trace
from steelyard.web import tracefile
from steelyard.web.tracefile import Long, Read, aligned, decoded, finds, part, skeleton


def reader(payload: bytes) -> Read:
    return lambda start, stop: payload[start:stop]


def whole(read: Read, long: Long) -> str:
    text, at = "", long.start
    while at < long.stop:
        more, at = part(read, long, at)
        text += more
    return text


TEXTS = st.text(st.sampled_from('ab"\\\n\u00e9\u20ac\U0001f600\x00/u'), max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, max_size=4), st.integers(1, 60), st.booleans())
def test_long_texts_come_back_whole(pieces: list[str], times: int, plain: bool) -> None:
    text = "".join(pieces) * times * 40
    trace = {
        "events": [
            {"event": "said", "message": {"role": "user", "content": text}},
            {"event": "happened", "kind": "k", "detail": "short"},
        ]
    }
    read = reader(json.dumps(trace, ensure_ascii=plain).encode("utf-8", "surrogatepass"))
    found = skeleton(read)
    said = found.trace.events[0]
    assert isinstance(said, Said)
    assert isinstance(said.message.content, str)
    head, long = found.split(said.message.content)
    assert text.startswith(head)
    if long is None:
        assert head == text
    else:
        assert whole(read, long) == text
        assert head + "".join(_rest(read, long)) == text


def _rest(read: Read, long: Long) -> list[str]:
    parts, at = [], long.rest
    while at < long.stop:
        text, at = part(read, long, at)
        parts.append(text)
    return parts


@given(TEXTS.filter(bool), st.integers(0, 200), st.booleans())
def test_a_cut_never_splits_a_character_or_an_escape(text: str, cut: int, plain: bool) -> None:
    raw = json.dumps(text * 5, ensure_ascii=plain)[1:-1].encode()
    end = aligned(raw[:cut])
    assert (text * 5).startswith(decoded(raw[:end]))
    assert min(cut, len(raw)) - end < 13


@pytest.mark.parametrize("window", [1 << 10, 1 << 12, (1 << 12) + 1])
def test_windows_may_end_anywhere(restored_window: None, window: int) -> None:
    events = tuple(Said(Message("user", f'{i} "quoted" \\ ' * (i * 40))) for i in range(30))
    payload = msgspec.json.encode(Trace(events))
    tracefile.WINDOW = window
    read = reader(payload)
    found = skeleton(read)
    for event, wanted in zip(found.trace.events, events, strict=True):
        assert isinstance(event, Said)
        assert isinstance(event.message.content, str)
        head, long = found.split(event.message.content)
        assert (whole(read, long) if long else head) == wanted.message.content


@pytest.fixture
def restored_window() -> object:
    before = tracefile.WINDOW
    yield None
    tracefile.WINDOW = before


def test_a_hundred_megabytes_open_within_a_second_in_little_memory() -> None:
    text = 'print("x")\n' * 9_500_000
    call = ToolCall("1", "bash", '{"command": "yes"}')
    trace = Trace(
        (Said(Message("user", "go")), Said(Message("assistant", "", (call,))), Said(Message("tool", text)))
    )
    payload = msgspec.json.encode(trace)
    assert len(payload) > 100_000_000
    read = reader(payload)
    tracemalloc.start()
    started = time.process_time()
    found = skeleton(read)
    took = time.process_time() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"{len(payload) / 1e6:.0f} MB in {took:.2f} s of CPU, {peak / 1e6:.1f} MB at most")
    assert took < 2.0
    assert peak < 16e6
    assert len(found.longs) == 1
    assert not finds(read, found.longs[0], "not there")
    assert finds(read, found.longs[0], 'PRINT("x")')


def test_what_is_no_trace_is_named() -> None:
    for payload in (b"", b"{", b"[]", b'{"events": 3}', b'"open'):
        with pytest.raises(DataError, match="trace"):
            skeleton(reader(payload))


def test_ten_thousand_events_are_short() -> None:
    events = tuple(
        Said(Message("tool", "line\n" * 600, tool_call_id=str(i))) if i % 2 else Happened("note", str(i))
        for i in range(10_000)
    )
    payload = msgspec.json.encode(Trace(events))
    started = time.process_time()
    found = skeleton(reader(payload))
    assert time.process_time() - started < 2.0
    assert len(found.trace.events) == 10_000


def test_a_text_made_of_several_values_says_what_it_lacks() -> None:
    """An event's data is shown as JSON, so that the mark of a value that was cut does not end the text."""
    trace = {
        "events": [
            {"event": "happened", "kind": "exit", "detail": "0", "data": {"a": "x" * 50_000, "b": "y"}}
        ]
    }
    found = skeleton(reader(json.dumps(trace).encode()))
    event = found.trace.events[0]
    assert isinstance(event, Happened)
    head, long = found.split(json.dumps(event.data, indent=1))
    assert long is None
    assert found.nonce not in head
    assert f"({50_000 - tracefile.PREVIEW} bytes more" in head
    assert head.endswith('"b": "y"\n}')
