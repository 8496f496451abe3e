"""Suites as a run keeps them: every task, both splits, read one by one.

Tasks are canonical JSON in groups of about `GROUP` bytes, each group a zstd frame keyed by the index of its first
task: `task(i)` unpacks one group. A suite is kept once however many runs use it: its digest is over its header and
all of its tasks.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import msgspec

from steelyard.errors import DataError, LedgerCorrupt, LedgerError
from steelyard.ledger import taskcolumns
from steelyard.ledger.base import SuiteData
from steelyard.ledger.chain import Packer
from steelyard.ledger.database import Database, Transaction
from steelyard.ledger.taskcolumns import TaskColumns
from steelyard.schema.canon import canonical
from steelyard.schema.task import Split, SuiteHeader, Task

GROUP = 16 * 1024
"""Bytes of tasks a group, before compression; a larger task is a group alone."""


_task_decoder = msgspec.json.Decoder(Task)
_header_decoder = msgspec.json.Decoder(SuiteHeader)
_group_decoder = msgspec.msgpack.Decoder(list[bytes])
_group_encoder = msgspec.msgpack.Encoder()
_splits: tuple[Split, Split] = ("public", "held_out")


def _groups(suite: SuiteData, columns: taskcolumns.Maker) -> Iterator[tuple[int, list[bytes], bytes]]:
    """(index of the first task, tasks as JSON, their splits as bytes 0 and 1), group by group."""
    first, size, group, splits = 0, 0, list[bytes](), bytearray()
    for i in range(len(suite)):
        task = suite.task(i)
        columns.take(task)
        body = canonical(task)
        if group and size + len(body) > GROUP:
            yield first, group, bytes(splits)
            first, size, group, splits = i, 0, [], bytearray()
        group.append(body)
        splits.append(_splits.index(task.split))
        size += len(body)
    if group:
        yield first, group, bytes(splits)


def keep(tx: Transaction, suite: SuiteData, packer: Packer) -> bytes:
    """Keep a suite unless it is there already; returns its digest."""
    number = cast(
        "int",
        tx.rows(
            "INSERT INTO suites (digest, n, header, splits) VALUES (?, ?, ?, ?) RETURNING id",
            (os.urandom(16), len(suite), canonical(suite.header), b""),
        )[0][0],
    )
    hasher = hashlib.sha256(canonical(suite.header))
    splits, columns = bytearray(), taskcolumns.Maker()
    for first, group, marks in _groups(suite, columns):
        for body in group:
            hasher.update(len(body).to_bytes(8, "big") + body)
        splits += marks
        tx.run(
            "INSERT INTO tasks VALUES (?, ?, ?)",
            (number << 32 | first, len(group), packer.compress(_group_encoder.encode(group))),
        )
    digest = hasher.digest()
    if tx.rows("SELECT 1 FROM suites WHERE digest = ?", (digest,)):
        tx.run("DELETE FROM tasks WHERE id >= ? AND id < ?", (number << 32, (number + 1) << 32))
        tx.run("DELETE FROM suites WHERE id = ?", (number,))
    else:
        tx.run(
            "UPDATE suites SET digest = ?, splits = ? WHERE id = ?",
            (digest, packer.compress(bytes(splits)), number),
        )
        if len(suite) >= taskcolumns.WORTH_KEEPING:
            taskcolumns.keep(tx, number, columns.done(), packer)
    return digest


class KeptSuite:
    """A suite in the ledger. Holds one byte a task and a few unpacked groups in memory. Not thread-safe."""

    def __init__(self, db: Database, digest: bytes, packer: Packer) -> None:
        found = db.rows("SELECT id, n, header, splits FROM suites WHERE digest = ?", (digest,))
        if not found:
            raise LedgerCorrupt(f"suite {digest.hex()} is missing from {db.place}")
        self._number, self._n, header, splits = cast("tuple[int, int, bytes, bytes]", found[0])
        self._db, self._packer = db, packer
        self.header = _header_decoder.decode(header)
        self._splits = packer.decompress(splits)
        self._recent: OrderedDict[int, list[bytes]] = OrderedDict()

    def __len__(self) -> int:
        return self._n

    def split(self, i: int) -> Split:
        """The split of task `i`, without reading the task."""
        self._check(i)
        return _splits[self._splits[i]]

    def columns(self) -> TaskColumns:
        """What every task says of a few things; made from the tasks, and kept, where it is not kept yet."""
        found = taskcolumns.kept(self._db, self._number, self._n, self._packer)
        if found is not None:
            return found
        bodies = taskcolumns.made_of(self._every())
        if self._n >= taskcolumns.WORTH_KEEPING:
            # a favour to the next reader: a busy, full or read-only ledger is no reason to fail
            with suppress(LedgerError), self._db.write(wait=False) as tx:
                taskcolumns.keep(tx, self._number, bodies, self._packer)
        return taskcolumns.of_bodies(bodies)

    def _every(self) -> Iterator[Task]:
        return (self.task(i) for i in range(self._n))

    def task(self, i: int) -> Task:
        """The task at index `i`. Raises DataError outside 0 .. n-1, LedgerCorrupt when it cannot be read."""
        self._check(i)
        first, group = self._group(i)
        try:
            return _task_decoder.decode(group[i - first])
        except (msgspec.DecodeError, IndexError) as e:
            raise LedgerCorrupt(f"task {i} of suite {self.header.name!r} is damaged") from e

    def _check(self, i: int) -> None:
        if not 0 <= i < self._n:
            raise DataError(
                f"suite {self.header.name!r} has no task {i}", wanted=f"0 to {self._n - 1}", got=str(i)
            )

    def _group(self, i: int) -> tuple[int, list[bytes]]:
        for first, group in self._recent.items():
            if first <= i < first + len(group):
                self._recent.move_to_end(first)
                return first, group
        row = self._db.rows(
            "SELECT id, body FROM tasks WHERE id >= ? AND id <= ? ORDER BY id DESC LIMIT 1",
            (self._number << 32, self._number << 32 | i),
        )
        if not row:
            raise LedgerCorrupt(f"task {i} of suite {self.header.name!r} is missing")
        key, body = cast("tuple[int, bytes]", row[0])
        first = key & 0xFFFFFFFF
        try:
            group = _group_decoder.decode(self._packer.decompress(body))
        except msgspec.DecodeError as e:
            raise LedgerCorrupt(f"tasks of suite {self.header.name!r} from {first} on are damaged") from e
        self._recent[first] = group
        if len(self._recent) > 8:
            self._recent.popitem(last=False)
        return first, group


def damaged(db: Database, packer: Packer) -> Iterator[str]:
    """A sentence for every suite whose tasks are not what its digest says."""
    for row in db.rows("SELECT id, digest, n, header, splits FROM suites ORDER BY id"):
        number, digest, n, header, splits = cast("tuple[int, bytes, int, bytes, bytes]", row)
        hasher, seen, columns = hashlib.sha256(header), 0, taskcolumns.Maker()
        marks = bytearray()
        try:
            name = _header_decoder.decode(header).name
            while True:
                group = db.rows("SELECT body, n FROM tasks WHERE id = ?", (number << 32 | seen,))
                if not group or seen >= n:
                    break
                body_of, declared = cast("tuple[bytes, int]", group[0])
                bodies = _group_decoder.decode(packer.decompress(body_of))
                if len(bodies) != declared:
                    yield f"suite {name!r}: {len(bodies)} tasks from {seen} on, {declared} are declared"
                for body in bodies:
                    hasher.update(len(body).to_bytes(8, "big") + body)
                    task = _task_decoder.decode(body)
                    columns.take(task)
                    marks.append(_splits.index(task.split))
                    seen += 1
            if hasher.digest() != digest or seen != n or packer.decompress(splits) != marks:
                yield f"suite {name!r}: a task (or the header) is altered, missing or out of order"
            elif problem := taskcolumns.damaged(db, number, columns.done(), packer):
                yield f"suite {name!r}: {problem}; delete them to have them rebuilt"
        except (LedgerCorrupt, msgspec.DecodeError) as e:
            yield f"suite {digest.hex()}: unreadable ({e})"
