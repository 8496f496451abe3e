"""Which format a file has, by its content; its name only tells JSON lines from one JSON value where both fit."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from steelyard.errors import DataError
from steelyard.ledger.importers.base import Json, an_object, json_lines, open_plain, parse_json, read_all

KNOWN: Mapping[str, str] = {
    "inspect": "Inspect log (.eval or .json)",
    "lm-eval": "lm-eval samples (.jsonl)",
    "promptfoo": "promptfoo output (.json or .jsonl)",
    "swe-agent": "SWE-agent trajectory (.traj)",
    "atif": "ATIF trajectory (.json)",
    "tau-bench": "tau-bench runs (.json)",
    "votes": "table of votes",
    "table": "table of results (JSON lines, JSON, CSV, Parquet)",
}
"""Every format's name, and what it is."""

_LEFT, _RIGHT = {"model_a", "left", "contestant_a", "a"}, {"model_b", "right", "contestant_b", "b"}
_WINNER = {"winner", "vote", "choice", "preference"}


def sniff(path: Path) -> str:
    """The name of the file's format, one of `KNOWN`. Raises DataError when it is none of them."""
    if not path.is_file():
        raise DataError("no such file", where=str(path))
    with path.open("rb") as raw:
        if raw.read(4) == b"PK\x03\x04":
            return _zip(path)
    with open_plain(path) as stream:
        try:
            head = stream.read(65536)
        except (EOFError, OSError) as e:
            raise DataError("the file is cut or not gzip", where=str(path), got=str(e)) from e
    if head.startswith(b"PAR1"):
        return "table"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        wanted = "a header and at least one row"
        raise DataError("the file is empty", where=str(path), wanted=wanted, fix="export it again")
    if text[:1] not in b"{[":
        return _csv(head, path)
    return _lines(path) if text[:1] == b"{" and _is_lines(text, path) else _document(path)


def _zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except zipfile.BadZipFile as e:
        raise DataError("not a whole zip archive", where=str(path), got=str(e)) from e
    if names & {"header.json", "_journal/start.json"}:
        return "inspect"
    raise _unknown(path, "a zip archive with " + ", ".join(sorted(names)[:4]))


def _is_lines(text: bytes, path: Path) -> bool:
    """Several objects, one a line; or one line in a file that is named so."""
    first, _, rest = text.partition(b"\n")
    if not rest.lstrip():
        return path.name.removesuffix(".gz").endswith((".jsonl", ".ndjson"))
    if not rest.lstrip().startswith(b"{"):
        return False
    try:
        return isinstance(parse_json(first, str(path)), dict)
    except DataError:
        return False


def _lines(path: Path) -> str:
    return _row(next(islice((row for _, row in json_lines(path)), 1), {}))


def _row(row: Json) -> str:
    keys = set(row)
    if "doc_id" in keys and keys & {"resps", "filtered_resps"}:
        return "lm-eval"
    if {"provider", "success"} <= keys and keys & {"testIdx", "testCase", "vars", "promptIdx"}:
        return "promptfoo"
    if {"task_id", "reward", "traj"} <= keys:
        return "tau-bench"
    return "votes" if keys & _LEFT and keys & _RIGHT and keys & _WINNER else "table"


def _document(path: Path) -> str:
    value = parse_json(read_all(path), str(path))
    if isinstance(value, list):
        return _row(an_object(value[0])) if value else "table"
    document = an_object(value)
    if str(document.get("schema_version", "")).startswith("ATIF"):
        return "atif"
    if "eval" in document and ("status" in document or "samples" in document):
        return "inspect"
    if "trajectory" in document and ("history" in document or "info" in document):
        return "swe-agent"
    results = document.get("results")
    if "evalId" in document or (isinstance(results, dict) and isinstance(results.get("results"), list)):
        return "promptfoo"
    if isinstance(results, dict) and ("configs" in document or "n-shot" in document):
        raise DataError(
            "lm-eval's totals, which hold no single answer",
            where=str(path),
            wanted="samples_<task>_<date>.jsonl",
            fix="run lm-eval with --log_samples, or import the samples beside this file",
        )
    raise _unknown(path, "a JSON object with " + ", ".join(list(document)[:6]))


def _csv(head: bytes, path: Path) -> str:
    marked = head[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = head.decode("utf-16" if marked else "utf-8-sig", "replace")
    first = text.replace("\r", "\n").split("\n", 1)[0]
    if "\0" in first:
        raise _unknown(path, "binary data")
    delimiter = max(",;\t", key=first.count)
    try:
        columns = {c.strip().lower() for c in next(csv.reader([first], delimiter=delimiter), [])}
    except csv.Error as e:
        raise _unknown(path, f"text that begins {first[:60]!r} ({e})") from e
    if len(columns) < 2:
        raise _unknown(path, f"text that begins {first[:60]!r}")
    return "votes" if columns & _LEFT and columns & _RIGHT and columns & _WINNER else "table"


def _unknown(path: Path, got: str) -> DataError:
    return DataError(
        "no format that can be imported",
        where=str(path),
        wanted="; ".join(KNOWN.values()),
        got=got,
        fix="export a CSV with the columns task, contestant and score, one row a trial",
    )
