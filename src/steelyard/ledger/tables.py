"""Tables of results and votes from files, as columns that `decide` and `stats` take.

Does not judge and guesses no meaning beyond column names (`decide.columns`). Reads CSV, TSV, JSON lines,
JSON (a list of objects), each also gzipped, and Parquet (with the `parquet` extra). Text is UTF-8, with or
without a mark. Refusals name the file and, where there are lines, the lines.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from steelyard.decide.cells import Column
from steelyard.decide.columns import ALIASES, DEFAULT, Reading, from_columns
from steelyard.decide.results import Results
from steelyard.errors import DataError, RowsError

if TYPE_CHECKING:
    import pyarrow as pa

MOST_BYTES = 2_000_000_000
"""Of a file, unpacked: a gzipped bomb must not fill the memory."""

INDEX = "\0index"
"""The name that a first column without a name gets: data frames write their row numbers so."""

_FORMATS = {
    ".csv": "csv", ".tsv": "tsv", ".txt": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length.

    `lines[row]` is where a row begins in the file, None for formats without lines. `shape` says what was read;
    `spare` are columns that are left out unless asked for; `notes` are to be shown.
    """

    columns: Mapping[str, Column]
    source: str
    lines: Sequence[int] | None = None
    shape: str = "table"
    spare: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many."""
        return len(next(iter(self.columns.values()))) if self.columns else 0


def read_table(path: Path) -> Table:
    """The table in a file, by its name's ending. Raises DataError for what cannot be read, with the line."""
    form = _form(path)
    if not form:
        known = ", ".join(_FORMATS)
        raise DataError(
            "not a table", where=str(path), wanted=f"a file named {known} (.gz too)", got=path.name
        )
    if not path.is_file():
        raise DataError("no such file", where=str(path))
    if form == "parquet":
        return _parquet(path)
    text = file_text(path)
    if not text.strip():
        raise DataError(
            "the file is empty",
            where=str(path),
            wanted="a header and at least one row",
            fix="export it again",
        )
    if form in ("csv", "tsv"):
        return _csv(text, str(path), "\t" if form == "tsv" else None)
    return _jsonl(text, str(path)) if form == "jsonl" else _json(text, str(path))


def is_table_name(path: Path) -> bool:
    """Whether the name has an ending that `read_table` knows."""
    return bool(_form(path))


def is_file_name(path: Path) -> bool:
    """Whether this names a file rather than a run: by its ending, or because it is there."""
    return bool(_form(path)) or path.suffix in (".eval", ".traj") or path.is_file()


def _form(path: Path) -> str:
    endings = [s.lower() for s in path.suffixes if s.lower() != ".gz"]
    return _FORMATS.get(endings[-1], "") if endings else ""


def results_of_table(table: Table, reading: Reading = DEFAULT) -> Results:
    """Check a table of results; bad rows are named by their lines."""
    used = {*reading.rename.values(), *reading.conditions, *reading.wide}
    ignore = (*reading.ignore, *(c for c in table.spare if c not in used))
    try:
        found = from_columns(table.columns, replace(reading, ignore=ignore), source=table.source)
    except RowsError as e:
        raise located(e, table) from e
    return replace(found, notes=(*table.notes, *found.notes))


def joined(tables: Sequence[Table]) -> Table:
    """Several tables as one, below each other; where one has no contestant, its file's name is it."""
    if len(tables) == 1:
        return tables[0]
    names = dict.fromkeys(name for t in tables for name in t.columns)
    columns: dict[str, list[object]] = {str(n): [] for n in names}
    anonymous = [
        not (is_votes(t) or any(r in t.columns for r in ("contestant", *ALIASES["contestant"])))
        for t in tables
    ]
    if any(anonymous):
        columns.setdefault("contestant", [])
    for table, unnamed in zip(tables, anonymous, strict=True):
        for name, column in columns.items():
            none = Path(table.source).stem if unnamed and name == "contestant" else None
            column += list(table.columns.get(name, [none] * table.rows))
    notes = tuple(dict.fromkeys(n for t in tables for n in t.notes))
    spare = tuple(dict.fromkeys(n for t in tables for n in t.spare))
    source = f"{tables[0].source} and {len(tables) - 1} more"
    return Table(columns, source, shape=tables[0].shape, spare=spare, notes=notes)


