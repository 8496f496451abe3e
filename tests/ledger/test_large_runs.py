"""Tables of large runs: what is made of cells says what trials say, and arrays of scores are the scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from steelyard.decide.coverage import counts
from steelyard.decide.matrix import conditions_of, matrix
from steelyard.decide.objective import Objective, Stage
from steelyard.decide.ranking import ranking, ranking_of_results, votes_of_results
from steelyard.decide.select import choose
from steelyard.ledger import Ledger, open_ledger
from steelyard.ledger.runs import counts_of_cells, results_of_cells, results_of_run
from steelyard.stats.ratings import RatingOptions
from steelyard.testing import ledgers


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ledger, str]:
    place = tmp_path_factory.mktemp("large")
    run = ledgers.ordinary(place, tasks=30, repeats=3)
    return open_ledger(str(place), create=False), run


def test_arrays_of_scores_are_the_scores(kept: tuple[Ledger, str]) -> None:
    ledger, run = kept
    for only in ((), (1,), (3, 0)):
        found = ledger.score_columns(run, only)
        rows = [(c, t, k, o, v) for c, t, k, o, v in ledger.scores(run) if not only or c in only]
        rows.sort(key=lambda r: ((only or range(9)).index(r[0]), *r[1:3]))
        columns = (found.c, found.t, found.k, found.outcome)
        assert list(zip(*(x.tolist() for x in columns), strict=True)) == [r[:4] for r in rows]
        wanted = np.array([np.nan if r[4] is None else r[4] for r in rows])
        assert np.array_equal(found.value, wanted, equal_nan=True)


@pytest.mark.parametrize("prefer", ["cheapest", "fastest"])
def test_a_choice_from_cells_is_the_choice_from_trials(kept: tuple[Ledger, str], prefer: str) -> None:
    ledger, run = kept
    stage = Stage("all", Objective(within=0.1, prefer=prefer))
    slow = choose(results_of_run(ledger, run, amounts=True), stage)
    cells = results_of_cells(ledger, run, ("cost", "seconds"))
    fast = choose(cells, stage, covered=counts_of_cells(ledger, run))
    assert (fast.chosen, fast.provisional) == (slow.chosen, slow.provisional)
    for one, other in zip(fast.candidates, slow.candidates, strict=True):
        assert (one.contestant, one.standing, one.why) == (other.contestant, other.standing, other.why)
        # what a note says of the noise between trials cannot be seen in means
        assert replace(one.quality, notes=()) == replace(other.quality, notes=())
        assert [r.sentence for r in one.requirements] == [r.sentence for r in other.requirements]
    if prefer == "fastest":  # a task with one unpriced attempt has no cost here, and the others' mean there
        for a, b in zip(fast.front, slow.front, strict=True):
            assert (a.contestant, a.on_front) == (b.contestant, b.on_front)
            assert a.quality == pytest.approx(b.quality)


def test_the_coverage_floor_holds_for_cells(kept: tuple[Ledger, str]) -> None:
    """Cells are all graded: without the counts a contestant that broke off would look complete."""
    ledger, run = kept
    assert counts_of_cells(ledger, run) == counts(results_of_run(ledger, run))
    cells = results_of_cells(ledger, run, ("cost",))
    covered = counts_of_cells(ledger, run)
    least = min(covered, key=lambda c: c.share)
    assert least.share < 1
    stage = Stage("all", Objective(within=0.1), coverage=(1 + least.share) / 2)
    found = {c.contestant: c for c in choose(cells, stage, covered=covered).candidates}
    assert "the floor is" in found[least.contestant].why


def test_conditions_from_cells_are_those_from_trials(kept: tuple[Ledger, str]) -> None:
    ledger, run = kept
    slow, fast = results_of_run(ledger, run), results_of_cells(ledger, run, conditions=True)
    assert conditions_of(slow) == conditions_of(fast)
    for name in conditions_of(slow):
        for one, other in zip(matrix(slow, [name]).rows, matrix(fast, [name]).rows, strict=True):
            cells = {c.key: c for c in other.cells}
            for cell in one.cells:
                assert cell.state == cells[cell.key].state
                assert cell.estimate.value == pytest.approx(cells[cell.key].estimate.value)
                assert cell.estimate.n_tasks == cells[cell.key].estimate.n_tasks


def test_a_ranking_task_by_task_is_that_of_its_votes(kept: tuple[Ledger, str]) -> None:
    ledger, run = kept
    slow = ranking(votes_of_results(results_of_run(ledger, run)), RatingOptions(sides_known=False))
    for results in (results_of_run(ledger, run), results_of_cells(ledger, run)):
        fast = ranking_of_results(results)
        assert (fast.method, fast.notes) == (slow.method, slow.notes)
        for one, other in zip(fast.rows, slow.rows, strict=True):
            assert (one.contestant, one.votes, one.rank) == (other.contestant, other.votes, other.rank)
            assert one.elo.value == pytest.approx(other.elo.value)
