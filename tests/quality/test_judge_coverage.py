"""Coverage of kappa, alpha, prediction-powered means, the corrected rate and judge biases on planted truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from steelyard.stats.agreement import cohen_kappa
from steelyard.stats.alpha import krippendorff_alpha
from steelyard.stats.base import Estimate, Interval
from steelyard.stats.judge import self_preference, swap_table
from steelyard.stats.ppi import Clusters, PpiOptions, ppi_mean, rogan_gladen

Make = Callable[[np.random.Generator], Estimate]


def check(
    what: str, make: Make, truth: float, *, sets: int = 2000, low: float = 0.935, high: float = 0.965
) -> None:
    hits = total = 0
    for i in range(sets):
        interval = make(np.random.default_rng((sets, i))).interval
        if isinstance(interval, Interval):
            hits += interval.contains(truth)
            total += 1
    text = f"{what}: coverage {hits / total:.4f} = {hits}/{total} of {sets} sets, wanted {low}..{high}"
    print(text)
    assert low <= hits / total <= high, text


def cells(agree: float, margins: tuple[float, ...]) -> tuple[np.ndarray, float]:
    """A table of cell chances with equal margins, and its kappa."""
    m = np.array(margins)
    table = (1 - agree) * np.outer(m, m) + agree * np.diag(m)
    return table, agree


@pytest.mark.parametrize("n", [50, 200])
@pytest.mark.parametrize("agree", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("margins", [(0.5, 0.5), (0.3, 0.7), (0.5, 0.3, 0.2)])
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

    check("kappa, 40 unequal clusters", make, truth, sets=1000, low=0.925, high=0.975)


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
        truth, sets=600, low=0.925, high=0.975,
    )  # fmt: skip


def binary(n: int, more: int, p: float, skill: tuple[float, float]) -> Callable:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        y = rng.random(n + more) < p
        f = np.where(y, rng.random(n + more) < skill[0], rng.random(n + more) >= skill[1])
        return y[:n] * 1.0, f[:n] * 1.0, f[n:] * 1.0

    return draw


# rates of 0.01 and n = 20 leave few attainable outcomes: there the interval may cover more, never much less
GRID = [
    (20, 200, 0.5, (0.7, 0.7), 0.93, 0.965),
    (20, 200, 0.5, (0.9, 0.9), 0.935, 0.975),
    (20, 200, 0.01, (0.9, 0.9), 0.935, 1.0),
    (20, 200, 0.99, (0.9, 0.9), 0.935, 1.0),
    (50, 1000, 0.3, (0.9, 0.9), 0.935, 0.965),
    (100, 1000, 0.1, (0.9, 0.9), 0.93, 0.965),
    (300, 3000, 0.01, (0.9, 0.9), 0.925, 0.965),
    (300, 3000, 0.5, (0.99, 0.99), 0.935, 0.965),
]


@pytest.mark.parametrize(("n", "more", "p", "skill", "low", "high"), GRID)
def test_prediction_powered_rate_covers(
    n: int, more: int, p: float, skill: tuple[float, float], low: float, high: float
) -> None:
    draw = binary(n, more, p, skill)
    check(f"PPI++, n {n}, p {p}, judge {skill}", lambda rng: ppi_mean(*draw(rng)), p, low=low, high=high)


@pytest.mark.parametrize("n", [20, 100])
@pytest.mark.parametrize("tune", ["auto", 1.0])
def test_prediction_powered_mean_of_graded_scores_covers(n: int, tune: float) -> None:
    def make(rng: np.random.Generator) -> Estimate:
        y = rng.normal(0, 1, n + 500)
        f = y + rng.normal(0, 0.7, n + 500)
        return ppi_mean(y[:n], f[:n], f[n:], PpiOptions(tune))

    check(f"PPI graded, n {n}, tune {tune}", make, 0.0)


def test_clustered_prediction_powered_mean_covers() -> None:
    """Documents hold labelled and unlabelled answers that share a difficulty."""

    def make(rng: np.random.Generator) -> Estimate:
        size = np.maximum(2, rng.lognormal(0, 0.7, 60) * 12).astype(int)
        doc = np.repeat(np.arange(60), size)
        y = rng.normal(0, 1, 60)[doc] + rng.normal(0, 1, len(doc))
        f = y + rng.normal(0, 0.7, 60)[doc] + rng.normal(0, 0.5, len(doc))
        lab = rng.random(len(doc)) < 0.15
        return ppi_mean(y[lab], f[lab], f[~lab], PpiOptions(), clusters=Clusters(doc[lab], doc[~lab]))

    check("PPI, 60 clusters of both kinds", make, 0.0, sets=1500)


@pytest.mark.parametrize(
    ("n", "p", "skill", "high"),
    [(100, 0.3, (0.9, 0.7), 0.975), (300, 0.1, (0.9, 0.9), 0.97), (300, 0.5, (0.99, 0.99), 0.97)],
)
def test_rogan_gladen_covers(n: int, p: float, skill: tuple[float, float], high: float) -> None:
    draw = binary(n, 3000, p, skill)
    check(f"Rogan-Gladen, n {n}, p {p}", lambda rng: rogan_gladen(*draw(rng)), p, high=high)


def test_rogan_gladen_covers_where_the_labelled_items_have_another_rate() -> None:
    """The case in which a prediction-powered mean is wrong, since its two samples differ."""

    def make(rng: np.random.Generator) -> Estimate:
        y, f, _ = binary(200, 1, 0.5, (0.9, 0.8))(rng)
        _, _, rest = binary(1, 2000, 0.2, (0.9, 0.8))(rng)
        return rogan_gladen(y, f, rest)

    check("Rogan-Gladen, labels enriched", make, 0.2)


def test_position_bias_and_self_preference_cover() -> None:
    def swap(rng: np.random.Generator) -> Estimate:
        better = rng.random(80) < 0.5
        chance = np.where(better, 0.8, 0.3)  # of choosing output 1 when it is shown first
        first = np.where(rng.random(80) < chance + 0.1, "1", "2")
        swapped = np.where(rng.random(80) < chance - 0.1, "1", "2")
        return swap_table(first.tolist(), swapped.tolist()).position_bias

    check("position bias", swap, 0.1, sets=1000, low=0.925, high=0.975)

    def own(rng: np.random.Generator) -> Estimate:
        task = np.repeat(np.arange(40), 3)
        mine = np.tile([1, 0, 0], 40)
        people = rng.normal(0, 1, 40)[task] + rng.normal(0, 1, 120)
        judge = people + rng.normal(0, 0.5, 40)[task] + 0.3 * mine + rng.normal(0, 0.5, 120)
        return self_preference(judge, people, mine, clusters=task)

    check("self-preference", own, 0.3, sets=1000, low=0.925, high=0.975)
