"""F1, JSON schema, tool calls, composites."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.scorers.helpers import judged, trial, word

from steelyard.errors import PlanError
from steelyard.schema.message import Message, ToolCall
from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome
from steelyard.schema.task import Task
from steelyard.scorers import Item, Judge, build, pin
from steelyard.scorers.jsontext import contains, equal

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("reply", "target", "value"),
    [
        ("the Cat sat.", "cat sat", 1.0), ("a big cat", "cat", 2 / 3), ("dog", "cat", 0.0), ("cat cat", "cat", 2 / 3),
        ("nothing here", ("cat", "nothing"), 2 / 3),
    ],
)  # fmt: skip
def test_f1_is_that_of_squad(reply: str, target: str, value: float) -> None:
    assert judged("f1", trial(reply, target)).value == pytest.approx(value)


def test_f1_threshold_makes_it_pass_or_fail() -> None:
    assert word(judged({"type": "f1", "threshold": 0.6}, trial("a big cat", "cat"))) == "passed"
    assert word(judged({"type": "f1", "threshold": 0.7}, trial("a big cat", "cat"))) == "failed"


@pytest.mark.parametrize(
    ("options", "reply", "want"),
    [
        ({}, '{"n": 1}', "passed"), ({}, '{"n": "1"}', "failed"), ({}, "{}", "failed"), ({}, "[1]", "failed"),
        ({}, 'Here:\n```json\n{"n": 1}\n```\nDone.', "passed"), ({}, 'It is {"n": 1}.', "passed"), ({}, "no JSON", "unreadable"),
        ({}, '{"n": 1', "unreadable"), ({}, '{"n": NaN}', "unreadable"), ({"strict": True}, 'It is {"n": 1}.', "unreadable"),
        ({}, 'First {"n": "x"}, then {"n": 2}', "passed"), ({}, "[" * 50_000, "unreadable"),
        ({"equals_target": True}, '{"n": 1.0}', "passed"), ({"equals_target": True}, '{"n": 2}', "failed"),
    ],
)  # fmt: skip
def test_json_schema(options: dict[str, object], reply: str, want: str) -> None:
    spec = {"type": "json_schema", "schema": SCHEMA, **options}
    assert word(judged(spec, trial(reply, '{"n": 1}'))) == want


def test_a_schema_elsewhere_is_never_fetched() -> None:
    spec = {"type": "json_schema", "schema": {"$ref": "http://127.0.0.1:9/schema.json"}}
    score = judged(spec, trial("{}", ""))
    assert word(score) == "ungraded", "the plan's mistake is no wrong answer"
    assert "refers to what is not in it" in score.explanation


def test_schemas_and_functions_from_files_are_pinned(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps(SCHEMA))
    (tmp_path / "f.py").write_text("def score(item): return True\n")
    spec = {"type": "composite", "of": {
        "s": {"type": "json_schema", "schema": "s.json"}, "f": {"type": "python", "function": "f.py:score"}}}  # fmt: skip
    pinned = pin(spec, tmp_path)
    assert pinned["of"]["s"]["schema"] == SCHEMA
    build(pinned)
    (tmp_path / "f.py").write_text("def score(item): return False\n")
    with pytest.raises(PlanError, match="was changed"):
        build(pinned)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("f.py", "no function named"), ("g.py:score", "cannot be read"), ("f.py:nope", "no function `nope`"),
        ("broken.py:score", "no Python"), (":score", "no function named"),
    ],
)  # fmt: skip
def test_a_wrong_function_is_refused_before_the_run(tmp_path: Path, function: str, message: str) -> None:
    (tmp_path / "f.py").write_text("def score(item): return True\n")
    (tmp_path / "broken.py").write_text("def score(:\n")
    with pytest.raises(PlanError, match=message):
        build({"type": "python", "function": function}, base_dir=tmp_path)


def calls(*given: tuple[str, object]) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall(str(i), name, a if isinstance(a, str) else json.dumps(a))
        for i, (name, a) in enumerate(given)
    )


WANT = [{"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": {}}]
F, G, H = ("f", {"a": 1}), ("g", {}), ("h", {})


@pytest.mark.parametrize(
    ("options", "got", "value"),
    [
        ({}, [F, G], 1), ({}, [G, F], 0), ({}, [F], 0), ({}, [F, G, H], 0), ({}, [("f", {"a": 2}), G], 0), ({}, [("f", {"a": 1, "b": 2}), G], 0),
        ({}, [("f", {"a": 1.0}), G], 1), ({}, [("f", {"a": True}), G], 0), ({}, [F, ("g", "")], 1),
        ({"order": "any"}, [G, F], 1), ({"extra": "allow"}, [F, H, G], 1), ({"extra": "allow"}, [G, H, F], 0),
        ({"extra": "allow", "order": "any"}, [G, H, F], 1), ({"arguments": "subset"}, [("f", {"a": 1, "b": 2}), G], 1),
        ({"arguments": "ignore"}, [("f", {"z": 0}), ("g", "{broken")], 1), ({"partial": True}, [F], 0.5), ({"partial": True}, [F, H], 1 / 3),
        ({"partial": True, "order": "any"}, [G, F, H], 2 / 3),
    ],
)  # fmt: skip
def test_tool_calls(options: dict[str, object], got: list[tuple[str, object]], value: float) -> None:
    item = Item(Task(id="t", fields={"tool_calls": WANT}), Reply(tool_calls=calls(*got)))
    assert judged({"type": "tool_calls", **options}, item).value == pytest.approx(value)


def test_matching_in_any_order_finds_the_assignment_that_greed_misses() -> None:
    want = [{"name": "f", "arguments": {}}, {"name": "f", "arguments": {"a": 1}}]
    item = Item(
        Task(id="t", fields={"tool_calls": want}), Reply(tool_calls=calls(("f", {"a": 1}), ("f", {})))
    )
    assert word(judged({"type": "tool_calls", "order": "any", "arguments": "subset"}, item)) == "passed"


def test_broken_arguments_are_a_format_failure_and_no_expected_call_means_none() -> None:
    broken = Item(Task(id="t", fields={"tool_calls": WANT}), Reply(tool_calls=calls(("f", "{oops"))))
    assert word(judged("tool_calls", broken)) == "unreadable"
    none = Task(id="t", fields={"tool_calls": []})
    assert word(judged("tool_calls", Item(none, Reply(text="just words")))) == "passed"
    assert word(judged("tool_calls", Item(none, Reply(tool_calls=calls(F))))) == "failed"


def test_a_trajectory_counts_the_calls_since_the_last_user_message() -> None:
    messages = (
        Message("user", "q"),
        Message("assistant", tool_calls=calls(F)),
        Message("tool", "ok", tool_call_id="0"),
    )
    item = Item(Task(id="t", fields={"tool_calls": WANT}), Reply(tool_calls=calls(G)), messages=messages)
    assert word(judged({"type": "tool_calls", "trajectory": True}, item)) == "passed"
    assert word(judged("tool_calls", item)) == "failed"


def test_json_equality() -> None:
    assert equal({"a": [1, 2.0]}, {"a": [1.0, 2]})
    assert not equal({"a": 1}, {"a": True})
    assert not equal(0, False)
    assert contains({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1}})
    assert not contains({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}})


@pytest.mark.parametrize(
    ("combine", "reply", "value"),
    [
        ("all", "4", 1), ("all", "4!", 0), ("any", "4!", 1), ("any", "5", 0), ("mean", "4!", 0.75), ("mean", "4", 1),
    ],
)  # fmt: skip
def test_composite(combine: str, reply: str, value: float) -> None:
    weights = {"weights": {"number": 3}} if combine == "mean" else {}
    spec = {
        "type": "composite",
        "of": {"whole": "exact", "number": {"type": "numeric"}},
        "combine": combine,
        **weights,
    }
    score = judged(spec, trial(reply, "4"))
    assert score.value == pytest.approx(value)
    assert set(score.parts) == {"whole", "number"}


def test_an_ungraded_part_makes_it_ungraded_only_where_it_could_change_the_result() -> None:
    of = {"a": "exact", "b": {"type": "tool_calls"}}
    item = trial("x", "y")
    assert judged({"type": "composite", "of": of, "combine": "mean"}, item).outcome is Outcome.UNGRADED
    assert judged({"type": "composite", "of": of, "combine": "any"}, item).outcome is Outcome.UNGRADED
    assert judged({"type": "composite", "of": of, "combine": "all"}, item).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "spec",
    [
        {"of": {}}, {"of": {"a": "exact"}, "weights": {"b": 1}, "combine": "mean"}, {"of": {"a": "exact"}, "weights": {"a": 1}},
        {"of": {"a": "exact"}, "weights": {"a": -1}, "combine": "mean"}, {"of": {"a": {"type": "nope"}}},
        {"of": {"a": {"type": "regex", "pattern": "x"}, "b": {"type": "pairwise"}}},
    ],
)  # fmt: skip
def test_a_wrong_composite_is_refused(spec: dict[str, object]) -> None:
    with pytest.raises(PlanError, match=r"scorer\."):
        build({"type": "composite", **spec})


def test_a_composite_with_a_judge_is_a_judge() -> None:
    built = build({"type": "composite", "of": {"a": "exact", "b": {"type": "pairwise", "role": "boss"}}})
    assert isinstance(built, Judge)
    assert built.roles == ("boss",)
