"""What every estimator returns, and the checks that every estimator makes first.

Does not estimate anything. Results are frozen; a figure that cannot be given is `Unknown` with its reason,
never 0 or NaN. Arrays are NumPy float64 in long format: one row a trial, one column of labels a role (task,
cluster, contestant). Bad rows raise `RowsError`, which names their positions.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from steelyard.errors import DataError, RowsError
from steelyard.unknown import Unknown

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Figure = float | Unknown
Labels = Sequence[Hashable] | NDArray[np.generic]
_LARGEST = 1e140
_NO_DF = Unknown("this method has no degrees of freedom")


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval at confidence `level` (0.95), with the name of the method that made it."""

    low: float
    high: float
    level: float
    method: str

    @property
    def width(self) -> float:
        """`high - low`, in the units of the estimate."""
        return self.high - self.low

    def contains(self, value: float) -> bool:
        """True when `value` lies inside, ends included."""
        return self.low <= value <= self.high

    def scaled(self, factor: float) -> Interval:
        """The interval of `factor` times the quantity; a negative factor swaps the ends."""
        ends = sorted((self.low * factor, self.high * factor))
        return Interval(ends[0], ends[1], self.level, self.method)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its uncertainty.

    `se` is the standard error and `df` its degrees of freedom; both are Unknown where the data cannot tell
    them (one observation, one cluster, no spread). `n_trials`, `n_tasks` and `n_clusters` count what was used;
    clusters are the independent units. `method` names estimator and interval; `notes` are sentences that must
    be shown wherever the figure is shown.
    """

    value: Figure
    se: Figure
    interval: Interval | Unknown
    method: str
    n_trials: int
    n_tasks: int
    n_clusters: int
    df: Figure = _NO_DF
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of labels as integers: `labels[index[row]]` is the row's label; every label occurs."""

    index: IntArray
    labels: Sequence[Hashable]

    @property
    def size(self) -> int:
        """How many different labels there are."""
        return len(self.labels)


def finite(values: ArrayLike, name: str = "score") -> FloatArray:
    """`values` as a float64 vector; an empty, ragged, NaN, infinite or non-numeric one is refused."""
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as e:
        rows = _not_numbers(values)
        fix = "leave ungraded trials out, or pass them to coverage_bounds"
        if rows:
            raise RowsError(f"{name}: not a number", rows=rows, wanted="finite numbers", fix=fix) from e
        raise DataError(
            f"{name}: not a column of numbers", wanted="finite numbers", got=str(e), fix=fix
        ) from e
    if column.ndim != 1:
        raise DataError(f"{name}: not one column", wanted="one dimension", got=f"shape {column.shape}")
    if column.size == 0:
        raise DataError(
            f"{name}: the table has no rows", wanted="at least one row", fix="check the filter or the file"
        )
    bad = np.flatnonzero(np.isfinite(column) & (np.abs(column) > _LARGEST))
    if bad.size:
        raise RowsError(
            f"{name}: too large",
            rows=tuple(bad.tolist()),
            wanted=f"at most {_LARGEST:g} in size, so that squares can be summed",
            got=", ".join(str(v) for v in column[bad[:5]]),
            fix="use a larger unit",
        )
    bad = np.flatnonzero(~np.isfinite(column))
    if bad.size:
        raise RowsError(
            f"{name}: NaN or infinite",
            rows=tuple(bad.tolist()),
            wanted="finite numbers",
            got=", ".join(str(v) for v in column[bad[:5]]),
            fix="leave ungraded trials out, or pass them to coverage_bounds",
        )
    return column


