"""What real providers send, in their own words and with their own habits."""

from __future__ import annotations

import json

import pytest

from steelyard.errors import Fault
from steelyard.schema.contestant import Sampling
from steelyard.schema.message import ImagePart, Message, TextPart, ToolCall, ToolSpec
from steelyard.schema.reply import Reply, TokenLogprob, Usage
from steelyard.wire.base import Request
from steelyard.wire.dialects import dialect


def read(name: str, body: bytes, *, stream: bool = True) -> Reply:
    parser = dialect(name).parser(Request("m", (), stream=stream))
    kind = b"text/event-stream" if stream else b"application/json"
    parser.head(200, [(b"content-type", kind)], 1)
    parser.feed(body, 2)
    return parser.finish(3, clean=True)


def events(*values: object, end: bytes = b"data: [DONE]\n\n") -> bytes:
    return b"".join(b"data: " + json.dumps(v).encode() + b"\n\n" for v in values) + end


def chunk(delta: object, finish: str | None = None, **more: object) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m-2026", "choices": [choice], **more}


def chat(message: object, finish: str = "stop", **more: object) -> bytes:
    return json.dumps(
        {"id": "c1", "model": "m-2026", "choices": [{"message": message, "finish_reason": finish}], **more}
    ).encode()


def test_openai_chat_stream_with_usage_in_a_last_chunk_without_choices() -> None:
    usage = {
        "prompt_tokens": 20,
        "completion_tokens": 9,
        "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": 16, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    body = events(
        chunk({"role": "assistant", "content": "", "refusal": None}, system_fingerprint="fp_1", usage=None),
        chunk({"content": "Hel"}, system_fingerprint="fp_1", usage=None),
        chunk({"content": "lo"}, usage=None),
        chunk({}, "stop", usage=None),
        {"id": "c1", "model": "m-2026", "choices": [], "usage": usage},
    )
    reply = read("openai-chat", body)
    assert (reply.text, reply.finish, reply.model, reply.response_id) == ("Hello", "stop", "m-2026", "c1")
    assert reply.usage == Usage(20, 9, 16, None, 4)
    assert reply.system_fingerprint == "fp_1"
    assert reply.timing is not None
    assert len(reply.timing.chunk_ns) == 2, "chunks without content are no tokens"


def test_azure_first_chunk_has_filters_and_no_choices() -> None:
    first = {"choices": [], "model": "", "id": "", "prompt_filter_results": [{"prompt_index": 0}]}
    reply = read("openai-chat", events(first, chunk({"content": "a"}), chunk({}, "content_filter")))
    assert (reply.text, reply.finish, reply.model) == ("a", "content_filter", "m-2026")


def test_openrouter_comments_cost_reasoning_details_and_errors_in_a_choice() -> None:
    detail = {"type": "reasoning.text", "format": "x", "index": 0}
    body = b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n" + events(
        chunk({"content": "", "reasoning": "think ", "reasoning_details": [{**detail, "text": "think "}]}),
        chunk({"content": "", "reasoning": "more", "reasoning_details": [{**detail, "text": "more"}]}),
        chunk({"content": "", "reasoning_details": [{**detail, "signature": "sig"}]}),
        chunk({"content": "yes"}),
        chunk({"content": ""}, "stop"),
        chunk({}, usage={"prompt_tokens": 1, "completion_tokens": 2, "cost": 0.00014}),
    )
    reply = read("openai-chat", body)
    assert (reply.text, reply.reasoning, reply.reported_cost_pusd) == ("yes", "think more", 140_000_000)
    assert json.loads(reply.reasoning_opaque) == [{**detail, "text": "think more", "signature": "sig"}]
    sent = Message("assistant", reply.text, reasoning_opaque=reply.reasoning_opaque)
    body = dialect("openai-chat").encode(Request("m", (sent,))).body
    assert json.loads(body)["messages"][0]["reasoning_details"] == json.loads(reply.reasoning_opaque)
    broken = {**chunk({"content": ""}, "error"), "error": {"code": 502, "message": "upstream went away"}}
    with pytest.raises(Fault) as caught:
        read("openai-chat", events(chunk({"content": "half"}), broken, end=b""))
    assert caught.value.kind == "server_error"


def test_deepseek_reasoning_and_cache_counts() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "prompt_cache_hit_tokens": 6,
        "prompt_cache_miss_tokens": 4,
    }
    reply = read("openai-chat", chat({"content": "4", "reasoning_content": "2+2"}, usage=usage), stream=False)
    assert (reply.text, reply.reasoning, reply.usage.cached_input_tokens) == ("4", "2+2", 6)


