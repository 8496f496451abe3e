"""Answers made elsewhere, looked up by task and repeat: measured without running anything.

Reads JSONL and CSV, each also `.gz`. `fields` maps `id`, `trial`, `text`, `input_tokens`, `output_tokens`, `cost`
(dollars), `seconds` to columns; a dot goes into nested objects (`model_a.solution`); several columns for `id` are
joined with ":", as in a suite. `where` keeps only the rows that hold these values. `ids: row` numbers the rows that
are kept from 1, as a suite without ids does: for a file that holds the tasks, too. Only where each row begins is kept
in memory. Repeats count from 0, or from 1 when no row says 0. An answer that is an image or a sound is `{"type":
"audio", "path": FILE}`, beside the recording. A task without a row is not a wrong answer: it is parked as ungraded
(`not_recorded`).
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import tempfile
import zlib
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from steelyard.contestants.base import Answer, Ask
from steelyard.contestants.figures import count_of, number_of, pusd_of, writable
from steelyard.errors import DataError, EndedBy, Fault
from steelyard.schema.canon import canonical
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.message import Message, text_of
from steelyard.schema.reply import Reply, Timing, Usage
from steelyard.schema.trace import Said, Trace

GUESSES: Mapping[str, tuple[str, ...]] = {
    "id": ("task_id", "id", "task", "doc_id", "name"),
    "trial": ("trial", "epoch", "repeat", "k"),
    "text": ("output", "answer", "response", "completion", "text", "prediction", "solution"),
    "input_tokens": ("input_tokens", "prompt_tokens"),
    "output_tokens": ("output_tokens", "completion_tokens"),
    "cost": ("cost", "cost_usd"),
    "seconds": ("seconds", "latency_s", "latency"),
}
"""What a field is called when the plan does not say; the first that the first row has."""
MOST_SECONDS = 1e6
LONGEST_CELL = 1 << 30
"""Characters of a CSV cell: an answer may be long; the csv module's own bound is 131,072."""


def dig(row: object, path: str) -> object:
    """The value at a dotted path; None when any part is missing. A column whose own name has dots wins."""
    if isinstance(row, dict) and path in row:
        return row[path]
    for part in path.split("."):
        if isinstance(row, dict):
            row = row.get(part)
        elif isinstance(row, list) and part.lstrip("-").isdigit() and -len(row) <= int(part) < len(row):
            row = row[int(part)]
        else:
            return None
    return row