def numbers(values: ArrayLike, name: str = "score") -> FloatArray:
    """`values` as float64 in their own shape, any value; what is not numbers is refused, with its rows."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return finite(values, name)  # says which


def _not_numbers(values: object) -> tuple[int, ...]:
    if not isinstance(values, Sequence | np.ndarray):
        return ()
    bad = []
    for row, value in enumerate(values):
        try:
            float(value)
        except (TypeError, ValueError):
            bad.append(row)
    return tuple(bad)


def within(values: ArrayLike, low: float, high: float, name: str = "score") -> FloatArray:
    """`finite`, and every value between `low` and `high`, ends included."""
    column = finite(values, name)
    bad = np.flatnonzero((column < low) | (column > high))
    if bad.size:
        raise RowsError(
            f"{name}: outside its bounds",
            rows=tuple(bad.tolist()),
            wanted=f"{low:g} to {high:g}",
            got=", ".join(f"{v:g}" for v in column[bad[:5]]),
            fix="give the true bounds, or rescale the scores",
        )
    return column


def binary(values: ArrayLike, name: str = "score") -> FloatArray:
    """`finite`, and every value 0 or 1."""
    column = finite(values, name)
    bad = np.flatnonzero((column != 0) & (column != 1))
    if bad.size:
        raise RowsError(
            f"{name}: neither 0 nor 1",
            rows=tuple(bad.tolist()),
            wanted="0 (failed) or 1 (passed)",
            got=", ".join(f"{v:g}" for v in column[bad[:5]]),
            fix="use an estimator of means for graded scores, or choose a pass mark first",
        )
    return column


def same_length(rows: int, columns: Iterable[tuple[str, int]]) -> None:
    """Refuse columns whose length is not `rows`."""
    for name, length in columns:
        if length != rows:
            raise DataError(
                f"{name}: wrong length", wanted=f"{rows} rows, as the scores", got=f"{length} rows"
            )


def fraction(value: float, name: str) -> float:
    """`value` when it lies strictly between 0 and 1 (levels, error rates)."""
    if not isinstance(value, int | float | np.floating) or not 0.0 < value < 1.0:
        percent = isinstance(value, int | float | np.floating) and 1.0 < value < 100.0
        fix = f"write {value:g} % as {value / 100.0:g}" if percent else f"give a share such as {name} 0.95"
        raise DataError(f"{name}: out of range", wanted="strictly between 0 and 1", got=f"{value}", fix=fix)
    return float(value)


def count(value: int, name: str, *, least: int = 0) -> int:
    """`value` when it is a whole number of at least `least`."""
    if isinstance(value, bool) or not float(value).is_integer() or value < least:
        raise DataError(f"{name}: not a count", wanted=f"a whole number, {least} or more", got=f"{value}")
    return int(value)


def codes(labels: Labels, name: str) -> Coded:
    """Labels (strings, integers, anything hashable) as integers; a missing label (None, NaN, "") is refused.

    Small non-negative integers keep their order, in linear time; others are numbered as they first appear.
    """
    if isinstance(labels, np.ndarray) and labels.dtype.kind in "iub":
        return _integer_codes(labels, name)
    column = labels.tolist() if isinstance(labels, np.ndarray) else labels
    try:
        # both passes over the rows run in C: a million strings take a tenth of a second
        table = {label: place for place, label in enumerate(dict.fromkeys(column))}
        index = np.fromiter(map(table.__getitem__, column), dtype=np.int64, count=len(column))
    except TypeError as e:
        raise DataError(f"{name}: a label is not hashable", wanted="strings or integers", got=str(e)) from e
    missing = [k for k in table if k is None or k == "" or (isinstance(k, float) and math.isnan(k))]
    if missing:
        rows = np.flatnonzero(np.isin(index, [table[k] for k in missing]))
        fix = f"give every row a {name}, or leave the column out"
        raise RowsError(f"{name}: missing", rows=tuple(rows.tolist()), wanted="a label in every row", fix=fix)
    return Coded(index, tuple(table))


def _integer_codes(labels: NDArray[np.generic], name: str) -> Coded:
    column = labels.astype(np.int64)
    if column.ndim != 1:
        raise DataError(f"{name}: not one column", wanted="one dimension", got=f"shape {column.shape}")
    if column.size and int(column.min()) >= 0 and int(column.max()) < 4 * column.size + 1024:
        present = np.flatnonzero(np.bincount(column))
        place = np.zeros(int(column.max()) + 1, dtype=np.int64)
        place[present] = np.arange(present.size)
        return Coded(place[column], tuple(present.tolist()))
    present, index = np.unique(column, return_inverse=True)
    return Coded(index.astype(np.int64), tuple(present.tolist()))


def no_repeats(columns: Sequence[tuple[str, Coded]]) -> None:
    """Refuse rows that repeat the same combination of labels, such as one (task, trial) twice."""
    key, many = np.zeros(columns[0][1].index.size, dtype=np.int64), 1
    for _, column in columns:
        if many * column.size >= 1 << 62:
            # renumber, so that the product of the sizes cannot overflow
            _, key = np.unique(key, return_inverse=True)
            many = key.size
        key, many = key * column.size + column.index, many * column.size
    ordered = np.sort(key)
    if not np.any(
        ordered[1:] == ordered[:-1]
    ):  # a million rows: 0.1 s, where finding who repeats takes a second
        return
    order = np.argsort(key, kind="stable")
    again = order[1:][key[order][1:] == key[order][:-1]]
    if again.size:
        names = ", ".join(name for name, _ in columns)
        first = int(np.sort(again)[0])
        raise RowsError(
            f"the same ({names}) occurs twice",
            rows=tuple(np.sort(again).tolist()),
            wanted="one row each",
            got=", ".join(f"{name}={column.labels[column.index[first]]}" for name, column in columns),
            fix="keep one of the rows, or number the trials",
        )


def nested(inner: Coded, outer: Coded, names: tuple[str, str] = ("task", "cluster")) -> IntArray:
    """For each label of `inner` the one label of `outer` that it belongs to; refused when there are two."""
    parent = np.zeros(inner.size, dtype=np.int64)
    parent[inner.index] = outer.index
    bad = np.flatnonzero(parent[inner.index] != outer.index)
    if bad.size:
        label = inner.labels[inner.index[bad[0]]]
        raise RowsError(
            f"{names[0]} {label} is in more than one {names[1]}",
            rows=tuple(bad.tolist()),
            wanted=f"one {names[1]} a {names[0]}",
            fix=f"merge the {names[1]}s that share a {names[0]}",
        )
    return parent


def generator(seed: int) -> np.random.Generator:
    """The generator of a whole-number seed (PCG64): same seed, same answer."""
    return np.random.default_rng(count(seed, "seed"))


def z_quantile(level: float) -> float:
    """Two-sided normal quantile: 1.959964 at 0.95."""
    return float(special.ndtri(0.5 + 0.5 * fraction(level, "level")))


def t_quantile(level: float, df: float) -> float:
    """Two-sided Student quantile at `df` degrees of freedom (need not be whole)."""
    return float(special.stdtrit(df, 0.5 + 0.5 * fraction(level, "level")))


def t_p_value(t: float, df: float) -> float:
    """Two-sided p-value of a Student statistic."""
    return float(2.0 * special.stdtr(df, -abs(t)))
