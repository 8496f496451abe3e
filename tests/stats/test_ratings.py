"""Ratings: fast equals slow, bad input is refused by name, views say what they mean."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy import special
from tests.stats import reference_ratings as slow
from tests.stats.planted_votes import Law, plant

from steelyard.errors import DataError, RowsError
from steelyard.stats.base import Interval
from steelyard.stats.ratings import RatingOptions, rate
from steelyard.stats.ratings_bootstrap import bootstrap
from steelyard.stats.ratings_draws import Poisson
from steelyard.stats.ratings_ranks import rank_intervals
from steelyard.stats.ratings_result import ELO_PER_LOGIT, Ratings
from steelyard.stats.ratings_views import EloOptions, mean_win_rates, sequential_elo
from steelyard.stats.ratings_votes import Votes, factorise, relative_difference, votes, votes_from_codes
from steelyard.unknown import Unknown

SMALL = [("A", "B", "model_a"), ("B", "A", "tie"), ("B", "C", "model_a"), ("C", "A", "model_b"), ("A", "C", "model_b"),
         ("B", "A", "model_b"), ("A", "B", "model_b"), ("C", "B", "model_a")]  # fmt: skip


def table(rows: list[tuple[str, str, str]], **extra: object) -> Votes:
    a, b, w = zip(*rows, strict=True)
    return votes(a, b, w, **extra)  # type: ignore[arg-type]  # tests pass columns by name


def in_name_order(result: Ratings) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(result.names)
    return result.theta[order], result.covariance[np.ix_(order, order)]


@pytest.mark.parametrize("position", [True, False])
def test_point_and_sandwich_equal_the_slow_reference(position: bool) -> None:
    _, planted = plant(np.random.default_rng(3), Law(6, 150))
    theta, covariance = in_name_order(rate(planted, RatingOptions(position=position)))
    params = slow.maximise(planted, position=position)
    assert theta == pytest.approx(params[:6], abs=1e-6)
    assert covariance == pytest.approx(
        slow.hc2(planted, params, position=position)[:6, :6], rel=1e-4, abs=1e-7
    )


def test_clustered_covariance_and_degrees_of_freedom_equal_the_slow_reference() -> None:
    rng = np.random.default_rng(4)
    _, p = plant(rng, Law(5, 200))
    prompt = rng.choice(12, 200, p=rng.dirichlet(np.ones(12))).astype(np.int32)
    result = rate(Votes(p.a, p.b, p.outcome, p.names, prompt=prompt))
    _, covariance = in_name_order(result)
    params = slow.maximise(p, position=True)
    assert covariance == pytest.approx(slow.cr3(p, params, prompt, position=True)[:5, :5], rel=1e-3, abs=1e-6)
    wanted = slow.effective_clusters(p, params, prompt, position=True)
    assert result.df[np.argsort(result.names)] == pytest.approx(wanted[:5], rel=1e-4)
    assert isinstance(result.position, Unknown) is False
    assert result.basis.clusters == len(np.unique(prompt))


def test_covariates_equal_the_slow_reference_and_recover_what_was_planted() -> None:
    rng = np.random.default_rng(5)
    truth, p = plant(rng, Law(5, 4000, skewed=False))
    x = rng.normal(0, 3.0, (4000, 2))
    eta = truth[p.a] - truth[p.b] + 0.2 + x @ [0.3, -0.1]
    outcome = np.where(rng.random(4000) < 1 / (1 + np.exp(-eta)), 2, 0).astype(np.int8)
    styled = Votes(p.a, p.b, outcome, p.names, features=x, feature_names=("length", "lists"))
    result = rate(styled, RatingOptions(standardise=False))
    params = slow.maximise(styled, position=True)
    assert in_name_order(result)[0] == pytest.approx(params[:5], abs=1e-5)
    assert result.coefficients["length"].value == pytest.approx(params[6], abs=1e-5)
    for name, value in (("length", 0.3), ("lists", -0.1)):
        assert abs(result.coefficients[name].value - value) < 4 * result.coefficients[name].se  # type: ignore[operator]  # known
    scaled = rate(styled)
    rms = math.sqrt(float((x[:, 0] ** 2).mean()))
    assert scaled.coefficients["length"].value == pytest.approx(params[6] * rms, abs=1e-4)


def test_the_position_term_is_recovered_and_removes_the_bias_of_skewed_sides() -> None:
    truth, p = plant(np.random.default_rng(6), Law(10, 200_000))
    fitted = rate(p)
    assert fitted.position.interval.contains(0.2)  # type: ignore[union-attr]  # it is fitted
    blind = rate(p, RatingOptions(position=False))
    assert "switched off" in str(blind.position)
    assert "no position term" in " ".join(blind.notes)
    gap = float(truth[0])
    assert abs(fitted.rating("m000").value - gap) < 0.03 < abs(blind.rating("m000").value - gap)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([("A", "B", "a"), ("A", "B", "b"), ("A", "B", "tie")], "never varies"),
        ([("A", "B", "a"), ("A", "B", "b"), ("B", "C", "a"), ("B", "C", "b")], "never varies"),
        ([("A", "B", "a"), ("B", "A", "a"), ("A", "B", "a"), ("B", "A", "a")], "infinite"),
    ],
)
def test_a_position_term_that_cannot_be_identified_is_unknown_and_said(
    rows: list[tuple[str, str, str]], why: str
) -> None:
    result = rate(table(rows))
    assert isinstance(result.position, Unknown)
    assert why in result.position.reason
    assert why in " ".join(result.notes)


def test_sides_that_are_not_known_fit_no_position_term() -> None:
    result = rate(table(SMALL), RatingOptions(sides_known=False))
    assert "not known" in str(result.position)


def test_position_is_judged_exactly_where_only_a_cycle_pins_it() -> None:
    # no pair meets in both orders, but going round the triangle the sides cannot all be absorbed
    rows = [(x, y, w) for x, y in (("A", "B"), ("B", "C"), ("C", "A")) for w in ("a", "b", "tie")]
    assert not isinstance(rate(table(rows)).position, Unknown)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("A", "B", "tie"), ("B", "A", "tie")], ["every one of the 2 votes is a tie"]),
        (
            [("A", "B", "a"), ("B", "A", "a"), ("C", "D", "a"), ("D", "C", "a")],
            ["2 groups", "[A, B]", "[C, D]"],
        ),
        ([("A", "B", "a"), ("B", "C", "a"), ("C", "B", "a")], ["A never lost", "(B, C)", "ridge"]),
        ([("A", "B", "a"), ("A", "B", "a")], ["A never lost"]),
    ],
)
def test_votes_that_allow_no_rating_are_refused_naming_the_contestants(
    rows: list[tuple[str, str, str]], words: list[str]
) -> None:
    with pytest.raises(DataError) as caught:
        rate(table(rows))
    for word in words:
        assert word in str(caught.value)


def test_a_ridge_rates_a_clean_sweep_and_says_so() -> None:
    result = rate(table([("A", "B", "a"), ("B", "C", "a"), ("C", "B", "a")]), RatingOptions(ridge=0.5))
    assert result.names[0] == "A"
    assert "ridge" in result.notes[-1]
    assert "ridge" in result.basis.method


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (([], [], []), ["no votes"]),
        ((["A", None], ["B", "B"], ["a", "a"]), ["model_a", "row 1"]),
        ((["A", "A"], ["B", " "], ["a", "a"]), ["model_b", "row 1"]),
        ((["A", "B"], ["B", "B"], ["a", "a"]), ["meets itself (B)", "row 1"]),
        ((["A", "A"], ["A", "A"], ["a", "a"]), ["one contestant (A)"]),
        ((["A", "A"], ["B", "B"], ["a", "left?"]), ["winner", "row 1", "left?"]),
        ((["A", "A"], ["B", "B"], [1.0, float("nan")]), ["winner", "row 1", "nan"]),
        ((["A", "A"], ["B", "B"], [1, 2]), ["winner", "row 1", "side numbers"]),
        ((["A", "A"], ["B"], ["a", "a"]), ["model_b", "another length"]),
        ((["A", "A"], ["B", "B"], ["a", "C"]), ["winner", "row 1"]),
    ],
)
def test_bad_columns_are_refused_naming_the_rows(columns: tuple[list, list, list], words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        votes(*columns)
    for word in words:
        assert word in str(caught.value)


def test_bad_features_and_clusters_are_refused_naming_the_rows() -> None:
    a, b, w = ["A", "B"], ["B", "A"], ["a", "a"]
    with pytest.raises(RowsError, match="feature length is not finite"):
        votes(a, b, w, features={"length": [1.0, math.inf]})
    with pytest.raises(DataError, match="feature length is not numeric"):
        votes(a, b, w, features={"length": ["long", "short"]})
    with pytest.raises(RowsError, match="column prompt is empty"):
        votes(a, b, w, prompt=["p", None])
    with pytest.raises(DataError, match="needs a column voter"):
        rate(table(SMALL), RatingOptions(cluster="voter"))
    with pytest.raises(DataError, match="is 0 in every row"):
        rate(table(SMALL, features={"length": np.zeros(8)}))
    with pytest.raises(DataError, match="determine one another"):
        rate(table(SMALL, features={"x": np.arange(8.0), "y": 2 * np.arange(8.0)}))


def test_a_covariate_that_separates_the_votes_is_refused() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=60)
    rows = [
        ("A", "B", "a" if v > 0 else "b") if i % 2 else ("B", "A", "a" if v > 0 else "b")
        for i, v in enumerate(x)
    ]
    with pytest.raises(DataError, match="separates"):
        rate(table(rows, features={"tell": x}))


def test_codes_out_of_range_and_names_twice_are_refused() -> None:
    good = np.array([0, 1]), np.array([1, 0]), np.array([2, 0])
    assert len(votes_from_codes(*good, ["A", "B"])) == 2
    with pytest.raises(RowsError, match="column a is out of range"):
        votes_from_codes(np.array([0, 5]), good[1], good[2], ["A", "B"])
    with pytest.raises(DataError, match="twice"):
        votes_from_codes(*good, ["A", "A"])
    with pytest.raises(DataError, match="integers"):
        votes_from_codes(np.array([0.0, 1.0]), good[1], good[2], ["A", "B"])


@pytest.mark.parametrize("kind", ["list", "object", "unicode", "arrow", "tuple"])
def test_every_kind_of_string_column_gives_the_same_votes(kind: str) -> None:
    a, b, w = (list(c) for c in zip(*SMALL, strict=True))
    make = {
        "list": list,
        "tuple": tuple,
        "object": lambda c: np.array(c, dtype=object),
        "unicode": np.array,
        "arrow": lambda c: pa.chunked_array([c[:3], c[3:]]),
    }[kind]
    found, wanted = votes(make(a), make(b), make(w)), table(SMALL)
    assert found.names == wanted.names
    assert [found.a.tolist(), found.b.tolist(), found.outcome.tolist()] == [
        wanted.a.tolist(), wanted.b.tolist(), wanted.outcome.tolist(),
    ]  # fmt: skip


def test_winners_may_be_names_scores_or_words() -> None:
    a, b = ["A", "B", "A"], ["B", "A", "B"]
    wanted = [2, 2, 1]
    for winner in (
        ["A", "B", "tie"],
        [1, 1, 0.5],
        np.array([1.0, 1.0, 0.5]),
        ["left", "model_a", "tie (bothbad)"],
    ):
        assert votes(a, b, winner).outcome.tolist() == wanted  # type: ignore[arg-type]  # each is a column


def test_a_winner_that_is_a_side_and_a_name_is_refused_unless_both_mean_the_same() -> None:
    assert votes(["a", "b"], ["b", "a"], ["a", "model_a"]).outcome.tolist() == [2, 2]
    with pytest.raises(RowsError, match="both a side"):
        votes(["a", "b"], ["b", "a"], ["a", "a"])


def test_labels_that_cannot_be_hashed_are_refused() -> None:
    with pytest.raises(DataError, match="not hashable"):
        votes(["A", ["B"]], ["B", "A"], ["model_a", "model_b"])


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_the_unit_of_a_covariate_does_not_matter(scale: float) -> None:
    x = np.array([0.5, -1.0, 2.0, 0.1, -0.3, 0.7, -0.2, 1.0] * 5)
    found = rate(table(SMALL * 5, features={"x": scale * x})).coefficients["x"].value
    assert found == pytest.approx(rate(table(SMALL * 5, features={"x": x})).coefficients["x"].value)


def test_bytes_are_names_too() -> None:
    assert votes(np.array([b"A", b"B"]), np.array([b"B", b"A"]), [1, 0]).names == ("A", "B")


def test_style_covariates_are_relative_differences() -> None:
    assert relative_difference([3, 0], np.array([1, 0])).tolist() == [0.4, 0.0]
    with pytest.raises(RowsError, match="negative or missing"):
        relative_difference([1, -1], [1, 1])


def test_thousands_of_contestants_are_refused_before_memory_is_taken() -> None:
    names = [f"m{i}" for i in range(6001)]
    with pytest.raises(DataError, match="too many contestants"):
        rate(votes(names[:-1], names[1:], ["model_a"] * 6000))


def test_factorise_handles_integers_far_apart_and_an_empty_column() -> None:
    codes, labels = factorise(np.array([10**12, -5, 10**12]))
    assert [labels[c] for c in codes] == [10**12, -5, 10**12]
    assert factorise(np.array([], dtype=np.int64))[1] == []


def test_elo_is_the_logit_scale_times_174_and_an_anchor_is_fixed() -> None:
    result = rate(table(SMALL))
    line = result.elo()[0]
    logit = result.rating(line.name)
    assert line.estimate.value == pytest.approx(1000 + ELO_PER_LOGIT * logit.value)  # type: ignore[operator]  # known
    anchored = {x.name: x.estimate for x in result.elo(anchor="B", centre=1200.0)}
    assert anchored["B"].value == 1200.0
    assert isinstance(anchored["B"].interval, Unknown)
    gap = result.difference("A", "B")
    assert anchored["A"].value == pytest.approx(1200 + ELO_PER_LOGIT * gap.value)  # type: ignore[operator]  # known
    assert anchored["A"].se == pytest.approx(ELO_PER_LOGIT * gap.se)  # type: ignore[operator]  # known
    with pytest.raises(DataError, match="not among"):
        result.elo(anchor="nobody")


def test_win_views_lie_inside_zero_and_one_and_agree_with_two_contestants() -> None:
    rows = [("A", "B", "a")] * 30 + [("B", "A", "b")] * 31 + [("A", "B", "b"), ("B", "A", "a")]
    result = rate(table(rows))
    rate_a = {x.name: x.estimate for x in result.win_rates()}["A"]
    chance = result.win_probability("A", "B")
    assert rate_a.value == pytest.approx(chance.value)
    assert isinstance(rate_a.interval, Interval)
    assert 0 < rate_a.interval.low < rate_a.interval.high < 1
    assert rate_a.interval.low == pytest.approx(chance.interval.low)  # type: ignore[union-attr]  # known


def test_a_contestant_seen_in_one_cluster_only_has_no_interval_and_ties_with_all() -> None:
    rows = SMALL * 4 + [("A", "D", "a"), ("D", "A", "a"), ("D", "B", "tie")]
    prompt = [i % 5 for i in range(len(SMALL) * 4)] + [0, 0, 0]
    result = rate(table(rows, prompt=prompt))
    assert "one cluster" in str(result.rating("D").interval)
    assert isinstance(result.rating("A").interval, Interval)
    line = next(r for r in rank_intervals(result, draws=400) if r.name == "D")
    assert (line.best, line.worst) == (1, 4)


def test_one_cluster_in_all_gives_no_interval_at_all() -> None:
    result = rate(table(SMALL, prompt=["p"] * len(SMALL)))
    assert all(isinstance(line.estimate.interval, Unknown) for line in result.elo())


def test_two_way_clusters_are_never_narrower_than_either() -> None:
    rng = np.random.default_rng(2)
    _, p = plant(rng, Law(5, 400))
    both = Votes(p.a, p.b, p.outcome, p.names, prompt=rng.integers(15, size=400).astype(np.int32),
                 voter=rng.integers(40, size=400).astype(np.int32))  # fmt: skip
    se = {
        c: np.sqrt(np.diag(in_name_order(rate(both, RatingOptions(cluster=c)))[1]))
        for c in ("prompt", "voter", "both")
    }  # type: ignore[arg-type]  # literals
    assert (se["both"] >= np.maximum(se["prompt"], se["voter"]) - 1e-12).all()
    assert "two-way" in rate(both).basis.method


def test_bootstrap_widths_agree_with_the_sandwich_and_the_seed_decides() -> None:
    _, p = plant(np.random.default_rng(8), Law(8, 5000))
    result = rate(p)
    boot = bootstrap(p, replicates=1000, seed=1)
    ratio = [boot.interval(n).width / result.rating(n).interval.width for n in p.names]  # type: ignore[union-attr]  # known
    assert 0.9 < float(np.mean(ratio)) < 1.1
    assert np.array_equal(boot.theta, bootstrap(p, replicates=1000, seed=1).theta)
    assert not np.array_equal(boot.theta, bootstrap(p, replicates=1000, seed=2).theta)


def test_each_bootstrap_replicate_is_the_full_fit_of_its_votes() -> None:
    """A cluster bootstrap of two clusters can only draw three tables; each is fitted directly here."""
    rng = np.random.default_rng(9)
    _, p = plant(rng, Law(4, 300))
    cluster = np.arange(300) % 2
    boot = bootstrap(p, replicates=30, seed=3, cluster=cluster)
    tables = [np.flatnonzero(cluster == 0), np.arange(300), np.flatnonzero(cluster == 1)]
    wanted = [in_name_order(rate(p.take(np.tile(t, 300 // len(t)))))[0] for t in tables]
    for theta in boot.theta:
        assert min(float(np.abs(theta - w).max()) for w in wanted) < 1e-3  # a thousandth of 0.3


@pytest.mark.parametrize("mean", [1, 7, 63, 64, 400])
def test_poisson_draws_have_the_poisson_law(mean: int) -> None:
    drawn = Poisson(np.full(4, mean)).draw(np.random.default_rng(mean), 50_000).ravel()
    n = drawn.size
    assert abs(drawn.mean() - mean) < 5 * math.sqrt(mean / n)
    assert abs(drawn.var() / mean - 1) < 5 * math.sqrt((2 + 1 / mean) / n)
    for q in (0.025, 0.5, 0.975):
        at = math.floor(special.pdtrik(q, mean))
        share = float(np.mean(drawn < at + 0.5))
        assert abs(share - special.pdtr(at, mean)) < 0.002 + 5 * math.sqrt(0.25 / n)


def test_bootstrap_keeps_clean_sweeps_as_extremes_and_counts_them() -> None:
    boot = bootstrap(table(SMALL), replicates=200, seed=0)
    assert boot.unbounded > 0
    assert np.isfinite(boot.theta).all()
    with pytest.raises(DataError, match="covariates"):
        bootstrap(table(SMALL, features={"x": np.arange(8.0)}))


def test_ranks_and_groups_separate_what_is_far_apart_only() -> None:
    rng = np.random.default_rng(1)
    strength = np.array([1.5, 1.5, 0.0, -1.5])
    a = rng.integers(4, size=6000)
    b = (a + 1 + rng.integers(3, size=6000)) % 4
    outcome = np.where(rng.random(6000) < 1 / (1 + np.exp(strength[b] - strength[a])), 2, 0)
    result = rate(votes_from_codes(a, b, outcome, ["A", "B", "C", "D"]))
    ranks = {r.name: r for r in rank_intervals(result, draws=1000)}
    assert ranks["A"].group == ranks["B"].group == 1
    assert (ranks["C"].best, ranks["C"].worst, ranks["C"].group) == (3, 3, 2)
    assert (ranks["D"].best, ranks["D"].worst, ranks["D"].group) == (4, 4, 3)
    alone = {r.name: r for r in rank_intervals(result, simultaneous=False)}
    assert all(alone[n].worst - alone[n].best <= ranks[n].worst - ranks[n].best for n in alone)


def test_elo_options_are_checked_and_order_matters() -> None:
    with pytest.raises(DataError, match="EloOptions"):
        sequential_elo(table(SMALL), EloOptions(k=0))
    forward, back = sequential_elo(table(SMALL)), sequential_elo(table(SMALL[::-1]))
    assert forward["A"] != back["A"]
    assert sum(forward.values()) == pytest.approx(3000)


def test_mean_win_rate_weighs_opponents_equally() -> None:
    rows = [("A", "B", "a")] * 9 + [("A", "C", "b")]
    assert mean_win_rates(table(rows))["A"] == 0.5


@pytest.mark.parametrize(
    "options", [RatingOptions(level=1.0), RatingOptions(ridge=-1.0), RatingOptions(ridge=math.nan)]
)
def test_options_out_of_range_are_refused(options: RatingOptions) -> None:
    with pytest.raises(DataError, match="out of range"):
        rate(table(SMALL), options)