def _shown(value: object) -> str:
    """A value as a plan file would write it."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _copied(source: IO[bytes] | gzip.GzipFile) -> IO[bytes]:
    """The same bytes in an unnamed temporary file, at its beginning."""
    copy = tempfile.TemporaryFile(prefix="steelyard-")  # noqa: SIM115 - the recording owns it
    try:
        shutil.copyfileobj(source, copy, 1 << 20)
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return copy


class Recording:
    """Rows of a file by (task id, trial)."""

    def __init__(self, spec: ContestantSpec) -> None:
        self.spec = spec
        self._path = Path(str(spec.config.get("path", "")))
        raw = spec.config.get("fields")
        mapped = dict(raw) if isinstance(raw, dict) else {}
        several = mapped.pop("id", None) if isinstance(mapped.get("id"), list | tuple) else None
        self._id_columns = tuple(map(str, several)) if isinstance(several, list | tuple) else ()
        self._fields = {str(k): str(v) for k, v in mapped.items()}
        where = spec.config.get("where")
        self._where = {str(k): str(v) for k, v in where.items()} if isinstance(where, dict) else {}
        self._by_row = spec.config.get("ids") == "row"
        unknown = sorted(set(self._fields) - set(GUESSES))
        if unknown:
            raise DataError(
                f"recording of `{spec.name}`: unknown field {unknown[0]!r}",
                wanted=", ".join(GUESSES),
                got=unknown[0],
            )
        self._rows: dict[str, array[int]] = {}
        self._trials: dict[str, array[int]] = {}
        self._file: IO[bytes] | None = None
        self._columns: list[str] = []
        self._base = 0

    async def open(self) -> None:
        """Read the file once and remember where rows begin. Raises DataError naming file and line."""
        self._file = self._opened()
        try:
            self._note(self._file)
        except BaseException:
            self._file.close()
            raise

    def _note(self, file: IO[bytes]) -> None:
        number = 0
        for line, offset, row in self._scan(file):
            if not self._columns:
                self._guess(row)
            if any(_shown(dig(row, column)) != value for column, value in self._where.items()):
                continue
            number += 1
            name = str(number) if self._by_row else self._id(row, line)
            trial = dig(row, self._fields["trial"]) if "trial" in self._fields else None
            self._rows.setdefault(name, array("Q")).append(offset)
            self._trials.setdefault(name, array("q")).append(_repeat(trial))
        numbers = [k for trials in self._trials.values() for k in trials if k >= 0]
        self._base = 1 if numbers and min(numbers) == 1 else 0
        if not self._rows:
            raise DataError(
                "an empty recording" if not self._columns else "no row is left after `where`",
                where=str(self._path),
                wanted=", ".join(f"{k} = {v}" for k, v in self._where.items()) or "one row an answer",
                got=f"columns {', '.join(self._columns)}"[:200] if self._columns else "no rows",
            )

    def _opened(self) -> IO[bytes]:
        """The rows as JSON lines: the file itself, or an unnamed temporary copy of one that is packed or CSV."""
        try:
            file: IO[bytes] = self._path.open("rb")
            if self._path.suffix == ".gz":
                with file, gzip.GzipFile(fileobj=file) as packed:
                    file = _copied(packed)
        except (gzip.BadGzipFile, EOFError, zlib.error) as e:
            raise DataError("not a whole gzip file", where=str(self._path), got=str(e)) from None
        except OSError as e:
            raise DataError(
                f"recording of `{self.spec.name}` cannot be read",
                where=str(self._path),
                got=e.strerror or str(e),
            ) from None
        if ".csv" not in self._path.suffixes:
            return file
        usual = csv.field_size_limit(LONGEST_CELL)
        with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text, strict=True)
            try:
                return _copied(io.BytesIO(b"\n".join(json.dumps(r).encode() for r in reader)))
            except (csv.Error, UnicodeDecodeError) as e:
                where = f"{self._path}:{reader.line_num + 1}"
                raise DataError("not CSV in UTF-8", where=where, got=str(e)) from None
            finally:
                csv.field_size_limit(usual)

    def _scan(self, file: IO[bytes]) -> Iterator[tuple[int, int, object]]:
        """(line, where it begins, row) of every line that is not blank."""
        offset = 0
        for number, line in enumerate(file, 1):
            here, offset = offset, offset + len(line)
            if not line.strip():
                continue
            try:
                yield number, here, json.loads(line)
            except ValueError as e:
                raise DataError("not a JSON object", where=f"{self._path}:{number}", got=str(e)) from None

    def _id(self, row: object, line: int) -> str:
        columns = self._id_columns or (self._fields["id"],)
        values = [dig(row, column) for column in columns]
        for column, value in zip(columns, values, strict=True):
            if value is None or value == "":
                raise DataError(
                    f"no `{column}` in a row",
                    where=f"{self._path}:{line}",
                    wanted="the id of the task that the answer belongs to",
                    fix="map it: fields: {id: COLUMN}",
                )
        return ":".join(map(_shown, values))

    def _guess(self, row: object) -> None:
        self._columns = list(row) if isinstance(row, dict) else []
        for field, names in GUESSES.items():
            if field not in self._fields:
                found = next((n for n in names if n in self._columns), None)
                if found is not None:
                    self._fields[field] = found
        for need in ("text",) if self._by_row or self._id_columns else ("id", "text"):
            if need not in self._fields:
                raise DataError(
                    f"no column for `{need}`",
                    where=f"{self._path}:1",
                    wanted=f"one of {', '.join(GUESSES[need])}, or a mapping",
                    got=", ".join(self._columns)[:200],
                    fix=f"fields: {{{need}: COLUMN}}",
                )

    def _find(self, ask: Ask) -> int | None:
        offsets, trials = self._rows.get(ask.task_id), self._trials.get(ask.task_id)
        if offsets is None or trials is None:
            return None
        if ask.trial + self._base in trials:
            return offsets[trials.index(ask.trial + self._base)]
        unnumbered = [o for o, k in zip(offsets, trials, strict=True) if k < 0]
        return unnumbered[ask.trial] if ask.trial < len(unnumbered) else None

    async def answer(self, ask: Ask) -> Answer:
        """The recorded answer. Raises Fault(`not_recorded`) when there is none for this task and repeat."""
        offset = self._find(ask)
        if offset is None or self._file is None:
            raise Fault(
                f"no recorded answer for task {ask.task_id!r}, trial {ask.trial}",
                ended_by=EndedBy.OPERATOR,
                kind="not_recorded",
                paid=False,
            )
        self._file.seek(offset)
        row: object = json.loads(self._file.readline())
        text = dig(row, self._fields["text"])
        if text is None:
            raise Fault(
                "the recorded answer is empty", ended_by=EndedBy.OPERATOR, kind="not_recorded", paid=False
            )
        # lazy: importers bring NumPy, which no run needs before its first request
        from steelyard.ledger.importers.media import parts_of

        parts = parts_of(text, self._path.parent, f"the recorded answer to {ask.task_id!r}")
        said = Message("assistant", parts) if parts else None
        seconds = number_of(self._at(row, "seconds"))
        if seconds is not None and seconds > MOST_SECONDS:
            seconds = None
        reply = Reply(
            text=text_of(said) if said is not None else text if isinstance(text, str) else json.dumps(text),
            usage=Usage(count_of(self._at(row, "input_tokens")), count_of(self._at(row, "output_tokens"))),
            timing=None if seconds is None else Timing(int(seconds * 1e9), int(seconds * 1e9)),
            model=self.spec.model,
        )
        # an image or a sound is too large for the trial's row: it is kept with its trace
        events = (*map(Said, ask.messages), Said(said)) if said is not None else ()
        trace = canonical(Trace(events, source="recording")) if events else b""
        return Answer(writable(reply), trace=trace, cost_pusd=pusd_of(self._at(row, "cost")))

    def _at(self, row: object, field: str) -> object:
        return dig(row, self._fields[field]) if field in self._fields else None

    async def aclose(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _repeat(value: object) -> int:
    """The number of a repeat; -1 when the row has none."""
    text = "" if value is None else str(value).strip().removesuffix(".0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def make(spec: ContestantSpec, environ: Mapping[str, str]) -> Recording:
    """For the table of kinds."""
    return Recording(spec)
