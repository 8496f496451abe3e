"""Rendering: templates, shuffled choices, few-shot examples, images, the canary."""

from __future__ import annotations

import base64
import json
from collections import Counter
from pathlib import Path

import pytest

from steelyard.errors import DataError
from steelyard.schema.contestant import Prompt
from steelyard.schema.message import ImagePart, Message, TextPart, text_of
from steelyard.tasks import Suite, check_prompt, has_canary, load, render, with_images

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def suite_of(tmp_path: Path, *rows: dict[str, object], **options: object) -> Suite:
    path = tmp_path / "s.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return load(str(path), options=options)


def shown(suite: Suite, prompt: Prompt | None = None, i: int = 0, seed: int = 0) -> str:
    return text_of(render(suite, i, prompt or Prompt(), seed=seed).messages[-1])


def test_input_alone_by_default_and_system_first(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, {"input": "hi {x}", "target": "t"})
    got = render(suite, 0, Prompt(system="be {brief}"), seed=1)
    assert got.messages == (Message("system", "be {brief}"), Message("user", "hi {x}"))
    assert got.order == ()


def test_template_fills_fields_once_and_keeps_doubled_braces(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, {"input": "{lang}", "target": "t", "lang": "en", "conditions": {"level": 3}})
    form = "{{json}} {input}|{lang}|{conditions.level}|{id}"
    assert shown(suite, Prompt(template=form)) == "{json} {lang}|en|3|1"


def test_template_runs_nothing(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, {"input": "q", "target": "t", "o": {"a": 1}})
    for form in ("{input.__class__}", "{input!r}", "{input:>10}", "{o[a]}", "{0}", "{}", "{input"):
        with pytest.raises(DataError):
            check_prompt(suite, Prompt(template=form))
        with pytest.raises(DataError):
            shown(suite, Prompt(template=form))


def test_template_cannot_show_the_target(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, {"input": "q", "target": "t"})
    with pytest.raises(DataError, match="contestants see neither target nor grader"):
        check_prompt(suite, Prompt(template="{input} {target}"))


def test_choices_are_shuffled_by_seed_and_the_order_says_how(tmp_path: Path) -> None:
    options = ["red", "green", "blue", "black"]
    suite = suite_of(tmp_path, {"input": "q", "target": "blue", "choices": options})
    places: Counter[int] = Counter()
    for seed in range(4000):
        got = render(suite, 0, Prompt(), seed=seed)
        lines = text_of(got.messages[-1]).splitlines()[2:]
        assert lines == [f"{'ABCD'[i]}) {options[k]}" for i, k in enumerate(got.order)]
        places[got.order.index(2)] += 1
    assert all(abs(n / 4000 - 0.25) < 0.03 for n in places.values()), f"right option by place: {places}"
    assert render(suite, 0, Prompt(), seed=5) == render(suite, 0, Prompt(), seed=5)
    assert render(suite, 0, Prompt(), seed=5, shuffle=False).order == (0, 1, 2, 3)


def test_choices_that_speak_of_others_keep_their_place(tmp_path: Path) -> None:
    suite = suite_of(
        tmp_path,
        {"input": "q", "target": "A", "choices": ["x", "y", "z", "None of the above"]},
        {"input": "q", "target": "A", "choices": ["x", "y", "Both A and B"]},
    )
    orders = {render(suite, 0, Prompt(), seed=s).order for s in range(50)}
    assert {o[-1] for o in orders} == {3}
    assert len(orders) == 6
    assert {render(suite, 1, Prompt(), seed=s).order for s in range(50)} == {(0, 1, 2)}


def test_a_template_without_choices_draws_no_order(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, {"input": "A) x B) y ?", "target": "A", "choices": ["x", "y"]})
    got = {render(suite, 0, Prompt(template="{input}"), seed=s) for s in range(20)}
    assert {(g.order, text_of(g.messages[0])) for g in got} == {((0, 1), "A) x B) y ?")}


def test_choices_follow_the_last_user_message(tmp_path: Path) -> None:
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "q?"}]
    suite = suite_of(tmp_path, {"input": messages, "target": "x", "choices": ["x", "y"]})
    got = render(suite, 0, Prompt(system="first"), seed=0, shuffle=False)
    assert got.messages == (Message("system", "first\n\ns"), Message("user", "q?\n\nA) x\nB) y"))


