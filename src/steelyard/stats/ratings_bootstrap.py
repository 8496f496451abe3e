"""Bootstrap of Bradley-Terry ratings: all replicates solved together from cell counts.

Not covered: covariates (their votes do not collapse to cells; use the sandwich). The sandwich gives the same
widths for a hundredth of the work; the bootstrap is the check of it, and shows skewed distributions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from steelyard.errors import DataError
from steelyard.stats.base import FloatArray, Interval, count, fraction, generator
from steelyard.stats.ratings import RatingOptions, position_term
from steelyard.stats.ratings_checks import refuse_unrateable
from steelyard.stats.ratings_fit import Cells, Design, design_of_cells, newton, tabulate
from steelyard.stats.ratings_result import ELO_PER_LOGIT
from steelyard.stats.ratings_votes import Votes

_BLOCK = 4_000_000  # numbers in one (replicates, cells) array: 32 MB
_STEPS = 60
_CLOSE = 1e-6  # logits: 0.0002 Elo points
Draw = Callable[[np.random.Generator, int], FloatArray]  # counts of shape (replicates, pairs, 3)
_FAR = 12.0  # a replicate whose rating passes this is on its way to infinity: a clean sweep was drawn


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrap:
    """Replicates of the ratings: `theta` has shape (replicates, K) in the order of `names`, in logits.

    `unbounded` replicates drew a clean sweep, whose rating is infinite; they are kept at +-12 logits or
    beyond, where they count as the extreme values they are.
    """

    names: tuple[str, ...]
    theta: FloatArray
    unbounded: int
    level: float
    method: str

    def interval(self, name: str, *, elo: bool = False) -> Interval:
        """Percentile interval of one rating, in logits or on the Elo scale around 1000."""
        if name not in self.names:
            raise DataError(f"{name!r} was not rated", wanted=", ".join(self.names[:8]))
        tail = 50.0 * (1 - self.level)
        low, high = np.percentile(self.theta[:, self.names.index(name)], [tail, 100.0 - tail])
        scale, centre = (ELO_PER_LOGIT, 1000.0) if elo else (1.0, 0.0)
        return Interval(centre + scale * float(low), centre + scale * float(high), self.level, self.method)


def bootstrap(
    table: Votes,
    options: RatingOptions | None = None,
    *,
    replicates: int = 1000,
    seed: int = 0,
    cluster: NDArray[np.integer] | None = None,
) -> Bootstrap:
    """Percentile bootstrap of the ratings.

    Votes are resampled as counts of (side a, side b, outcome) cells, which is the same distribution as drawing
    votes with replacement (Efron 1979); with `cluster` codes (prompts, voters) whole clusters are drawn. All
    replicates then take Newton steps with the information of the full data, in a few matrix products.
    """
    options = options or RatingOptions()
    fraction(options.level, "level")
    count(replicates, "replicates", least=2)
    if table.features is not None:
        raise DataError("the bootstrap cannot carry covariates", fix="use rate(), whose intervals can")
    cells = tabulate(table)
    refuse_unrateable(cells, table.names, ridge=options.ridge)
    position = position_term(cells, options) is None
    design = design_of_cells(cells, position=position)
    fit = newton(design, ridge=options.ridge)
    draw = _draw_votes(cells) if cluster is None else _draw_clusters(table, cells, cluster)
    rng = generator(seed)
    theta = np.empty((replicates, cells.size))
    unbounded = 0
    block = max(1, _BLOCK // (3 * len(cells.a)))
    for i in range(0, replicates, block):
        counts = draw(rng, min(block, replicates - i))
        part, lost = _solve_together(design, counts, (fit.params, fit.bread), options.ridge)
        theta[i : i + block] = part
        unbounded += lost
    unit = "votes" if cluster is None else "clusters"
    method = f"percentile bootstrap of {unit}, {replicates} replicates, seed {seed}"
    return Bootstrap(table.names, theta, unbounded, options.level, method)


def _draw_votes(cells: Cells) -> Draw:
    flat = cells.counts.ravel()
    seen = np.flatnonzero(flat)
    total = flat.sum()

    def draw(rng: np.random.Generator, replicates: int) -> FloatArray:
        out = np.zeros((replicates, len(flat)))
        out[:, seen] = rng.multinomial(int(total), flat[seen] / total, size=replicates)
        return out.reshape(replicates, -1, 3)

    return draw


def _draw_clusters(table: Votes, cells: Cells, cluster: NDArray[np.integer]) -> Draw:
    if len(cluster) != len(table) or (len(cluster) and int(cluster.min()) < 0):
        raise DataError(
            "cluster: one code of 0 or more a vote", wanted=f"{len(table)}", got=f"{len(cluster)}"
        )
    groups = int(cluster.max()) + 1
    place = np.full(cells.size * cells.size, -1)
    place[cells.a * cells.size + cells.b] = np.arange(len(cells.a))
    column = place[table.a.astype(np.int64) * cells.size + table.b] * 3 + table.outcome
    shape = (groups, 3 * len(cells.a))
    held = sparse.csr_array((np.ones(len(table)), (cluster, column)), shape=shape)

    def draw(rng: np.random.Generator, replicates: int) -> FloatArray:
        times = rng.multinomial(groups, np.full(groups, 1 / groups), size=replicates)
        return np.asarray(times @ held, np.float64).reshape(replicates, -1, 3)

    return draw


def _solve_together(
    design: Design, counts: FloatArray, start: tuple[FloatArray, FloatArray], ridge: float
) -> tuple[FloatArray, int]:
    """Ratings of every replicate, and how many of them have no finite maximum.

    Newton with one fixed information matrix: a replicate's own differs by a few per cent, so each step gains
    about two digits. What has not settled after 60 steps (few votes, or a clean sweep) is fitted by itself.
    """
    k, pairs = design.size, np.arange(len(design.a))
    q = design.extra.shape[1]
    params, bread = start
    ones = np.ones(len(pairs))
    regressors = sparse.csr_array(
        (
            np.concatenate([ones, -ones, design.extra.ravel()]),
            (np.tile(pairs, 2 + q), np.concatenate([design.a, design.b, np.full(len(pairs) * q, k)])),
        ),
        shape=(len(pairs), k + q),
    )
    across = sparse.csr_array(regressors.T)
    number = np.ascontiguousarray(counts.sum(axis=2).T)
    score = np.ascontiguousarray((counts[:, :, 2] + 0.5 * counts[:, :, 1]).T)
    found = np.repeat(params[:, None], len(counts), axis=1)
    active = np.arange(len(counts))
    pull = np.concatenate([np.full(k, ridge), np.zeros(q)])[:, None]
    for _ in range(_STEPS):
        p = special.expit(regressors @ found[:, active])
        step = bread @ (across @ (score[:, active] - number[:, active] * p) - pull * found[:, active])
        found[:, active] += step
        size = np.abs(step).max(axis=0)
        calm = np.abs(found[:, active]).max(axis=0) < _FAR
        active = active[(size > _CLOSE) & calm]
        if not len(active):
            break
    wild = np.union1d(active, np.flatnonzero(np.abs(found[:k]).max(axis=0) >= _FAR))
    lost = 0
    for r in wild.tolist():
        found[:, r], infinite = _alone(design, counts[r], ridge)
        lost += infinite
    return found[:k].T - found[:k].T.mean(axis=1, keepdims=True), lost


def _alone(design: Design, counts: FloatArray, ridge: float) -> tuple[FloatArray, bool]:
    """One replicate by full Newton; a sweep is pulled by a ten-thousandth of a vote, to stay finite."""
    weight = counts.sum(axis=1)
    drawn = weight > 0
    score = (counts[:, 2] + 0.5 * counts[:, 1])[drawn] / weight[drawn]
    own = Design(design.a[drawn], design.b[drawn], score, weight[drawn], design.extra[drawn], design.size)
    try:
        fit = newton(own, ridge=ridge)
        if np.abs(fit.params).max() < _FAR:
            return fit.params, False
    except DataError:
        pass  # a clean sweep among the drawn votes: expected, counted by the caller
    plain = replace(own, extra=own.extra[:, :0])  # the position term may be infinite as well
    return np.concatenate([newton(plain, ridge=max(ridge, 1e-4)).params, np.zeros(own.extra.shape[1])]), True
