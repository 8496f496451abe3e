"""Bootstrap of Bradley-Terry ratings: all replicates solved together from cell counts.

Not covered: covariates (their votes do not collapse to cells; use the sandwich). The sandwich gives the same
widths for a hundredth of the work; the bootstrap is the check of it, and shows skewed distributions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from steelyard.errors import DataError
from steelyard.stats.base import FloatArray, Interval, count, fraction, generator
from steelyard.stats.ratings import RatingOptions, position_term
from steelyard.stats.ratings_checks import refuse_unrateable
from steelyard.stats.ratings_draws import Drawn, Float32, draw_clusters, draw_votes
from steelyard.stats.ratings_fit import Design, design_of_cells, newton, tabulate
from steelyard.stats.ratings_result import ELO_PER_LOGIT
from steelyard.stats.ratings_votes import Votes

_BLOCK = 1_500_000  # counts of one block of replicates: 6 MB, near the size of a cache
_STEPS = 60
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

    Votes are resampled as counts of (side a, side b, outcome) cells (Efron 1979; Poisson counts, see
    `ratings_draws`); with `cluster` codes (prompts, voters) whole clusters are drawn. All
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
    draw = draw_votes(cells) if cluster is None else draw_clusters(table, cells, cluster)
    solve = _Together(design, fit.params, fit.bread, options.ridge)
    theta = np.empty((replicates, cells.size))
    unbounded = 0
    block = max(1, _BLOCK // (3 * len(cells.a)))
    starts = range(0, replicates, block)
    for i, rng in zip(starts, generator(seed).spawn(len(starts)), strict=True):
        part, lost = solve(draw(rng, min(block, replicates - i)))
        theta[i : i + block] = part
        unbounded += lost
    unit = "votes, Poisson counts" if cluster is None else "clusters"
    method = f"percentile bootstrap of {unit}, {replicates} replicates, seed {seed}"
    return Bootstrap(table.names, theta, unbounded, options.level, method)


class _Together:
    """Solves the ratings of many replicates at once."""

    def __init__(self, design: Design, params: FloatArray, bread: FloatArray, ridge: float) -> None:
        k, pairs, q = design.size, len(design.a), design.extra.shape[1]
        self.design, self.params, self.bread, self.ridge = design, params, bread, ridge
        rows = np.arange(pairs)
        index = (np.tile(rows, 2 + q), np.concatenate([design.a, design.b, np.full(pairs * q, k)]))
        signs = np.concatenate([np.ones(pairs), -np.ones(pairs), design.extra.ravel()]).astype(np.float32)
        self.regressors = sparse.csr_array((signs, index), shape=(pairs, k + q))
        self.across = sparse.csr_array(self.regressors.T)
        self.pull = np.concatenate([np.full(k, ridge), np.zeros(q)])[:, None]
        # a thousandth of the steadiest rating's standard error
        self.close = 1e-3 * float(np.sqrt(np.diag(bread)[:k].min()))

    def __call__(self, drawn: Drawn) -> tuple[FloatArray, int]:
        """Ratings of every replicate, shape (replicates, K), and how many of them have no finite maximum.

        Newton with one fixed information matrix: a replicate's own differs by a few per cent, so each step
        gains about two digits. What has not settled after 60 steps (few votes, or a clean sweep) is fitted by
        itself.
        """
        k, replicates = self.design.size, drawn.number.shape[1]
        found = np.repeat(self.params[:, None], replicates, axis=1)
        # the first step starts at the same place in all replicates
        p = special.expit(self.design.contrast(self.params)).astype(np.float32)[:, None]
        move = self._move(drawn.score - drawn.number * p, found)
        found += move
        active, last = np.arange(replicates), np.abs(move).max(axis=0)
        for _ in range(_STEPS):
            now = found if len(active) == replicates else found[:, active]
            number, score = drawn.number, drawn.score
            if len(active) < replicates:
                number, score = number[:, active], score[:, active]
            chance = special.expit(self.regressors @ now.astype(np.float32))
            chance *= number
            move = self._move(np.subtract(score, chance, out=chance), now)
            found[:, active] = now + move
            size = np.abs(move).max(axis=0)
            # steps shrink by a steady factor, so what is left after this one is about factor * size
            left = size * np.minimum(1.0, size / np.maximum(last, 1e-300))
            keep = (left > self.close) & (np.abs(found[:, active]).max(axis=0) < _FAR)
            active, last = active[keep], size[keep]
            if not len(active):
                break
        wild = np.union1d(active, np.flatnonzero(np.abs(found).max(axis=0) >= _FAR))
        lost = 0
        for r in wild.tolist():
            found[:, r], infinite = _alone(self.design, drawn.number[:, r], drawn.score[:, r], self.ridge)
            lost += infinite
        theta = found[:k].T
        return theta - theta.mean(axis=1, keepdims=True), lost

    def _move(self, residual: Float32, at: FloatArray) -> FloatArray:
        gradient = (self.across @ residual).astype(np.float64)
        return np.asarray(self.bread @ (gradient - self.pull * at), np.float64)


def _alone(design: Design, number: Float32, score: Float32, ridge: float) -> tuple[FloatArray, bool]:
    """One replicate by full Newton; a sweep is pulled by a ten-thousandth of a vote, to stay finite."""
    drawn = number > 0
    weight = number[drawn].astype(np.float64)
    mean = score[drawn] / weight
    own = Design(design.a[drawn], design.b[drawn], mean, weight, design.extra[drawn], design.size)
    try:
        fit = newton(own, ridge=ridge)
        if np.abs(fit.params).max() < _FAR:
            return fit.params, False
    except DataError:
        pass  # a clean sweep among the drawn votes: expected, counted by the caller
    plain = replace(own, extra=own.extra[:, :0])  # the position term may be infinite as well
    return np.concatenate([newton(plain, ridge=max(ridge, 1e-4)).params, np.zeros(own.extra.shape[1])]), True