def located(error: RowsError, table: Table) -> DataError:
    """The error with line numbers of the file in place of row numbers."""
    if table.lines is None:
        return error
    lines = [table.lines[r] for r in error.rows]
    shown = ", ".join(str(n) for n in lines[:5]) + (f" and {len(lines) - 5} more" if len(lines) > 5 else "")
    message = error.message.split(" (row", 1)[0].removeprefix(f"{table.source}: ")
    word = "line" if len(lines) == 1 else "lines"
    return DataError(
        message, where=f"{table.source}, {word} {shown}", wanted=error.wanted, got=error.got, fix=error.fix
    )


def file_text(path: Path) -> str:
    """The text of a file, unpacked where it is gzipped. Raises DataError when it is not UTF-8, cut, or too
    large."""
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            with gzip.open(io.BytesIO(raw)) as stream:
                raw = stream.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise DataError(
                "the file is too large", where=str(path), wanted=f"up to {MOST_BYTES} bytes unpacked"
            )
        # a mark of UTF-16 (spreadsheets' "Unicode text") is no start of UTF-8 text
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        return text if "\n" in text else text.replace("\r", "\n")
    except (EOFError, zlib.error, gzip.BadGzipFile) as e:
        raise DataError("the file is cut or not gzip", where=str(path), got=str(e)) from e
    except UnicodeDecodeError as e:
        line = raw[: e.start].count(b"\n") + 1
        raise DataError(
            "not UTF-8 text",
            where=f"{path}:{line}",
            got=f"byte {raw[e.start]:#04x}",
            fix="save the file as UTF-8",
        ) from e
    except OSError as e:
        raise DataError("cannot be read", where=str(path), got=str(e)) from e


def _csv(text: str, source: str, delimiter: str | None) -> Table:
    head = text.split("\n", 1)[0]
    if delimiter is None:
        # spreadsheets of half of the world write semicolons
        delimiter = max(",;\t", key=head.count)
    # a column of long answers is no reason to refuse the others; the file's size is bounded already
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, lines, start = [], [], 1
    try:
        header = [name.strip() for name in next(reader)]
        if header[0] == "" and "" not in header[1:]:
            header[0] = INDEX
        start = reader.line_num + 1
        for row in reader:
            if row:
                rows.append(row)
                lines.append(start)
            start = reader.line_num + 1
    except csv.Error as e:
        raise DataError("broken CSV", where=f"{source}:{start}", got=str(e), fix="check the quotes") from e
    twice = {name for name in header if header.count(name) > 1}
    if twice or "" in header:
        got = ", ".join(sorted(twice)) or f"an empty name in {header}"
        raise DataError(
            "column names", where=f"{source}:1", wanted="each once", got=got, fix="rename the columns"
        )
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(header):
            raise DataError(
                "a row with another number of fields", where=f"{source}:{line}",
                wanted=f"{len(header)} fields ({delimiter!r} between)", got=str(len(row)), fix="quote such fields",
            )  # fmt: skip
    if not rows:
        raise DataError(
            "the table has no rows",
            where=source,
            wanted="a header and at least one row",
            fix="export it again",
        )
    columns = dict(zip(header, (list(c) for c in zip(*rows, strict=True)), strict=True))
    notes = ("the first column has no name and is left out (an index of rows?)",) if INDEX in columns else ()
    columns.pop(INDEX, None)
    return Table(columns, source, lines, notes=notes)


def _jsonl(text: str, source: str) -> Table:
    objects, lines = [], []
    # not splitlines: JSON strings may hold other line separators of Unicode
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            objects.append(_object(line, f"{source}:{number}"))
            lines.append(number)
    return Table(_columns(objects), source, lines)


def parse_json(text: str, where: str) -> object:
    """A JSON value. Raises DataError that says where it breaks."""
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as e:
        raise DataError("broken JSON", where=where, got=str(e)) from e


def _json(text: str, source: str) -> Table:
    value = parse_json(text, source)
    if not isinstance(value, list) or not value or not all(isinstance(x, dict) for x in value):
        raise DataError(
            "not a table", where=source, wanted="a list of objects, one a trial", got=type(value).__name__
        )
    return Table(_columns(value), source)


