"""The table that every decision starts from: one row a trial, columns as arrays, checked once.

Does not read files (`ledger.tables` does) and does not estimate. What is wrong is refused with the rows and
what to do; what was assumed is in `notes`, to be shown with every verdict.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from steelyard.errors import DataError
from steelyard.stats.base import BoolArray, Coded, FloatArray, IntArray

Bounds = tuple[float, float]
SUITE_NAMES = (
    "benchmark",
    "dataset",
    "stage",
)  # columns that are read as the suite, and its names in a filter


@dataclass(frozen=True, slots=True)
class Results:
    """Trials. Arrays have shape (rows,); `score` is 0 where not `graded`, and must not be read there.

    `cost`, `seconds` and `minutes` (a skilled person's, by task) are NaN where unknown, None when no column
    gives them. `bounds` are a score's least and greatest value, None for unbounded scores. `conditions`
    maps a declared condition to its column. `baseline` is the contestant that a plan names as such, "" without one.
    """

    task: Coded
    contestant: Coded
    trial: IntArray
    score: FloatArray
    graded: BoolArray
    abstained: BoolArray
    cluster: Coded | None = None
    suite: Coded | None = None
    conditions: Mapping[str, Coded] | None = None
    cost: FloatArray | None = None
    seconds: FloatArray | None = None
    minutes: FloatArray | None = None
    bounds: Bounds | None = (0.0, 1.0)
    source: str = ""
    notes: tuple[str, ...] = ()
    baseline: str = ""

    @property
    def rows(self) -> int:
        """Trials, graded or not."""
        return int(self.score.size)

    @property
    def names(self) -> tuple[str, ...]:
        """The contestants, in the order in which they first appear."""
        return tuple(str(x) for x in self.contestant.labels)

    @property
    def usual_baseline(self) -> str:
        """Whom to compare with when nobody says: the plan's baseline if it has rows, else the first in the table."""
        return self.baseline if self.baseline in self.names else self.names[0]

    def take(self, rows: BoolArray) -> Results:
        """The rows that are True; labels that no longer occur are dropped."""
        if not rows.any():
            raise DataError("no rows are left", wanted="at least one", fix="check the filter")
        at = np.flatnonzero(rows)

        def part(c: Coded | None) -> Coded | None:
            return None if c is None else _recode(c, at)

        return replace(
            self,
            task=_recode(self.task, at),
            contestant=_recode(self.contestant, at),
            trial=self.trial[at],
            score=self.score[at],
            graded=self.graded[at],
            abstained=self.abstained[at],
            cluster=part(self.cluster),
            suite=part(self.suite),
            conditions={k: _recode(c, at) for k, c in (self.conditions or {}).items()},
            cost=None if self.cost is None else self.cost[at],
            seconds=None if self.seconds is None else self.seconds[at],
            minutes=None if self.minutes is None else self.minutes[at],
        )

    def of(self, names: Iterable[str]) -> Results:
        """The rows of these contestants; an unknown name is refused with the known ones."""
        wanted = list(names)
        self.require(wanted)
        places = [self.names.index(name) for name in wanted]
        return self.take(np.isin(self.contestant.index, places))

    def require(self, names: Iterable[str]) -> None:
        """Refuse an unknown contestant with the known ones."""
        for name in names:
            if name not in self.names:
                raise DataError(
                    f"contestant {name!r} is not in the results",
                    where=self.source,
                    wanted=", ".join(self.names[:12]),
                    got=name,
                    fix=nearest(name, self.names),
                )

    def where(self, conditions: Mapping[str, str]) -> Results:
        """The rows whose suite or conditions have these values."""
        keep = np.ones(self.rows, dtype=np.bool_)
        for name, value in conditions.items():
            column = (self.conditions or {}).get(name)
            if column is None and name in ("suite", *SUITE_NAMES):
                column = self.suite
            if column is None:
                known = [*(["suite"] if self.suite else []), *(self.conditions or {})]
                raise DataError(
                    f"condition {name!r} is not in the results",
                    where=self.source,
                    wanted=", ".join(known) or "a suite or condition column",
                    got=name,
                    fix=nearest(name, known) if known else "add the column, or leave the filter out",
                )
            labels = [str(x) for x in column.labels]
            if value not in labels:
                raise DataError(
                    f"no row has {name} = {value!r}",
                    where=self.source,
                    wanted=", ".join(labels[:12]),
                    got=value,
                    fix=nearest(value, labels),
                )
            keep &= column.index == labels.index(value)
        return self.take(keep)


def _recode(column: Coded, at: IntArray) -> Coded:
    index = column.index[at]
    present = np.flatnonzero(np.bincount(index, minlength=column.size))
    place = np.zeros(column.size, dtype=np.int64)
    place[present] = np.arange(present.size)
    return Coded(place[index], tuple(column.labels[i] for i in present.tolist()))


def nearest(name: str, known: Sequence[str]) -> str:
    """What to do about a name that is not known."""
    near = difflib.get_close_matches(name, list(known), 1, 0.5)
    return f"did you mean {near[0]}?" if near else "see the names above"