def test_few_shot_is_seeded_recorded_and_never_the_task_itself(tmp_path: Path) -> None:
    rows = [{"id": f"t{i}", "input": f"q{i}", "target": f"a{i}", "cluster": f"c{i // 2}"} for i in range(12)]
    rows[11]["split"] = "held_out"
    suite = suite_of(tmp_path, *rows)
    used: Counter[str] = Counter()
    for seed in range(300):
        got = render(suite, 0, Prompt(few_shot=3), seed=seed)
        assert len(got.messages) == 7
        assert len(set(got.examples)) == 3
        turns = [text_of(m) for m in got.messages]
        assert turns[0::2] == [e.replace("t", "q") for e in got.examples] + ["q0"]
        assert turns[1::2] == [e.replace("t", "a") for e in got.examples]
        used.update(got.examples)
    assert set(used) == {f"t{i}" for i in range(2, 11)}, "not itself, its cluster, nor what is held out"
    assert (
        render(suite, 0, Prompt(few_shot=3), seed=9).examples
        == render(suite, 0, Prompt(few_shot=3), seed=9).examples
    )


def test_few_shot_of_choices_answers_with_the_letter_that_is_shown(tmp_path: Path) -> None:
    rows = [{"input": f"q{i}", "target": "no", "choices": ["yes", "no", f"n{i}"]} for i in range(6)]
    suite = suite_of(tmp_path, *rows)
    for seed in range(20):
        turns = [text_of(m) for m in render(suite, 0, Prompt(few_shot=2), seed=seed).messages]
        for question, answer in ((turns[0], turns[1]), (turns[2], turns[3])):
            assert f"{answer}) no" in question.splitlines()


def test_few_shot_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "shots.jsonl").write_text('{"input": "e", "target": "f"}\n')
    suite = suite_of(tmp_path, {"input": "q", "target": "t"}, few_shot="shots.jsonl")
    got = render(suite, 0, Prompt(few_shot=1), seed=0)
    assert [text_of(m) for m in got.messages] == ["e", "f", "q"]
    with pytest.raises(DataError, match="too few tasks"):
        check_prompt(suite, Prompt(few_shot=2))
    without = suite_of(tmp_path, {"input": "q", "target": "t"})
    assert without.header.version != suite.header.version, "examples decide what is sent"


def test_images_beside_the_suite_are_sent_and_count_for_the_version(tmp_path: Path) -> None:
    (tmp_path / "i.png").write_bytes(PNG)
    suite = suite_of(tmp_path, {"input": "what?", "target": "t", "images": ["i.png"]})
    got = render(suite, 0, Prompt(), seed=0)
    part = ImagePart(media_type="image/png", data=base64.b64encode(PNG).decode())
    assert got.messages == (Message("user", (TextPart("what?"), part)),)
    (tmp_path / "i.png").write_bytes(PNG + b"\0")
    assert (
        suite_of(tmp_path, {"input": "what?", "target": "t", "images": ["i.png"]}).header.version
        != suite.header.version
    )


def test_images_inside_messages_are_read_by_path_and_count_for_the_version(tmp_path: Path) -> None:
    (tmp_path / "i.png").write_bytes(PNG)

    def with_image(path: str) -> Suite:
        part = {"type": "image", "path": path}
        parts = [
            {"type": "text", "text": "what?"},
            part,
            {"type": "image_url", "image_url": "https://h/i.png"},
        ]
        return suite_of(tmp_path, {"input": [{"role": "user", "content": parts}], "target": "t"})

    suite = with_image("i.png")
    task = with_images(suite, suite.task(0))
    held = ImagePart(media_type="image/png", data=base64.b64encode(PNG).decode())
    assert task.input == (Message("user", (TextPart("what?"), held, ImagePart(url="https://h/i.png"))),)
    (tmp_path / "i.png").write_bytes(PNG + b"\0")
    assert with_image("i.png").header.version != suite.header.version
    for wrong, said in (("none.png", "missing"), ("../../etc/passwd", "outside"), (".", "missing")):
        with pytest.raises(DataError, match=said):
            with_image(wrong)


def test_the_canary_is_reported_when_it_would_be_sent(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, {"suite": {"canary": "CANARY-42"}}, {"input": "q", "target": "t"})
    assert not render(suite, 0, Prompt(), seed=0).canary
    assert render(suite, 0, Prompt(system="CANARY-42"), seed=0).canary
    assert has_canary(suite, "I remember CANARY-42")
    assert not has_canary(suite, "I remember nothing")


def test_fields_that_only_some_tasks_have_are_found_before_the_run(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, {"input": "q", "target": "t", "hint": "h"}, {"input": "r", "target": "t"})
    with pytest.raises(DataError, match=r"the template uses `hint`, which is not a field of every task"):
        check_prompt(suite, Prompt(template="{input} {hint}"))
