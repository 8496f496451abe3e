"""Paired differences, equivalence, exact tests and simultaneous bands on planted pairs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from tests.quality.planted import Law, Table, Tally, plant_pair, unequal

from steelyard.stats.base import Estimate, codes
from steelyard.stats.clusters import clusters_of_tasks
from steelyard.stats.exact import sign_flip
from steelyard.stats.multiplicity import holm, simultaneous_bands
from steelyard.stats.paired import PairedOptions, mean_difference, pair_up, paired

SETS = 2000
BAND = [
    (Law(0.5, 20, 1, task=0.4), 0.6, 0.5),
    (Law(0.5, 20, 8, task=0.4), 0.5, 0.95),
    (Law(0.9, 100, 1, task=0.4), 0.99, 0.5),
    (Law(0.2, 100, 8, task=0.4), 0.8, 0.5),
    (Law(0.9, 100, 8, task=0.4), 0.99, 0.5),
    (Law(0.5, sizes=(5,) * 20, cluster=0.3), 0.6, 0.5),
    (Law(0.5, sizes=unequal(20), cluster=0.3), 0.6, 0.5),
]
SAFE = [
    (Law(0.9, 20, 1, task=0.4), 0.99, 0.5),
    (Law(0.99, 20, 8, task=0.4), 0.99, 0.5),
    (Law(0.01, 20, 8, task=0.4), 0.05, 0.3),
    (Law(0.99, 100, 1, task=0.4), 0.99, 0.9),
    (Law(0.9, sizes=unequal(20), cluster=0.3), 0.99, 0.5),
    (Law(0.5, 50, 1, task=0.7), 0.5, 0.99),
]


def difference(t: Table, *, clustered: bool = False, options: PairedOptions | None = None) -> Estimate:
    """What `paired` calls the difference, without its p-value, which costs twenty times as much."""
    task = codes(t.tasks, "task")
    parent = clusters_of_tasks(task, t.clusters) if clustered else None
    return mean_difference(pair_up(t.values, task, t.contestants == 1, parent), options or PairedOptions())


@pytest.mark.parametrize("law", [law for law, _, _ in (BAND[0], BAND[1], BAND[6])], ids=lambda law: law.name)
def test_the_difference_that_is_studied_is_that_of_the_whole_comparison(law: Law) -> None:
    t = plant_pair(np.random.default_rng(20), law, law.p, 0.5)
    clusters = t.clusters if law.sizes else None
    whole = paired(t.values, t.tasks, t.contestants, baseline=0, clusters=clusters)
    assert difference(t, clustered=bool(law.sizes)) == whole.difference


def study(law: Law, other: float, shared: float) -> Tally:
    tally = Tally()
    for i in range(SETS):
        t = plant_pair(np.random.default_rng((21, i)), law, other, shared)
        tally.add(difference(t, clustered=bool(law.sizes)).interval, other - law.p)
    return tally


@pytest.mark.parametrize(("law", "other", "shared"), BAND)
def test_differences_cover_in_the_band(law: Law, other: float, shared: float) -> None:
    study(law, other, shared).check(f"{law.name} against {other}", high=0.97)


@pytest.mark.parametrize(("law", "other", "shared"), SAFE)
def test_differences_never_cover_less_where_few_tasks_differ(law: Law, other: float, shared: float) -> None:
    study(law, other, shared).check(f"{law.name} against {other}", high=1.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "pair", [(0.5, 0.5), (0.5, 0.6), (0.9, 0.99), (0.99, 0.99), (0.95, 0.99), (0.01, 0.05), (0.2, 0.8)]
)
@pytest.mark.parametrize("trials", [1, 8])
@pytest.mark.parametrize("n", [20, 60, 200])
@pytest.mark.parametrize("shared", [0.2, 0.95])
def test_differences_over_the_whole_grid(
    pair: tuple[float, float], trials: int, n: int, shared: float
) -> None:
    law = Law(pair[0], n, trials, task=0.5)
    study(law, pair[1], shared).check(f"{law.name} against {pair[1]}", low=0.93, high=1.0)


def test_unbounded_differences_by_t() -> None:
    tally = Tally()
    for i in range(SETS):
        random = np.random.default_rng((22, i))
        values = np.concatenate([random.normal(size=20), random.normal(0.3, 2.0, 20)])
        t = Table(values, np.tile(np.arange(20), 2), np.empty(0), np.repeat([0, 1], 20))
        tally.add(difference(t, options=PairedOptions(bounds=None)).interval, 0.3)
    tally.check("normal differences, n=20")


@pytest.mark.parametrize(
    "law",
    [Law(0.5, 20, 1), Law(0.95, 40, 1), Law(0.5, 30, 8), Law(0.5, sizes=unequal(20), cluster=0.2)],
    ids=lambda law: law.name,
)
def test_p_values_keep_their_level_when_nothing_differs(law: Law) -> None:
    small = 0
    for i in range(SETS):
        t = plant_pair(np.random.default_rng((23, i)), law, law.p, 0.5)
        clusters = t.clusters if law.sizes else None
        few = PairedOptions(draws=4000)  # Monte Carlo p-values hold at any number of draws
        p = paired(t.values, t.tasks, t.contestants, baseline=0, clusters=clusters, options=few).p_value
        small += p <= 0.05
    assert special.bdtrc(small - 1, SETS, 0.055) > 0.001, f"p=0.05 n={SETS} estimate={small / SETS}"


@pytest.mark.parametrize("clusters", [5, 12, 25])
def test_sign_flips_never_exceed_their_level(clusters: int) -> None:
    random, small = np.random.default_rng(24), 0
    for i in range(SETS):
        # symmetric but far from normal
        small += sign_flip(random.standard_t(1.5, clusters), seed=i, draws=1000).p_value <= 0.05
    assert special.bdtrc(small - 1, SETS, 0.05) > 0.001, f"p=0.05 n={SETS} estimate={small / SETS}"


@pytest.mark.parametrize(
    ("law", "other"), [(Law(0.8, 200, 1), 0.85), (Law(0.9, 100, 4), 0.95), (Law(0.5, 150, 1), 0.55)]
)
def test_equivalence_is_claimed_at_the_margin_no_more_often_than_alpha(law: Law, other: float) -> None:
    claimed = 0
    margin = (other - law.p) - 1e-9
    for i in range(SETS):
        t = plant_pair(np.random.default_rng((25, i)), law, other, 0.8)
        # what paired_tost decides by (see its unit tests); its p-values would cost a hundred times as much
        interval = difference(t, options=PairedOptions(level=0.9)).interval
        claimed += -margin < interval.low and interval.high < margin
    assert special.bdtrc(claimed - 1, SETS, 0.058) > 0.001, f"p=0.05 n={SETS} estimate={claimed / SETS}"


@pytest.mark.parametrize(
    ("n", "m", "binary"), [(30, 4, False), (60, 4, True), pytest.param(10, 3, False, marks=pytest.mark.slow)]
)
def test_bands_hold_for_all_comparisons_together(n: int, m: int, binary: bool) -> None:
    hits, rejected, sets = 0, 0, SETS
    options = PairedOptions(bounds=(0.0, 1.0) if binary else None, draws=1000)
    for i in range(sets):
        random = np.random.default_rng((26, i))
        base = random.normal(size=n)
        scores = np.concatenate([base, *(0.5 * base + random.normal(size=n) * 0.9 for _ in range(m))])
        values = (scores > 0).astype(float) if binary else scores
        got = simultaneous_bands(
            values, np.tile(np.arange(n), m + 1), np.repeat(np.arange(m + 1), n), baseline=0, options=options
        )
        hits += all(interval.contains(0.0) for interval in got.intervals)
        rejected += min(got.p_holm) <= 0.05
    tally = Tally(hits=hits, total=sets)
    tally.check(f"max-T bands, n={n} m={m} binary={binary}", high=0.985)
    assert special.bdtrc(rejected - 1, sets, 0.055) > 0.001, (
        f"Holm p=0.05 n={sets} estimate={rejected / sets}"
    )


def test_holm_keeps_its_level_under_any_dependence() -> None:
    random, wrong = np.random.default_rng(27), 0
    for _ in range(4000):
        common = random.normal()
        z = 0.7 * common + np.sqrt(0.51) * random.normal(size=6)
        wrong += holm(2 * special.ndtr(-np.abs(z))).min() <= 0.05
    assert special.bdtrc(wrong - 1, 4000, 0.05) > 0.001, f"p=0.05 n=4000 estimate={wrong / 4000}"
