"""Selection: the cheapest sufficient contestant a stage, rejections and why, the front, what would change it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.decide.tables import columns, planted
from tests.quality.promise import at_most

from steelyard.decide.columns import from_columns
from steelyard.decide.front import front, on_front
from steelyard.decide.objective import Limit, Objective, Stage, objective_from, pipeline_from
from steelyard.decide.select import choose, select
from steelyard.decide.selection import StageChoice, Standing
from steelyard.errors import DataError, PlanError
from steelyard.unknown import Unknown, is_known

RNG = np.random.default_rng(0)
BASE = RNG.beta(4, 1, 800)
COST = {"big": 10.0, "middle": 2.0, "small": 1.0}
SECONDS = {"big": 0.5, "middle": 0.3, "small": 0.1}


def models(middle: float, small: float, n: int = 800) -> dict[str, np.ndarray]:
    return {
        "big": BASE[:n],
        "middle": np.clip(BASE[:n] + middle, 0, 1),
        "small": np.clip(BASE[:n] + small, 0, 1),
    }


def pick(objective: str, middle: float = 0.0, small: float = -0.2, n: int = 800, **kw: object) -> StageChoice:
    table = planted(models(middle, small, n), 2, 1, **({"cost": COST, "seconds": SECONDS} | kw))  # type: ignore[arg-type]  # passed on
    return choose(table, Stage("s", objective_from(objective)))


def standing(choice: StageChoice) -> dict[str, Standing]:
    return {c.contestant: c.standing for c in choice.candidates}


def test_the_cheapest_sufficient_one_is_chosen_and_the_worse_is_rejected() -> None:
    got = pick("quality within 8 points of the best, 95 %, cheapest")
    assert got.chosen == "middle"
    assert standing(got)["small"] is Standing.REJECTED
    assert any("small less" in c.why for c in got.candidates if c.contestant == "small")
    assert is_known(got.confidence_in_price)
    assert got.confidence_in_price > 0.99


def test_the_cheapest_of_all_when_it_is_good_enough() -> None:
    assert pick("quality at least 0.4, cheapest").chosen == "small"


def test_too_few_tasks_choose_nobody_and_say_what_would() -> None:
    got = pick("quality within 2 points of the best", n=25)
    assert isinstance(got.chosen, Unknown)
    assert got.provisional in ("big", "middle")
    assert got.changes
    assert any("more)" in c.sentence for c in got.changes)
    assert any(is_known(c.cost) and c.cost > 0 for c in got.changes)


def test_a_latency_limit_rejects_and_a_thin_tail_stays_open() -> None:
    quality = "quality within 30 points of the best"
    slow = pick(f"{quality}; p95 latency under 1 s")
    assert standing(slow)["big"] is Standing.REJECTED
    assert slow.chosen == "small"
    thin = pick(f"{quality}; p99.9 latency under 5 s", n=30)
    assert standing(thin)["small"] is Standing.OPEN
    assert "p99.9 seconds" in thin.candidates[2].why


def test_a_cost_limit_and_the_other_preferences() -> None:
    assert standing(pick("quality at least 0.1, mean cost under 5"))["big"] is Standing.REJECTED
    assert pick("quality at least 0.1, fastest").chosen == "small"
    assert pick("quality within 10 points of the best, best", middle=0.1).chosen == "middle"


def test_low_coverage_is_open_never_sufficient() -> None:
    got = pick("quality at least 0.1", ungraded={"small": 0.5})
    assert standing(got)["small"] is Standing.OPEN
    assert got.chosen == "middle"
    assert "the floor is 90%" in next(c.why for c in got.candidates if c.contestant == "small")


def test_stages_are_chosen_apart_and_the_cost_adds_up() -> None:
    both = columns(models(0.0, -0.3), 1, 1, cost=COST, suite="write")
    for name, values in columns(models(0.0, 0.0), 1, 2, cost=COST, suite="sort").items():
        both[name] += values
    stages = pipeline_from({"stages": [
        {"name": "write", "suite": "write", "objective": "quality within 10 points of the best"},
        {"name": "sort", "where": {"suite": "sort"}, "objective": {"within": 0.1, "prefer": "cheapest"}},
    ]})  # fmt: skip
    got = select(from_columns(both), stages)
    assert [s.chosen for s in got.stages] == ["middle", "small"]
    assert is_known(got.cost)
    assert got.cost == pytest.approx(3.0, rel=0.05)


def test_the_front_has_confidence_and_drops_the_dominated() -> None:
    got = {p.contestant: p for p in pick("quality at least 0.1", middle=-0.3, small=-0.1).front}
    assert got["big"].on_front
    assert not got["middle"].on_front
    assert got["middle"].confidence < 0.01
    assert got["big"].confidence > 0.95
    assert got["small"].cheapest > 0.99


@given(st.integers(0, 10_000), st.integers(1, 6))
def test_membership_equals_the_definition(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    q, c = rng.integers(0, 4, (1, n)) * 1.0, rng.integers(0, 4, (1, n)) * 1.0
    slow = [
        not any(
            q[0, i] >= q[0, j] and c[0, i] <= c[0, j] and (q[0, i] > q[0, j] or c[0, i] < c[0, j])
            for i in range(n)
        )
        for j in range(n)
    ]
    assert on_front(q, c)[0].tolist() == slow


def test_the_front_is_empty_without_prices_or_common_tasks() -> None:
    assert front(planted({"a": BASE[:9], "b": BASE[:9]}, 1, 0), "cost") == ()
    apart = from_columns({"task": ["x", "y"], "contestant": ["a", "b"], "score": [1, 0], "cost": [1, 1]})
    assert front(apart, "cost") == ()


def test_what_cannot_be_chosen_is_refused() -> None:
    with pytest.raises(DataError, match="cost"):
        pick("quality at least 0.1", cost=None)
    one = planted({"a": BASE[:9]}, 1, 0, cost={"a": 1.0})
    with pytest.raises(DataError, match="one contestant"):
        choose(one, Stage("s", Objective()))


def test_the_sentence_of_the_brief_is_read() -> None:
    got = objective_from("quality within 2 points of the best, 95 %, cheapest; p95 latency under 2 s")
    assert got == Objective(0.02, None, 0.95, "cheapest", (Limit("seconds", 2.0, 0.95),))
    assert objective_from(got.sentence()) == got
    assert objective_from({"within": 0.02, "limits": {"p95_seconds": 2}}) == got
    assert objective_from("quality at least 90%, mean cost under $0.01, median latency under 300 ms").limits == (
        Limit("cost", 0.01), Limit("seconds", 0.3, 0.5),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (7, "not an objective"),
        ("as good as possible", "cannot read"),
        ("cheapest", "no quality"),
        ("quality within 2 points of the best, 20 %", "confidence"),
        ("quality within 2.3.4 points of the best", "not a number"),
        ({"within": "2"}, "within"),
        ({"withn": 2}, "did you mean within"),
        ({"within": 0.1, "prefer": "nicest"}, "prefer"),
        ({"within": 0.1, "limits": {"p95_tokens": 2}}, "p95_tokens"),
        ({"within": 0.1, "limits": {"p95_seconds": -2}}, "above 0"),
        ({"within": -0.1}, "within"),
    ],
)
def test_bad_objectives_are_refused(value: object, says: str) -> None:
    with pytest.raises(PlanError, match=says):
        objective_from(value)


@pytest.mark.parametrize(
    "document",
    [{}, {"stages": []}, {"stages": [7]}, {"stages": [{"objective": "cheapest"}]}, {"stages": [{"name": "a", "x": 1}]},
     {"stages": [{"name": "a"}, {"name": "a"}]}, {"stages": [{"name": "a", "where": "b"}]}, [1],
     {"stages": [{"name": "a"}], "extra": 1}, {"stages": [{"name": "a", "contestants": "x"}]},
     {"stages": [{"name": "a", "coverage": 90}]}],
)  # fmt: skip
def test_bad_pipelines_are_refused(document: object) -> None:
    with pytest.raises(PlanError):
        pipeline_from(document)


def test_an_insufficient_contestant_is_called_sufficient_no_more_often_than_said() -> None:
    """middle lies exactly on the edge (5 points below): calling it sufficient is false. 250 pipelines at 90 %."""
    runs, wrong = 250, 0
    stage = Stage("s", objective_from("quality within 5 points of the best, 90 %, cheapest"))
    for run in range(runs):
        rng = np.random.default_rng((run, 3))
        p = rng.uniform(0.3, 0.9, 120)
        x = {
            "big": rng.random(120) < p,
            "middle": rng.random(120) < p - 0.05,
            "small": rng.random(120) < p - 0.05,
        }
        rows = {"task": [], "contestant": [], "score": [], "cost": []}  # type: ignore[var-annotated]  # filled below
        for name, scores in x.items():
            rows["task"] += list(range(120))
            rows["contestant"] += [name] * 120
            rows["score"] += scores.astype(float).tolist()
            rows["cost"] += [COST[name]] * 120
        got = choose(from_columns(rows), stage)
        wrong += any(c.standing is Standing.SUFFICIENT for c in got.candidates if c.contestant != "big")
    at_most(wrong, runs, 0.1, "insufficient called sufficient")
