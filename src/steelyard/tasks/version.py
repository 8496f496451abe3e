"""A suite's version: the content hash over all of its tasks, both splits, in order.

SHA-256 over, for each task, the canonical JSON of its normal form and a line feed; then, for each image and sound,
the SHA-256 of its bytes; then the version of the few-shot file when there is one. Order counts, because runs name
tasks by index. Neither the file's format nor how a row is written counts: CSV, JSONL and Parquet of the same
content agree. To that end the normal form writes scalar `fields` as text and drops empty ones, since a CSV cell
cannot say more.
"""

from __future__ import annotations

import hashlib

import msgspec

from steelyard.schema.canon import canonical
from steelyard.schema.task import Task


class Version:
    """Collects tasks into a version."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, task: Task) -> None:
        """The next task."""
        self._hash.update(canonical(normal(task) if task.fields else task))
        self._hash.update(b"\n")

    def add_file(self, digest: str) -> None:
        """A file that the task before shows, or the few-shot file, by its hash."""
        self._hash.update(f"#{digest}\n".encode())

    def value(self) -> str:
        """64 hex digits."""
        return self._hash.hexdigest()


def normal(task: Task) -> Task:
    """The task with its `fields` as text: what counts for the version."""
    fields = {k: _text(v) for k, v in task.fields.items() if v is not None and v not in ("", [], {})}
    return msgspec.structs.replace(task, fields=fields)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return canonical(value).decode()
