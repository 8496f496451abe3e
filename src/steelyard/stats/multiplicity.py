"""Many contestants against one baseline: Holm's p-values and bands that hold for all of them at once.

Does not rank the contestants among themselves (see `ratings`), and does not correct for looking more than once
(see `sequential`). Bands come from the joint distribution of the largest |t|, found by a wild cluster bootstrap:
the same random sign for all contestants of a cluster keeps their correlation, so correlated contestants cost
less than Bonferroni's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from steelyard.errors import DataError
from steelyard.stats.base import (
    Coded,
    Figure,
    FloatArray,
    Interval,
    Labels,
    codes,
    count,
    finite,
    generator,
    same_length,
    within,
)
from steelyard.stats.clusters import clusters_of_tasks
from steelyard.stats.paired import (
    DEFAULT,
    Paired,
    PairedOptions,
    TaskPairs,
    compare_pairs,
    mean_difference,
    pair_up,
)
from steelyard.stats.robust import corrections
from steelyard.unknown import Unknown, is_known

_CHUNK = 4_000_000
_WEBB = np.array([-np.sqrt(1.5), -1.0, -np.sqrt(0.5), np.sqrt(0.5), 1.0, np.sqrt(1.5)])


@dataclass(frozen=True, slots=True)
class Bands:
    """Comparisons with one baseline, in order of first appearance.

    `intervals[j]` holds for all j together at `level`; each is the comparison's own interval at the higher
    `level_each`. `p_holm` and `p_max_t` are adjusted p-values: Holm's from `comparisons[j].p_value`, max-T from
    the bootstrap. `critical` is the bound on |t|.
    """

    contestants: tuple[object, ...]
    comparisons: tuple[Paired, ...]
    intervals: tuple[Interval | Unknown, ...]
    p_holm: tuple[Figure, ...]
    p_max_t: tuple[Figure, ...]
    critical: Figure
    level: float
    level_each: float
    method: str


def holm(p_values: ArrayLike) -> FloatArray:
    """Holm's (1979) step-down adjusted p-values, in the order given; valid whatever the dependence."""
    p = within(p_values, 0.0, 1.0, "p-value")
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)))
    out = np.empty_like(p)
    out[order] = stepped
    return out


def simultaneous_bands(
    values: ArrayLike,
    tasks: Labels,
    contestants: Labels,
    *,
    baseline: object,
    clusters: Labels | None = None,
    options: PairedOptions = DEFAULT,
) -> Bands:
    """Compare every other contestant with `baseline`; one row a graded trial.

    Each comparison uses the tasks that it shares with the baseline. The bootstrap is studentised, with Rademacher
    signs, or Webb's (2023) six weights below 12 clusters; `options.draws` is capped at 9,999 and `options.seed`
    used. The critical value is kept between the pointwise t and Bonferroni's t.
    """
    column = finite(values) if options.bounds is None else within(values, *options.bounds)
    same_length(column.size, [("tasks", len(tasks)), ("contestants", len(contestants))])
    who, task = codes(contestants, "contestant"), codes(tasks, "task")
    if baseline not in who.labels or who.size < 2:
        raise DataError(
            "contestants: no baseline with others to compare",
            wanted=f"{baseline} and at least one other",
            got=", ".join(str(x) for x in who.labels[:6]),
            fix="name a baseline that occurs in the table",
        )
    parent = None if clusters is None else clusters_of_tasks(task, clusters)
    base = who.labels.index(baseline)
    names = tuple(x for x in who.labels if x != baseline)
    pairs = []
    for name in names:
        chosen = np.flatnonzero((who.index == base) | (who.index == who.labels.index(name)))
        rows = Coded(task.index[chosen], task.labels)
        pairs.append(pair_up(column[chosen], rows, who.index[chosen] != base, parent))
    return bands_of(names, tuple(pairs), options)


