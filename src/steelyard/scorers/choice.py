"""Which option the reply chose: by letter, by its text, or by number, under the letters that were shown.

Order of reading: the whole reply; then what follows the last marker ("the answer is", "\\boxed{"); then a bold or
bracketed letter; then a reply that begins or ends with a letter; then the only option whose text occurs. Two answers
at one place, or a letter with another option's text, are ambiguous, which is a format failure and no wrong answer.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from steelyard.schema.score import Score
from steelyard.scorers.base import Item
from steelyard.scorers.common import Options, TextScorer, failed, passed, truncated, unreadable
from steelyard.scorers.outcomes import Kind
from steelyard.tasks.choices import LETTERS, right_index

_MARKER = re.compile(
    r"\\boxed\s*\{|####|\b(?:(?:correct|right|best|final|my)\s+)?(?:answer|option|choice)\s*"
    r"(?:is|would be|should be|:|=|-)\s*"
    r"(?:option|choice|letter)?\s*:?|\banswer\"?\s*[:=]|\bit(?:'s| is)\b"
    r"|\bi(?:'d|\s+would)?\s+(?:choose|pick|select|go with)\s+(?:option|choice)?"
    r"|(?m:^\s*A:\s)|<answer>",
    re.IGNORECASE,
)
_LETTER = (
    r"[(\[*`\"'{$ ]{0,6}(?:\\text\{|\\mathrm\{|\\textbf\{|\\mathbf\{)?[(\[*]{0,3}([A-Za-z])[)\]}*`\"'$]{0,6}"
)
_HEAD = re.compile(rf"\s{{0,20}}{_LETTER}(?=$|[\s.,:;)\-–—/&!?<])")
_ALSO = re.compile(rf"[\s,]{{0,4}}(?:or|and|and/or|/|&|,)\s{{1,4}}{_LETTER}(?=$|[\s.,:;)!?])")
_LABELLED = re.compile(rf"\s{{0,20}}{_LETTER}\s{{0,3}}[.):\-–—]{{1,2}}\s{{1,20}}(\S[^\n]{{0,500}})")
_REASONED = re.compile(rf"{_LETTER}\s{{0,3}}[.,;:]?\s{{1,4}}(?:because|since|as|due to)\b")
_PLAIN = {
    **{first + i: chr(97 + i) for first in (0xFF41, 0x24D0) for i in range(26)},
    **{first + i: chr(65 + i) for first in (0xFF21, 0x24B6) for i in range(26)},
    **{0xFF10 + i: chr(48 + i) for i in range(10)},
}
"""Full-width letters and digits, letters in circles."""
_STRONG = re.compile(r"\*\*\s{0,3}\(?([A-Z])\)?[.:]?\s{0,3}\*\*|(?<![\w(])\(([A-Z])\)(?!\w)")
_NUMBER = re.compile(
    r"\s{0,20}(?:option|choice|number|no\.|#)?\s{0,3}[(\[*]{0,3}([0-9]{1,2})[)\]*]{0,3}\s{0,3}[.]?\s{0,20}",
    re.IGNORECASE,
)
_AMBIGUOUS = -2
_NOTHING = -1


class ChoiceOptions(Options, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """No option of its own: letters, texts and numbers of options are all understood."""


class Choice(TextScorer):
    """Passes when the option that the reply chose is the right one, whatever letter it was shown under."""

    code: ClassVar[int] = 2
    kind: ClassVar[Kind] = "extract"

    def __init__(self, options: ChoiceOptions, base_dir: Path | None = None) -> None:
        super().__init__(options, base_dir)

    def read(self, text: str, item: Item) -> Score:
        """Find the chosen option and map it back to the author's order."""
        choices = item.task.choices
        if not choices:
            return failed(explanation="the task has no choices")
        order = item.order or tuple(range(len(choices)))
        shown = [choices[i] for i in order]
        at = chosen(text, shown, cut=truncated(item.reply))
        if at == _AMBIGUOUS:
            return unreadable("more than one option named")
        if at == _NOTHING:
            return unreadable("no option named")
        right = right_index(item.task)
        return passed(LETTERS[at]) if order[at] == right else failed(LETTERS[at])

    def check(self, item: Item) -> str:
        """The task needs choices and a target among them."""
        if not item.task.choices:
            return "no choices"
        wrong = super().check(item)
        return wrong or ("" if right_index(item.task) is not None else "the target is not among the choices")


