"""Newton's fit of a Bradley-Terry likelihood from pair cells or from single votes, ties as half a win.

Not covered: checks of the data (see `ratings_checks`) and uncertainty (see `ratings_covariance`).

The model: P(side a wins) = expit(theta[a] - theta[b] + x @ gamma), where x holds the position term (1) and the
covariates. A tie scores one half, which is consistent whenever the mean score follows that curve; it is the
estimating equation of arena-rank, FastChat and evalica. Ratings sum to zero. Dense matrices: fine to about
3,000 contestants.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special

from steelyard.errors import DataError
from steelyard.stats.base import FloatArray, IntArray
from steelyard.stats.ratings_votes import Votes

_MAX_ITERATIONS = 60
_DIVERGED = 60.0  # logits; expit(-60) is 1e-26, so a rating out there can only be on its way to infinity
_CHUNK = 1 << 20
_MIMICKED = 1e-9  # share of an extra column that ratings and other columns leave; rounding is near 1e-15


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Counts of the outcomes of every ordered pair that met: `counts[i]` = (b won, tie, a won)."""

    a: IntArray
    b: IntArray
    counts: FloatArray
    size: int


def tabulate(votes: Votes) -> Cells:
    """The votes of every ordered pair, counted. Linear time; at most 3 K^2 counters, or a sort if that is more."""
    k, n = len(votes.names), len(votes)
    if 3 * k * k > max(4 * n, 1 << 22):
        key = (votes.a.astype(np.int64) * k + votes.b) * 3 + votes.outcome
        found, number = np.unique(key, return_counts=True)
        pairs, place = np.unique(found // 3, return_inverse=True)
        counts = np.zeros((len(pairs), 3))
        counts[place, found % 3] = number
        return Cells(pairs // k, pairs % k, counts, k)
    total = np.zeros(3 * k * k, np.int64)
    for i in range(0, n, _CHUNK):  # chunks keep the 8-byte keys in the cache and off the peak memory
        part = slice(i, i + _CHUNK)
        key = (votes.a[part].astype(np.int64) * k + votes.b[part]) * 3 + votes.outcome[part]
        total += np.bincount(key, minlength=3 * k * k)
    table = total.reshape(k * k, 3)
    pairs = np.flatnonzero(table.any(axis=1))
    return Cells(pairs // k, pairs % k, table[pairs].astype(np.float64), k)


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Rows of the regression: `score` (0 to 1) of side a, `weight` votes, `extra` columns (rows, q)."""

    a: IntArray
    b: IntArray
    score: FloatArray
    weight: FloatArray
    extra: FloatArray
    size: int

    def contrast(self, params: FloatArray) -> FloatArray:
        """The logit of every row."""
        k = self.size
        eta = params[self.a] - params[self.b]
        return eta + self.extra @ params[k:] if self.extra.shape[1] else eta

    def gather(self, values: FloatArray) -> FloatArray:
        """Sum over rows of value times regressor: the score vector when `values` are weighted residuals."""
        k = self.size
        theta = np.bincount(self.a, values, k) - np.bincount(self.b, values, k)
        return np.concatenate([theta, values @ self.extra])

    def information(self, values: FloatArray) -> FloatArray:
        """Sum over rows of value times the outer product of the regressor, shape (K + q, K + q)."""
        k, q = self.size, self.extra.shape[1]
        out = np.zeros((k + q, k + q))
        meet = np.bincount(self.a * k + self.b, values, k * k).reshape(k, k)
        meet += meet.T
        out[:k, :k] = np.diag(meet.sum(axis=1)) - meet
        for j in range(q):
            column = values * self.extra[:, j]
            out[k + j] = self.gather(column)
        out[:k, k:] = out[k:, :k].T
        return out


def design_of_cells(cells: Cells, *, position: bool) -> Design:
    """One row an ordered pair; the position term, if fitted, is a column of ones."""
    weight = cells.counts.sum(axis=1)
    score = (cells.counts[:, 2] + 0.5 * cells.counts[:, 1]) / weight
    extra = np.ones((len(weight), int(position)))
    return Design(cells.a, cells.b, score, weight, extra, cells.size)


def design_of_votes(votes: Votes, columns: FloatArray) -> Design:
    """One row a vote, with the given extra columns."""
    return Design(
        votes.a.astype(np.int64),
        votes.b.astype(np.int64),
        votes.outcome / 2.0,
        np.ones(len(votes)),
        columns,
        len(votes.names),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Parameters (K ratings summing to zero, then the extra columns) and the inverse information there."""

    params: FloatArray
    bread: FloatArray
    steps: int


def newton(design: Design, *, ridge: float = 0.0, start: FloatArray | None = None) -> Fit:
    """Maximise the likelihood by Newton's method with step halving; quadratic convergence, about 6 steps.

    `ridge` adds ridge/2 * sum(theta^2), in units of votes. Raises `DataError` when a parameter runs off to
    infinity (separable data that the graph checks cannot see: covariates).
    """
    k, q = design.size, design.extra.shape[1]
    params = np.zeros(k + q) if start is None else start.copy()
    penalty = np.concatenate([np.full(k, ridge), np.zeros(q)])
    value = _objective(design, params, penalty)
    for step in range(1, _MAX_ITERATIONS + 1):
        p = special.expit(design.contrast(params))
        gradient = design.gather(design.weight * (design.score - p)) - penalty * params
        hessian = _with_gauge(design.information(design.weight * p * (1 - p)), k) + np.diag(penalty)
        move = _solve(hessian, gradient)
        scale = 1.0
        while True:
            trial = params + scale * move
            trial[:k] -= trial[:k].mean()
            found = _objective(design, trial, penalty)
            if found >= value - 1e-9 * abs(value) or scale < 1e-4:
                break
            scale /= 2
        params, value = trial, found
        if np.abs(params[:k]).max() > _DIVERGED or (q and np.abs(_reach(design, params)).max() > _DIVERGED):
            raise _separable(design, params)
        if np.abs(scale * move).max() < 1e-7:  # Newton squares the error: what is left is near 1e-14
            return Fit(params, inverse_information(design, params, ridge), step)
    raise _separable(design, params)


def inverse_information(design: Design, params: FloatArray, ridge: float = 0.0) -> FloatArray:
    """The inverse information at `params`, on the space where the ratings sum to zero."""
    k = design.size
    p = special.expit(design.contrast(params))
    hessian = _with_gauge(design.information(design.weight * p * (1 - p)), k)
    hessian[range(k), range(k)] += ridge
    _refuse_mimicked(hessian, k)
    return centred(_inverse(hessian), k)


def _refuse_mimicked(hessian: FloatArray, size: int) -> None:
    """Raise DataError when an extra column is a sum of ratings and other columns: its effect is arbitrary then."""
    q = len(hessian) - size
    if not q:
        return
    ratings, cross, own = hessian[:size, :size], hessian[:size, size:], hessian[size:, size:]
    # the gauge has filled the null direction, and a column of contrasts has no part in it
    left = own - cross.T @ _solve(ratings, cross)
    scale = np.sqrt(np.maximum(np.diag(own), 1e-300))
    if np.linalg.eigvalsh(left / np.outer(scale, scale)).min() < _MIMICKED:
        raise DataError(
            "the votes are too few (or too alike) to tell style and side from the contestants",
            wanted="pairs that were shown in both orders and with different styles",
            fix="collect more votes, or leave the covariates out",
        )


def centred(matrix: FloatArray, size: int) -> FloatArray:
    """Project the rating rows and columns of a covariance on the space where they sum to zero."""
    out = matrix.copy()
    out[:size] -= out[:size].mean(axis=0)
    out[:, :size] -= out[:, :size].mean(axis=1, keepdims=True)
    return out


def _objective(design: Design, params: FloatArray, penalty: FloatArray) -> float:
    eta = design.contrast(params)
    log_likelihood = design.weight @ (design.score * eta - np.logaddexp(0.0, eta))
    return float(log_likelihood - 0.5 * (penalty * params) @ params)


def _with_gauge(hessian: FloatArray, size: int) -> FloatArray:
    """Fill the null direction (all ratings shifted alike) so that the matrix can be factorised."""
    level = np.trace(hessian[:size, :size]) / size
    hessian[:size, :size] += level / size
    return hessian


def _solve(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    try:
        return np.asarray(linalg.cho_solve(linalg.cho_factor(matrix), vector), np.float64)
    except linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(matrix, vector, rcond=None)[0], np.float64)


def _inverse(matrix: FloatArray) -> FloatArray:
    try:
        factor = linalg.cho_factor(matrix)
    except linalg.LinAlgError:
        return np.asarray(np.linalg.pinv(matrix, hermitian=True), np.float64)
    return np.asarray(linalg.cho_solve(factor, np.eye(len(matrix))), np.float64)


def _reach(design: Design, params: FloatArray) -> FloatArray:
    """How far each extra column moves a logit at most."""
    return np.asarray(np.abs(design.extra).max(axis=0) * params[design.size :], np.float64)


def _separable(design: Design, params: FloatArray) -> DataError:
    k = design.size
    worst = int(np.argmax(np.abs(params)))
    what = f"contestant number {worst}" if worst < k else f"extra column number {worst - k}"
    return DataError(
        f"no finite fit: {what} separates the votes (its coefficient grows without end)",
        wanted="every covariate and contestant with votes for and against it",
        fix="drop the covariate, collect more votes, or give RatingOptions a ridge such as 0.5",
    )


def residual_square(cells: Cells, p: FloatArray) -> NDArray[np.float64]:
    """Sum over the votes of each ordered pair of (score - p)^2."""
    score = np.array([0.0, 0.5, 1.0])
    return np.asarray((cells.counts * (score - p[:, None]) ** 2).sum(axis=1), np.float64)
