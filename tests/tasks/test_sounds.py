"""Sounds inside a task's messages: by path, as OpenAI writes them, and what is refused before anything is sent."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from steelyard.errors import DataError
from steelyard.schema.contestant import Prompt
from steelyard.schema.message import AudioPart, TextPart, media_of, media_words
from steelyard.tasks import load, render, with_images

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(28)
MP3 = b"\xff\xfb\x90\x00" + bytes(40)


def suite(folder: Path, *parts: object, **options: object):  # type: ignore[no-untyped-def] # a suite
    rows = [{"id": "one", "input": [{"role": "user", "content": list(parts)}]}]
    (folder / "s.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return load("s.jsonl", base_dir=folder, options=options)


def test_a_sound_by_path_is_sent_with_the_text_and_kept_whole(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(WAV)
    found = suite(tmp_path, {"type": "text", "text": "What is said?"}, {"type": "audio", "path": "a.wav"})
    kept = with_images(found, found.task(0))
    part = AudioPart("audio/wav", base64.b64encode(WAV).decode())
    assert media_of(kept.input[0]) == (part,)  # type: ignore[union-attr, arg-type] # messages
    assert media_words((part,)) == "1 sound"
    shown = render(found, 0, Prompt(template="Listen: {input}"), seed=1).messages[0].content
    assert shown[0] == TextPart("Listen: What is said?")


def test_the_version_follows_the_bytes_and_not_the_name(tmp_path: Path) -> None:
    versions = []
    for content in (WAV, WAV, WAV + b"\0"):
        (tmp_path / "a.wav").write_bytes(content)
        versions.append(suite(tmp_path, {"type": "audio", "path": "a.wav"}).header.version)
    assert versions[0] == versions[1] != versions[2]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": base64.b64encode(MP3).decode(), "format": "mp3"}},
        {"type": "audio", "audio": "data:audio/mpeg;base64," + base64.b64encode(MP3).decode()},
        {"type": "audio", "data": base64.b64encode(MP3).decode(), "media_type": "audio/wav"},
    ],
)
def test_a_sound_inside_a_message_is_what_its_bytes_say(tmp_path: Path, part: object) -> None:
    found = suite(tmp_path, part)
    assert media_of(with_images(found, found.task(0)).input[0])[0].media_type == "audio/mpeg"  # type: ignore[union-attr, arg-type] # messages


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.wav", None, "is missing"),
        ("a.wav", b"<html>", "WAV, MP3, FLAC or Ogg"),
        ("a.wav", WAV + bytes(5000), "audio_bytes"),
        ("../up.wav", WAV, "outside the suite's folder"),
        ("https://example.org/a.wav", None, "no provider fetches a sound"),
        ("data:audio/wav;base64,@@", None, "broken base64"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_its_line(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    folder = tmp_path / "suite"
    folder.mkdir()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        suite(folder, {"type": "audio", "path": name}, audio_bytes=4000)
    assert words in str(caught.value)
    assert "s.jsonl:1" in str(caught.value)
