"""Both sides of each dialect say the same, however the bytes are cut; garbage is a Fault and nothing else."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wire import strategies as our

from steelyard.errors import Fault
from steelyard.schema.contestant import Sampling
from steelyard.schema.message import Message, ToolCall
from steelyard.schema.reply import Reply
from steelyard.testing.misbehave import deltas
from steelyard.wire.asked import STATUS
from steelyard.wire.base import Request
from steelyard.wire.dialects import CLIENTS, dialect, server_dialect
from steelyard.wire.faults import TABLE

NAMES = tuple(CLIENTS)
Head = tuple[int, list[tuple[bytes, bytes]]]
EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8")]
JSON = [(b"content-type", b"application/json")]


def read(name: str, body: bytes, *, stream: bool, cuts: list[int] | None = None, clean: bool = True) -> Reply:
    """What the client side makes of a body that comes in pieces; without the timing."""
    parser = dialect(name).parser(Request("m", (), stream=stream))
    parser.begin(1_000, 0)
    parser.head(200, EVENTS if stream else JSON, 2_000)
    ends = sorted({min(c, len(body)) for c in cuts or []} | {len(body)})
    start = 0
    for i, end in enumerate(ends):
        parser.feed(body[start:end], 3_000 + i)
        start = end
    reply = parser.finish(4_000_000, clean=clean)
    assert reply.timing is not None
    assert reply.timing.first_byte_ns == 1_000
    return msgspec.structs.replace(reply, timing=None)


def said(name: str, reply: Reply) -> bytes:
    """A reply as a stream of pieces."""
    encoder = server_dialect(name).stream(Request("m", (), stream=True), reply)
    return encoder.start() + b"".join(map(encoder.delta, deltas(reply))) + encoder.end(reply)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_request_is_read_as_it_was_meant(name: str, data: st.DataObject) -> None:
    request = data.draw(our.requests(name))
    http = dialect(name).encode(request)
    assert (http.method, http.path) == ("POST", server_dialect(name).path)
    assert server_dialect(name).decode_request(http.body) == request


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_reply_is_read_as_it_was_meant(name: str, data: st.DataObject) -> None:
    reply = data.draw(our.replies(name))
    assert read(name, server_dialect(name).encode_reply(reply), stream=False) == reply


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_streamed_reply_is_read_as_it_was_meant_however_it_is_cut(name: str, data: st.DataObject) -> None:
    reply = data.draw(our.replies(name))
    body = said(name, reply)
    if data.draw(st.booleans()):
        body = body.replace(b"\n", b"\r\n")
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=12))
    assert read(name, body, stream=True, cuts=cuts) == reply
    if data.draw(st.integers(0, 9)) == 0:  # byte by byte costs a second or so in all
        assert read(name, body, stream=True, cuts=list(range(len(body)))) == reply


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_stream_that_is_cut_anywhere_is_whole_or_a_fault(name: str, data: st.DataObject) -> None:
    """Never a shortened answer that looks like a whole one."""
    reply = data.draw(our.replies(name))
    body = said(name, reply)
    end = data.draw(st.integers(0, len(body) - 1))
    for clean in (True, False):
        try:
            found = read(name, body[:end], stream=True, clean=clean)
        except Fault as broken:
            assert broken.kind in ("broken_body", "stream_unfinished", "empty_body", "bad_json", "bad_shape")  # noqa: PT017
        else:
            assert (found.text, found.tool_calls, found.refusal) == (
                reply.text,
                reply.tool_calls,
                reply.refusal,
            )
            assert found.finish == reply.finish


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", STATUS)
def test_a_fault_that_a_server_says_is_the_fault_that_a_client_sees(name: str, kind: str) -> None:
    rule = TABLE[kind]
    if kind == "unsupported":
        kind, rule = "bad_request", TABLE["bad_request"]  # no provider tells the two apart
    status, body = server_dialect(name).encode_fault(Fault("scripted", ended_by=rule.ended_by, kind=kind))
    parser = dialect(name).parser(Request("m", ()))
    parser.head(status, JSON, 0)
    parser.feed(body, 0)
    with pytest.raises(Fault) as caught:
        parser.finish(0, clean=True)
    got = caught.value
    assert (got.kind, got.ended_by, got.retryable, got.paid) == (
        kind,
        rule.ended_by,
        rule.retryable,
        rule.paid,
    )
    assert "scripted" in str(got)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def spoilt(draw: st.DrawFn, body: bytes) -> bytes:
    """A right body with something wrong in it."""
    out = bytearray(body)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(out)))
        out[at : at + draw(st.integers(0, 6))] = draw(st.binary(max_size=4))
    return bytes(out)


def swapped(value: object, path: list[int], other: object) -> object:
    """The same JSON with one value deep inside replaced."""
    if isinstance(value, dict) and value and path:
        key = sorted(value)[path[0] % len(value)]
        return {**value, key: swapped(value[key], path[1:], other)}
    if isinstance(value, list) and value and path:
        i = path[0] % len(value)
        return [*value[:i], swapped(value[i], path[1:], other), *value[i + 1 :]]
    return other


def total(name: str, head: Head, body: bytes, *, stream: bool, clean: bool) -> None:
    status, headers = head
    parser = dialect(name).parser(Request("m", (), stream=stream))
    parser.head(status, headers, 1)
    parser.feed(body, 2)
    try:
        reply = parser.finish(3, clean=clean)
    except Fault as broken:
        assert broken.kind in TABLE  # noqa: PT017
        assert broken.ended_by == TABLE[broken.kind].ended_by  # noqa: PT017
        str(broken).encode()
    else:
        # what is accepted can be written to disk and read back
        assert msgspec.json.decode(msgspec.json.encode(reply), type=Reply) == reply


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=300)
def test_whatever_comes_is_a_reply_or_a_fault(name: str, data: st.DataObject) -> None:
    reply = data.draw(our.replies(name))
    stream = data.draw(st.booleans())
    right = said(name, reply) if stream else server_dialect(name).encode_reply(reply)
    path = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=6))
    whole = msgspec.json.decode(server_dialect(name).encode_reply(reply))
    body = data.draw(
        st.one_of(
            spoilt(right),
            st.binary(max_size=60),
            json_values.map(lambda v: msgspec.json.encode(swapped(whole, path, v))),
            json_values.map(lambda v: b"data: " + msgspec.json.encode(swapped(whole, path, v)) + b"\n\n"),
            json_values.map(lambda v: msgspec.json.encode({"error": v})),
        )
    )
    status = data.draw(
        st.sampled_from([200, 200, 200, 201, 204, 302, 400, 401, 403, 413, 429, 500, 503, 529, 600])
    )
    headers = data.draw(
        st.sampled_from(
            [
                EVENTS,
                JSON,
                [(b"content-type", b"text/html")],
                [],
                [(b"retry-after", b"x"), (b"date", b"\xff")],
            ]
        )
    )
    total(name, (status, headers), body, stream=data.draw(st.booleans()), clean=data.draw(st.booleans()))


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=200)
def test_whatever_is_asked_a_server_reads_it_or_says_why_not(name: str, data: st.DataObject) -> None:
    right = dialect(name).encode(data.draw(our.requests(name))).body
    path = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=6))
    other = data.draw(json_values)
    body = data.draw(
        st.sampled_from(
            [msgspec.json.encode(swapped(msgspec.json.decode(right), path, other)), right[:-1], b"[]", b""]
        )
    )
    try:
        request = server_dialect(name).decode_request(body)
    except Fault as broken:
        assert broken.kind in ("bad_request", "unsupported")  # noqa: PT017
        status, said_ = server_dialect(name).encode_fault(broken)
        assert status == 400
        msgspec.json.decode(said_)
    else:
        assert isinstance(request, Request)


strange = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-(2**80), 2**80) | st.floats()
    | st.text(st.characters(), max_size=5) | st.sampled_from(["\ud800", "a\udfffb", "\ude00\ud83d", "\x00", "\u2028"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(st.characters(), max_size=5) | st.just("\ud83d"), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
"""JSON as no careful program writes it: halves of surrogate pairs in values and keys, huge numbers, NaN."""


def loose(value: object) -> bytes:
    """JSON of anything, as the standard library writes it: stray surrogates are escapes, NaN is NaN."""
    return json.dumps(value).encode()


def resaid(name: str, reply: Reply) -> None:
    """What was read can be said again by the server side, whole and streamed, and is JSON in UTF-8."""
    server = server_dialect(name)
    msgspec.json.decode(server.encode_reply(reply))
    for line in said(name, reply).split(b"\n"):
        if line.startswith(b"data: ") and line != b"data: [DONE]":
            msgspec.json.decode(line[6:])


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_strange_json_in_an_answer_is_read_kept_and_said_again(name: str, data: st.DataObject) -> None:
    reply = data.draw(our.replies(name))
    calls = data.draw(st.lists(strange.map(json.dumps) | st.text(max_size=9), max_size=2))
    tools = tuple(ToolCall(f"c{i}", "f", a) for i, a in enumerate(calls))
    reply = msgspec.structs.replace(reply, tool_calls=tools)
    resaid(name, reply)
    right = msgspec.json.decode(server_dialect(name).encode_reply(reply))
    path = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=8))
    other = data.draw(strange)
    stream = data.draw(st.booleans())
    body = loose(swapped(right, path, other))
    if stream:
        events = [e.split(b"data: ", 1) for e in said(name, reply).split(b"\n\n")]
        at = data.draw(st.integers(0, len(events) - 1))
        if len(events[at]) == 2 and events[at][1] != b"[DONE]":
            events[at][1] = loose(swapped(msgspec.json.decode(events[at][1]), path, other))
        body = b"\n\n".join(b"data: ".join(e) for e in events)
    parser = dialect(name).parser(Request("m", (), stream=stream))
    parser.head(200, EVENTS if stream else JSON, 1)
    parser.feed(body, 2)
    try:
        found = parser.finish(3, clean=True)
    except Fault as broken:
        str(broken).encode()
        msgspec.json.decode(server_dialect(name).encode_fault(broken)[1])
        return
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=Reply) == found
    for other_name in NAMES:
        resaid(other_name, found)
        turn = Message(
            "assistant", found.text, found.tool_calls, reasoning=found.reasoning,
            reasoning_opaque=found.reasoning_opaque,
        )  # fmt: skip
        try:
            sent = dialect(other_name).encode(
                Request("m", (Message("user", "x"), turn), Sampling(max_tokens=9))
            )
        except Fault as broken:
            assert broken.kind == "unsupported"  # noqa: PT017
        else:
            msgspec.json.decode(sent.body)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_strange_json_in_a_request_is_read_and_sent_on_or_refused(name: str, data: st.DataObject) -> None:
    right = msgspec.json.decode(dialect(name).encode(data.draw(our.requests(name))).body)
    path = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=8))
    body = loose(swapped(right, path, data.draw(strange)))
    if data.draw(st.booleans()):
        body = loose({**json.loads(body), "metadata": data.draw(strange)})
    try:
        request = server_dialect(name).decode_request(body)
    except Fault as broken:
        assert broken.kind in ("bad_request", "unsupported")  # noqa: PT017
        msgspec.json.decode(server_dialect(name).encode_fault(broken)[1])
        return
    msgspec.msgpack.encode(request.messages)
    for other in NAMES:
        try:
            sent = dialect(other).encode(request)
        except Fault as broken:
            assert broken.kind in ("unsupported", "bad_request")  # noqa: PT017
        else:
            msgspec.json.decode(sent.body)


def test_an_end_without_a_finish_marker_is_a_fault_and_a_marker_without_an_end_is_not() -> None:
    word = b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}\n\n'
    stop = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    done = b"data: [DONE]\n\n"
    for body in (word, word + done, done, b""):
        with pytest.raises(Fault) as caught:
            read("openai-chat", body, stream=True)
        assert caught.value.kind in ("stream_unfinished", "empty_body")
    for body in (word + stop, word + stop + done, word + stop.rstrip(), word + stop.rstrip() + b"\n"):
        assert read("openai-chat", body, stream=True).text == "hi"
    assert read("openai-chat", word + stop, stream=True, clean=False).text == "hi"


def test_half_a_surrogate_pair_in_each_of_two_chunks_is_one_character() -> None:
    chunks = [
        b'{"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}',
        b'{"choices":[{"index":0,"delta":{"content":"\\ude00"}}]}',
    ]
    end = b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
    body = b"".join(b"data: " + c + b"\n\n" for c in (*chunks, end, b"[DONE]"))
    assert read("openai-chat", body, stream=True).text == "😀"
    body = b"".join(b"data: " + c + b"\n\n" for c in (chunks[0], end, b"[DONE]"))
    assert read("openai-chat", body, stream=True).text == "\ufffd"


@pytest.mark.parametrize("name", NAMES)
def test_deep_nesting_and_huge_numbers_are_faults(name: str) -> None:
    for body in (
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"choices": ' + b"9" * 10_000 + b"}",
    ):
        with pytest.raises(Fault):
            read(name, body, stream=False)


def test_what_a_dialect_cannot_say_is_said_before_anything_is_sent() -> None:
    from steelyard.schema.contestant import Sampling

    hello = (Message("user", "hello"),)
    for name, sampling in (
        ("anthropic-messages", Sampling()),
        ("anthropic-messages", Sampling(max_tokens=5, logprobs=1)),
        ("openai-responses", Sampling(stop=("x",))),
    ):
        with pytest.raises(Fault) as caught:
            dialect(name).encode(Request("m", hello, sampling))
        assert caught.value.kind == "unsupported"
