"""Coverage of prediction-powered means, the corrected rate and judge biases: 2,000 planted data sets each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.quality.planted import Tally

from steelyard.stats.base import Estimate
from steelyard.stats.judge import self_preference, swap_table
from steelyard.stats.ppi import Clusters, PpiOptions, ppi_mean, rogan_gladen

Make = Callable[[np.random.Generator], Estimate]


def check(
    what: str, make: Make, truth: float, *, sets: int = 2000, low: float = 0.935, high: float = 0.965
) -> None:
    tally = Tally()
    for i in range(sets):
        tally.add(make(np.random.default_rng((2000, i))).interval, truth)
    tally.check(what, low, high)


def binary(n: int, more: int, p: float, skill: tuple[float, float]) -> Callable:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        y = rng.random(n + more) < p
        f = np.where(y, rng.random(n + more) < skill[0], rng.random(n + more) >= skill[1])
        return y[:n] * 1.0, f[:n] * 1.0, f[n:] * 1.0

    return draw


# labels, more, rate, judge's sensitivity and specificity
GRID = [
    (20, 200, 0.5, (0.7, 0.7)),
    (20, 200, 0.5, (0.9, 0.9)),
    (20, 200, 0.01, (0.7, 0.7)),
    (20, 200, 0.99, (0.9, 0.9)),
    (50, 1000, 0.3, (0.9, 0.9)),
    (100, 1000, 0.1, (0.9, 0.9)),
    (100, 200, 0.9, (0.6, 0.95)),
    (300, 3000, 0.01, (0.9, 0.9)),
    (300, 3000, 0.5, (0.99, 0.99)),
]


@pytest.mark.parametrize(("n", "more", "p", "skill"), GRID)
def test_prediction_powered_rate_covers(n: int, more: int, p: float, skill: tuple[float, float]) -> None:
    draw = binary(n, more, p, skill)
    check(f"PPI++, n {n}, p {p}, judge {skill}", lambda rng: ppi_mean(*draw(rng)), p)


Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]


def noisy(people: Callable[[np.random.Generator, int], np.ndarray], noise: float) -> Draw:
    """People's scores and a judge who adds normal noise."""

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        y = people(rng, n)
        return y, y + rng.normal(0, noise, n)

    return draw


def grades(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Grades of 1 to 5, most of them 5; the judge is one off half of the time."""
    y = rng.choice(5, n, p=[0.05, 0.05, 0.1, 0.2, 0.6]) + 1.0
    return y, np.clip(y + rng.choice([-1, 0, 1], n, p=[0.25, 0.5, 0.25]), 1, 5)


def skewed_errors(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    judged = rng.normal(size=n)
    return judged + rng.exponential(size=n), judged


def exponential(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.exponential(size=n)


def multiplied(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """A long tail, and a judge whose error grows with the score."""
    z = rng.normal(size=n)
    return np.exp(0.5 * z), np.exp(0.5 * z + 0.3 * rng.normal(size=n))


GRADED: dict[str, tuple[Draw, float]] = {
    "normal": (noisy(lambda r, n: r.normal(size=n), 0.7), 0.0),
    "exponential, judge noise 0.3": (noisy(exponential, 0.3), 1.0),
    "exponential, judge noise 1": (noisy(exponential, 1.0), 1.0),
    "exponential, judge noise 5": (noisy(exponential, 5.0), 1.0),
    "beta(9, 1)": (noisy(lambda r, n: r.beta(9, 1, n), 0.05), 0.9),
    "beta(2, 5)": (noisy(lambda r, n: r.beta(2, 5, n), 0.1), 2 / 7),
    "grades, most at the top": (grades, 4.25),
    "judge with skewed errors": (skewed_errors, 1.0),
    "lognormal(0.5)": (multiplied, float(np.exp(0.125))),
}


@pytest.mark.parametrize("shape", GRADED)
@pytest.mark.parametrize("n", [20, 50, 100])
@pytest.mark.parametrize("tune", ["auto", 1.0])
def test_prediction_powered_mean_of_graded_scores_covers(n: int, tune: float, shape: str) -> None:
    draw, truth = GRADED[shape]

    def make(rng: np.random.Generator) -> Estimate:
        y, f = draw(rng, 11 * n)
        return ppi_mean(y[:n], f[:n], f[n:], PpiOptions(tune))

    check(f"PPI of {shape}, {n} labels, tune {tune}", make, truth)


def test_twenty_labels_of_a_lognormal_cover() -> None:
    """93.5 % over 20,000 sets (92.7 while its skewness was held against the variance that leverage enlarges)."""

    def make(rng: np.random.Generator) -> Estimate:
        z = rng.normal(size=220)
        y, f = np.exp(z), np.exp(z + 0.5 * rng.normal(size=220))
        return ppi_mean(y[:20], f[:20], f[20:])

    check("PPI of lognormal(1), 20 labels", make, float(np.exp(0.5)))


def test_clustered_prediction_powered_mean_covers() -> None:
    """Documents hold labelled and unlabelled answers that share a difficulty."""

    def make(rng: np.random.Generator) -> Estimate:
        size = np.maximum(2, rng.lognormal(0, 0.7, 60) * 12).astype(int)
        doc = np.repeat(np.arange(60), size)
        y = rng.normal(0, 1, 60)[doc] + rng.normal(0, 1, len(doc))
        f = y + rng.normal(0, 0.7, 60)[doc] + rng.normal(0, 0.5, len(doc))
        lab = rng.random(len(doc)) < 0.15
        return ppi_mean(y[lab], f[lab], f[~lab], PpiOptions(), clusters=Clusters(doc[lab], doc[~lab]))

    check("PPI, 60 clusters of both kinds", make, 0.0)


@pytest.mark.parametrize(
    ("n", "p", "skill", "high"),
    [(100, 0.3, (0.9, 0.7), 0.965), (300, 0.1, (0.9, 0.9), 0.965), (300, 0.5, (0.99, 0.99), 0.965)],
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

    check("position bias", swap, 0.1)

    def own(rng: np.random.Generator) -> Estimate:
        task = np.repeat(np.arange(40), 3)
        mine = np.tile([1, 0, 0], 40)
        people = rng.normal(0, 1, 40)[task] + rng.normal(0, 1, 120)
        judge = people + rng.normal(0, 0.5, 40)[task] + 0.3 * mine + rng.normal(0, 0.5, 120)
        return self_preference(judge, people, mine, clusters=task)

    check("self-preference", own, 0.3)
