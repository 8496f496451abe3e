"""Result files of other tools as tables: Inspect logs, lm-eval samples, promptfoo results.

Not covered: transcripts and traces (`steelyard import` keeps those), scores that are lists or objects, and
anything but the verdicts: this is the short way from another tool's file to a verdict here. A sample that
ended in an error has no score and is ungraded, never wrong.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import zstandard

from steelyard.errors import DataError
from steelyard.ledger.tables import MOST_BYTES, Table, file_text, parse_json, read_table

_LETTERS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
_LM_METRICS = ("exact_match", "acc", "acc_norm", "pass@1", "mc1", "f1")


def read_any(path: Path) -> Table:
    """The table in a file of any supported shape; `Table.shape` says which. Raises DataError with what was
    found."""
    if path.suffix.lower() == ".eval":
        return _inspect_zip(path)
    endings = [s.lower() for s in path.suffixes if s.lower() != ".gz"]
    if endings[-1:] == [".json"] and path.is_file():
        value = parse_json(file_text(path), str(path))
        if isinstance(value, dict):
            return _known_object(value, str(path))
    table = read_table(path)
    if {"doc_id", "target"} <= set(table.columns) and (
        "filtered_resps" in table.columns or "resps" in table.columns
    ):
        return _lm_eval(table, path)
    return table


def _known_object(value: Mapping[str, object], source: str) -> Table:
    if isinstance(value.get("eval"), dict) and "plan" in value:
        samples = value.get("samples")
        return _inspect(_mapping(value["eval"]), samples if isinstance(samples, list) else [], source)
    results = value.get("results")
    if isinstance(results, dict) and isinstance(results.get("results"), list):
        return _promptfoo(results["results"], source)
    raise DataError(
        "not a shape that is known", where=source, got="an object with " + ", ".join(list(map(str, value))[:8]),
        wanted="an Inspect log, promptfoo results, or a list of objects, one a trial",
    )  # fmt: skip


# ---- Inspect ----


def _inspect_zip(path: Path) -> Table:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {i.filename: i for i in archive.infolist()}
            head = names.get("header.json") or names.get("_journal/start.json")
            if head is None:
                raise DataError("not an Inspect log", where=str(path), wanted="header.json inside the zip")
            header = _mapping(json.loads(_member(archive, head, path)))
            chosen = [i for n, i in names.items() if n.startswith("samples/") and n.endswith(".json")]
            samples = [json.loads(_member(archive, i, path)) for i in chosen]
    except (zipfile.BadZipFile, OSError, zlib.error, zstandard.ZstdError, struct.error) as e:
        raise DataError("not a zip that can be read", where=str(path), got=str(e)) from e
    except ValueError as e:
        raise DataError("broken JSON inside", where=str(path), got=str(e)) from e
    return _inspect(_mapping(header.get("eval")), samples, str(path))


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> bytes:
    """One file of the archive; Zstandard (method 93) is not known to Python's zipfile."""
    if info.file_size > MOST_BYTES:
        raise DataError(
            "a member is too large", where=f"{path}: {info.filename}", got=f"{info.file_size} bytes"
        )
    if info.compress_type != 93:
        return archive.read(info)
    with path.open("rb") as raw:
        raw.seek(info.header_offset)
        name, extra = struct.unpack("<26xHH", raw.read(30))
        raw.seek(name + extra, 1)
        return zstandard.ZstdDecompressor().decompress(
            raw.read(info.compress_size), max_output_size=info.file_size
        )


