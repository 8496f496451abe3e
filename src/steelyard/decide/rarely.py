"""How rarely each contestant of a table fails, as lines for print: bounds, nines, time between failures (`stats.rare`).

Trials of one task, or of tasks that share a cluster, are not independent. Where they repeat, the bound stands at the
effective number of clusters, and what takes independent trials (further clean trials, time between failures, a pool
over conditions) is Unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from steelyard.decide.estimates import Mine, contestants, passed
from steelyard.decide.lines import NO_INTERVAL, Line, plain_line
from steelyard.decide.results import Results, nearest
from steelyard.errors import DataError
from steelyard.stats.base import Coded, Figure, FloatArray
from steelyard.stats.rare import (
    FailureBound,
    clustered_failure_bound,
    failure_bound,
    mtbf,
    next_nine,
    pooled_failure_bound,
    trials_for_nines,
)
from steelyard.unknown import Unknown

REPEATED = Unknown("trials repeat tasks or share clusters: keep one trial a task, or add tasks")


@dataclass(frozen=True, slots=True)
class FailureOptions:
    """`nines`: how many clean trials until so many nines may be claimed (None: the next one).

    `by` and `shares`: pool over the values of this condition with these shares of use; shares are scaled to add to 1.
    """

    pass_at: float | None = None
    level: float = 0.95
    nines: int | None = None
    by: str = ""
    shares: Mapping[str, float] | None = None


def failures(results: Results, options: FailureOptions) -> tuple[Line, ...]:
    """Of each contestant: bounds of the failure rate, nines, further clean trials, time between failures, the pool."""
    pool = _condition(results, options) if options.by else None
    out: list[Line] = []
    for mine in contestants(results):
        failed = 1.0 - passed(results, mine, options.pass_at)
        lines = _own(mine, failed, options)
        if results.seconds is not None:
            lines += _between(mine, failed, results.seconds[mine.rows] / 3600.0, options.level)
        if pool is not None:
            lines += _pooled(mine, failed, pool, options)
        out += mine.marked(lines)
    return tuple(out)


def _alone(mine: Mine) -> bool:
    """Whether every row is a task, and a cluster, of its own."""
    units = mine.task if mine.clusters is None else mine.clusters
    return np.unique(units).size == units.size


def _own(mine: Mine, failed: FloatArray, o: FailureOptions) -> list[Line]:
    units = mine.task if mine.clusters is None else mine.clusters
    x, n, alone = int(failed.sum()), failed.size, _alone(mine)
    found = (
        failure_bound(x, n, level=o.level) if alone else clustered_failure_bound(failed, units, level=o.level)
    )
    more: Figure = REPEATED
    if alone and o.nines is None:
        more = float(next_nine(x, n, level=o.level).more_clean_trials)
    elif alone and o.nines is not None:
        more = float(trials_for_nines(o.nines, failures=x, trials=n, level=o.level).more_clean_trials)
    wanted = "the next nine" if o.nines is None else f"{o.nines} nines"
    return [
        *_limits(mine.name, found, ""),
        plain_line(mine.name, f"further clean trials until {wanted}", more, found.method),
    ]


def _limits(name: str, found: FailureBound, where: str) -> list[Line]:
    """Each limit is one-sided, at the level: the two together would be an interval at another."""
    side = f" (one-sided, {100 * found.level:g} %)"
    figures = {
        f"failures{where}": found.failures,
        f"failure rate{where}": found.rate,
        f"failure rate{where}, at most{side}": found.at_most,
        f"failure rate{where}, at least{side}": found.at_least,
        f"nines that may be claimed{where}": found.nines,
    }
    return [
        Line(name, figure, value, NO_INTERVAL, found.trials, None, None, found.method, found.notes)
        for figure, value in figures.items()
    ]


def _between(mine: Mine, failed: FloatArray, hours: FloatArray, level: float) -> list[Line]:
    how = "Poisson, exposure fixed beforehand; hours in which trials ran"
    first, least = (
        "hours between failures",
        f"hours between failures, at least (one-sided, {100 * level:g} %)",
    )
    if not np.isfinite(hours).all() or float(hours.sum()) <= 0.0:
        why = Unknown("not every trial says how long it took")
        return [plain_line(mine.name, first, why, how, trials=failed.size)]
    found = mtbf(int(failed.sum()), float(hours.sum()), level=level)
    if not _alone(mine):
        return [
            plain_line(mine.name, first, found.value, how, trials=failed.size),
            plain_line(mine.name, least, REPEATED, how),
        ]
    n = failed.size
    return [
        Line(mine.name, first, found.value, found.interval, n, n, None, how),
        plain_line(mine.name, least, found.at_least, how, trials=n),
    ]


@dataclass(frozen=True, slots=True)
class _Pool:
    """A condition's column with the shares of its values; `names` are those of the column, then those without a row."""

    column: Coded
    names: tuple[str, ...]
    weights: tuple[float, ...]


def _condition(results: Results, o: FailureOptions) -> _Pool:
    known = {**({"suite": results.suite} if results.suite is not None else {}), **(results.conditions or {})}
    column = known.get(o.by)
    if column is None:
        raise DataError(
            f"condition {o.by!r} is not in the results", where=results.source,
            wanted=", ".join(known) or "a table with conditions", got=o.by,
            fix=nearest(o.by, list(known)) if known else "name a column with --condition",
        )  # fmt: skip
    labels = [str(x) for x in column.labels]
    shares = dict(o.shares or {})
    names = (*labels, *(s for s in shares if s not in labels))
    total = sum(shares.values())
    if not total > 0.0 or min(shares.values()) < 0.0:
        raise DataError(
            f"pooling over {o.by} takes each value's share of use", wanted="numbers of at least 0, not all 0",
            got=", ".join(f"{k}={v:g}" for k, v in shares.items()) or "none",
            fix="give " + " ".join(f"--share {x}={1 / len(labels):.3g}" for x in labels[:6]),
        )  # fmt: skip
    return _Pool(column, names, tuple(shares.get(name, 0.0) / total for name in names))


def _pooled(mine: Mine, failed: FloatArray, pool: _Pool, o: FailureOptions) -> list[Line]:
    where = f", pooled over {o.by}"
    if not _alone(mine):
        return [plain_line(mine.name, f"failure rate{where}", REPEATED, "Fay-Feuer gamma, declared weights")]
    place = pool.column.index[mine.rows]
    n = np.bincount(place, minlength=len(pool.names))
    x = np.bincount(place, weights=failed, minlength=len(pool.names))
    names = [f"{o.by} {v}" for v in pool.names]
    found = pooled_failure_bound(
        [int(v) for v in x], [int(v) for v in n], pool.weights, names=names, level=o.level
    )
    return _limits(mine.name, found, where)
