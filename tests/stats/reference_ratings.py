"""Slow and obvious ratings, for tests of the fast path: a dense design with one row a vote."""

from __future__ import annotations

import numpy as np
from scipy import optimize, special

from steelyard.stats.ratings_votes import Votes


def dense_design(table: Votes, *, position: bool) -> np.ndarray:
    """One row a vote: +1 at side a, -1 at side b, then 1 for the position term, then the covariates."""
    k = len(table.names)
    rows = []
    for i in range(len(table)):
        row = np.zeros(k + int(position))
        row[table.a[i]] += 1.0
        row[table.b[i]] -= 1.0
        if position:
            row[k] = 1.0
        extra = [] if table.features is None else list(table.features[i])
        rows.append(np.concatenate([row, extra]))
    return np.array(rows)


def maximise(table: Votes, *, position: bool) -> np.ndarray:
    """Parameters by a general optimiser on the log likelihood; ratings sum to zero."""
    x, y = dense_design(table, position=position), table.outcome / 2.0

    def loss(params: np.ndarray) -> tuple[float, np.ndarray]:
        eta = x @ params
        return -float(np.sum(y * eta - np.logaddexp(0, eta))), -(x.T @ (y - special.expit(eta)))

    found = optimize.minimize(loss, np.zeros(x.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    k = len(table.names)
    found[:k] -= found[:k].mean()
    return found


def hc2(table: Votes, params: np.ndarray, *, position: bool) -> np.ndarray:
    """Sandwich covariance with the hat matrix written out."""
    x, y = dense_design(table, position=position), table.outcome / 2.0
    p = special.expit(x @ params)
    bread = np.linalg.pinv(x.T @ np.diag(p * (1 - p)) @ x)
    hat = np.sqrt(p * (1 - p))[:, None] * x @ bread @ x.T * np.sqrt(p * (1 - p))
    meat = x.T @ np.diag((y - p) ** 2 / (1 - np.diag(hat))) @ x
    return bread @ meat @ bread


def cr3(table: Votes, params: np.ndarray, cluster: np.ndarray, *, position: bool) -> np.ndarray:
    """One-step cluster jackknife, one pseudo-inverse a cluster."""
    x, y = dense_design(table, position=position), table.outcome / 2.0
    p = special.expit(x @ params)
    total = x.T @ np.diag(p * (1 - p)) @ x
    out = np.zeros_like(total)
    groups = np.unique(cluster)
    for g in groups:
        m = cluster == g
        own = x[m].T @ np.diag((p * (1 - p))[m]) @ x[m]
        shift = np.linalg.pinv(total - own) @ x[m].T @ (y - p)[m]
        out += np.outer(shift, shift)
    return out * (len(groups) - 1) / len(groups)


def effective_clusters(
    table: Votes, params: np.ndarray, cluster: np.ndarray, *, position: bool
) -> np.ndarray:
    """(sum c)^2 / sum c^2 with c = e' M A_g M e."""
    x = dense_design(table, position=position)
    p = special.expit(x @ params)
    bread = np.linalg.pinv(x.T @ np.diag(p * (1 - p)) @ x)
    shares = []
    for g in np.unique(cluster):
        m = cluster == g
        shares.append(np.diag(bread @ x[m].T @ np.diag((p * (1 - p))[m]) @ x[m] @ bread))
    c = np.array(shares)
    return c.sum(axis=0) ** 2 / (c**2).sum(axis=0)
