"""Multiple choice: how models say which option they mean, under shuffled letters."""

from __future__ import annotations

import itertools

import pytest
from tests.scorers.helpers import judged, trial, word

CITIES = ("Paris", "Rome", "New York", "New York City")
RIGHT = [
    "A", "a", "(A)", "A.", "A)", "a)", "**A**", "[A]", "`A`", "A) Paris", "A: Paris", "**A. Paris**", "(A) Paris", "Paris", "paris.",
    "The answer is A", "The answer is (A).", "The answer is **A**.", "Answer: A", "answer: a", "Answer:\nA", "My answer is: A",
    "The correct answer is A) Paris because Rome is in Italy.", "The correct option is A.", "The best option is A, Paris",
    r"\boxed{A}", r"\boxed{\text{A}}", r"$\boxed{A}$", '{"answer": "A"}', "I choose option 1", "1", "Option 1", "(1)", "#1",
    "I think it is Paris", "It's A.", "I would go with A", "The answer is Paris.", "Rome is wrong; thus\n\nA",
    "The answer is B. Wait, the answer is A.", "B is wrong because it is in Italy. (A)", "Let me see...\n**A**", "#### A",
    "It must be a city in France, so Paris it is.", "A\n\nParis is the capital of France.",
    "A\n\nExplanation: B and C do not fit.", "A, because B is Rome", "A because Rome is in Italy", "<answer>A</answer>",
    "<answer>Paris</answer>", "Ａ", "Ⓐ",
]  # fmt: skip
AMBIGUOUS = [
    "Paris or Rome",
    "A or B",
    "A and B",
    "The answer is A or B",
    "B) Paris",
    "The answer is either Paris or Rome",
]
NOTHING = [
    "E",
    "A dog barks",
    "I am sure",
    "The answer is not B",
    "none of them",
    "5",
    "?",
    "The answer is Z",
]


@pytest.mark.parametrize("reply", RIGHT)
def test_the_right_option_however_it_is_said(reply: str) -> None:
    score = judged("choice", trial(reply, "Paris", choices=CITIES))
    assert (word(score), score.extracted) == ("passed", "A")


@pytest.mark.parametrize("reply", AMBIGUOUS + NOTHING)
def test_ambiguous_or_missing_answers_are_format_failures(reply: str) -> None:
    assert word(judged("choice", trial(reply, "Paris", choices=CITIES))) == "unreadable"


@pytest.mark.parametrize(
    ("reply", "at"),
    [("New York City", "D"), ("New York", "C"), ("D", "D"), ("Option 2", "B"), ("Answer: C) New York", "C")],
)
def test_a_wrong_option_is_wrong_and_no_format_failure(reply: str, at: str) -> None:
    score = judged("choice", trial(reply, "Paris", choices=CITIES))
    assert (word(score), score.extracted) == ("failed", at)


def test_letters_follow_the_order_that_was_shown() -> None:
    for order in itertools.permutations(range(4)):
        for place in range(4):
            item = trial("ABCD"[place], "B", choices=CITIES, order=order)
            assert word(judged("choice", item)) == ("passed" if order[place] == 1 else "failed")
            by_text = trial(CITIES[order[place]], "Rome", choices=CITIES, order=order)
            assert word(judged("choice", by_text)) == ("passed" if order[place] == 1 else "failed")


def test_numbers_as_options_are_texts_not_places() -> None:
    assert word(judged("choice", trial("2", "2", choices=("1", "3", "2", "4")))) == "passed"
    assert word(judged("choice", trial("C", "2", choices=("1", "3", "2", "4")))) == "passed"


def test_a_truncated_reply_needs_a_marked_answer() -> None:
    assert (
        word(judged("choice", trial("Consider (A) first", "Paris", choices=CITIES, finish="length")))
        == "unreadable"
    )
    assert word(judged("choice", trial("B", "Rome", choices=CITIES, finish="length"))) == "passed"


def test_not_knowing_is_an_abstention() -> None:
    assert word(judged("choice", trial("I don't know.", "Paris", choices=CITIES))) == "abstained"
