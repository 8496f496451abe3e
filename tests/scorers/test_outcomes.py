"""The table of what counts how, and abstention."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.scorers.helpers import judged, trial, word

from steelyard.errors import EndedBy
from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome
from steelyard.schema.task import Task
from steelyard.scorers import Item
from steelyard.scorers.abstain import abstains
from steelyard.scorers.outcomes import KINDS, TABLE, table_markdown

DOC = Path(__file__).resolve().parents[2] / "docs" / "reference" / "outcomes.md"
TEXT_SCORERS = ("exact", "includes", "numeric", {"type": "regex", "pattern": "."})


def test_the_reference_prints_the_table_of_the_code() -> None:
    assert table_markdown() in DOC.read_text(encoding="utf-8")


def test_every_situation_is_ruled_for_every_kind_of_scorer() -> None:
    assert all(set(rules) == set(KINDS) for rules in TABLE.values())


@pytest.mark.parametrize("spec", TEXT_SCORERS, ids=str)
@pytest.mark.parametrize("ended_by", [e.value for e in EndedBy if not e.is_measurement])
def test_what_is_no_measurement_is_ungraded_whatever_was_said(spec: object, ended_by: str) -> None:
    item = Item(Task(id="t", target="1"), Reply(text="1"), ended_by=ended_by)
    score = judged(spec, item)
    assert (score.outcome, score.value, score.cause) == (Outcome.UNGRADED, None, ended_by)


@pytest.mark.parametrize("spec", TEXT_SCORERS, ids=str)
def test_refusals_and_filters_fail_and_are_no_format_failures(spec: object) -> None:
    task = Task(id="t", target="1")
    for item in (
        Item(task, Reply(text="1", finish="refusal")),
        Item(task, Reply(text="1", refusal="no")),
        Item(task, Reply(text="1", finish="content_filter")),
        Item(task, Reply(text=""), ended_by="refusal"),
    ):
        assert word(judged(spec, item)) == "failed"


@pytest.mark.parametrize("spec", TEXT_SCORERS, ids=str)
def test_nothing_said_is_a_format_failure_and_a_budget_end_is_judged_as_it_stands(spec: object) -> None:
    task = Task(id="t", target="1")
    assert word(judged(spec, Item(task, Reply(text=" \n ")))) == "unreadable"
    assert word(judged(spec, Item(task, Reply(text="1"), ended_by="budget"))) == "passed"
    assert word(judged(spec, Item(task, Reply(text=""), ended_by="budget"))) == "unreadable"


def test_a_task_without_target_is_ungraded_not_failed() -> None:
    score = judged("exact", trial("x", ""))
    assert (score.outcome, score.cause) == (Outcome.UNGRADED, "no_target")


ABSTAIN = [
    "I don't know", "I do not know.", "I’m not sure.", "I really don't know", "Sorry, I don't know the answer to that.",
    "I'm sorry, but I cannot determine this.", "unknown", "Unknown.", "N/A", "idk", "The answer cannot be determined", "Not sure.",
    "There is not enough information to answer.", "I don't know what the answer is.", "I have no idea.", "I don't know whether it's 4 or 5.",
    "I'm unable to determine the answer from the given text.", "We cannot say.", "I don't have enough information.",
]  # fmt: skip
ANSWER = [
    "I don't know. Paris.", "I don't know, but my guess is Paris", "4", "I know", "You don't know", "The unknown x is 4",
    "I don't know if this is meant so, but the answer is 4", "I don't know if that is a trick. The answer is 4.", "I'm not sure, probably 4",
    "I'm not sure; I think it is 4", "4. I don't know more.", "Paris. I am not sure though.", "I don't know if you mean the river. #### 12",
    "I do not know why, however: Paris", "x" * 5000 + " I don't know",
]  # fmt: skip


@pytest.mark.parametrize("text", ABSTAIN)
def test_an_abstention_is_seen(text: str) -> None:
    assert abstains(text)


@pytest.mark.parametrize("text", ANSWER)
def test_an_answer_beside_doubt_is_no_abstention(text: str) -> None:
    assert not abstains(text)


def test_a_right_answer_passes_even_when_it_says_so_little() -> None:
    assert word(judged("exact", trial("I don't know", "I don't know"))) == "passed"
    assert (
        word(judged("numeric", trial("I don't know if it is meant so, but the answer is 4", "4"))) == "passed"
    )
    assert (
        word(judged("numeric", trial("I don't know if it is meant so, but the answer is 4", "5"))) == "failed"
    )


def test_abstention_can_be_worth_something_have_other_words_or_be_ignored() -> None:
    score = judged({"type": "exact", "abstain_value": 0.25}, trial("I don't know", "x"))
    assert (score.outcome, score.value) == (Outcome.ABSTAINED, 0.25)
    assert (
        word(judged({"type": "exact", "abstain": ["weiß nicht"]}, trial("Ich weiß nicht.", "x")))
        == "abstained"
    )
    assert word(judged("exact", trial("Ich weiß nicht.", "x"))) == "failed"
    assert word(judged({"type": "exact", "abstain": False}, trial("I don't know", "x"))) == "failed"
