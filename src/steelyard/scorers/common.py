"""What the scorers share: options and versions, the text that is judged, targets as shown, folding of texts."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, TypeVar

import msgspec
from msgspec import Struct

from steelyard.errors import PlanError
from steelyard.schema.canon import content_hash
from steelyard.schema.reply import Reply
from steelyard.schema.score import FAILED, PASSED, Outcome, Score
from steelyard.scorers.abstain import abstains
from steelyard.scorers.base import Item
from steelyard.scorers.outcomes import Kind, Situation, before, score_of
from steelyard.tasks.choices import LETTERS, index_of

SHOWN = 200
"""Most characters of an extracted answer that a score keeps."""
O = TypeVar("O", bound="Options")  # noqa: E741 - the options of a scorer


class Options(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Options of every scorer. `abstain` False looks for no abstention; texts are phrases besides the usual ones.

    `keep_thinking` judges also what stands before a closing `</think>`.
    """

    type: str
    abstain: bool | tuple[str, ...] = True
    abstain_value: float = 0.0
    keep_thinking: bool = False


class Folding(Options, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """How texts are made alike before they are compared. Outer white space and Unicode composition never count."""

    ignore_case: bool = False
    ignore_punctuation: bool = False
    collapse_whitespace: bool = False
    nfkc: bool = False


def read_options(spec: Mapping[str, object], options: type[O], where: str) -> O:
    """The options in a spec. Raises PlanError that names the option, what was wanted and what was found."""
    known = options.__struct_fields__
    for key in spec:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            raise PlanError(
                f"unknown option `{key}` of the scorer {spec.get('type')}",
                where=where,
                wanted="one of " + ", ".join(k for k in known if k != "type"),
                got=key,
                fix=f"did you mean `{near[0]}`?" if near else "remove it",
            )
    try:
        found = msgspec.convert(dict(spec), options)
    except msgspec.ValidationError as e:
        raise PlanError(
            f"an option of the scorer {spec.get('type')} is wrong", where=where, got=str(e)
        ) from None
    if not 0 <= found.abstain_value <= 1:
        raise PlanError(
            "a value out of range",
            where=f"{where}.abstain_value",
            wanted="0 to 1",
            got=str(found.abstain_value),
        )
    return found


def version_of(code: int, spec: object) -> str:
    """`code+hash`: changes when the scorer's code changes its mind, or its options do."""
    return f"{code}+{content_hash(spec)[:12]}"


class TextScorer:
    """A scorer that reads the reply's text. A subclass gives `read`; refusal, silence and abstention are done here.

    `spec` and `base_dir` rebuild the same scorer in another process.
    """

    name: str = ""
    code: ClassVar[int] = 1
    kind: ClassVar[Kind] = "match"
    needs_target: bool = True
    linear: bool = True

    def __init__(self, options: Options, base_dir: Path | None = None) -> None:
        self.name = options.type
        self.spec: dict[str, object] = msgspec.to_builtins(options)
        self.base_dir = base_dir
        self.version = version_of(self.code, self.spec)
        self._common = options
        self._phrases = options.abstain if isinstance(options.abstain, tuple) else ()

    def read(self, text: str, item: Item) -> Score:
        """The score of a text that is not empty. Abstention is looked for only when it did not pass."""
        raise TypeError(f"{type(self).__name__} gives no `read`")

    def check(self, item: Item) -> str:
        """What is wrong with a task for this scorer, "" when nothing: asked once before a run (reply is empty)."""
        return "no target" if self.needs_target and not item.task.target else ""

    def score(self, item: Item) -> Score:
        """The judgement of one trial."""
        done = before(item, self.kind)
        if done is not None:
            return done
        text = item.reply.text
        if "<think" in text or "</think>" in text:
            text = text if self._common.keep_thinking else without_thinking(text)
            if not text.strip():
                return score_of(Situation.EMPTY, self.kind) or FAILED
        if self.needs_target and not item.task.target:
            return score_of(Situation.NO_TARGET, self.kind) or FAILED
        score = self.read(text, item)
        if (
            score.outcome is Outcome.FAILED
            and self._common.abstain is not False
            and abstains(text, self._phrases)
        ):
            return Score(Outcome.ABSTAINED, self._common.abstain_value, extracted=score.extracted)
        return score


def without_thinking(text: str) -> str:
    """What stands after the last `</think>`; nothing when a `<think>` was never closed."""
    _, closed, tail = text.rpartition("</think>")
    rest = tail if closed else text
    return rest if "<think" not in rest else rest[: rest.index("<think")]


def truncated(reply: Reply) -> bool:
    """True when the reply was cut at its length limit."""
    return reply.finish == "length"


def targets(item: Item) -> tuple[str, ...]:
    """The texts that are right. A target that is a choice's letter in the author's order becomes the letter shown."""
    target = item.task.target
    if item.order and item.task.choices and isinstance(target, str) and target not in item.task.choices:
        right = index_of(target, item.task.choices)
        if right is not None and right in item.order:
            shown = LETTERS[item.order.index(right)]
            bare = target.strip("().").upper()
            return (target.upper().replace(bare, shown, 1),)
    return (target,) if isinstance(target, str) else target


def passed(extracted: str = "") -> Score:
    """Passed, with the answer as it was read."""
    return Score(Outcome.PASSED, 1.0, extracted=extracted[:SHOWN]) if extracted else PASSED


def failed(extracted: str = "", explanation: str = "") -> Score:
    """A wrong answer."""
    return Score(Outcome.FAILED, 0.0, extracted=extracted[:SHOWN], explanation=explanation)


def of_value(
    value: float, *, extracted: str = "", explanation: str = "", parts: dict[str, float] | None = None
) -> Score:
    """The score of a value in [0, 1]: passed at 1, failed at 0, partial between."""
    outcome = Outcome.PASSED if value >= 1 else Outcome.FAILED if value <= 0 else Outcome.PARTIAL
    return Score(outcome, value, extracted=extracted[:SHOWN], explanation=explanation, parts=parts or {})


def unreadable(explanation: str) -> Score:
    """No answer in the form that was asked for: reported apart from a wrong one."""
    return Score(Outcome.FAILED, 0.0, format_failure=True, explanation=explanation)


_PUNCTUATION = re.compile(r"[^\w\s]|_")
_INSIDE_NUMBER = re.compile(r"(?<=\d)[.,:/](?=\d)|[-−](?=\d)")


def fold(text: str, o: Folding) -> str:
    """The text as it is compared."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC" if o.nfkc else "NFC", text)
    if o.ignore_case:
        text = text.casefold()
    if o.ignore_punctuation:
        text = without_punctuation(text) or text
    if o.collapse_whitespace or o.ignore_punctuation:
        return " ".join(text.split())
    return text.strip()


def without_punctuation(text: str) -> str:
    """The text without punctuation, except inside numbers: "3.5" and "-2" keep their meaning."""

    def drop(match: re.Match[str]) -> str:
        if _INSIDE_NUMBER.match(text, match.start()):
            return match.group(0)
        return " " if unicodedata.category(match.group(0))[0] == "P" else match.group(0)

    return _PUNCTUATION.sub(drop, text).strip()


def after_marker(text: str, markers: tuple[str, ...]) -> str | None:
    """What follows the last of the markers in the text; None when none is there. Case counts."""
    at = -1
    for marker in markers:
        found = text.rfind(marker)
        if found >= 0:
            at = max(at, found + len(marker))
    return None if at < 0 else text[at:]
