"""Sounds on the wire: sent as OpenAI's APIs take them, refused by name where there is none, and heard in replies."""

from __future__ import annotations

import base64
import json

import pytest

from steelyard.errors import Fault
from steelyard.schema.contestant import Sampling
from steelyard.schema.message import AudioPart, Message, TextPart
from steelyard.schema.price import Price, cost_pusd, worst_case_pusd
from steelyard.schema.reply import Usage
from steelyard.unknown import Unknown
from steelyard.wire.base import Request
from steelyard.wire.chat import ChatDialect
from steelyard.wire.chat_server import ChatServer
from steelyard.wire.dialects import dialect
from steelyard.wire.responses_server import ResponsesServer

MP3 = base64.b64encode(b"\xff\xfb\x90\x00" + bytes(40)).decode()
ASKED = Request(
    "m",
    (Message("user", (TextPart("What?"), AudioPart("audio/mpeg", MP3))),),
    Sampling(max_tokens=9),
    stream=False,
)


@pytest.mark.parametrize("name", ["openai-chat", "openai-responses"])
def test_a_sound_goes_out_as_input_audio_and_comes_back_from_the_server_side(name: str) -> None:
    body = dialect(name).encode(ASKED).body
    sent = json.loads(body)
    part = (sent.get("messages") or sent["input"])[0]["content"][1]
    assert part == {"type": "input_audio", "input_audio": {"data": MP3, "format": "mp3"}}
    server = ChatServer() if name == "openai-chat" else ResponsesServer()
    assert server.decode_request(body).messages == ASKED.messages


def test_anthropic_takes_no_sound_and_says_what_to_do() -> None:
    with pytest.raises(Fault, match="takes no sound; ask a contestant of another dialect") as caught:
        dialect("anthropic-messages").encode(ASKED)
    assert caught.value.kind == "unsupported"


def test_a_spoken_reply_is_its_transcript_and_its_sound() -> None:
    message = {"role": "assistant", "content": None, "audio": {"id": "a", "data": MP3, "transcript": "Four."}}
    usage = {"prompt_tokens": 10, "completion_tokens": 7, "completion_tokens_details": {"audio_tokens": 5}}
    found = ChatDialect().reply(
        {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage, "model": "m"}
    )
    assert (found.text, found.audio) == ("Four.", AudioPart("audio/mpeg", MP3))
    assert found.usage.audio_output_tokens == 5


def test_streamed_samples_get_a_header_and_broken_ones_are_left_out() -> None:
    stream = ChatDialect().stream()
    for delta in ({"audio": {"transcript": "Fo"}}, {"audio": {"transcript": "ur", "data": base64.b64encode(b"\1\0").decode()}},
                  {"audio": {"data": base64.b64encode(b"\2\0").decode()}}):  # fmt: skip
        assert stream.event("", json.dumps({"choices": [{"delta": delta}]}).encode())
    stream.event("", b'{"choices": [{"delta": {}, "finish_reason": "stop"}]}')
    found = stream.reply()
    assert found.text == "Four"
    assert found.audio is not None
    content = base64.b64decode(found.audio.data)
    assert (content[:4], content[8:12], content[-4:]) == (b"RIFF", b"WAVE", b"\1\0\2\0")
    broken = ChatDialect().stream()
    broken.event(
        "", b'{"choices": [{"delta": {"audio": {"data": "<not base64>"}}, "finish_reason": "stop"}]}'
    )
    assert broken.reply().audio is None


def test_tokens_of_sound_have_their_own_price_or_none() -> None:
    usage = Usage(100, 50, audio_input_tokens=80, audio_output_tokens=40)
    whole = Price(2.5, 10, audio_input=40, audio_output=80)
    # 20 of text at 2.5, 80 of sound at 40, 10 of text at 10, 40 of sound at 80, dollars a million
    assert cost_pusd(whole, usage) == round((20 * 2.5 + 80 * 40 + 10 * 10 + 40 * 80) * 1e6)
    assert isinstance(cost_pusd(Price(2.5, 10), usage), Unknown)
    assert cost_pusd(Price(0, 0), usage) == 0
    assert cost_pusd(Price(2.5, 10), Usage(100, 50)) == round((100 * 2.5 + 50 * 10) * 1e6)
    assert worst_case_pusd(whole, 100, 50) == round((100 * 40 + 50 * 80) * 1e6)
