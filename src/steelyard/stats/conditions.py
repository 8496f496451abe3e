"""A score per cell of declared conditions, and the score under the mix seen in production.

Does not predict cells without tasks: they are shown as empty, and in a reweighted score they are bounded, not
guessed. Does not tell whether a condition causes a difference; tasks differ between cells in other ways too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from steelyard.errors import DataError
from steelyard.stats.base import (
    Coded,
    Estimate,
    Figure,
    FloatArray,
    IntArray,
    Interval,
    Labels,
    codes,
    finite,
    fraction,
    same_length,
    t_quantile,
    within,
)
from steelyard.stats.bounded import bounded_limits
from steelyard.stats.clusters import Bounds, cluster_sums, clusters_of_tasks, estimate_mean
from steelyard.stats.mixes import Key, shares_of
from steelyard.stats.robust import Spread
from steelyard.unknown import Unknown


@dataclass(frozen=True, slots=True)
class ConditionOptions:
    """`thin_below` tasks a cell is thin; more than `most_cells` combinations are refused. `bounds` as elsewhere."""

    level: float = 0.95
    bounds: Bounds | None = (0.0, 1.0)
    thin_below: int = 10
    most_cells: int = 10_000


DEFAULT = ConditionOptions()


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of conditions. An empty cell's estimate is Unknown throughout."""

    key: Key
    state: Literal["empty", "thin", "enough"]
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class ConditionMatrix:
    """Every combination of the conditions' values, also those without a task; `names` order the keys' parts."""

    names: tuple[str, ...]
    cells: tuple[Cell, ...]
    thin_below: int

    def cell(self, *key: Hashable) -> Cell:
        """The cell of these values, in the order of `names`."""
        for cell in self.cells:
            if cell.key == key:
                return cell
        raise DataError("condition: no such cell", wanted=f"values of {', '.join(self.names)}", got=f"{key}")

    def in_state(self, state: Literal["empty", "thin", "enough"]) -> tuple[Key, ...]:
        """The keys of the cells in that state."""
        return tuple(c.key for c in self.cells if c.state == state)


@dataclass(frozen=True, slots=True)
class Reweighted:
    """The score under a mix. `estimate` is over the `measured` share of the mix, renormalised.

    `lowest` and `highest` are the score over the whole mix if its untested cells scored least or greatest (equal
    to the estimate's value when everything was measured); Unknown without bounds. `untested` names those cells.
    """

    estimate: Estimate
    unweighted: Figure
    measured: float
    lowest: Figure
    highest: Figure
    untested: tuple[Key, ...]


def condition_matrix(
    values: ArrayLike,
    tasks: Labels,
    conditions: Mapping[str, Labels | Coded],
    *,
    clusters: Labels | None = None,
    options: ConditionOptions = DEFAULT,
) -> ConditionMatrix:
    """Score each cell: the mean over its tasks of their trials in it; one row a graded trial.

    `conditions` maps a condition's name to its column of values. A task may occur in several cells (one problem
    in three languages). A column may be coded already: then its labels are taken in their order.
    """
    units = _units(values, tasks, conditions, clusters, options)
    cells = []
    for number, key in enumerate(units.keys):
        chosen = np.flatnonzero(units.cell == number)
        if chosen.size == 0:
            none = Unknown("no task in this cell")
            empty = Estimate(none, none, none, "mean over tasks", 0, 0, 0, df=none)
            cells.append(Cell(key, "empty", empty))
            continue
        cluster = codes(units.cluster[chosen], "cluster")
        table = cluster_sums(units.means[chosen], cluster, n_trials=int(units.trials[chosen].sum()))
        estimate = estimate_mean(table, level=options.level, bounds=options.bounds, method="mean over tasks")
        thin = chosen.size < options.thin_below
        if thin:
            estimate = replace(estimate, notes=(*estimate.notes, f"thin: {chosen.size} tasks"))
        cells.append(Cell(key, "thin" if thin else "enough", estimate))
    return ConditionMatrix(tuple(conditions), tuple(cells), options.thin_below)


