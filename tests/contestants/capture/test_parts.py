"""The parts of the capturing endpoint, each by itself."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steelyard.contestants.capture.bound import InputBound, shared
from steelyard.contestants.capture.edit import Rules, read
from steelyard.contestants.capture.forward import Scrub, WithoutUsage, filtered
from steelyard.contestants.capture.gemini import GeminiServer
from steelyard.contestants.capture.paths import Route, passed_up, route
from steelyard.contestants.capture.record import MOST_EVENTS, Recorder
from steelyard.contestants.capture.said import messages_of, tools_of
from steelyard.contestants.capture.translate import spoken_by, streamed, tool_choice, translated
from steelyard.errors import Fault
from steelyard.schema.contestant import Sampling
from steelyard.schema.message import Message, ToolCall, text_of
from steelyard.schema.reply import Reply, Usage
from steelyard.wire.base import Request
from steelyard.wire.dialects import dialect
from steelyard.wire.faults import fault
from steelyard.wire.serve import Incoming

DIALECTS = ("openai-chat", "openai-responses", "anthropic-messages")


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("POST", "/v1/chat/completions", Route("call", "openai-chat")),
        ("POST", "/chat/completions", Route("call", "openai-chat")),
        ("POST", "/v1/v1/chat/completions/", Route("call", "openai-chat")),
        ("POST", "//v1/messages", Route("call", "anthropic-messages")),
        ("POST", "/v1/messages/count_tokens", Route("count", "anthropic-messages")),
        ("POST", "/responses", Route("call", "openai-responses")),
        ("POST", "/v1beta/models/g-1.5:generateContent", Route("call", "gemini", "g-1.5")),
        ("POST", "/v1beta/models/g:streamGenerateContent", Route("call", "gemini", "g", stream=True)),
        ("POST", "/v1beta/models/g:countTokens", Route("count", "gemini", "g")),
        ("GET", "/v1/models", Route("models", "openai-chat")),
        ("GET", "/v1/models/a/b", Route("models", "openai-chat", "a/b")),
        ("HEAD", "/", Route("hello")),
        ("GET", "/v1/chat/completions", Route("other", "openai-chat")),
        ("POST", "/v1/responses/r1/cancel", Route("other", "openai-chat")),
        ("DELETE", "/v1/models/x", Route("other", "openai-chat")),
    ],
)
def test_paths_are_told_apart(method: str, path: str, found: Route) -> None:
    assert route(Incoming(method, path, "", {}, b"", 0)) == found


def test_only_named_headers_pass_up() -> None:
    headers = {
        "authorization": "x",
        "accept": "*/*",
        "anthropic-beta": "a,b",
        "x-stainless-os": "Linux",
        "x-evil": "1",
    }
    assert passed_up(headers) == (("accept", "*/*"), ("anthropic-beta", "a,b"), ("x-stainless-os", "Linux"))
    assert passed_up({"accept": "a\x01b", "user-agent": "é", "openai-beta": "x" * 3000}) == ()


@given(st.binary(max_size=60), st.binary(max_size=20), st.binary(max_size=20))
def test_the_common_start_is_as_long_as_it_can_be(start: bytes, a: bytes, b: bytes) -> None:
    one, two = start + a, start + b
    size = shared(one, two)
    assert one[:size] == two[:size]
    assert size in (len(one), len(two)) or one[size] != two[size]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=8), st.integers(1, 4))
@example(["image_url"], 1)
def test_a_bound_is_never_below_what_a_growing_conversation_counts(
    texts: list[str], bytes_a_token: int
) -> None:
    bound, talk = InputBound(), list[dict[str, str]]()
    for text in texts:
        talk.append({"role": "user", "content": text})
        body = json.dumps({"model": "m", "messages": talk, "max_tokens": 5}).encode()
        counted = len(body) // bytes_a_token
        assert bound.of(body) >= counted
        assert bound.of(body) <= InputBound().of(body)
        bound.learn(body, counted)


def test_a_bound_learns_from_what_was_counted() -> None:
    bound = InputBound()
    body = b'{"messages":["' + b"word " * 20_000 + b'"]}'
    assert bound.of(body) > 100_000
    bound.learn(body, 20_010)
    longer = body[:-3] + b' and more"]}'
    assert 20_010 < bound.of(longer) < 21_000
    assert bound.of(b"x" * 1000) == 1512
    bound.learn(b"short", 900)  # a hidden prompt
    assert bound.of(b"x" * 1000) == 1512 + 895
    assert InputBound(context_tokens=100).of(body) == 100
    assert InputBound().of(b'{"image": ""}') > 4096


@given(st.data())
def test_a_secret_is_taken_out_however_the_stream_is_cut(data: st.DataObject) -> None:
    secret = "sk-abcabcabd"
    text = "".join(
        data.draw(st.lists(st.sampled_from([secret, "sk-abcabc", "abd", "x", "sk-"]), max_size=12))
    )
    raw, chunks = text.encode(), list[bytes]()
    while raw:
        size = data.draw(st.integers(1, 9))
        chunks.append(raw[:size])
        raw = raw[size:]
    scrub = Scrub((secret,))
    out = b"".join([*[scrub.feed(c) for c in chunks], scrub.end()])
    assert out == text.replace(secret, "[key]").encode()


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_usage_chunk_is_taken_out_of_a_stream_and_nothing_else(size: int) -> None:
    kept = b'data: {"choices":[{"delta":{"content":"\\"usage\\""}}],"usage":null}\n\n'
    ours = b'data: {"choices":[],"usage":{"prompt_tokens":1}}\r\n\r\n'
    stream = kept + b": note\n\n" + ours + b"data: [DONE]\n\n"

    async def go() -> bytes:
        async def chunks():  # type: ignore[no-untyped-def]
            for i in range(0, len(stream), size):
                yield stream[i : i + size]

        return b"".join([c async for c in filtered(chunks(), [WithoutUsage()])])

    assert asyncio.run(go()) == kept + b": note\n\n" + b"data: [DONE]\n\n"


def test_a_body_that_cannot_be_read_says_why() -> None:
    half = b'{"messages": [], "tools": [{"type": "function", "function": {"name": "\\ud800"}}]}'
    for body in (b"", b"[]", b"{", b"\xff", half):
        with pytest.raises(Fault) as caught:
            read("openai-chat", body, Rules("m"))
        assert caught.value.kind == "bad_request"


def test_a_thinking_budget_stays_below_a_smaller_output() -> None:
    body = {"messages": [], "max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 8000}}
    asked = read("anthropic-messages", json.dumps(body).encode(), Rules("m"))
    assert json.loads(asked.body(2000))["thinking"]["budget_tokens"] == 1999
    assert json.loads(asked.body(9000))["thinking"]["budget_tokens"] == 8000


@pytest.mark.parametrize("name", DIALECTS)
def test_the_plans_sampling_holds_inside_too(name: str) -> None:
    rules = Rules("m", Sampling(temperature=0.25, top_p=0.5, reasoning_effort="low"))
    body = {"messages": [], "input": "x", "temperature": 1.0, "reasoning": {"summary": "auto"}}
    value = read(name, json.dumps(body).encode(), rules).value
    assert (value["temperature"], value["top_p"]) == (0.25, 0.5)
    said = {
        "openai-chat": "reasoning_effort",
        "openai-responses": "reasoning",
        "anthropic-messages": "output_config",
    }
    assert "low" in str(value[said[name]])


@pytest.mark.parametrize("target", DIALECTS)
@pytest.mark.parametrize("source", [*DIALECTS, "gemini"])
def test_tools_and_their_choice_are_said_in_every_dialect(source: str, target: str) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "string"}}}
    tools = {
        "openai-chat": [{"type": "function", "function": {"name": "f", "parameters": schema}}],
        "openai-responses": [{"type": "function", "name": "f", "parameters": schema}, {"type": "custom", "name": "p"}],
        "anthropic-messages": [{"name": "f", "input_schema": schema}],
        "gemini": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {"x": {"type": "STRING"}}}}]}],
    }  # fmt: skip
    body: dict[str, object] = {"model": "m", "tools": tools[source]}
    turns = [{"role": "user", "content": "hi"}]
    if source == "gemini":
        body |= {
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        }
    else:
        required = {"type": "any"} if source == "anthropic-messages" else "required"
        body |= {"messages": turns, "input": turns, "max_tokens": 5, "tool_choice": required}
    request = spoken_by(source).decode_request(json.dumps(body).encode())
    said, _ = translated(request, target, 50)
    sent = json.loads(dialect(target).encode(said).body)
    assert [t.get("function", t)["name"] for t in sent["tools"]] == ["f"]
    assert "string" in json.dumps(sent["tools"])
    assert sent["tool_choice"] == ({"type": "any"} if target == "anthropic-messages" else "required")


def test_a_named_tool_is_said_in_every_dialect() -> None:
    for given_ in ({"type": "function", "function": {"name": "f"}}, {"type": "tool", "name": "f"}):
        assert tool_choice(given_, "anthropic-messages") == {"type": "tool", "name": "f"}
        assert tool_choice(given_, "openai-responses") == {"type": "function", "name": "f"}
        assert tool_choice(given_, "openai-chat") == {"type": "function", "function": {"name": "f"}}
    assert tool_choice({"type": "allowed_tools"}, "openai-chat") == "auto"


def test_google_calls_and_results_are_matched() -> None:
    contents = [
        {"role": "user", "parts": [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "AA=="}}]},
        {"role": "model", "parts": [{"text": "t", "thought": True}, {"functionCall": {"name": "f", "args": {"x": 1}}},
                                    {"functionCall": {"name": "f", "args": {"x": 2}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "one"}}},
                                   {"functionResponse": {"name": "f", "response": {"error": "two"}}}]},
    ]  # fmt: skip
    body = {"contents": contents, "systemInstruction": {"parts": [{"text": "be"}]}, "model": "m"}
    messages = GeminiServer().decode_request(json.dumps(body).encode()).messages
    assert [m.role for m in messages] == ["system", "user", "assistant", "tool", "tool"]
    assert messages[2].reasoning == "t"
    ids = [c.id for c in messages[2].tool_calls]
    assert [m.tool_call_id for m in messages[3:]] == ids
    assert text_of(messages[3]) == "one"
    with pytest.raises(Fault):
        GeminiServer().decode_request(b'{"contents": [{"parts": [{"fileData": {}}]}]}')
    with pytest.raises(Fault):
        GeminiServer().decode_request(b'{"contents": []}')


def test_google_replies_say_finish_usage_and_errors() -> None:
    server = GeminiServer()
    usage = Usage(input_tokens=5, output_tokens=9, reasoning_tokens=4)
    value = json.loads(server.encode_reply(Reply(text="x", finish="length", usage=usage)))
    assert value["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert value["usageMetadata"] == {
        "promptTokenCount": 5,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 4,
        "totalTokenCount": 14,
    }
    status, body = server.encode_fault(fault("rate_limited", "slow"))
    assert (status, json.loads(body)["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert b"INVALID_ARGUMENT" in server.stream(Request("m", ()), Reply()).error(fault("bad_request", "x"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["type", "role", "content", "text", "messages", "input", "contents", "parts", "tools", "name",
                         "functionCall", "functionResponse", "source", "image", "output", "system"]), inner, max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@given(st.sampled_from([*DIALECTS, "gemini"]), json_values)
def test_the_trace_takes_whatever_was_asked(name: str, value: object) -> None:
    body = value if isinstance(value, dict) else {"messages": value, "input": value, "contents": value}
    for message in messages_of(name, body):
        assert isinstance(message, Message)
    tools_of(body)


@given(json_values)
def test_google_requests_are_read_or_refused(value: object) -> None:
    try:
        GeminiServer().decode_request(json.dumps(value).encode())
    except Fault as broken:
        assert broken.kind in ("bad_request", "unsupported")  # noqa: PT017 - a property, not an expected fault


def test_parts_that_no_other_dialect_has_are_kept_as_text() -> None:
    document = {"type": "document", "source": {"type": "text", "data": "D"}}
    found = messages_of("anthropic-messages", {"messages": [{"role": "user", "content": [document]}]})
    assert '"document"' in text_of(found[0])
    items = [
        {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "*** Begin"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
        {"type": "web_search_call", "id": "w"},
    ]
    found = messages_of("openai-responses", {"input": items})
    assert [m.role for m in found] == ["assistant", "tool", "assistant"]
    assert found[0].tool_calls[0].arguments == "*** Begin"


def test_a_record_is_bounded() -> None:
    recorder = Recorder()
    for i in range(MOST_EVENTS + 10):
        recorder.happened("x", str(i), i)
    assert len(recorder.events) == MOST_EVENTS
    assert recorder.left_out == 10
    large = Recorder()
    for i in range(10):
        large.asked((Message("user", f"{i}" + "x" * (10 << 20)),), (), 0)
    assert large.left_out == 4


def test_words_about_images_are_no_images() -> None:
    bound = InputBound()
    talk = b'{"messages":[{"content":"the image, an image_url, view_image"}]}'
    assert bound.of(talk * 50) == 512 + len(talk) * 50
    assert bound.of(b'{"type":"input_image","detail":"low"}') > 4096


@pytest.mark.parametrize("target", DIALECTS)
@pytest.mark.parametrize("source", [*DIALECTS, "gemini"])
def test_an_image_is_said_in_every_dialect(source: str, target: str) -> None:
    data = "iVBORw0KGgo="
    url = f"data:image/png;base64,{data}"
    part: dict[str, object] = {
        "openai-chat": {"type": "image_url", "image_url": {"url": url}},
        "openai-responses": {"type": "input_image", "image_url": url},
        "anthropic-messages": {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": data},
        },
        "gemini": {"inlineData": {"mimeType": "image/png", "data": data}},
    }[source]
    turn = {"role": "user", "parts" if source == "gemini" else "content": [part]}
    body = {"model": "m", "messages": [turn], "input": [turn], "contents": [turn], "max_tokens": 5}
    request, _ = translated(spoken_by(source).decode_request(json.dumps(body).encode()), target, 50)
    assert data in dialect(target).encode(request).body.decode()


@pytest.mark.parametrize("name", [*DIALECTS, "gemini"])
def test_a_reply_with_everything_is_streamed_in_every_dialect(name: str) -> None:
    calls = (ToolCall("c1", "f", '{"x": 1}'), ToolCall("c2", "g", "{}"))
    reply = Reply(text="said " * 900, reasoning="thought", tool_calls=calls, finish="tool_calls", model="m",
                  response_id="r", usage=Usage(3, 4))  # fmt: skip
    spoken = spoken_by(name)
    data = b"".join(streamed(spoken, Request("m", (), stream=True), reply))
    assert all(w in data for w in (b"thought", b'"f"', b'"g"', b"c2"))
    if name == "gemini":
        events = [json.loads(e[6:]) for e in data.decode().split("\n\n") if e]
        parts = [p for e in events for p in e["candidates"][0]["content"]["parts"]]
        assert "".join(p.get("text", "") for p in parts if not p.get("thought")) == reply.text
        assert [p["functionCall"]["args"] for p in parts if "functionCall" in p] == [{"x": 1}, {}]
        return
    parser = dialect(name).parser(Request("m", (), stream=True))
    parser.begin(0, 0)
    parser.head(200, [(b"content-type", b"text/event-stream")], 1)
    parser.feed(data, 2)
    read_back = parser.finish(3, clean=True)
    assert (read_back.text, read_back.reasoning, read_back.usage.output_tokens) == (reply.text, "thought", 4)
    assert [(c.name, json.loads(c.arguments)) for c in read_back.tool_calls] == [("f", {"x": 1}), ("g", {})]
