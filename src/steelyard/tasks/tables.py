"""CSV, Parquet and JSON documents, row by row."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import importlib.util
import io
import math
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from steelyard.errors import DataError
from steelyard.tasks.lines import check_start
from steelyard.tasks.options import LoadOptions
from steelyard.tasks.packed import unpack
from steelyard.tasks.store import opened

Rows = Generator[tuple[int, dict[str, object]], None, None]
_JSON_LIMIT = 256 * 2**20
_BATCH = 1024
_CONDITION = "conditions."


def rows_of(path: Path, kind: tuple[str, bool], options: LoadOptions) -> Rows:
    """(line, row) of a table; of Parquet the line is the row's number. Raises DataError."""
    if kind[0] == "parquet":
        return parquet_rows(path)
    file = opened(path)
    if kind[1]:
        file.close()
        file = unpack(path, options.unpacked_bytes)
    if kind[0] == "json":
        return json_rows(file, str(path))
    tab = ".tsv" in [e.lower() for e in path.suffixes]
    return csv_rows(file, str(path), "\t" if tab else ",", options.row_bytes)


def csv_rows(file: BinaryIO, shown: str, delimiter: str, row_bytes: int) -> Rows:
    """Rows of a CSV file with a header line. Cells are texts; empty cells are absent."""
    with file:
        file.seek(check_start(file, shown))
        csv.field_size_limit(min(row_bytes, 2**31 - 1))
        with io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
            yield from _csv_rows(text, shown, delimiter)


def _csv_rows(text: io.TextIOWrapper, shown: str, delimiter: str) -> Rows:
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    line = 1
    try:
        header = next(reader, [])
        _check_header(header, shown, delimiter)
        line = reader.line_num + 1
        for cells in reader:
            if cells and cells != [""]:
                if len(cells) != len(header):
                    raise DataError(
                        "a row of another length",
                        where=f"{shown}:{line}",
                        wanted=f"{len(header)} cells, as in the header",
                        got=f"{len(cells)} cells",
                        fix='put quotes ("...") around cells that hold commas or line ends',
                    )
                yield line, _nested({k: v for k, v in zip(header, cells, strict=True) if v != ""})
            line = reader.line_num + 1
    except csv.Error as e:
        raise DataError(
            "broken CSV", where=f"{shown}:{line}", wanted="a row as RFC 4180 has it", got=str(e),
            fix='close the quote, and double quotes inside quotes ("")',
        ) from None  # fmt: skip
    except UnicodeDecodeError as e:
        raise DataError(
            "not UTF-8 text", where=f"{shown}:{line}", wanted="UTF-8", got=f"byte {e.object[e.start]:#04x}",
            fix="save the file as UTF-8",
        ) from None  # fmt: skip


def _check_header(header: list[str], shown: str, delimiter: str) -> None:
    if not header or not any(h.strip() for h in header):
        raise DataError(
            "no header line", where=f"{shown}:1", wanted="column names", got="an empty file or line"
        )
    if any("\0" in h for h in header):
        raise DataError(
            "a binary file", where=f"{shown}:1", wanted="text with column names on line 1", got="NUL characters",
            fix="save it as CSV, in UTF-8",
        )  # fmt: skip
    twice = next((h for h in header if header.count(h) > 1), None)
    if twice is not None:
        raise DataError(
            f"the column {twice!r} stands twice", where=f"{shown}:1", wanted="a name of its own for every column",
            got=", ".join(header)[:200],
        )  # fmt: skip
    if len(header) == 1 and delimiter == "," and (";" in header[0] or "\t" in header[0]):
        raise DataError(
            "no comma in the header", where=f"{shown}:1", wanted="cells separated by commas", got=header[0][:100],
            fix="save it with commas, or name it .tsv when tabs separate",
        )  # fmt: skip


def _nested(row: dict[str, str]) -> dict[str, object]:
    """Columns called `conditions.x` gathered under `conditions`."""
    out: dict[str, object] = {k: v for k, v in row.items() if not k.startswith(_CONDITION)}
    conditions = {k.removeprefix(_CONDITION): v for k, v in row.items() if k.startswith(_CONDITION)}
    if conditions and "conditions" not in out:
        out["conditions"] = conditions
    return out


def json_rows(file: BinaryIO, shown: str) -> Rows:
    """Rows of a JSON document: a list of objects, or an object with that list under `tasks`, `data` or `examples`."""
    with file:
        file.seek(check_start(file, shown))
        data = file.read(_JSON_LIMIT + 1)
    if len(data) > _JSON_LIMIT:
        raise DataError(
            "a JSON document too large to read at once", where=shown, wanted=f"at most {_JSON_LIMIT} bytes",
            got="more", fix="write it as JSONL, one object a line",
        )  # fmt: skip
    if not data.strip():
        return
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        near = str(e).rpartition("byte ")[2].rstrip(")")
        line = data.count(b"\n", 0, int(near)) + 1 if near.isdigit() else 1
        raise DataError(
            "broken JSON", where=f"{shown}:{line}", wanted="a list of objects", got=str(e)[:200],
            fix="if every line is an object, name the file .jsonl",
        ) from None  # fmt: skip
    if isinstance(document, dict):
        document = next((document[k] for k in ("tasks", "data", "examples") if k in document), document)
    if not isinstance(document, list):
        raise DataError(
            "no list of tasks", where=shown, wanted="a JSON list of objects", got=type(document).__name__
        )
    for i, row in enumerate(document):
        if not isinstance(row, dict):
            raise DataError(
                "not an object", where=f"{shown} [{i}]", wanted='{"input": ...}', got=repr(row)[:100]
            )
        yield i + 1, row


def parquet_rows(path: Path) -> Rows:
    """Rows of a Parquet file, a batch at a time. Needs the extra `parquet`."""
    if importlib.util.find_spec("pyarrow") is None:
        raise DataError(
            "Parquet needs pyarrow", where=str(path), wanted="the extra `parquet`", got="not installed",
            fix="pip install 'steelyard[parquet]'",
        )  # fmt: skip
    opened(path).close()
    import pyarrow as pa  # lazy: an optional extra that costs 60 MB
    from pyarrow import parquet as pq  # lazy: as above

    try:
        with pq.ParquetFile(path) as table:
            n = 0
            for batch in table.iter_batches(batch_size=_BATCH):
                for row in batch.to_pylist():
                    n += 1
                    yield n, _nested_any(cast("dict[str, object]", row), f"{path}:{n}")
    except (pa.ArrowException, OSError) as e:
        raise DataError(
            "no Parquet file, or a broken one", where=str(path), got=str(e).splitlines()[0]
        ) from None


def _nested_any(row: dict[str, object], where: str) -> dict[str, object]:
    plain = {k: _plain(v, f"{where} ({k})") for k, v in row.items() if v is not None}
    conditions = {k.removeprefix(_CONDITION): v for k, v in plain.items() if k.startswith(_CONDITION)}
    if conditions and "conditions" not in plain:
        plain = {k: v for k, v in plain.items() if not k.startswith(_CONDITION)}
        plain["conditions"] = conditions
    return plain


def _plain(value: object, where: str) -> object:
    """A cell as JSON can say it. Raises DataError for bytes and for numbers that are none."""
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(
            f"a cell is {value}", where=where, wanted="a finite number or an empty cell", got=str(value)
        )
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(v, where) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v, where) for k, v in value.items() if v is not None}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    raise DataError(
        "a cell that is no text, number or list", where=where, wanted="text", got=type(value).__name__,
        fix="write images as files beside the suite, and their paths into the column",
    )  # fmt: skip