def reweight(
    values: ArrayLike,
    tasks: Labels,
    conditions: Mapping[str, Labels | Coded],
    mix: Mapping[Key, float],
    *,
    clusters: Labels | None = None,
    options: ConditionOptions = DEFAULT,
) -> Reweighted:
    """The score if cells occurred as in `mix` (shares or counts by cell key).

    `theta = sum_c w_c mean_c`, post-stratified: its influence is `w_c / n_c (x - mean_c)`, summed by cluster and
    corrected for each cell's own mean by `k / (k - 1)`, k its clusters; Welch-Satterthwaite degrees of
    freedom. A cell with one cluster takes the mean variance of the others, noted. Bounded scores use the
    bounded interval at the effective number of clusters.
    """
    units = _units(values, tasks, conditions, clusters, options)
    weights = shares_of(mix)
    unknown = [key for key in weights if len(key) != len(conditions)]
    if unknown:
        raise DataError(
            "mix: a key of the wrong length", wanted=f"({', '.join(conditions)})", got=f"{unknown[0]}"
        )
    place = {key: number for number, key in enumerate(units.keys)}
    sizes = np.bincount(units.cell, minlength=len(units.keys))
    measured = {k: w for k, w in weights.items() if w > 0 and k in place and sizes[place[k]] > 0}
    untested = tuple(k for k, w in weights.items() if w > 0 and k not in measured)
    covered = math.fsum(measured.values())
    unweighted = float(units.means.mean())
    if not measured:
        none = Unknown("no cell of the mix has a task")
        bare = Estimate(none, none, none, "reweighted mean", 0, 0, 0, df=none)
        ends: tuple[Figure, Figure] = options.bounds if options.bounds is not None else (none, none)
        return Reweighted(bare, unweighted, 0.0, *ends, untested)
    share = np.zeros(len(units.keys))
    for key, weight in measured.items():
        share[place[key]] = weight / covered
    estimate = _weighted(units, share, sizes, options)
    value = estimate.value
    low: Figure = Unknown("scores without bounds")
    high: Figure = low
    if options.bounds is not None and not isinstance(value, Unknown):
        low = covered * value + (1.0 - covered) * options.bounds[0]
        high = covered * value + (1.0 - covered) * options.bounds[1]
    if untested:
        note = f"{1.0 - covered:.1%} of the mix has no task: this is the score of the rest"
        estimate = replace(estimate, notes=(*estimate.notes, note))
    return Reweighted(estimate, unweighted, covered, low, high, untested)


@dataclass(frozen=True, slots=True)
class _Units:
    """A task in a cell: its mean, trials, cell and cluster, shape (units,); `keys` name all cells."""

    means: FloatArray
    trials: IntArray
    cell: IntArray
    cluster: IntArray
    keys: tuple[Key, ...]