def bands_of(
    names: tuple[object, ...], pairs: tuple[TaskPairs, ...], options: PairedOptions = DEFAULT
) -> Bands:
    """Simultaneous bands from task pairs already made, one `TaskPairs` a contestant."""
    comparisons = tuple(compare_pairs(p, options) for p in pairs)
    usable = [j for j, c in enumerate(comparisons) if is_known(c.difference.se) and is_known(c.difference.df)]
    draws = min(count(options.draws, "draws", least=1000), 9_999)
    statistics, largest = _bootstrap([pairs[j] for j in usable], draws, options.seed)
    known = (comparisons[j].difference.df for j in usable)
    df = min((d for d in known if is_known(d)), default=1.0)
    m = len(names)
    critical: Figure = Unknown("no comparison has a standard error")
    tail = (1.0 - options.level) / (2.0 * m)
    p_max: list[Figure] = [Unknown("no standard error")] * m
    level_each = 1.0 - 2.0 * tail
    if usable:
        found = float(np.sort(largest)[min(draws - 1, int(np.ceil((draws + 1) * options.level)) - 1)])
        pointwise = float(special.stdtrit(df, 0.5 + 0.5 * options.level))
        critical = min(max(found, pointwise), float(special.stdtrit(df, 1.0 - tail)))
        level_each = float(1.0 - 2.0 * special.stdtr(df, -critical))
        for j, t in zip(usable, statistics, strict=True):
            p_max[j] = (1.0 + float(np.sum(largest >= abs(t) - 1e-12))) / (draws + 1.0)
    wide = replace(options, level=level_each)
    intervals = tuple(mean_difference(p, wide).interval for p in pairs)
    return Bands(
        names,
        comparisons,
        intervals,
        _holm_known([c.p_value for c in comparisons]),
        tuple(p_max),
        critical,
        options.level,
        level_each,
        f"max-T, wild cluster bootstrap, {draws} draws",
    )


def _holm_known(p_values: list[Figure]) -> tuple[Figure, ...]:
    """Holm over all comparisons; one without a p-value still counts as a comparison made."""
    if not p_values:
        return ()
    adjusted = holm([p if is_known(p) else 1.0 for p in p_values])
    return tuple(p if isinstance(p, Unknown) else float(a) for p, a in zip(p_values, adjusted, strict=True))


def _bootstrap(pairs: list[TaskPairs], draws: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Observed t of each comparison and the largest |t*| of each draw."""
    if not pairs:
        return np.empty(0), np.empty(0)
    influence, shares, means = _stacked(pairs)
    g = np.where(shares > 0.0, corrections(shares.T).T, 0.0)
    se = np.sqrt(np.sum(g * influence**2, axis=0))
    clusters = influence.shape[0]
    random = generator(seed)
    largest = np.empty(draws)
    rows = max(1, _CHUNK // clusters)
    for start in range(0, draws, rows):
        stop = min(draws, start + rows)
        if clusters < 12:
            signs = _WEBB[random.integers(0, 6, (stop - start, clusters))]
        else:
            signs = random.integers(0, 2, (stop - start, clusters)) * 2.0 - 1.0
        moved = signs @ influence
        squares = (signs**2) @ (g * influence**2)
        cross = signs @ (g * shares * influence)
        variance = squares - 2.0 * moved * cross + moved**2 * np.sum(g * shares**2, axis=0)
        # a draw without spread carries no studentised value; it cannot be the largest
        t = np.where(variance > 1e-30, np.abs(moved) / np.sqrt(np.maximum(variance, 1e-30)), 0.0)
        largest[start:stop] = t.max(axis=1)
    return means / se, largest


def _stacked(pairs: list[TaskPairs]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Influence and share of each cluster, shape (clusters, comparisons), zero where a cluster is not used."""
    names: dict[object, int] = {}
    for p in pairs:
        for label in p.cluster.labels:
            names.setdefault(label, len(names))
    shape = (len(names), len(pairs))
    influence, shares, means = np.zeros(shape), np.zeros(shape), np.empty(len(pairs))
    for j, p in enumerate(pairs):
        d = p.differences
        rows = np.array([names[label] for label in p.cluster.labels])[p.cluster.index]
        means[j] = d.mean()
        np.add.at(influence[:, j], rows, (d - means[j]) / d.size)
        np.add.at(shares[:, j], rows, 1.0 / d.size)
    return influence, shares, means