def test_xai_leaves_reasoning_out_of_its_output_and_is_put_right_by_its_total() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115}
    usage_ = {**usage, "completion_tokens_details": {"reasoning_tokens": 100}}
    reply = read("openai-chat", chat({"content": "4"}, usage=usage_), stream=False)
    assert (reply.usage.output_tokens, reply.usage.reasoning_tokens) == (105, 100)


def test_mistral_thinks_in_parts_of_its_content() -> None:
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "4"},
    ]
    reply = read("openai-chat", chat({"content": content}), stream=False)
    assert (reply.text, reply.reasoning) == ("4", "hm")


@pytest.mark.parametrize(
    "pieces",
    [
        # OpenAI: id and name once, arguments in pieces
        [
            {"index": 0, "id": "a", "function": {"name": "add", "arguments": ""}},
            {"index": 0, "function": {"arguments": '{"x"'}},
            {"index": 1, "id": "b", "function": {"name": "sub", "arguments": ""}},
            {"index": 0, "function": {"arguments": ": 1}"}},
            {"index": 1, "function": {"arguments": "{}"}},
        ],
        # Gemini: every call whole, and every index 0
        [
            {"index": 0, "id": "a", "function": {"name": "add", "arguments": '{"x": 1}'}},
            {"index": 0, "id": "b", "function": {"name": "sub", "arguments": "{}"}},
        ],
        # no index at all
        [
            {"id": "a", "function": {"name": "add", "arguments": '{"x"'}},
            {"function": {"arguments": ": 1}"}},
            {"id": "b", "function": {"name": "sub", "arguments": "{}"}},
        ],
        # id and name repeated with every piece
        [
            {"index": 0, "id": "a", "function": {"name": "add", "arguments": '{"x"'}},
            {"index": 0, "id": "a", "function": {"name": "add", "arguments": ": 1}"}},
            {"index": 1, "id": "b", "function": {"name": "sub", "arguments": "{}"}},
        ],
    ],
)
def test_tool_calls_in_the_pieces_that_servers_send(pieces: list[object]) -> None:
    body = events(*(chunk({"tool_calls": [p]}) for p in pieces), chunk({}, "tool_calls"))
    reply = read("openai-chat", body)
    assert reply.tool_calls == (ToolCall("a", "add", '{"x": 1}'), ToolCall("b", "sub", "{}"))
    assert reply.finish == "tool_calls"


def test_calls_of_ollama_have_objects_as_arguments_and_stop_as_their_reason() -> None:
    call = {"id": "a", "function": {"name": "add", "arguments": {"x": 1}}}
    reply = read("openai-chat", chat({"content": "", "tool_calls": [call]}, "stop"), stream=False)
    assert reply.tool_calls == (ToolCall("a", "add", '{"x":1}'),)
    assert (reply.finish, reply.finish_raw) == ("tool_calls", "stop")


def test_a_chat_refusal_is_a_refusal() -> None:
    reply = read("openai-chat", chat({"content": None, "refusal": "I cannot help."}), stream=False)
    assert (reply.text, reply.refusal, reply.finish) == ("", "I cannot help.", "refusal")


def test_old_completions_legacy_calls_and_odd_types_are_read_as_far_as_they_go() -> None:
    old = json.dumps(
        {"choices": [{"text": "four", "finish_reason": "length"}], "usage": {"prompt_tokens": "3"}}
    ).encode()
    assert read("openai-chat", old, stream=False).text == "four"
    assert read("openai-chat", old, stream=False).usage == Usage()
    legacy = chat({"content": None, "function_call": {"name": "f", "arguments": "{}"}}, "function_call")
    assert read("openai-chat", legacy, stream=False).tool_calls == (ToolCall("", "f", "{}"),)


def test_logprobs_with_alternatives_and_without_finite_ones() -> None:
    content = [
        {"token": "4", "logprob": -0.1, "bytes": [52], "top_logprobs": [{"token": "5", "logprob": -3.0}]},
        {"token": "x", "logprob": float("-inf"), "top_logprobs": []},
    ]
    body = {
        "choices": [{"message": {"content": "4"}, "finish_reason": "stop", "logprobs": {"content": content}}]
    }
    reply = read("openai-chat", json.dumps(body).encode(), stream=False)
    assert reply.logprobs == (TokenLogprob("4", -0.1, (("5", -3.0),)),)