def _units(
    values: ArrayLike,
    tasks: Labels,
    conditions: Mapping[str, Labels | Coded],
    clusters: Labels | None,
    options: ConditionOptions,
) -> _Units:
    column = finite(values) if options.bounds is None else within(values, *options.bounds)
    fraction(options.level, "level")
    if not conditions:
        raise DataError("conditions: none", wanted="at least one column of conditions")
    columns = [c if isinstance(c, Coded) else codes(c, name) for name, c in conditions.items()]
    lengths = [(n, c.index.size) for n, c in zip(conditions, columns, strict=True)]
    same_length(column.size, [("tasks", len(tasks)), *lengths])
    task = codes(tasks, "task")
    cells = math.prod(c.size for c in columns)
    if cells > options.most_cells:
        raise DataError(
            "conditions: too many combinations",
            wanted=f"at most {options.most_cells}",
            got=" x ".join(f"{c.size} {n}" for n, c in zip(conditions, columns, strict=True)),
            fix="use fewer conditions, or group their values",
        )
    cell = np.zeros(column.size, dtype=np.int64)
    for c in columns:
        cell = cell * c.size + c.index
    unit, index = np.unique(task.index * cells + cell, return_inverse=True)
    trials = np.bincount(index)
    means = np.bincount(index, weights=column) / trials
    parent = clusters_of_tasks(task, clusters)
    keys = tuple(itertools.product(*(c.labels for c in columns)))
    return _Units(means, trials.astype(np.int64), unit % cells, parent.index[unit // cells], keys)


def _weighted(units: _Units, share: FloatArray, sizes: IntArray, options: ConditionOptions) -> Estimate:
    used = np.flatnonzero(share[units.cell] > 0.0)
    cell, x = units.cell[used], units.means[used]
    n = np.maximum(sizes, 1).astype(np.float64)
    means = np.bincount(cell, weights=x, minlength=n.size) / n
    value = float(share @ means)
    cluster = codes(units.cluster[used], "cluster")
    counts = (int(units.trials[used].sum()), int(used.size), cluster.size)
    name = "reweighted mean"
    if cluster.size == 1:
        why = Unknown("one cluster: nothing shows its spread")
        return Estimate(value, why, why, name, *counts, df=why)
    measured, notes = _spread(cell, x - means[cell], share, n, cluster)
    low, high = options.bounds if options.bounds is not None else (0.0, 1.0)
    variance, df = float(measured.variance), float(measured.df)
    flat = variance <= 1e-28 * max(1.0, value * value)
    se: Figure = (
        Unknown("all tasks of each cell agree: no spread to measure") if flat else math.sqrt(variance)
    )
    interval: Interval | Unknown
    if options.bounds is not None:
        scaled = np.bincount(cluster.index, weights=(x - low) / (high - low), minlength=cluster.size)
        full = np.bincount(cluster.index, minlength=cluster.size)
        minority = min(int(np.sum(scaled > 0.0)), int(np.sum(scaled < full)))
        unit = replace(
            measured,
            mean=np.asarray((value - low) / (high - low)),
            variance=np.asarray(0.0 if flat else variance / (high - low) ** 2),
            minority=np.asarray(float(minority)),
        )
        ends = bounded_limits(unit, options.level)
        form = f"wilson at effective clusters, t({df:.1f})"
        interval = Interval(
            low + (high - low) * float(ends[0]), low + (high - low) * float(ends[1]), options.level, form
        )
    elif isinstance(se, Unknown):
        interval = se
    else:
        half = t_quantile(options.level, df) * se
        interval = Interval(value - half, value + half, options.level, f"t({df:.1f})")
    return Estimate(value, se, interval, name, *counts, df=df, notes=notes)


def _spread(
    cell: IntArray, residual: FloatArray, share: FloatArray, n: FloatArray, cluster: Coded
) -> tuple[Spread, tuple[str, ...]]:
    """The reweighted mean's spread. `residual` is a unit's distance from its cell's mean, `n` the units by cell."""
    pair, index = np.unique(cell * cluster.size + cluster.index, return_inverse=True)
    where, whose = pair // cluster.size, pair % cluster.size
    moved = np.bincount(index, weights=residual) / n[where]
    k = np.bincount(where, minlength=n.size).astype(np.float64)
    # every cell's residuals are shrunk by its own estimated mean
    correction = np.sqrt(k / np.maximum(k - 1.0, 1.0))
    own = np.bincount(where, weights=(correction[where] * moved) ** 2, minlength=n.size)
    total = np.bincount(whose, weights=share[where] * correction[where] * moved, minlength=cluster.size)
    variance = float(np.sum(total**2))
    lone = np.flatnonzero((k == 1) & (share > 0.0))
    others = np.flatnonzero(k > 1)
    degrees = np.maximum(k - 1.0, 1.0)
    notes: tuple[str, ...] = ()
    if lone.size and others.size:
        # the variance of one cluster's mean, averaged over the cells that can show it
        pooled = float(np.mean(k[others] * own[others]))
        own[lone], degrees[lone] = pooled, float(np.sum(k[others] - 1.0))
        variance += float(np.sum(share[lone] ** 2)) * pooled
        notes = (f"{lone.size} cells have one task or cluster; they take the spread of the others",)
    parts = share**2 * own
    bottom = float(np.sum(parts**2 / degrees))
    df = max(1.0, float(parts.sum()) ** 2 / bottom) if bottom > 0.0 else float(max(1.0, cluster.size - 1))
    shares = np.bincount(cluster.index, weights=(share / n)[cell], minlength=cluster.size)
    spread = Spread(
        mean=np.asarray(0.0),
        variance=np.asarray(variance),
        df=np.asarray(min(df, float(cluster.size))),
        concentration=np.asarray(float(np.sum(shares**2))),
        minority=np.asarray(0.0),
        clusters=cluster.size,
    )
    return spread, notes
