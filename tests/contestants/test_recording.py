"""Answers made elsewhere: nested columns, ids of several columns, rows that are left out, packed files, what is wrong."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from pathlib import Path

import pytest

from steelyard.contestants.base import Answer, Ask
from steelyard.contestants.recording import Recording
from steelyard.errors import DataError, Fault
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.message import AudioPart, Message, media_of
from steelyard.schema.trace import Said, decode_trace

ROWS: list[dict[str, object]] = [
    {"task": "sums", "i": 0, "mode": "plain", "big": {"said": "four"}, "small": {"said": "five"}},
    {"task": "sums", "i": 0, "mode": "steps", "big": {"said": "2 + 2 = four"}, "small": {"said": "2 + 2"}},
    {"task": "sums", "i": 1, "mode": "steps", "big": {"said": "ünïcode"}, "small": {"said": ""}},
]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    raw = "".join(json.dumps(r) + "\n\n" for r in rows).encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def answers(path: Path, tasks: list[str], **config: object) -> list[str]:
    async def inside() -> list[str]:
        found = Recording(
            ContestantSpec(name="r", kind="recording", model="", config={"path": str(path), **config})
        )
        await found.open()
        try:
            return [(await found.answer(Ask((), i, 0, 0))).reply.text for i in tasks]
        finally:
            await found.aclose()

    return asyncio.run(inside())


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
def test_ids_of_several_columns_and_only_the_rows_that_are_wanted(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, ROWS)
    fields = {"id": ["task", "i"], "text": "big.said"}
    assert answers(path, ["sums:0"], fields=fields, where={"mode": "plain"}) == ["four"]
    assert answers(path, ["sums:1", "sums:0"], fields=fields, where={"mode": "steps"}) == [
        "ünïcode",
        "2 + 2 = four",
    ]


def test_rows_are_numbered_as_a_suite_without_ids_numbers_them(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", ROWS)
    found = answers(path, ["1", "2"], fields={"text": "small.said"}, ids="row", where={"mode": "steps"})
    assert found == ["2 + 2", ""]


def test_csv_is_read_packed_too(tmp_path: Path) -> None:
    raw = "id,answer\na,one\nb,two\n".encode("utf-8-sig")
    (tmp_path / "r.csv").write_bytes(raw)
    (tmp_path / "r.csv.gz").write_bytes(gzip.compress(raw))
    for name in ("r.csv", "r.csv.gz"):
        assert answers(tmp_path / name, ["b", "a"]) == ["two", "one"]


def test_a_task_without_a_row_is_parked_not_wrong(tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        answers(write(tmp_path / "r.jsonl", ROWS), ["sums:7"], fields={"id": ["task", "i"], "text": "mode"})
    assert caught.value.kind == "not_recorded"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"fields": {"id": ["task", "k"], "text": "mode"}}, "no `k` in a row"),
        ({"fields": {"id": "i", "text": "mode"}, "where": {"mode": "loud"}}, "no row is left after `where`"),
        ({"fields": {"text": "mode"}}, "fields: {id: COLUMN}"),
        ({"fields": {"identity": "i"}}, "unknown field"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, config: dict[str, object], words: str) -> None:
    rows = [{k: v for k, v in r.items() if k != "task" or "id" in str(config["fields"])} for r in ROWS]
    if words.startswith("fields"):
        rows = [{"mode": r["mode"]} for r in ROWS]
    with pytest.raises(DataError) as caught:
        answers(write(tmp_path / "r.jsonl", rows), ["0"], **config)
    assert words in str(caught.value)
    assert "r.jsonl" in str(caught.value) or "r`" in str(caught.value)


def test_a_cut_gzip_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl.gz", ROWS)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="not a whole gzip file"):
        answers(path, ["1"], ids="row", fields={"text": "mode"})


def test_an_answer_may_be_a_sound_beside_the_recording(tmp_path: Path) -> None:
    wav = b"RIFF\x04\0\0\0WAVE" + bytes(40_000)
    (tmp_path / "a.wav").write_bytes(wav)
    path = write(tmp_path / "r.jsonl", [{"id": "sing", "answer": {"type": "audio", "path": "a.wav"}}])

    async def inside() -> Answer:
        found = Recording(ContestantSpec(name="r", kind="recording", model="", config={"path": str(path)}))
        await found.open()
        try:
            return await found.answer(Ask((Message("user", "Sing"),), "sing", 0, 0))
        finally:
            await found.aclose()

    answer = asyncio.run(inside())
    asked, said = (e.message for e in decode_trace(answer.trace).events if isinstance(e, Said))
    assert (asked.content, answer.reply.text) == ("Sing", "")
    assert media_of(said) == (AudioPart("audio/wav", base64.b64encode(wav).decode()),)