def chosen(text: str, shown: list[str], *, cut: bool = False) -> int:
    """The index of the shown option that the reply chose; -1 for none, -2 for more than one.

    `cut`: the reply was truncated, so only a whole or a marked answer is read.
    """
    text = text.translate(_PLAIN)
    shown = [s.translate(_PLAIN) for s in shown]
    folded = [_fold(s) for s in shown]
    bare = text.strip()
    found = _named(bare, shown, folded, whole=True)
    if found != _NOTHING:
        return found
    marks = list(_MARKER.finditer(text))
    for mark in reversed(marks):
        found = _named(text[mark.end() :].split("\n\n", maxsplit=1)[0], shown, folded, whole=False)
        if found != _NOTHING:
            return found
    if cut:
        return _NOTHING
    strong = {LETTERS.index(a or b) for a, b in _STRONG.findall(text) if (a or b) in LETTERS[: len(shown)]}
    if len(strong) == 1:
        return strong.pop()
    for part in (bare, bare.rsplit("\n", 1)[-1]):
        label = _LABELLED.match(part)
        at = _letter(label.group(1), len(shown), lower=False) if label else _NOTHING
        if label and at != _NOTHING:
            return _agreed(at, label.group(2), folded)
    for line in (bare.rsplit("\n", 1)[-1], bare.split("\n", 1)[0]):
        found = _named(line, shown, folded, whole=True)
        if found != _NOTHING:
            return found
    if len(strong) > 1:
        return _AMBIGUOUS
    reasoned = _REASONED.match(bare)
    if reasoned and (at := _letter(reasoned.group(1), len(shown), lower=False)) != _NOTHING:
        return at
    return _mentioned(_fold(text), folded)


def _named(text: str, shown: list[str], folded: list[str], *, whole: bool) -> int:
    """The option named at the beginning of `text` (`whole`: `text` is nothing else)."""
    answer = _fold(text.split("\n", 1)[0] if not whole else text)
    if not answer:
        return _NOTHING
    head = _HEAD.match(text)
    if head:
        rest = text[head.end() :]
        alone = not rest.split("\n", 1)[0].strip(" .)]}*:$\"'\t")
        at = _letter(head.group(1), len(shown), lower=whole or alone)
        also = _ALSO.match(rest) if at != _NOTHING else None
        if also and _letter(also.group(1), len(shown), lower=False) not in (_NOTHING, at):
            return _AMBIGUOUS
        if at != _NOTHING and whole and rest.strip(" .)]}*:$\"'\t\n"):
            label = _LABELLED.match(text)
            same = label is not None and _fold(label.group(2)) == folded[at]
            at = at if same else _NOTHING
        if at != _NOTHING:
            article = head.group(1) in "AI" and re.match(r" [a-z]", rest) is not None
            if not article:
                return _agreed(at, rest.lstrip(" .):-–—"), folded)
    if answer in folded:
        return folded.index(answer)
    number = _NUMBER.fullmatch(text.split("\n", 1)[0])
    if number and not any(f[:1].isdigit() for f in folded):
        at = int(number.group(1)) - 1
        return at if 0 <= at < len(shown) else _NOTHING
    if whole:
        return _NOTHING
    return _mentioned(answer, folded)


def _letter(letter: str, n: int, *, lower: bool) -> int:
    if not lower and not letter.isupper():
        return _NOTHING
    at = LETTERS.find(letter.upper())
    return at if at < n else _NOTHING


def _agreed(at: int, rest: str, folded: list[str]) -> int:
    """`at`, unless the text beside the letter is that of another option."""
    beside = _fold(rest.split("\n", 1)[0])
    return _AMBIGUOUS if beside in folded and folded.index(beside) != at else at


def _mentioned(answer: str, folded: list[str]) -> int:
    """The only option whose text occurs; longer options are looked for first and hide the shorter inside them."""
    found = []
    left = f" {answer} "
    for i in sorted(range(len(folded)), key=lambda k: -len(folded[k])):
        option = f" {folded[i]} "
        if len(option) > 2 and option in left:
            found.append(i)
            left = left.replace(option, " \0 ")
    if len(found) == 1:
        return found[0]
    return _AMBIGUOUS if found else _NOTHING


_EDGES = re.compile(r"[^\w\s.%$€£+\-/°]+|(?<!\w)[.]+|[.]+(?!\w)")


def _fold(text: str) -> str:
    return " ".join(_EDGES.sub(" ", text).casefold().split())
