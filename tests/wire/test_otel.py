"""Requests and replies as GenAI attributes: no content unless asked for, nothing made up."""

from __future__ import annotations

import json

from steelyard.errors import EndedBy, Fault
from steelyard.schema.contestant import Sampling
from steelyard.schema.message import ImagePart, Message, TextPart, ToolCall, ToolSpec
from steelyard.schema.reply import Reply, Timing, Usage
from steelyard.wire.base import Endpoint, Request
from steelyard.wire.otel import fault_attributes, reply_attributes, request_attributes

REQUEST = Request(
    "m",
    (
        Message("system", "secret system"),
        Message(
            "user", (TextPart("secret text"), ImagePart("image/png", "aGk="), ImagePart(url="https://x/y"))
        ),
        Message("assistant", "", (ToolCall("1", "f", "{}"),), reasoning="secret thought"),
        Message("tool", "secret result", tool_call_id="1"),
    ),
    Sampling(max_tokens=5, temperature=0.0, stop=("x",)),
    (ToolSpec("f", "secret tool"),),
    seed=7,
)


def test_without_content_no_text_is_in_the_attributes() -> None:
    found = request_attributes(REQUEST, Endpoint("https://api.openai.com/v1", secret="sk-key"))
    assert "secret" not in json.dumps(found)
    assert "sk-key" not in json.dumps(found)
    assert found["gen_ai.provider.name"] == "openai"
    assert found["gen_ai.request.temperature"] == 0.0
    assert found["gen_ai.request.seed"] == 7
    assert found["server.port"] == 443
    assert "gen_ai.request.top_p" not in found


def test_with_content_every_part_is_said() -> None:
    found = json.dumps(request_attributes(REQUEST, content=True))
    for piece in (
        "secret system",
        "secret text",
        "secret thought",
        "secret result",
        "secret tool",
        "blob",
        "uri",
    ):
        assert piece in found


def test_a_count_that_was_not_reported_is_absent() -> None:
    reply = Reply(
        "secret", usage=Usage(10, 0), model="m-1", finish_raw="stop", timing=Timing(1, 9, 2_000_000_000)
    )
    found = reply_attributes(reply)
    assert found == {
        "gen_ai.response.model": "m-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 0,
        "gen_ai.response.time_to_first_chunk": 2.0,
    }
    assert "secret" in json.dumps(reply_attributes(reply, content=True))


def test_a_fault_is_its_kind_and_its_blame() -> None:
    broken = Fault("x", ended_by=EndedBy.PROVIDER, kind="rate_limited")
    assert fault_attributes(broken) == {"error.type": "rate_limited", "steelyard.ended_by": "provider"}