def test_a_json_answer_to_a_request_for_a_stream_and_the_other_way_round() -> None:
    assert read("openai-chat", chat({"content": "4"}), stream=True).text == "4"
    parser = dialect("openai-chat").parser(Request("m", (), stream=True))
    parser.head(200, [(b"content-type", b"application/json")], 1)
    parser.feed(chat({"content": "4"}), 2)
    assert parser.finish(3, clean=True).text == "4"
    parser = dialect("openai-chat").parser(Request("m", (), stream=True))
    parser.head(200, [(b"content-type", b"text/plain")], 1)
    for i, piece in enumerate((b"\n", b"da", events(chunk({"content": "4"}), chunk({}, "stop"))[2:])):
        parser.feed(piece, 2 + i)
    reply = parser.finish(9, clean=True)
    assert reply.text == "4"
    assert reply.timing is not None
    assert reply.timing.chunk_ns == (4,)


def anthropic(*pairs: tuple[str, dict[str, object]]) -> bytes:
    return b"".join(f"event: {n}\ndata: {json.dumps({'type': n, **v})}\n\n".encode() for n, v in pairs)


def block(
    index: int, start: dict[str, object], *deltas: dict[str, object]
) -> list[tuple[str, dict[str, object]]]:
    return [
        ("content_block_start", {"index": index, "content_block": start}),
        *(("content_block_delta", {"index": index, "delta": d}) for d in deltas),
        ("content_block_stop", {"index": index}),
    ]


def test_anthropic_stream_with_thinking_text_and_a_tool() -> None:
    usage = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 5,
        "cache_read_input_tokens": 100,
        "output_tokens": 1,
    }
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "usage": usage,
    }
    body = anthropic(
        ("message_start", {"message": message}),
        ("ping", {}),
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "Let me "},
            {"type": "thinking_delta", "thinking": "see."},
            {"type": "signature_delta", "signature": "EqoB"},
        ),
        *block(1, {"type": "redacted_thinking", "data": "zzz"}),
        *block(
            2,
            {"type": "text", "text": ""},
            {"type": "text_delta", "text": "It is "},
            {"type": "text_delta", "text": "4."},
        ),
        *block(
            3,
            {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}},
            {"type": "input_json_delta", "partial_json": ""},
            {"type": "input_json_delta", "partial_json": '{"x":'},
            {"type": "input_json_delta", "partial_json": " 1}"},
        ),
        *block(4, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}),
        (
            "message_delta",
            {"delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": {"output_tokens": 89}},
        ),
        ("message_stop", {}),
    )
    reply = read("anthropic-messages", body)
    assert (reply.text, reply.reasoning, reply.finish) == ("It is 4.", "Let me see.", "tool_calls")
    assert reply.tool_calls == (ToolCall("toolu_1", "add", '{"x": 1}'),)
    assert reply.usage == Usage(115, 89, 100, 5, None)
    assert json.loads(reply.reasoning_opaque) == [
        {"type": "thinking", "thinking": "Let me see.", "signature": "EqoB"},
        {"type": "redacted_thinking", "data": "zzz"},
    ]


def test_anthropic_empty_answer_is_the_models_own_and_a_refusal_says_so() -> None:
    empty = {
        "type": "message",
        "content": [],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 1},
    }
    reply = read("anthropic-messages", json.dumps(empty).encode(), stream=False)
    assert (reply.text, reply.finish) == ("", "stop")
    refused = {
        **empty,
        "stop_reason": "refusal",
        "stop_details": {"type": "refusal", "explanation": "policy"},
    }
    reply = read("anthropic-messages", json.dumps(refused).encode(), stream=False)
    assert (reply.finish, reply.refusal) == ("refusal", "policy")


def test_anthropic_overloaded_in_the_middle_of_a_stream() -> None:
    body = anthropic(
        ("message_start", {"message": {"model": "claude-x"}}),
        ("error", {"error": {"type": "overloaded_error", "message": "Overloaded"}}),
    )
    with pytest.raises(Fault) as caught:
        read("anthropic-messages", body)
    assert (caught.value.kind, caught.value.retryable) == ("overloaded", True)