def _object(line: str, where: str) -> dict[str, object]:
    value = parse_json(line, where)
    if not isinstance(value, dict):
        raise DataError(
            "not an object", where=where, wanted='{"task": ..., "score": ...}', got=type(value).__name__
        )
    return value


def _columns(objects: Iterable[Mapping[str, object]]) -> dict[str, Column]:
    """Columns of all keys; what an object lacks, or a nested value, is None or its JSON text."""
    listed = list(objects)
    names = dict.fromkeys(name for o in listed for name in o)
    return {str(name): [_flat(o.get(name)) for o in listed] for name in names}


def _flat(value: object) -> object:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value


def _parquet(path: Path) -> Table:
    try:
        # lazy: pyarrow is an optional extra, and takes 0.3 s to load
        import pyarrow.parquet as pq
    except ImportError as e:
        raise DataError(
            "Parquet needs pyarrow", where=str(path), fix="pip install 'steelyard[parquet]', or save as CSV"
        ) from e
    try:
        table = pq.read_table(path)
    except (OSError, ValueError) as e:  # pyarrow's own errors derive from these
        raise DataError("not a Parquet file", where=str(path), got=str(e).split("\n", 1)[0]) from e
    return Table({name: _cells(table.column(name)) for name in table.column_names}, str(path))


def _cells(column: pa.ChunkedArray) -> Column:
    """A column of Parquet; numbers without a gap stay an array, which for a million rows saves half a second."""
    kind = str(column.type)
    if column.null_count == 0 and kind.startswith(("int", "uint", "float", "double")):
        return np.asarray(column.to_numpy())
    cells: list[object] = column.to_pylist()
    return cells


def votes_columns(table: Table, rename: Mapping[str, str]) -> dict[str, Column]:
    """The columns of a table of votes by role: model_a, model_b, winner, and prompt, voter where there are.

    Other numeric columns stay under their names: they may be used as style features.
    """
    found: dict[str, Column] = {}
    for role in VOTE_ROLES:
        name = rename.get(role) or _named(table, role)
        if name is not None and name not in table.columns:
            raise DataError(
                f"no column {name!r} for {role}", where=table.source, wanted=", ".join(table.columns)
            )
        if name is not None:
            found[role] = table.columns[name]
    for role in ("model_a", "model_b", "winner"):
        if role not in found:
            raise DataError(
                f"no {role} column", where=table.source, wanted=f"{role} (or {', '.join(VOTE_ROLES[role])})",
                got=", ".join(table.columns), fix=f"name it with --column {role}=NAME",
            )  # fmt: skip
    return found


VOTE_ROLES: Mapping[str, tuple[str, ...]] = {
    "model_a": ("left", "a", "contestant_a"),
    "model_b": ("right", "b", "contestant_b"),
    "winner": ("vote", "choice", "preference"),
    "prompt": ("prompt_id", "question", "question_id", "task"),
    "voter": ("worker", "judge", "user", "annotator"),
}


def _named(table: Table, role: str) -> str | None:
    """The column of votes with the role's name or another tool's name for it, in capitals or not."""
    lowered = {name.strip().lower().replace(" ", "_"): name for name in reversed(list(table.columns))}
    return next((lowered[n] for n in (role, *VOTE_ROLES[role]) if n in lowered), None)


def is_votes(table: Table) -> bool:
    """Whether the table looks like votes rather than results, with a winner or not yet."""
    sides = (_named(table, "model_a"), _named(table, "model_b"))
    return all(sides) and (_named(table, "winner") is not None or sides == ("model_a", "model_b"))


def feature_columns(table: Table, names: Sequence[str]) -> dict[str, Sequence[float]]:
    """Numeric style features (side a minus side b), refused by line where they are not numbers."""
    found: dict[str, Sequence[float]] = {}
    for name in names:
        if name not in table.columns:
            raise DataError(f"no column {name!r}", where=table.source, wanted=", ".join(table.columns))
        values, bad = [], []
        for row, value in enumerate(table.columns[name]):
            try:
                values.append(float(value))
            except (TypeError, ValueError):
                bad.append(row)
        if bad:
            raise located(RowsError(f"{name} is not a number", rows=tuple(bad), wanted="numbers"), table)
        found[name] = values
    return found
