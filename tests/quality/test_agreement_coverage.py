"""Coverage of kappa and alpha: 2,000 planted data sets each. Two categories are enumerated instead."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.quality.planted import Tally

from steelyard.stats.agreement import cohen_kappa
from steelyard.stats.alpha import krippendorff_alpha
from steelyard.stats.base import Estimate

Make = Callable[[np.random.Generator], Estimate]


def check(what: str, make: Make, truth: float, *, low: float = 0.935, high: float = 0.965) -> None:
    tally = Tally()
    for i in range(2000):
        tally.add(make(np.random.default_rng((2000, i))).interval, truth)
    tally.check(what, low, high)


def cells(agree: float, margins: tuple[float, ...]) -> tuple[np.ndarray, float]:
    """A table of cell chances with equal margins, and its kappa."""
    m = np.array(margins)
    table = (1 - agree) * np.outer(m, m) + agree * np.diag(m)
    return table, agree


@pytest.mark.parametrize("n", [50, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("agree", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("margins", [(0.5, 0.3, 0.2), (0.8, 0.15, 0.05)])
def test_kappa_covers(n: int, agree: float, margins: tuple[float, ...]) -> None:
    table, truth = cells(agree, margins)

    def make(rng: np.random.Generator) -> Estimate:
        drawn = rng.choice(table.size, n, p=table.ravel())
        return cohen_kappa(drawn // len(margins), drawn % len(margins))

    check(f"kappa {agree}, n {n}, margins {margins}", make, truth)


def test_kappa_over_unequal_clusters_covers() -> None:
    """Items of one cluster repeat one draw half of the time."""
    table, truth = cells(0.5, (0.5, 0.5))

    def make(rng: np.random.Generator) -> Estimate:
        size = np.maximum(1, rng.lognormal(0, 0.8, 40) * 6).astype(int)
        cluster = np.repeat(np.arange(40), size)
        shared, own = (rng.choice(4, k, p=table.ravel()) for k in (40, len(cluster)))
        drawn = np.where(rng.random(len(cluster)) < 0.5, shared[cluster], own)
        return cohen_kappa(drawn // 2, drawn % 2, clusters=cluster)

    check("kappa, 40 unequal clusters", make, truth)


@pytest.mark.parametrize("metric", ["nominal", "interval"])
def test_alpha_covers(metric: str) -> None:
    """Three raters report a common value or, with chance 0.4 each, one drawn from the same margins."""

    def draw(rng: np.random.Generator, units: int) -> tuple[np.ndarray, np.ndarray]:
        common = rng.choice(4, units)
        ratings = np.where(rng.random((units, 3)) < 0.6, common[:, None], rng.choice(4, (units, 3)))
        present = rng.random((units, 3)) < 0.9
        return ratings[present], np.nonzero(present)[0]

    truth = 0.36  # two raters both report the common value with chance 0.6^2, else they agree by chance
    check(
        f"alpha, {metric}, 60 units",
        lambda rng: krippendorff_alpha(*draw(rng, 60), metric=metric),  # type: ignore[arg-type]  # literals
        truth,
        high=0.98 if metric == "nominal" else 0.965,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("units", "rare", "truth", "high"),
    [
        (50, 0.1, 0.0, 0.985),
        (20, 0.1, 0.8, 0.985),
        pytest.param(50, 0.05, 0.0, 0.985, marks=pytest.mark.slow),
        pytest.param(20, 0.1, 0.4, 1.0, marks=pytest.mark.slow),
        pytest.param(50, 0.1, 0.4, 0.995, marks=pytest.mark.slow),
        pytest.param(50, 0.05, 0.8, 0.975, marks=pytest.mark.slow),
        pytest.param(200, 0.05, 0.0, 0.975, marks=pytest.mark.slow),
    ],
)
def test_alpha_covers_where_a_category_is_rare(units: int, rare: float, truth: float, high: float) -> None:
    """Three raters, a fifth of the ratings missing; the jackknife covered 48 to 92 % of these."""

    def make(rng: np.random.Generator) -> Estimate:
        common = rng.random(units) < rare
        own = rng.random((units, 3)) >= np.sqrt(truth)
        ratings = np.where(own, rng.random((units, 3)) < rare, common[:, None])
        present = rng.random((units, 3)) < 0.8
        return krippendorff_alpha(ratings[present].astype(int), np.nonzero(present)[0])

    check(f"alpha {truth}, {units} units, a category of {rare}", make, truth, high=high)
