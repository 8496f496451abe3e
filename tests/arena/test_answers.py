"""What a battle shows: texts, conversations, images, sounds, files; never a broken attempt."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from steelyard.arena.answers import Answers, same, style
from steelyard.arena.base import Answer, Medium, Prompt
from steelyard.errors import DataError
from steelyard.ledger import open_ledger
from steelyard.sandbox.pack import MEDIA_TYPE as MEDIA
from steelyard.sandbox.pack import pack_diff
from steelyard.sandbox.snapshot import Item, Snapshot
from steelyard.schema.canon import canonical
from steelyard.schema.message import ImagePart, Message, TextPart, ToolCall
from steelyard.schema.record import Intent, Record, Result
from steelyard.schema.reply import Reply
from steelyard.schema.task import Task
from steelyard.schema.trace import MEDIA_TYPE, Said, Trace
from steelyard.testing.ledger_rows import ListSuite, plan_of
from steelyard.web.judged import asked_media, medium, numbered, shown

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n fake").decode()


def run_of(place: Path) -> tuple[Answers, object]:
    ledger = open_ledger(str(place), create=True)
    tasks = [
        Task(id="a", input="draw", choices=("red", "blue")),
        Task(id="b", input="sing", split="held_out"),
    ]
    with ledger.create_run(plan_of("one", "two"), [ListSuite("s", tasks)]) as writer:
        report = writer.put(b"name,n\nx,1\n", "text/csv")
        trace = Trace(
            (
                Said(Message("system", "be brief")),
                Said(Message("user", "draw")),
                Said(Message("assistant", "looking", tool_calls=(ToolCall("1", "paint", '{"x":1}'),))),
                Said(Message("tool", "ok", tool_call_id="1")),
                Said(Message("assistant", (TextPart("here"), ImagePart("image/png", PNG)))),
            ),
            submission="diff --git a b",
            attributes={"files": [{"name": "out.csv", "media_type": "text/csv", "digest": report}]},
        )
        kept = writer.put(canonical(trace), MEDIA_TYPE)
        rows: list[Record] = [
            Intent(0, 0, 0, 0, at=1, seed=1, reserved=0, order=(1, 0)),
            Result(0, 0, 0, 0, at=2, ended_by="contestant", final=True, reply=Reply(text="done"), trace=kept),
            Intent(1, 0, 0, 0, at=1, seed=1, reserved=0),
            Result(1, 0, 0, 0, at=2, ended_by="contestant", final=True,
                   reply=Reply(text=f"data:audio/wav;base64,{PNG}")),
            Intent(1, 1, 0, 0, at=1, seed=1, reserved=0),
            Result(1, 1, 0, 0, at=2, ended_by="provider", final=True, fault="overloaded"),
        ]  # fmt: skip
        writer.append(rows)
        writer.close("complete")
    return Answers(ledger, "last"), ledger


def test_a_trace_is_shown_from_the_first_answer_on_with_its_images_and_files(tmp_path: Path) -> None:
    answers, ledger = run_of(tmp_path)
    found = answers.answer(0, 0, 0)
    assert found.text == "done\n\ndiff --git a b"
    assert [m.role for m in found.messages] == ["assistant", "tool", "assistant"]
    assert [(m.name, m.media_type) for m in found.media] == [
        ("image 1", "image/png"),
        ("out.csv", "text/csv"),
    ]
    assert found.options == ("blue", "red")
    page = shown(found)
    assert [m.here for m in page.media] == [True, False]
    assert page.said[0].calls == (("paint", '{"x":1}'),)
    assert page.said[2].media == "1 image"
    image, table = (medium(ledger, m) for m in found.media)  # type: ignore[arg-type] # a ledger
    assert image.content.startswith(b"\x89PNG")
    assert (image.media_type, image.sandboxed) == ("image/png", True)
    assert (table.content, table.filename) == (b"name,n\nx,1\n", "out.csv")


def test_an_answer_that_is_a_sound_is_played_and_a_broken_attempt_is_no_answer(tmp_path: Path) -> None:
    answers, _ = run_of(tmp_path)
    found = answers.answer(1, 0, 0)
    assert found.text == ""
    assert found.media[0].media_type == "audio/wav"
    assert answers.repeats(1, 1) == []
    assert not answers.done()[:, 1].any(), "the held-out task is not among what may be shown"
    assert Answers(open_ledger(str(tmp_path)), "last", reveal=True).done()[1, 1]


def test_same_and_style() -> None:
    assert same(Answer("a  b\n"), Answer("a b"))
    assert not same(Answer("a"), Answer("b"))
    assert not same(Answer("a", options=("x", "y")), Answer("a", options=("y", "x")))
    assert not same(Answer("B", options=("black", "pink")), Answer("B", options=("pink", "black")))
    assert same(Answer("Black.", options=("black", "pink")), Answer("Black.", options=("pink", "black")))
    assert not same(Answer("", media=(Medium("i", "image/png", "AA"),)), Answer(""))
    features = style(Answer("# T\n\n- a\n- b\n\n**bold**"), Answer("plain"))
    assert features["headers"] == 0.5
    assert features["lists"] == 0.666667
    assert features["bolds"] == 0.5
    assert features["characters"] > 0  # type: ignore[operator] # a number
    assert style(Answer("x"), Answer("y")) == {"characters": 0.0, "headers": 0.0, "lists": 0.0, "bolds": 0.0}


def test_what_agents_left_in_their_workspaces_is_shown_file_by_file(tmp_path: Path) -> None:
    ledger = open_ledger(str(tmp_path), create=True)
    before = memory({"calc.py": b"def add(a, b):\n    return a - b\n", "old.txt": b"gone soon"})
    after = memory(
        {"calc.py": b"def add(a, b):\n    return a + b\n", "plot.png": b"\x89PNG\r\n", "run": b"\x00\xff"}
    )
    with ledger.create_run(
        plan_of("one", "two"), [ListSuite("s", [Task(id="a", input="mend it")])]
    ) as writer:
        changes = writer.put(pack_diff(before, after), MEDIA)
        large = writer.put(pack_diff(before, memory({"big": b"x" * (9 << 20)})), MEDIA)
        for c, kept in enumerate((changes, large)):
            writer.append([Intent(c, 0, 0, 0, at=1, seed=1, reserved=0),
                           Result(c, 0, 0, 0, at=2, ended_by="budget", final=True, reply=None, changes=kept)])  # fmt: skip
        writer.close("complete")
    answers = Answers(ledger, "last")
    assert answers.repeats(0, 0) == [0], "a workspace without a word is an answer"
    found = answers.answer(0, 0, 0)
    assert [(m.name, m.gone) for m in found.media] == [
        ("calc.py", False), ("old.txt", True), ("plot.png", False), ("run", False),
    ]  # fmt: skip
    assert found.media[0].preview.endswith("return a + b\n")
    page = shown(found)
    assert [(m.here, m.there, bool(m.preview)) for m in page.media] == [
        (False, True, True), (False, False, False), (True, True, False), (False, True, False),
    ]  # fmt: skip
    image, program = (numbered(ledger, found.media, n) for n in (2, 3))
    assert (image.content, image.media_type, image.sandboxed) == (b"\x89PNG\r\n", "image/png", True)
    assert (program.content, program.filename, program.media_type) == (
        b"\x00\xff",
        "run",
        "application/octet-stream",
    )
    with pytest.raises(DataError, match="no bytes"):
        numbered(ledger, found.media, 1)
    with pytest.raises(DataError, match="no such file"):
        numbered(ledger, found.media, 4)
    assert [m.name for m in answers.answer(1, 0, 0).media] == ["changes of the workspace"], (
        "too large to open"
    )
    assert not same(found, answers.answer(1, 0, 0))


def test_images_in_what_was_asked_and_addresses_are_never_fetched() -> None:
    asked = Message("user", (TextPart("what is it?"), ImagePart("image/png", PNG), ImagePart(url="https://x.invalid/a.png"),
                             ImagePart(url=f"data:image/gif;base64,{PNG}")))  # fmt: skip
    found = asked_media(Prompt((asked,)))
    assert [(m.media_type, bool(m.data)) for m in found] == [
        ("image/png", True), ("address, not loaded", False), ("image/gif", True),
    ]  # fmt: skip
    assert found[1].preview == "https://x.invalid/a.png"


def memory(files: dict[str, bytes]) -> Snapshot:
    items = {
        path: Item("file", 0o644, len(content), hashlib.sha256(content).hexdigest())
        for path, content in files.items()
    }
    return Snapshot(items, files.__getitem__)
