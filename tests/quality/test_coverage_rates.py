"""Intervals for rates, exactly: every count is enumerated, so nothing here is random but the last test."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy import special
from tests.quality.planted import Tally, attainable

from steelyard.stats.rare import failure_bound, pooled_failure_bound
from steelyard.stats.rates import METHODS, rate, rate_limits

GRID = [0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.8, 0.99]


def mass(n: int, p: float) -> np.ndarray:
    x = np.arange(n + 1)
    choose = special.gammaln(n + 1) - special.gammaln(x + 1) - special.gammaln(n - x + 1)
    return np.exp(choose + x * np.log(p) + (n - x) * np.log1p(-p))


def coverage(n: int, p: float, method: str, level: float = 0.95) -> float:
    low, high = limits(n, method, level)
    return float(mass(n, p)[(low <= p) & (p <= high)].sum())


@functools.cache
def limits(n: int, method: str, level: float) -> tuple[np.ndarray, np.ndarray]:
    return rate_limits(np.arange(n + 1), n, level=level, method=method)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20, 50, 100, 1000])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
def test_clopper_pearson_is_never_below_nominal_not_even_beside_its_jumps(n: int, level: float) -> None:
    low, high = rate_limits(np.arange(n + 1), n, level=level, method="clopper-pearson")
    jumps = np.concatenate([low, high])[:: max(1, n // 50)]
    for p in np.unique(
        np.concatenate([jumps * (1 + 1e-9), jumps * (1 - 1e-9), np.linspace(0.001, 0.999, 99)])
    ):
        if 0.0 < p < 1.0:
            got = coverage(n, float(p), "clopper-pearson", level)
            assert got >= level - 1e-9, f"p={p} n={n} coverage={got}"


@pytest.mark.parametrize("n", [20, 50, 100, 1000])
@pytest.mark.parametrize("p", GRID)
def test_wilson_is_in_the_band_or_one_count_away_from_it(n: int, p: float) -> None:
    x = np.arange(n + 1)
    low, high = rate_limits(x, n, method="wilson")
    run = x[(low <= p) & (p <= high)]
    assert run.tolist() == list(range(run[0], run[-1] + 1)), "the counts that cover p are not a run"
    got = coverage(n, p, "wilson")
    assert any(abs(got - c) < 1e-9 for c in attainable(n, p)), (
        f"p={p} n={n}: a coverage that no run of counts has"
    )
    fewer = min(got - mass(n, p)[run[0]], got - mass(n, p)[run[-1]])
    more = got + max(mass(n, p)[max(0, run[0] - 1)], mass(n, p)[min(n, run[-1] + 1)])
    ok = 0.935 <= got <= 0.965 or (got > 0.965 and fewer < 0.965) or (got < 0.935 and more > 0.935)
    assert ok, f"p={p} n={n} coverage={got}, with one count fewer {fewer}, more {more}"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [20, 100, 1000])
def test_on_average_over_rates_every_method_reaches_its_level(method: str, n: int) -> None:
    grid = (np.arange(999) + 0.5) / 999
    mean = float(np.mean([coverage(n, float(p), method) for p in grid]))
    low = 0.95 if method == "clopper-pearson" else 0.945
    high = 1.0 if method == "clopper-pearson" else 0.96
    assert low <= mean <= high, f"n={n} {method} mean coverage={mean}"


@pytest.mark.parametrize("n", [20, 100])
@pytest.mark.parametrize("p", [0.01, 0.5, 0.99])
def test_planted_rates_agree_with_the_enumeration(n: int, p: float) -> None:
    random = np.random.default_rng(1)
    tally = Tally()
    for _ in range(2000):
        tally.add(rate((random.random(n) < p).astype(float), method="clopper-pearson").interval, p)
    exact = coverage(n, p, "clopper-pearson")
    tally.check(f"Clopper-Pearson p={p} n={n}", exact, exact)


@pytest.mark.parametrize("n", [1, 20, 300, 3000])
def test_one_sided_failure_bounds_are_never_below_nominal(n: int) -> None:
    upper = np.array([failure_bound(k, n).at_most for k in range(min(n, 60) + 1)])
    for p in np.concatenate([upper[:-1] * (1 - 1e-9), [0.001, 0.01, 0.1]]):
        missed = upper < p
        mass = special.bdtr(int(np.flatnonzero(missed)[-1]), n, p) if missed.any() else 0.0
        assert mass <= 0.05 + 1e-9, f"p={p} n={n} error={mass}"


@pytest.mark.parametrize(
    ("rates", "trials", "weights"),
    [
        ([0.01, 0.01], [100, 400], [0.5, 0.5]),
        ([0.001, 0.05, 0.02], [500, 40, 200], [0.8, 0.05, 0.15]),
        ([0.3, 0.1], [20, 20], [0.7, 0.3]),
        ([0.002] * 5, [1000, 500, 200, 100, 50], [0.2] * 5),
    ],
)
def test_pooled_failure_bounds_hold(rates: list[float], trials: list[int], weights: list[float]) -> None:
    random, truth, missed = np.random.default_rng(5), float(np.dot(rates, weights)), 0
    for _ in range(4000):
        failures = random.binomial(trials, rates)
        missed += pooled_failure_bound([int(f) for f in failures], trials, weights).at_most < truth
    assert special.bdtrc(missed - 1, 4000, 0.05) > 0.001, f"p={truth} n=4000 missed={missed / 4000}"