def test_anthropic_request_has_its_own_shape() -> None:
    request = Request(
        "claude-x",
        (
            Message("system", "be brief"),
            Message("user", (TextPart("look"), ImagePart("image/png", "aGk="))),
            Message("assistant", "", (ToolCall("1", "f", '{"a": 1}'), ToolCall("2", "f", "not json"))),
            Message("tool", "one", tool_call_id="1"),
            Message("tool", "two", tool_call_id="2"),
        ),
        Sampling(max_tokens=9, stop=("x",), extra={"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (ToolSpec("f", "adds", {"type": "object"}),),
        seed=3,
    )
    http = dialect("anthropic-messages").encode(request)
    assert ("anthropic-version", "2023-06-01") in http.headers
    body = json.loads(http.body)
    assert body["system"] == "be brief"
    assert body["messages"][0]["content"][1]["source"] == {
        "type": "base64",
        "media_type": "image/png",
        "data": "aGk=",
    }
    assert [b["input"] for b in body["messages"][1]["content"]] == [
        {"a": 1},
        {"invalid_arguments": "not json"},
    ]
    assert [b["tool_use_id"] for b in body["messages"][2]["content"]] == ["1", "2"], (
        "one turn holds both results"
    )
    assert body["stop_sequences"] == ["x"]
    assert body["thinking"]["budget_tokens"] == 1024
    assert "seed" not in body


def test_responses_stream_with_encrypted_reasoning_and_a_refusal() -> None:
    output = [
        {"type": "reasoning", "id": "rs_1", "status": "completed", "summary": [{"type": "summary_text", "text": "so"}], "encrypted_content": "gAAA"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot."}]},
    ]  # fmt: skip
    usage = {"input_tokens": 5, "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 6}}
    done = {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "error": None,
        "model": "o9",
        "output": output,
        "usage": usage,
    }
    body = events(
        {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}},
        {"type": "response.refusal.delta", "delta": "I cannot."},
        {"type": "response.completed", "response": done},
        end=b"",
    )
    for reply in (
        read("openai-responses", body),
        read("openai-responses", json.dumps(done).encode(), stream=False),
    ):
        assert (reply.refusal, reply.finish, reply.reasoning) == ("I cannot.", "refusal", "so")
        assert reply.usage == Usage(5, 7, None, None, 6)
        (item,) = json.loads(reply.reasoning_opaque)
        assert item["encrypted_content"] == "gAAA"
        assert "status" not in item
        sent = Message("assistant", "ok", reasoning_opaque=reply.reasoning_opaque)
        asked = json.loads(dialect("openai-responses").encode(Request("o9", (sent,))).body)
        assert asked["input"][0] == item
        assert asked["store"] is False


def test_responses_that_failed_or_stopped_short() -> None:
    failed = {"status": "failed", "error": {"code": "server_error", "message": "oops"}, "output": []}
    with pytest.raises(Fault) as caught:
        read("openai-responses", events({"type": "response.failed", "response": failed}, end=b""))
    assert caught.value.kind == "server_error"
    with pytest.raises(Fault) as caught:
        read(
            "openai-responses",
            events({"type": "error", "code": "rate_limit_exceeded", "message": "slow"}, end=b""),
        )
    assert caught.value.kind == "rate_limited"
    short = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": []}
    assert read("openai-responses", json.dumps(short).encode(), stream=False).finish == "length"


def test_an_item_that_only_its_own_event_held_is_not_lost() -> None:
    item = {"type": "message", "content": [{"type": "output_text", "text": "hi"}]}
    body = events(
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"status": "completed", "output": []}},
        end=b"",
    )
    assert read("openai-responses", body).text == "hi"


def test_chat_names_for_reasoning_models_and_fields_taken_out() -> None:
    def body(model: str, sampling: Sampling, *, stream: bool = False) -> dict[str, object]:
        found = json.loads(dialect("openai-chat").encode(Request(model, (), sampling, stream=stream)).body)
        assert isinstance(found, dict)
        return found

    assert "max_tokens" in body("gpt-4o", Sampling(max_tokens=5))
    for model in ("o3-mini", "openai/o1", "gpt-5.2"):
        assert body(model, Sampling(max_tokens=5))["max_completion_tokens"] == 5
    assert "max_completion_tokens" in body("m", Sampling(max_tokens=5, reasoning_effort="low"))
    assert "stream_options" not in body("m", Sampling(extra={"stream_options": None}), stream=True)
    assert body("m", Sampling(extra={"top_k": 4}))["top_k"] == 4
    assert "temperature" not in body("m", Sampling())
