"""Covariance of fitted ratings: the sandwich, over single votes or over clusters of votes.

Not covered: a wrong mean curve (the sandwich forgives a wrong variance, not a wrong expectation), and fewer
than two clusters, for which there is no answer.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg, sparse, special

from steelyard.stats.base import BoolArray, FloatArray, IntArray
from steelyard.stats.ratings_fit import Cells, Design, centred, residual_square

_EXACT_CLUSTERS = 400  # clusters whose leverage is removed exactly: one K^3 solve each, the largest first
_FLOPS = 3e9  # and at most so many operations' worth of them
_LEVERAGE = 0.02  # below this bound on its leverage a cluster's correction is under 2 %
_ROWS = 1 << 15  # rows of a block: keeps (rows, K) arrays near 25 MB at 100 contestants
EXACT_PAIRS = 10_000_000
"""(vote, parameter) pairs up to which the effective number of clusters is exact."""
_SINGULAR = 1e-5  # a pivot shrinking below this share means that only this cluster links some contestants


@dataclass(frozen=True, slots=True, eq=False)
class Covariance:
    """`matrix` has shape (K + q, K + q), `df` one entry a parameter; `few[i]`: i met in one cluster only."""

    matrix: FloatArray
    df: FloatArray
    clusters: int
    few: BoolArray
    method: str


def sandwich(design: Design, cells: Cells, params: FloatArray, bread: FloatArray) -> Covariance:
    """Votes independent: HC2, M (sum of r^2/(1-h) x x') M, from the cells alone (MacKinnon & White 1985).

    `design` must have one row an ordered pair, aligned with `cells`. The leverage h of a single vote matters
    when a contestant has few votes; it vanishes at the sizes of public arenas.
    """
    p = special.expit(design.contrast(params))
    h = np.clip(p * (1 - p) * _leverage(design, bread), 0.0, 0.99)
    meat = design.information(residual_square(cells, p) / (1 - h))
    return _plain(design, bread, meat)


def sandwich_of_votes(design: Design, params: FloatArray, bread: FloatArray) -> Covariance:
    """The same with one row a vote (covariates)."""
    p = special.expit(design.contrast(params))
    h = np.clip(p * (1 - p) * _leverage(design, bread), 0.0, 0.99)
    return _plain(design, bread, design.information((design.score - p) ** 2 / (1 - h)))


def _plain(design: Design, bread: FloatArray, meat: FloatArray) -> Covariance:
    votes = float(design.weight.sum())
    df = np.full(len(bread), max(1.0, votes - (len(bread) - 1)))
    matrix = bread @ meat @ bread
    return Covariance(matrix, df, int(votes), np.zeros(design.size, bool), "sandwich (HC2)")


def _leverage(design: Design, bread: FloatArray) -> FloatArray:
    """x' M x of every row."""
    k, a, b = design.size, design.a, design.b
    diagonal = np.diag(bread)
    out = diagonal[a] + diagonal[b] - 2 * bread[a, b]
    if design.extra.shape[1]:
        cross = bread[:k, k:]
        out = out + 2 * np.einsum("ij,ij->i", cross[a] - cross[b], design.extra)
        out = out + np.einsum("ij,jk,ik->i", design.extra, bread[k:, k:], design.extra)
    return np.asarray(out, np.float64)


def clustered(design: Design, params: FloatArray, bread: FloatArray, cluster: IntArray) -> Covariance:
    """Votes of one cluster dependent in any way: the one-step cluster jackknife (CR3; Bell & McCaffrey 2002).

    V = (G-1)/G sum over clusters of d d', d = (A - A_g)^-1 u_g with A the information and u_g the cluster's
    score. Our deviation: with more than 400 clusters (fewer beyond 200 contestants) only the largest get
    the leverage term A_g, the others take d = A^-1 u_g. Student's t with the effective number of
    clusters as degrees of freedom (see `_effective`).
    """
    k = design.size
    groups = int(cluster.max()) + 1
    p = special.expit(design.contrast(params))
    scores = cluster_scores(design, design.weight * (design.score - p), cluster, groups)
    shifts = _largest(design, p, bread, cluster, scores)
    exact = np.zeros(groups, bool)
    exact[[*shifts]] = True
    rest = scores[np.flatnonzero(~exact)]
    meat = np.asarray((rest.T @ rest).todense(), np.float64)
    matrix = bread @ meat @ bread
    for d in shifts.values():
        matrix += np.outer(d, d)
    # stored entries, zero or not: the clusters in which each contestant met somebody
    few = np.asarray(np.bincount(scores.indices, minlength=len(bread))[:k] < 2, np.bool_)
    df = _effective(design, design.weight * p * (1 - p), bread, cluster)
    matrix = centred(matrix * (groups - 1) / groups, k)
    return Covariance(matrix, df, groups, few, "cluster-robust (CR3)")


def _effective(design: Design, values: FloatArray, bread: FloatArray, cluster: IntArray) -> FloatArray:
    """Effective number of clusters behind each parameter: (sum c)^2 / sum c^2, c = its variance's share.

    c = e' M A_g M e, with A_g the cluster's information (after Carter, Schnepel & Steigerwald 2017): G when
    all clusters weigh alike, near 1 when one rules. Beyond 10 million (vote, parameter) pairs M is taken as
    diagonal, which errs to the wide side.
    """
    size = np.bincount(cluster)
    if len(design.a) * len(bread) > EXACT_PAIRS:
        # all of one sign: what one contestant gains as side a must not cancel what it has as side b
        rough = abs(
            cluster_scores(replace(design, extra=np.abs(design.extra)), values, cluster, len(size), +1.0)
        )
        total = np.asarray(rough.sum(axis=0), np.float64)
        squares = np.asarray(rough.power(2).sum(axis=0), np.float64)
    else:
        total, squares = _shares(design, values, bread, cluster)
    return np.asarray(np.maximum(1.0, total**2 / np.maximum(squares, 1e-300)), np.float64)


def _shares(
    design: Design, values: FloatArray, bread: FloatArray, cluster: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Sums over clusters of c and of c^2, one entry a parameter, in blocks of whole clusters."""
    size = np.bincount(cluster)
    order = np.argsort(cluster, kind="stable")
    starts = np.concatenate([[0], np.cumsum(size)])
    block = starts[1:] // _ROWS
    cuts = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(size)]
    total, squares = np.zeros(len(bread)), np.zeros(len(bread))
    for low, high in itertools.pairwise(cuts):
        at = order[starts[low] : starts[high]]
        a, b, x = design.a[at], design.b[at], design.extra[at]
        share = values[at, None] * (bread[a] - bread[b] + x @ bread[design.size :]) ** 2
        parts = np.add.reduceat(share, starts[low:high] - starts[low], axis=0)
        total += parts.sum(axis=0)
        squares += (parts**2).sum(axis=0)
    return total, squares


def cluster_scores(
    design: Design, residual: FloatArray, cluster: IntArray, groups: int, other: float = -1.0
) -> sparse.csr_array:
    """Each cluster's sum of residual times regressor, shape (clusters, K + q). `other` is the sign of side b."""
    q, n = design.extra.shape[1], len(design.a)
    values = [residual, other * residual, *(residual * design.extra[:, j] for j in range(q))]
    columns = [design.a, design.b, *(np.full(n, design.size + j) for j in range(q))]
    index = (np.tile(cluster, 2 + q), np.concatenate(columns))
    return sparse.csr_array((np.concatenate(values), index), shape=(groups, design.size + q))


def largest(size: IntArray, n_parameters: int) -> IntArray:
    """The clusters, by their numbers of votes, whose leverage is removed exactly."""
    most = min(_EXACT_CLUSTERS, max(10, int(_FLOPS / n_parameters**3)))
    # strictly above the cut, so that the order of the rows cannot decide between equals
    cut = np.sort(size)[-most - 1] if len(size) > most else 0
    return np.flatnonzero((size > cut) & (size * n_parameters > _LEVERAGE * size.sum()))


def _largest(
    design: Design, p: FloatArray, bread: FloatArray, cluster: IntArray, scores: sparse.csr_array
) -> dict[int, FloatArray]:
    """d = (A - A_g)^-1 u_g for the clusters with the most votes."""
    k, groups = design.size, scores.shape[0]
    size = np.bincount(cluster, minlength=groups)
    chosen = largest(size, len(bread))
    order = np.argsort(cluster, kind="stable")
    ends = np.cumsum(size)
    total = design.information(design.weight * p * (1 - p))
    level = np.trace(total[:k, :k]) / k
    total[:k, :k] += level / k
    out: dict[int, FloatArray] = {}
    try:
        pivots = np.diag(linalg.cholesky(total))
    except linalg.LinAlgError:  # links so weak that they round to none: no leverage can be told
        return out
    dense = np.asarray(
        scores[chosen].todense(), np.float64
    )  # a sparse row at a time costs ten times the solving
    for g, score in zip(chosen.tolist(), dense, strict=True):
        at = order[ends[g] - size[g] : ends[g]]
        part = Design(design.a[at], design.b[at], design.score[at], design.weight[at], design.extra[at], k)
        own = part.information(part.weight * p[at] * (1 - p[at]))
        out[g] = without(total - own, pivots, score, bread)
    return out


def without(left: FloatArray, pivots: FloatArray, score: FloatArray, bread: FloatArray) -> FloatArray:
    """`left`^-1 score, or the uncorrected shift where the other clusters alone do not link everybody."""
    try:
        factor = linalg.cho_factor(left, check_finite=False)
    except linalg.LinAlgError:
        return np.asarray(bread @ score, np.float64)
    if (np.abs(np.diag(factor[0])) < _SINGULAR * pivots).any():
        return np.asarray(bread @ score, np.float64)
    return np.asarray(linalg.cho_solve(factor, score, check_finite=False), np.float64)


def two_way(first: Covariance, second: Covariance, both: Covariance) -> Covariance:
    """Votes dependent along two crossed clusterings: V1 + V2 - V12 (Cameron, Gelbach & Miller 2011).

    Negative eigenvalues, possible with few clusters, are set to zero. Our deviation: no variance may fall
    below the larger one-way variance, since a second dependence can only add.
    """
    matrix = first.matrix + second.matrix - both.matrix
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    matrix = (vectors * np.clip(values, 0.0, None)) @ vectors.T
    floor = np.maximum(np.diag(first.matrix), np.diag(second.matrix))
    matrix = matrix + np.diag(np.clip(floor - np.diag(matrix), 0.0, None))
    return Covariance(
        matrix,
        np.minimum(first.df, second.df),
        min(first.clusters, second.clusters),
        first.few | second.few,
        "two-way cluster-robust (CR3)",
    )


def intersection(first: IntArray, second: IntArray) -> IntArray:
    """Codes of the pairs of two clusterings."""
    _, codes = np.unique(first * (int(second.max()) + 1) + second, return_inverse=True)
    return np.asarray(codes, np.int64)
