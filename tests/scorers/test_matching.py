"""Exact, includes, regex: folding, markers, groups."""

from __future__ import annotations

import pytest
from tests.scorers.helpers import judged, trial, word

E = "é"  # one character; "e" and a combining accent are two


@pytest.mark.parametrize(
    ("options", "reply", "target", "want"),
    [
        ({}, "Paris", "Paris", "passed"),
        ({}, " \n Paris\t", "Paris", "passed"),
        ({}, "paris", "Paris", "failed"),
        ({}, "Paris.", "Paris", "failed"),
        ({}, "caf" + E, "cafe\u0301", "passed"),
        ({}, "Paris, France", ("London", "Paris, France"), "passed"),
        ({"ignore_case": True}, "STRASSE", "straße", "passed"),
        ({"ignore_punctuation": True}, "“Paris!”", "Paris", "passed"),
        ({"ignore_punctuation": True}, "3.5", "35", "failed"),
        ({"ignore_punctuation": True}, "-2", "2", "failed"),
        ({"ignore_punctuation": True}, ")]", ")]", "passed"),
        ({"ignore_punctuation": True}, ")]", "]", "failed"),
        ({"collapse_whitespace": True}, "New \n York", "New York", "passed"),
        ({}, "New  York", "New York", "failed"),
        ({"nfkc": True}, "ﬁne ２", "fine 2", "passed"),
        ({}, "ﬁne", "fine", "failed"),
        ({"after": ["answer is"]}, "So the answer is (B).\nDone.", "(B)", "passed"),
        ({"after": ["answer is"]}, "(B)", "(B)", "unreadable"),
        ({"after": ["A:", "####"]}, "A: 3 #### 4", "4", "passed"),
        ({}, "<think>London? No.</think>\nParis", "Paris", "passed"),
        ({"keep_thinking": True}, "<think>London? No.</think>\nParis", "Paris", "failed"),
        ({}, "<think>Paris, but I am cut", "Paris", "unreadable"),
    ],
)
def test_exact(options: dict[str, object], reply: str, target: str, want: str) -> None:
    assert word(judged({"type": "exact", **options}, trial(reply, target))) == want


@pytest.mark.parametrize(
    ("options", "reply", "target", "want"),
    [
        ({}, "It is Paris, of course.", "Paris", "passed"),
        ({}, "It is paris.", "Paris", "failed"),
        ({"ignore_case": True}, "It is paris.", "Paris", "passed"),
        ({}, "135", "35", "passed"),
        ({"whole_words": True}, "135", "35", "failed"),
        ({"whole_words": True}, "1 35.", "35", "passed"),
        ({}, "red, blue", ("red", "green"), "passed"),
        ({"need": "all"}, "red, blue", ("red", "green"), "failed"),
        ({"need": "all"}, "red, green", ("red", "green"), "passed"),
    ],
)
def test_includes(options: dict[str, object], reply: str, target: str, want: str) -> None:
    assert word(judged({"type": "includes", **options}, trial(reply, target))) == want


@pytest.mark.parametrize(
    ("options", "reply", "target", "want"),
    [
        ({"pattern": r"= (\d+)"}, "x = 3, y = 4", "4", "passed"),
        ({"pattern": r"= (\d+)", "pick": "first"}, "x = 3, y = 4", "3", "passed"),
        ({"pattern": r"= (\d+)"}, "nothing", "4", "unreadable"),
        ({"pattern": r"(?P<a>\w+) (?P<b>\w+)", "group": "b"}, "one two", "two", "passed"),
        ({"pattern": r"\d+"}, "12", "12", "passed"),
        ({"pattern": "PARIS", "compare": "presence", "ignore_case": True}, "in Paris", "", "passed"),
        ({"pattern": "x", "compare": "presence"}, "y", "", "failed"),
        ({}, "The year 1984", r"\b19\d\d\b", "passed"),
        ({}, "The year 2084", r"\b19\d\d\b", "failed"),
    ],
)
def test_regex(options: dict[str, object], reply: str, target: str, want: str) -> None:
    assert word(judged({"type": "regex", **options}, trial(reply, target))) == want


def test_a_letter_target_follows_its_option_when_choices_are_shuffled() -> None:
    item = trial("B", "A", choices=("x", "y"), order=(1, 0))
    assert word(judged("exact", item)) == "passed"
    assert word(judged("exact", trial("A", "A", choices=("x", "y"), order=(1, 0)))) == "failed"


def test_versions_change_with_options_only() -> None:
    from steelyard.scorers import build

    plain, same, other = build("exact"), build({"type": "exact"}), build({"type": "exact", "nfkc": True})
    assert plain.version == same.version != other.version
    assert plain.version.startswith("1+")
