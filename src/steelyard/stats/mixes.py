"""How far the mix of a suite is from the mix seen in production.

Does not say whether the distance matters: that depends on how scores differ between cells (see `reweight`).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from steelyard.errors import DataError
from steelyard.stats.base import Labels, codes, same_length

Key = tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class MixDistance:
    """Distance between two mixes of cells.

    `total_variation` (0..1) is the share of production that would have to move; `jensen_shannon` is in bits
    (0..1); `untested` the production share in cells without a task, `unused` the test share in cells that
    production never sees. `efficiency` (0..1) is what is left of the number of tasks once they are reweighted
    (Kish): 0 when something is untested. `largest` lists (cell, test share, production share), widest gap first.
    """

    total_variation: float
    jensen_shannon: float
    untested: float
    unused: float
    efficiency: float
    largest: tuple[tuple[Key, float, float], ...]


def mix_of(conditions: Mapping[str, Labels]) -> dict[Key, float]:
    """The shares of rows by cell, from columns of condition values (of tasks, or of production requests)."""
    if not conditions:
        raise DataError("conditions: none", wanted="at least one column of conditions")
    columns = [codes(c, name) for name, c in conditions.items()]
    rows = columns[0].index.size
    same_length(rows, [(name, c.index.size) for name, c in zip(conditions, columns, strict=True)])
    if rows == 0:
        raise DataError("conditions: the table has no rows", wanted="at least one row")
    cell = np.zeros(rows, dtype=np.int64)
    for c in columns:
        # renumbered each time, so that many conditions cannot overflow
        _, cell = np.unique(cell * c.size + c.index, return_inverse=True)
    counts = np.bincount(cell)
    _, first = np.unique(cell, return_index=True)
    return {
        tuple(c.labels[c.index[row]] for c in columns): float(n) / rows
        for row, n in zip(first, counts, strict=True)
    }


def shares_of(mix: Mapping[Key, float]) -> dict[Key, float]:
    """A mix of shares or counts as shares that add to 1; negative, NaN or all-zero weights are refused."""
    bad = [k for k, w in mix.items() if not (math.isfinite(w) and w >= 0.0)]
    if bad:
        raise DataError(
            "mix: a weight is not a share", wanted="finite, 0 or more", got=f"{bad[0]}: {mix[bad[0]]}"
        )
    loose = [k for k in mix if not isinstance(k, tuple)]
    if loose:
        raise DataError(
            "mix: a key is not a tuple", wanted="one value a condition, as (value,)", got=f"{loose[0]}"
        )
    total = math.fsum(mix.values())
    if total <= 0.0:
        raise DataError(
            "mix: no weight", wanted="at least one cell with a weight above 0", got=f"a sum of {total}"
        )
    return {k: w / total for k, w in mix.items()}


def mix_distance(test: Mapping[Key, float], production: Mapping[Key, float]) -> MixDistance:
    """Compare a suite's mix with production's; shares or counts by cell key."""
    p, q = shares_of(test), shares_of(production)
    keys = [*p, *(k for k in q if k not in p)]
    a = np.array([p.get(k, 0.0) for k in keys])
    b = np.array([q.get(k, 0.0) for k in keys])
    middle = 0.5 * (a + b)
    untested = float(b[a == 0.0].sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        one = np.where(a > 0.0, a * np.log2(a / middle), 0.0)
        other = np.where(b > 0.0, b * np.log2(b / middle), 0.0)
        inflation = np.where(b > 0.0, b * b / a, 0.0)
    order = sorted(range(len(keys)), key=lambda i: (-abs(a[i] - b[i]), str(keys[i])))
    return MixDistance(
        float(0.5 * np.abs(a - b).sum()),
        float(np.clip(0.5 * (one.sum() + other.sum()), 0.0, 1.0)),
        untested,
        float(a[b == 0.0].sum()),
        0.0 if untested > 0.0 else float(1.0 / inflation.sum()),
        tuple((keys[i], float(a[i]), float(b[i])) for i in order),
    )
