"""The stopping rule: what it proposes, when it stops, what it says, and that a resumed run is the same run."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest

from steelyard.decide.stopping import Stopper
from steelyard.decide.until import Estimand, Progress, Reason, Until, looks
from steelyard.errors import DataError, PlanError
from steelyard.schema.plan import Trials
from steelyard.unknown import Unknown, is_known


def drive(stopper: Stopper, rates: np.ndarray, seed: int) -> list[Progress]:
    """Run to the end with Bernoulli scores; `rates` is (contestants, tasks)."""
    rng = np.random.default_rng(seed)
    while not stopper.done:
        batch = stopper.propose()
        score = (rng.random(len(batch)) < rates[batch.contestant, batch.task]).astype(float)
        stopper.observe(batch.contestant, batch.task, score)
    return [stopper.progress(c) for c in range(rates.shape[0])]


def test_stops_when_the_interval_is_narrow_enough_and_says_so() -> None:
    rates = np.full((1, 400), 0.8)
    (got,) = drive(Stopper(Until(0.05, 20), 1, 400), rates, 1)
    assert got.done
    assert got.reason is Reason.REACHED
    assert got.half_width <= 0.05
    assert got.interval.contains(0.8)
    assert got.trials < 4 * 400
    assert "0.05" in got.sentence


def test_stops_at_the_cap_and_says_so() -> None:
    (got,) = drive(Stopper(Until(0.01, 3), 1, 40), np.full((1, 40), 0.5), 1)
    assert got.reason is Reason.CAP
    assert got.trials <= 3 * 40
    assert "at_most 3" in got.sentence


def test_every_task_gets_at_least_one_and_at_most_the_cap() -> None:
    rng = np.random.default_rng(3)
    stopper = Stopper(Until(0.03, 6), 2, 100)
    drive(stopper, rng.beta(0.3, 0.3, (2, 100)), 4)
    assert stopper.spent.min() >= 1
    assert stopper.spent.max() <= 6


def test_spends_more_on_the_tasks_that_waver() -> None:
    rates = np.concatenate([np.ones(200), np.full(200, 0.5)])[None, :]
    stopper = Stopper(Until(0.02, 30), 1, 400)
    drive(stopper, rates, 5)
    settled, wavering = stopper.spent[0, :200].mean(), stopper.spent[0, 200:].mean()
    assert wavering > 1.3 * settled, f"{wavering} on wavering, {settled} on settled tasks"


def test_uneven_weights_keep_their_meaning() -> None:
    weights = np.array([9.0] * 20 + [1.0] * 180)
    rates = np.array([0.2] * 20 + [0.9] * 180)[None, :]
    truth = float(weights @ rates[0] / weights.sum())
    (got,) = drive(Stopper(Until(0.06, 50), 1, 200, weights=weights), rates, 6)
    assert got.interval.contains(truth)
    assert is_known(got.estimate)
    assert abs(got.estimate - truth) < 0.06


def test_population_stops_early_when_only_more_tasks_would_help() -> None:
    rates = (np.arange(100) % 2).astype(float)[None, :]
    rule = Until(0.02, 20, Estimand.POPULATION)
    (got,) = drive(Stopper(rule, 1, 100), rates, 1)
    assert got.reason is Reason.POPULATION
    assert got.rounds == 2
    assert "add about" in got.sentence
    assert "independent tasks" in got.sentence


def test_population_reaches_its_goal_with_enough_tasks_and_spends_evenly() -> None:
    rng = np.random.default_rng(2)
    rates = rng.beta(30, 10, (1, 3000))
    stopper = Stopper(Until(0.03, 8, Estimand.POPULATION), 1, 3000)
    (got,) = drive(stopper, rates, 3)
    assert got.reason is Reason.REACHED
    assert np.unique(stopper.spent).size == 1
    assert got.interval.contains(0.75)


def test_population_counts_clusters_not_tasks() -> None:
    rates = np.repeat(np.arange(20) % 2, 50).astype(float)[None, :]
    rule = Until(0.05, 4, Estimand.POPULATION)
    (alone,) = drive(Stopper(rule, 1, 1000), rates, 1)
    (grouped,) = drive(Stopper(rule, 1, 1000, clusters=np.repeat(np.arange(20), 50)), rates, 1)
    assert grouped.half_width > 2 * alone.half_width


def test_looks_double_and_end_at_the_cap() -> None:
    assert looks(Until(0.02, 20)) == (1, 2, 4, 8, 16, 20)
    assert looks(Until(0.02, 1)) == (1,)
    assert looks(Until(0.02, 20, at_least=5)) == (5, 10, 20)


def test_a_resumed_run_proposes_the_same_cells() -> None:
    rng = np.random.default_rng(8)
    rates = rng.beta(0.5, 0.5, (2, 60))
    rule = Until(0.06, 12)
    first, ledger, batches = Stopper(rule, 2, 60, seed=9), {}, []
    for _ in range(4):
        batch = first.propose()
        batches.append(batch)
        score = (rng.random(len(batch)) < rates[batch.contestant, batch.task]).astype(float)
        cells = zip(batch.contestant, batch.task, batch.trial, score, strict=True)
        ledger.update({(int(c), int(t), int(k)): x for c, t, k, x in cells})
        first.observe(batch.contestant, batch.task, score)
    second = Stopper(rule, 2, 60, seed=9)
    for old in batches:
        new = second.propose()
        assert [a.tolist() for a in (new.contestant, new.task, new.trial)] == [
            a.tolist() for a in (old.contestant, old.task, old.trial)
        ]
        keys = zip(new.contestant.tolist(), new.task.tolist(), new.trial.tolist(), strict=True)
        second.observe(new.contestant, new.task, [ledger[k] for k in keys])
    assert [second.progress(c) for c in (0, 1)] == [first.progress(c) for c in (0, 1)]


def test_the_order_and_portions_of_results_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    rule = Until(0.1, 6)
    together, apart = Stopper(rule, 2, 50), Stopper(rule, 2, 50)
    for _ in range(3):
        a, b = together.propose(), apart.propose()
        score = rng.random(len(a))
        together.observe(a.contestant, a.task, score)
        for k in rng.permutation(len(b)):
            apart.observe(b.contestant[k], b.task[k], score[k])
    assert [together.progress(c) for c in (0, 1)] == [apart.progress(c) for c in (0, 1)]


def test_no_new_round_is_opened_while_one_is_under_way() -> None:
    stopper = Stopper(Until(0.05, 5), 2, 10)
    batch = stopper.propose()
    assert len(stopper.propose()) == 0
    mine = batch.contestant == 1
    stopper.observe(batch.contestant[mine], batch.task[mine], np.ones(10))
    assert set(stopper.propose().contestant.tolist()) == {1}


def test_ungraded_trials_open_the_interval_both_ways_and_stop_the_spending() -> None:
    stopper = Stopper(Until(0.05, 20), 1, 200)
    rng = np.random.default_rng(0)
    while not stopper.done:
        batch = stopper.propose()
        stopper.observe(
            batch.contestant, batch.task, np.ones(len(batch)), ungraded=rng.random(len(batch)) < 0.4
        )
    got = stopper.progress(0)
    assert got.reason is Reason.UNGRADED
    assert got.rounds < 5
    assert got.interval.low < 0.65
    assert got.interval.high == 1.0
    assert "ungraded" in got.sentence


def test_an_ungraded_trial_never_counts_as_a_zero() -> None:
    stopper = Stopper(Until(0.1, 9), 1, 50)
    batch = stopper.propose()
    ungraded = np.arange(50) == 7
    stopper.observe(batch.contestant, batch.task, np.where(ungraded, np.nan, 1.0), ungraded=ungraded)
    assert stopper.graded[0, 7] == 0
    assert stopper.progress(0).ungraded == 1
    assert stopper.progress(0).interval.high == 1.0


def test_progress_before_any_result_is_unknown() -> None:
    got = Stopper(Until(0.1, 9), 1, 5).progress(0)
    assert got.estimate == Unknown("no trial is back")
    assert (got.interval.low, got.interval.high) == (0.0, 1.0)
    assert not got.done


def test_one_task_one_trial_is_the_whole_range_not_a_certainty() -> None:
    (got,) = drive(Stopper(Until(0.1, 1), 1, 1), np.ones((1, 1)), 0)
    assert got.interval.low < 0.1
    assert got.reason is Reason.CAP


@pytest.mark.parametrize("score", [np.nan, np.inf, -0.1, 1.5])
def test_a_score_outside_its_bounds_is_refused_by_name(score: float) -> None:
    stopper = Stopper(Until(0.1, 2), 1, 3)
    stopper.propose()
    with pytest.raises(DataError, match="contestant 0, task 2"):
        stopper.observe(0, 2, score)


def test_a_result_that_was_not_proposed_is_refused() -> None:
    stopper = Stopper(Until(0.1, 2), 1, 3)
    with pytest.raises(DataError, match="not proposed"):
        stopper.observe(0, 1, 1.0)
    stopper.propose()
    stopper.observe(0, 1, 1.0)
    with pytest.raises(DataError, match="came twice"):
        stopper.observe(0, 1, 1.0)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"half_width": float("nan")}, "until"),
        ({"half_width": 2.0}, "until"),
        ({"at_most": 0}, "at_most"),
        ({"level": 95.0}, "level"),
        ({"at_most": 3, "at_least": 4}, "at_least"),
    ],
)
def test_a_bad_rule_is_refused_with_the_key(value: dict[str, float], names: str) -> None:
    with pytest.raises(PlanError, match=names):
        Until(**({"half_width": 0.02, "at_most": 20} | value))  # type: ignore[arg-type]  # bad on purpose


def test_a_rule_is_made_of_a_plans_trials() -> None:
    trials = Trials(until=0.02, at_most=9, estimand="population", level=0.9, at_least=2)
    assert Until.of(trials) == Until(0.02, 9, Estimand.POPULATION, 0.9, 2)
    with pytest.raises(PlanError, match="fixed count"):
        Until.of(Trials(count=3))


def test_bad_shapes_are_refused() -> None:
    with pytest.raises(DataError, match="nothing to run"):
        Stopper(Until(0.1, 2), 0, 3)
    with pytest.raises(DataError, match="weights"):
        Stopper(Until(0.1, 2), 1, 3, weights=[1, 2])
    with pytest.raises(DataError, match="weights"):
        Stopper(Until(0.1, 2), 1, 2, weights=[1, 0])
    with pytest.raises(DataError, match="clusters"):
        Stopper(Until(0.1, 2), 1, 3, clusters=["a"])


def test_two_hundred_thousand_cells_are_quick_and_small() -> None:
    rng = np.random.default_rng(0)
    rates = rng.beta(0.5, 0.5, (20, 10_000))
    stopper = Stopper(Until(0.01, 3), 20, 10_000)
    started = time.process_time()
    drive(stopper, rates, 1)
    seconds = time.process_time() - started
    # about 300,000 results; processor time, so that a busy machine does not matter
    assert seconds < 20, f"{seconds:.1f} s"
    tracemalloc.start()
    small = Stopper(Until(0.004, 3), 20, 10_000)
    batch = small.propose()
    small.observe(batch.contestant, batch.task, np.ones(len(batch)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120e6, f"{peak / 1e6:.0f} MB"
