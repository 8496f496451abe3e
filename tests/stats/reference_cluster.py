"""Slow and obvious: cluster-robust variance by explicit matrices, for tests of the fast path."""

from __future__ import annotations

import numpy as np


def variance_and_df(values: np.ndarray, clusters: np.ndarray) -> tuple[float, float, float]:
    """Mean, variance and Satterthwaite df with N x N matrices, from the definitions."""
    names = np.unique(clusters)
    total = values.size
    centring = np.eye(total) - np.ones((total, total)) / total
    weights = np.array([np.sum(clusters == name) / total for name in names])
    concentration = np.sum(weights**2)
    rows = []
    for name, w in zip(names, weights, strict=True):
        independent, dependent = 1 / (1 - w), 1 / (1 - 2 * w + concentration)
        factor = (independent * dependent) ** 0.25
        rows.append(factor * (clusters == name).astype(float) @ centring / total)
    influence = np.array(rows)
    variance = float(np.sum((influence @ values) ** 2))
    moments = influence @ influence.T
    return float(values.mean()), variance, float(np.trace(moments) ** 2 / np.trace(moments @ moments))


def anova_variance(values: np.ndarray, clusters: np.ndarray) -> float:
    """Variance of the mean from the one-way random-effects model, unclipped."""
    names = np.unique(clusters)
    sizes = np.array([np.sum(clusters == name) for name in names])
    means = np.array([values[clusters == name].mean() for name in names])
    total = sizes.sum()
    between_ms = np.sum(sizes * (means - values.mean()) ** 2) / (names.size - 1)
    spare = total - names.size
    within_ms = 0.0
    if spare:
        within_ms = (
            sum(np.sum((values[clusters == k] - values[clusters == k].mean()) ** 2) for k in names) / spare
        )
    n0 = (total - np.sum(sizes**2) / total) / (names.size - 1)
    sigma_between = (between_ms - within_ms) / n0
    return float(np.sum(sizes**2) / total**2 * sigma_between + within_ms / total)
