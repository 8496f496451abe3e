"""Two simpler ratings that people know: sequential Elo, and the mean win rate over opponents.

Not covered: intervals. Sequential Elo depends on the order of the votes and never converges; the mean win rate
depends on whom a contestant met. Use them to compare with published tables; use `rate` to conclude anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from steelyard.errors import DataError
from steelyard.stats.ratings_fit import tabulate
from steelyard.stats.ratings_votes import Votes
from steelyard.unknown import Unknown


@dataclass(frozen=True, slots=True)
class EloOptions:
    """The update: `k` points at stake a vote, `scale` points for odds of `base`, all start at `initial`."""

    k: float = 4.0
    initial: float = 1000.0
    base: float = 10.0
    scale: float = 400.0


def sequential_elo(table: Votes, options: EloOptions | None = None) -> dict[str, float]:
    """Elo ratings after playing the votes in their order (Elo 1978), best first; a tie scores half.

    About half a microsecond a vote. A contestant without votes keeps `initial`.
    """
    o = options or EloOptions()
    for name, value in (("k", o.k), ("scale", o.scale), ("base", o.base - 1)):
        if not (math.isfinite(value) and value > 0):
            raise DataError(
                f"EloOptions.{name}: out of range", wanted="above 0 (base above 1)", got=f"{value}"
            )
    rating = [o.initial] * len(table.names)
    rate = math.log(o.base) / o.scale
    gains = (table.outcome * 0.5).tolist()
    for a, b, s in zip(table.a.tolist(), table.b.tolist(), gains, strict=True):
        # the argument is bounded so that absurd options cannot overflow
        expected = 1.0 / (1.0 + math.exp(min(700.0, rate * (rating[b] - rating[a]))))
        change = o.k * (s - expected)
        rating[a] += change
        rating[b] -= change
    order = sorted(range(len(rating)), key=lambda i: (-rating[i], table.names[i]))
    return {table.names[i]: rating[i] for i in order}


def mean_win_rates(table: Votes) -> dict[str, float | Unknown]:
    """For each contestant the mean, over the opponents it met, of its win rate against each, best first.

    A tie counts half; every opponent weighs the same however many votes there were, as in evalica's
    `average_win_rate`. Unknown for a contestant without votes.
    """
    cells = tabulate(table)
    k = cells.size
    won, met = np.zeros((k, k)), np.zeros((k, k))
    score = cells.counts[:, 2] + 0.5 * cells.counts[:, 1]
    total = cells.counts.sum(axis=1)
    np.add.at(won, (cells.a, cells.b), score)
    np.add.at(won, (cells.b, cells.a), total - score)
    np.add.at(met, (cells.a, cells.b), total)
    met += met.T
    rate = np.divide(won, met, out=np.zeros_like(won), where=met > 0).sum(axis=1)
    opponents = (met > 0).sum(axis=1)
    values = [float(r / n) if n else Unknown("no votes") for r, n in zip(rate, opponents, strict=True)]
    order = sorted(range(k), key=lambda i: (-(rate[i] / max(1, opponents[i])), table.names[i]))
    return {table.names[i]: values[i] for i in order}
