"""What is asked of every task of a suite at once - id, cluster, conditions, minutes - as columns beside the tasks.

Derived and rebuildable, like a run's fold: without them they are made from the tasks, and `verify` compares them.
Reading a quarter of a million tasks for their clusters takes half a second, reading the column 5 ms. They lie in the
table of derived columns under minus the suite's number: ledgers of before need no new table. Made without NumPy, since
the process that runs trials must stay small.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, cast

import msgspec

from steelyard.ledger.base import SuiteData
from steelyard.ledger.chain import Packer
from steelyard.ledger.database import Database, Transaction
from steelyard.schema.task import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = 1
WORTH_KEEPING = 1000
"""Tasks from which on columns are kept: fewer are read as fast."""

_CONDITION = "condition/"


class Labels(msgspec.Struct, frozen=True):
    """A label a task: `codes` are 32-bit numbers, 0 where a task has none, else one more than the place in `values`."""

    values: list[str]
    codes: bytes

    def numbers(self) -> NDArray[np.int64]:
        """The codes as an array."""
        # lazy: who writes a run needs no NumPy
        import numpy as np

        return np.frombuffer(self.codes, dtype="<u4").astype(np.int64)


class _Shape(msgspec.Struct, frozen=True):
    format: int
    n: int
    conditions: list[str]


_ids_decoder = msgspec.msgpack.Decoder(list[str])
_labels_decoder = msgspec.msgpack.Decoder(Labels)
_shape_decoder = msgspec.msgpack.Decoder(_Shape)
_encoder = msgspec.msgpack.Encoder()


class _Growing:
    """A column of labels while it is made."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._codes = array("I")

    def put(self, at: int, label: str) -> None:
        """The label of task `at`; the tasks left out since the last one have none."""
        if at > len(self._codes):
            self._codes.frombytes(bytes(self._codes.itemsize * (at - len(self._codes))))
        self._codes.append(self._places.setdefault(label, len(self._places)) + 1)

    def done(self, n: int) -> bytes:
        codes = self._codes.tobytes()
        return _encoder.encode(Labels(list(self._places), codes + bytes(4 * n - len(codes))))


class Maker:
    """Takes tasks in order; `done` gives the columns by name."""

    def __init__(self) -> None:
        self.n = 0
        self._ids = bytearray()
        self._cluster = _Growing()
        self._conditions: dict[str, _Growing] = {}
        self._minutes = array("d")

    def take(self, task: Task) -> None:
        """The next task."""
        at = self.n
        self.n += 1
        self._ids += _encoder.encode(task.id)
        if task.cluster:
            self._cluster.put(at, task.cluster)
        for name, value in task.conditions.items():
            column = self._conditions.get(name)
            if column is None:
                column = self._conditions[name] = _Growing()
            column.put(at, str(value))
        if task.human_minutes is not None:
            self._minutes.extend([float("nan")] * (at - len(self._minutes)))
            self._minutes.append(task.human_minutes)

    def done(self) -> dict[str, bytes]:
        """Columns by name, not compressed."""
        made = {_CONDITION + name: column.done(self.n) for name, column in self._conditions.items()}
        made["cluster"] = self._cluster.done(self.n)
        made["ids"] = b"\xdd" + self.n.to_bytes(4, "big") + bytes(self._ids)  # an array of so many texts
        if self._minutes:
            self._minutes.extend([float("nan")] * (self.n - len(self._minutes)))
            made["minutes"] = self._minutes.tobytes()
        made["shape"] = _encoder.encode(_Shape(FORMAT, self.n, list(self._conditions)))
        return made


class TaskColumns:
    """The columns of a suite, each read when it is asked for."""

    def __init__(self, body: Callable[[str], bytes]) -> None:
        self._body = body
        self._shape = _shape_decoder.decode(body("shape"))

    @property
    def n(self) -> int:
        """Tasks; 0 when another version made the columns."""
        return self._shape.n if self._shape.format == FORMAT else 0

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions that any task declares, in the order in which they came."""
        return tuple(self._shape.conditions)

    def ids(self) -> list[str]:
        """The id of every task."""
        return _ids_decoder.decode(self._body("ids"))

    def cluster(self) -> Labels:
        """The cluster of every task."""
        return _labels_decoder.decode(self._body("cluster"))

    def condition(self, name: str) -> Labels:
        """What every task says of a condition. Raises KeyError for one that none declares."""
        return _labels_decoder.decode(self._body(_CONDITION + name))

    def minutes(self) -> NDArray[np.float64] | None:
        """The minutes of a skilled person by task, NaN where not said; None when no task says them."""
        # lazy: who writes a run needs no NumPy
        import numpy as np

        body = self._body("minutes")
        return np.frombuffer(body, dtype=np.float64) if body else None

    def units(self) -> NDArray[np.int64] | None:
        """The number of each task's independent unit: of the first task of its cluster, or its own. None when no task
        names a cluster."""
        # lazy: who writes a run needs no NumPy
        import numpy as np

        codes = self.cluster().numbers()
        named = np.flatnonzero(codes)
        if not named.size:
            return None
        first = np.zeros(int(codes.max()) + 1, dtype=np.int64)
        first[codes[named[::-1]]] = named[::-1]  # the last that is written is the first task of the cluster
        units = np.arange(codes.size)
        units[named] = first[codes[named]]
        return units


def made_of(tasks: Iterable[Task]) -> dict[str, bytes]:
    """The columns of some tasks."""
    maker = Maker()
    for task in tasks:
        maker.take(task)
    return maker.done()


def of_bodies(bodies: Mapping[str, bytes]) -> TaskColumns:
    """Columns that are in memory."""
    return TaskColumns(lambda name: bodies.get(name, b""))


def columns_of(suite: SuiteData) -> TaskColumns:
    """The columns of any suite: those that the ledger keeps, or made of its tasks."""
    own: Callable[[], TaskColumns] | None = getattr(suite, "columns", None)
    return of_bodies(made_of(suite.task(i) for i in range(len(suite)))) if own is None else own()


def keep(tx: Transaction, number: int, bodies: Mapping[str, bytes], packer: Packer) -> None:
    """Keep the columns of suite `number`."""
    tx.run("DELETE FROM fold_columns WHERE chain = ?", (-number,))
    tx.many(
        "INSERT INTO fold_columns VALUES (?, ?, ?)",
        [(-number, name, packer.compress(body)) for name, body in bodies.items()],
    )


def kept(db: Database, number: int, n: int, packer: Packer) -> TaskColumns | None:
    """The kept columns of suite `number`, which has `n` tasks; None when there are none of this format."""

    def body(name: str) -> bytes:
        found = db.rows("SELECT body FROM fold_columns WHERE chain = ? AND name = ?", (-number, name))
        return packer.decompress(bytes(cast("bytes", found[0][0]))) if found else b""

    try:
        columns = TaskColumns(body)
    except msgspec.DecodeError:  # none are kept, or another version made them
        return None
    return columns if columns.n == n else None


def damaged(db: Database, number: int, bodies: Mapping[str, bytes], packer: Packer) -> str:
    """What is wrong with the kept columns of a suite whose tasks say `bodies`; empty when nothing is."""
    found = db.rows("SELECT name, body FROM fold_columns WHERE chain = ?", (-number,))
    there = {str(name): packer.decompress(bytes(cast("bytes", body))) for name, body in found}
    return "" if not there or there == bodies else "its derived columns are not what the tasks say"