def _inspect(spec: Mapping[str, object], samples: Sequence[object], source: str) -> Table:
    if not samples:
        raise DataError("the log holds no samples", where=source, fix="export it with its samples")
    columns: dict[str, list[object]] = {
        k: [] for k in ("task", "contestant", "trial", "suite", "score", "outcome")
    }
    columns["seconds"] = []
    names = list(dict.fromkeys(n for s in samples for n in _mapping(_mapping(s).get("scores"))))
    others: dict[str, list[object]] = {f"scorer.{n}": [] for n in names[1:]}
    for entry in samples:
        sample = _mapping(entry)
        scores = _mapping(sample.get("scores"))
        values = [_inspect_value(_mapping(scores.get(n)).get("value")) for n in names]
        first = None if sample.get("error") or not values else values[0]
        said = str(_mapping(scores.get(names[0])).get("value")) if names else ""
        columns["task"].append(str(sample.get("id")))
        columns["contestant"].append(str(spec.get("model", "model")))
        columns["trial"].append(sample.get("epoch", 1))
        columns["suite"].append(str(spec.get("task", "task")))
        columns["score"].append(first)
        columns["outcome"].append("ungraded" if first is None else "abstained" if said == "N" else "")
        columns["seconds"].append(sample.get("working_time", sample.get("total_time")))
        for name, value in zip(others, values[1:], strict=True):
            others[name].append(value)
    notes = [f"score: {names[0]}"] if names else []
    if len(names) > 1:
        notes.append("other scorers: " + ", ".join(others) + " (use --column score=NAME)")
    return Table({**columns, **others}, source, shape="Inspect log", spare=tuple(others), notes=tuple(notes))


def _inspect_value(value: object) -> float | None:
    if isinstance(value, str):
        return _LETTERS.get(value)
    return float(value) if isinstance(value, int | float) else None


# ---- lm-evaluation-harness ----


def _lm_eval(table: Table, path: Path) -> Table:
    """One file is one task of one model; the folder carries the model's name, the file the task's."""
    metrics = [m for m in _LM_METRICS if m in table.columns]
    listed = table.columns.get("metrics")
    if listed is not None and len(listed):
        named = listed[0]
        parsed = json.loads(named) if isinstance(named, str) and named.startswith("[") else []
        metrics = [m for m in parsed if m in table.columns] or metrics
    if not metrics:
        raise DataError("no metric in the samples", where=table.source, wanted=", ".join(_LM_METRICS))
    stem = path.name.removeprefix("samples_").split(".jsonl", 1)[0]
    suite = stem.rsplit("_2", 1)[0]
    filters = table.columns.get("filter")
    kept = range(table.rows)
    notes = [f"score: {metrics[0]}"]
    if filters is not None and len(set(map(str, filters))) > 1:
        first = filters[0]
        kept = [i for i in kept if filters[i] == first]  # type: ignore[assignment] # any sequence of rows
        notes.append(f"only the answers of filter {first}")
    columns: dict[str, list[object]] = {
        "task": [str(table.columns["doc_id"][i]) for i in kept],
        "contestant": [path.resolve().parent.name] * len(kept),
        "suite": [suite] * len(kept),
        "score": [table.columns[metrics[0]][i] for i in kept],
    }
    for other in metrics[1:]:
        columns[f"scorer.{other}"] = [table.columns[other][i] for i in kept]
    lines = None if table.lines is None else [table.lines[i] for i in kept]
    spare = tuple(f"scorer.{m}" for m in metrics[1:])
    return Table(columns, table.source, lines, shape="lm-eval samples", spare=spare, notes=tuple(notes))


# ---- promptfoo ----


def _promptfoo(results: Sequence[object], source: str) -> Table:
    if not results:
        raise DataError("the file holds no results", where=source)
    columns: dict[str, list[object]] = {
        k: [] for k in ("task", "contestant", "score", "cost", "seconds", "scorer.score")
    }
    prompts = len({str(_mapping(r).get("promptIdx", 0)) for r in results})
    for entry in results:
        row = _mapping(entry)
        provider = row.get("provider")
        name = str(_mapping(provider).get("label") or _mapping(provider).get("id") or provider)
        if prompts > 1:
            name += f" / prompt {row.get('promptIdx', 0)}"
        task = row.get("testIdx")
        if task is None:
            task = json.dumps(row.get("vars"), sort_keys=True)
        # failureReason 2 is an error of the provider or of an assertion: no verdict on the answer
        broken = row.get("failureReason") == 2 or (row.get("error") and row.get("failureReason") is None)
        latency = row.get("latencyMs")
        columns["task"].append(str(task))
        columns["contestant"].append(name)
        columns["score"].append(None if broken or row.get("success") is None else float(bool(row["success"])))
        columns["cost"].append(row.get("cost"))
        columns["seconds"].append(latency / 1000.0 if isinstance(latency, int | float) else None)
        columns["scorer.score"].append(None if broken else row.get("score"))
    notes = ("score: success (the weighted score is scorer.score: --column score=scorer.score)",)
    return Table(columns, source, shape="promptfoo results", spare=("scorer.score",), notes=notes)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
