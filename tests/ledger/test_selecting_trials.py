"""Which trials a question finds: on arrays for many slots, one by one for few; the two must agree."""

from __future__ import annotations

import itertools
import random
from contextlib import closing
from pathlib import Path

import pytest

from steelyard.ledger import open_ledger
from steelyard.schema.record import Intent, Record, Scored
from steelyard.schema.score import Outcome, Score
from steelyard.testing.ledger_rows import fault, plan_of, result, sums

N_C, N_T, N_K = 3, 700, 3


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("selecting")
    rng = random.Random(11)
    with (
        closing(open_ledger(str(folder))) as ledger,
        ledger.create_run(plan_of("a", "b", "c"), [sums(N_T)]) as w,
    ):
        rows: list[Record] = []
        for c, t, k in itertools.product(range(N_C), range(N_T), range(N_K)):
            kind = rng.random()
            if kind < 0.1:
                continue
            rows.append(Intent(c, t, k, 0, at=1, seed=1))
            rows.append(fault(c, t, k, final=True) if kind < 0.2 else result(c, t, k))
            for scorer in ("one@1", "two@1"):
                if rng.random() < 0.6:
                    outcome = Outcome(rng.randrange(5))
                    value = None if outcome is Outcome.UNGRADED else float(outcome is Outcome.PASSED)
                    rows.append(
                        Scored(c, t, k, 0, scorer, Score(outcome, value, cause="x" if value is None else ""))
                    )
        w.append(rows)
        w.close("complete")
    return folder


@pytest.mark.parametrize(
    "where",
    [{}, {"outcome": "passed"}, {"outcome": "ungraded"}, {"ended_by": "provider"}, {"ended_by": "contestant"},
     {"ended_by": "nobody"}, {"scorer": "one@1", "outcome": "failed"}, {"ended_by": "provider", "outcome": "partial"}],
)  # fmt: skip
def test_many_slots_give_what_single_ones_give(place: Path, where: dict[str, object]) -> None:
    with closing(open_ledger(str(place), create=False)) as ledger:
        at_once = [(r.c, r.t, r.k, r.scorer, r.ended_by) for r in ledger.trials("last", where)]
        one_by_one = [
            (r.c, r.t, r.k, r.scorer, r.ended_by)
            for c in range(N_C)
            for r in (x for k in range(N_K) for x in ledger.trials("last", {**where, "c": c, "k": k}))
        ]
    assert N_C * N_T * N_K >= 4096 > N_T  # the first question is answered on arrays, the others slot by slot
    assert sorted(one_by_one) == at_once


BAD = (Outcome.FAILED, Outcome.PARTIAL, Outcome.ABSTAINED, Outcome.UNGRADED)


def test_a_sample_that_may_hold_all_is_what_the_questions_find(place: Path) -> None:
    with closing(open_ledger(str(place), create=False)) as ledger:
        for who in ((0, 1, 2), (1,), ()):
            found = [
                (r.c, r.t, r.k, r.score, r.scorer, r.ended_by) for r in ledger.sample("last", who, BAD, 10**6)
            ]
            asked = [
                (r.c, r.t, r.k, r.score, r.scorer, r.ended_by)
                for c in who
                for o in BAD
                for r in ledger.trials("last", {"c": c, "outcome": o})
            ]
            assert sorted(found, key=lambda r: r[:3]) == sorted(asked, key=lambda r: r[:3])


def test_a_sample_of_many_is_spread_over_the_run_and_its_outcomes(place: Path) -> None:
    most = 400
    with closing(open_ledger(str(place), create=False)) as ledger:
        found = list(ledger.sample("last", range(N_C), BAD, most))
    assert 0.7 * most < len(found) < 1.3 * most
    assert len({(r.c, r.t, r.k) for r in found}) == len(found)
    for outcome in BAD:
        mine = [r for r in found if r.score is not None and r.score.outcome == outcome]
        assert 0.5 * most / len(BAD) < len(mine) < 1.5 * most / len(BAD), outcome
    for c in range(N_C):  # the rows are in the order of contestants: an even part of them has all three
        assert sum(r.c == c for r in found) > most / 5
    early = sum(r.t < N_T // 2 for r in found)
    assert 0.35 < early / len(found) < 0.65
