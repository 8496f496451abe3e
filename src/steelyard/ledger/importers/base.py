"""What every importer yields, and what they share: opening files, reading JSON defensively, times, money, outcomes."""

from __future__ import annotations

import gzip
import io
import json
import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from steelyard.errors import DataError
from steelyard.schema.price import PUSD
from steelyard.schema.reply import Reply, Usage
from steelyard.schema.score import Outcome, Score, ungraded
from steelyard.schema.task import Task
from steelyard.schema.trace import Trace

MOST_BYTES = 4 << 30
"""Of a file or a member of an archive, unpacked: a bomb must not fill the memory."""

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How to read files. Empty means: as the file says.

    `format` forces a format, `contestant` and `suite` name what the file does not, `name` names the run (or the chain
    of votes), `fields` maps a role (task, input, target, output, contestant, score, ...) to a column of a plain table.
    """

    format: str = ""
    contestant: str = ""
    suite: str = ""
    name: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrialIn:
    """One trial made elsewhere. `scores` are (scorer, score), the one that counts first; none: not judged yet.

    `k` None: repeats are numbered as they come. `where` names file, line or member, for messages.
    """

    contestant: str
    suite: str
    task: Task
    k: int | None = None
    reply: Reply | None = None
    trace: Trace | None = None
    scores: tuple[tuple[str, Score], ...] = ()
    ended_by: str = "contestant"
    fault: str = ""
    detail: str = ""
    cost_pusd: int | None = None
    at: int = 0
    model: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """What came in: a run, or (`votes`) a chain. `notes` are sentences for people."""

    run: str
    votes: str
    format: str
    contestants: tuple[str, ...]
    n_tasks: int
    n_trials: int
    n_scored: int
    notes: tuple[str, ...] = ()


class Reader(Protocol):
    """Reads one file of one format; called twice (to count, then to keep), so it must yield the same each time."""

    def __call__(self, path: Path, options: ImportOptions) -> Iterator[TrialIn]:
        """Trials in the file's order. Raises DataError naming file and line or path."""
        ...


def open_plain(path: Path) -> BinaryIO:
    """The file's bytes as a stream, unpacked when it is gzip. Raises DataError."""
    try:
        stream = path.open("rb")
    except OSError as e:
        raise DataError("the file cannot be read", where=str(path), got=e.strerror or str(e)) from e
    if stream.read(2) == b"\x1f\x8b":
        stream.close()
        return gzip.open(path, "rb")  # type: ignore[return-value] # a GzipFile reads as a BinaryIO does
    stream.seek(0)
    return stream


def read_all(path: Path) -> bytes:
    """The whole content, unpacked."""
    try:
        with open_plain(path) as stream:
            content = stream.read(MOST_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as e:
        raise DataError("the file is cut or not gzip", where=str(path), got=str(e)) from e
    if len(content) > MOST_BYTES:
        raise DataError("the file is too large", where=str(path), wanted=f"up to {MOST_BYTES} bytes unpacked")
    return content


def parse_json(content: bytes | str, where: str) -> object:
    """JSON as other tools write it: NaN and Infinity are read too. Raises DataError naming `where`."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as e:
            raise DataError("broken JSON", where=where, got=str(e), fix="is the file cut?") from e


def json_lines(path: Path) -> Iterator[tuple[str, Json]]:
    """("file:line", object) of every line that is not blank."""
    try:
        with open_plain(path) as raw, io.BufferedReader(raw) as stream:  # type: ignore[type-var] # reads alike
            for number, line in enumerate(stream, 1):
                where = f"{path}:{number}"
                if line.strip():
                    value = parse_json(line.removeprefix(b"\xef\xbb\xbf"), where)
                    if not isinstance(value, dict):
                        raise DataError(
                            "not an object", where=where, wanted="{...}", got=type(value).__name__
                        )
                    yield where, value
    except (EOFError, zlib.error, gzip.BadGzipFile) as e:
        raise DataError("the file is cut or not gzip", where=str(path), got=str(e)) from e


def an_object(value: object) -> Json:
    """The object, or an empty one when it is none: for reading defensively."""
    return value if isinstance(value, dict) else {}


def a_list(value: object) -> list[object]:
    """The list, or an empty one when it is none."""
    return value if isinstance(value, list) else []


def a_text(value: object) -> str:
    """A text as it is, nothing as "", anything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def a_count(value: object) -> int | None:
    """A whole number from 0, else None (not reported)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if 0 <= value < 1 << 62 else None


def number(value: object) -> float | None:
    """A finite number (a bool too, as 0 or 1), else None."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def nanoseconds(seconds: object) -> int | None:
    """Seconds as nanoseconds, None when it is no number from 0."""
    value = None if isinstance(seconds, bool) else number(seconds)
    return None if value is None or not 0 <= value < 1e9 else round(value * 1e9)


def picodollars(dollars: object) -> int | None:
    """Dollars as picodollars, None when not known."""
    value = None if isinstance(dollars, bool) else number(dollars)
    return None if value is None or not 0 <= value < 9_000 else round(value * PUSD)


def unix_ns(stamp: object) -> int:
    """An ISO time (or Unix seconds) as Unix nanoseconds, 0 when it is none. Without a zone it is taken as UTC."""
    if isinstance(stamp, int | float) and not isinstance(stamp, bool) and 0 < stamp < 1e11:
        return round(stamp * 1e9)
    if not isinstance(stamp, str):
        return 0
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError:
        return 0
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1e6) * 1000


_GRADES = {
    "c": 1.0, "i": 0.0, "p": 0.5, "correct": 1.0, "incorrect": 0.0, "true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0,
    "pass": 1.0, "fail": 0.0, "passed": 1.0, "failed": 0.0,
}  # fmt: skip


def score_of(value: object, extracted: str = "", explanation: str = "") -> Score:
    """Another tool's value as a Score: 1 passed, 0 failed, between partial; what is no number in [0, 1] is ungraded.

    `C`, `I`, `P` and `N` (no answer: an abstention) are Inspect's letters. A value off the scale is kept in `parts`.
    """
    made = _value(value)
    return msgspec.structs.replace(
        made, extracted=extracted or made.extracted, explanation=explanation or made.explanation
    )


def _value(value: object) -> Score:
    if isinstance(value, str):
        word = value.strip().lower()
        if word == "n":
            return Score(Outcome.ABSTAINED, 0.0)
        try:
            return _value(_GRADES[word] if word in _GRADES else float(word))
        except ValueError:
            return Score(Outcome.UNGRADED, None, cause="not_a_number", extracted=value)
    if isinstance(value, dict):
        parts = {str(k): v for k, raw in value.items() if (v := number(raw)) is not None}
        return Score(Outcome.UNGRADED, None, cause="several_values", parts=parts)
    amount = number(value)
    if amount is None:
        return ungraded("unscored")
    if not 0.0 <= amount <= 1.0:
        return Score(Outcome.UNGRADED, None, cause="off_the_scale", parts={"value": amount})
    if amount in (0.0, 1.0):
        return Score(Outcome.PASSED if amount else Outcome.FAILED, amount)
    return Score(Outcome.PARTIAL, amount)


def sum_usage(usages: Iterator[Usage] | list[Usage]) -> Usage | None:
    """The sum of what calls reported; a count is None when any call left it out; None for no call."""
    listed = list(usages)
    if not listed:
        return None

    def total(name: str) -> int | None:
        values = [getattr(u, name) for u in listed]
        return None if None in values else sum(values)

    return Usage(*(total(name) for name in Usage.__struct_fields__))
