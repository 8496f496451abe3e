"""Checks of `steelyard.testing.ledger` that are about one run: its rows, its sums, its trials, its writer."""

import math
import random
from collections.abc import Iterable

import msgspec

from steelyard.errors import DataError, LedgerBusy, SteelyardError
from steelyard.ledger.base import Ledger
from steelyard.schema.canon import content_hash
from steelyard.schema.record import Closed, Noted, Opened, Record, Result, Scored
from steelyard.schema.reply import Reply
from steelyard.schema.score import FAILED, PASSED, Outcome, Score, ungraded
from steelyard.testing.ledger_rows import (
    Open,
    eager,
    fault,
    intent,
    plan_of,
    refuses,
    result,
    sums,
    whole_trial,
)


def a_run_keeps_its_plan_and_suites(open_ledger: Open) -> None:
    """Plan and every task, both splits, come back equal, from another connection."""
    plan, one, two = plan_of("a", "b", suites=("sums", "more"), name="first"), sums(23), sums(7, "more")
    with open_ledger().create_run(plan, [one, two]) as writer:
        other = open_ledger()
        assert other.plan(writer.run) == plan
        kept = other.suites(writer.run)
        assert [len(s) for s in kept] == [23, 7]
        assert [s.header for s in kept] == [one.header, two.header]
        assert all(kept[0].task(i) == one.task(i) for i in random.Random(1).sample(range(23), 23))
        assert all(kept[1].task(i) == two.task(i) for i in range(7))
        refuses(DataError, lambda: kept[0].task(23))
        info = other.find(writer.run)
    assert (info.name, info.contestants, info.suites, info.n_tasks) == (
        "first",
        ("a", "b"),
        ("sums", "more"),
        30,
    )
    assert info.plan_hash == content_hash(plan)


def records_come_back_in_order(open_ledger: Open) -> None:
    """What was appended is read back equal, around the ledger's own Opened, manifest and Closed rows."""
    ledger = open_ledger()
    sent: list[Record] = [
        *whole_trial(0, 0),
        Noted(5, "pause", "\u0000 \U0001f4a3"),
        intent(0, 1),
        fault(0, 1),
    ]
    with ledger.create_run(plan_of(), [sums(3)]) as writer:
        for record in sent:
            writer.append([record])
        writer.append([])
        head = writer.close("stopped", "asked to")
    back = list(open_ledger().records(writer.run))
    assert isinstance(back[0], Opened)
    assert back[2:-1] == sent
    closed = back[-1]
    assert isinstance(closed, Closed)
    assert (closed.status, closed.n_records, closed.spent, closed.detail) == (
        "stopped",
        len(back),
        10,
        "asked to",
    )
    info = ledger.find(writer.run)
    assert (info.status, info.n_records, info.head, info.spent_pusd) == ("stopped", len(back), head, 10)
    assert list(ledger.records(writer.run, start=3)) == back[3:]


def a_run_has_one_writer(open_ledger: Open) -> None:
    """A second writer is refused while the first lives, and welcome after it."""
    ledger, other = open_ledger(), open_ledger()
    writer = ledger.create_run(plan_of(), [sums(3)])
    assert other.find(writer.run).status == "running"
    refuses(LedgerBusy, lambda: other.open_run(writer.run))
    with other.create_run(plan_of(), [sums(3)]) as second:
        second.append(whole_trial(0, 0))
        writer.append(whole_trial(0, 0))
    writer.release()
    writer.release()
    refuses(SteelyardError, lambda: writer.append(whole_trial(0, 1)))
    assert other.find(writer.run).status == "open"
    with other.open_run(writer.run) as again:
        again.append(whole_trial(0, 1))
        again.close("complete")
    assert ledger.find(writer.run).status == "complete"
    assert ledger.verify().problems == ()


def a_resumed_run_knows_what_is_done(open_ledger: Open) -> None:
    """Done, in flight, unscored, attempts, spend, over two sessions."""
    ledger = open_ledger()
    with ledger.create_run(plan_of("a", "b"), [sums(4)]) as writer:
        writer.append(whole_trial(0, 0))
        writer.append([intent(0, 1), result(0, 1)])
        writer.append([intent(1, 2), fault(1, 2), intent(1, 2, 0, 1, reserved=70)])
        writer.append([intent(0, 0, role="judge", reserved=None)])
        writer.append([Result(0, 1, 0, 0, 4, "contestant", True, 0, Reply(text="fine"), role="judge")])
        writer.append([intent(1, 3, 2), result(1, 3, 2), Scored(1, 3, 2, 0, "exact@1", FAILED)])
        writer.append([Scored(1, 0, 0, 0, "exact@1", ungraded("parked"))])
    run = writer.run
    state = open_ledger().resume_state(run)
    assert (state.spent_pusd, state.tokens, state.sessions) == (30, 75, 1)
    assert {(f.c, f.t, f.k, f.a, f.reserved, f.role) for f in state.in_flight} == {
        (1, 2, 0, 1, 70, ""),
        (0, 0, 0, 0, None, "judge"),
    }
    assert {(f.c, f.t, f.k, f.a, f.reserved, f.role) for f in open_ledger().cells(run).in_flight} == {
        (f.c, f.t, f.k, f.a, f.reserved, f.role) for f in state.in_flight
    }, "a leaderboard knows them too"
    assert state.unscored == [(0, 1, 0, 0)]
    assert state.attempts == {(1, 2, 0): 2}
    assert state.held_pusd == 70
    assert sorted(ledger.finished(run)) == [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 3, 2)]
    assert [(*j[:4], j[4].text) for j in ledger.judge_replies(run)] == [(0, 1, 0, "judge", "fine")]
    with ledger.open_run(run) as writer:
        writer.append([Scored(0, 1, 0, 0, "exact@1", PASSED), result(1, 2, 0, 1, cost=None)])
        late = Result(0, 0, 0, 0, 4, "provider", True, None, role="judge", fault="cut", held=9)
        writer.append(
            [late, intent(0, 0, 0, 1, role="judge"), msgspec.structs.replace(late, a=1, held=0, cost=0)]
        )
        writer.append(whole_trial(1, 3, 0) + whole_trial(1, 3, 1))
    state = ledger.resume_state(run)
    assert (state.sessions, state.spent_pusd) == (2, 50)
    assert state.unscored == [(1, 2, 0, 1)]
    assert state.attempts == {}
    assert state.held_pusd == 9
    assert not state.caps
    done = [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 2, 0), (1, 3, 0), (1, 3, 1), (1, 3, 2)]
    assert sorted(ledger.finished(run)) == done
    assert list(ledger.judge_replies(run)) == []
    with ledger.open_run(run) as writer:
        writer.append([intent(1, 1), intent(1, 1, 0, 1), result(1, 1, 0, 1)])
    after_a_crash = next(ledger.trials(run, {"c": 1, "t": 1}))
    assert (after_a_crash.attempts, after_a_crash.a) == (1, 1), "the lost attempt keeps its number"
    for detail, cap in (("7000", 7000), ("none", None)):
        with ledger.open_run(run) as writer:
            writer.append(
                [
                    Noted(5, "cap", detail),
                    Noted(5, "cap_seconds", "1.5"),
                    Noted(5, "learnt", '{"1":[1,2,3,4]}'),
                ]
            )
        state = ledger.resume_state(run)
        assert state.caps == {"money": cap, "seconds": 1.5}
        assert state.learnt == {1: (1, 2, 3, 4)}
        assert 0 <= state.seconds < 3600
    assert list(ledger.scores(run)) == [
        (c, t, k, *((4, None) if (c, t) == (1, 0) else (1, 1.0) if (t, k) != (3, 2) else (0, 0.0)))
        for c, t, k in done
        if (c, t) != (1, 2)
    ]


def _random_records(rng: random.Random, n_c: int, n_t: int, n: int) -> list[Record]:
    """Trials with faults, judges, unpriced attempts, rescoring and every outcome."""
    scores = [
        PASSED,
        FAILED,
        Score(Outcome.PARTIAL, 0.25),
        Score(Outcome.ABSTAINED, 0.0),
        Score(Outcome.ABSTAINED, 0.5),
        Score(Outcome.FAILED, 0.0, format_failure=True),
        ungraded("provider"),
    ]
    made: list[Record] = []
    for _ in range(n):
        c, t, k = rng.randrange(n_c), rng.randrange(n_t), rng.randrange(4)
        for a in range(rng.randrange(3)):
            made += [intent(c, t, k, a), fault(c, t, k, a, cost=rng.choice([0, 3, None]))]
        if rng.random() < 0.9:
            done = result(c, t, k, 2, cost=rng.choice([7, 11, None]))
            made += [intent(c, t, k, 2), done]
        if rng.random() < 0.3:
            judged = Result(c, t, k, 0, 9, "contestant", True, rng.choice([5, None]), role="judge")
            made += [intent(c, t, k, role="judge"), judged]
        for scorer in rng.sample(["exact@1", "exact@2", "judge@1"], rng.randrange(3)):
            made.append(Scored(c, t, k, 2, scorer, rng.choice(scores)))
    return made


def slow_cells(
    records: Iterable[Record], n_c: int, n_t: int, scorer: str = ""
) -> dict[str, list[list[float]]]:
    """The definition of `Cells`, slow and obvious: the reference that a ledger's columns must equal."""
    attempts: dict[tuple[int, int, int], list[Result]] = {}
    others: list[Result] = []
    scored: dict[tuple[int, int, int], Score] = {}
    for r in records:
        if isinstance(r, Result):
            (others if r.role else attempts.setdefault((r.c, r.t, r.k), [])).append(r)
        elif isinstance(r, Scored) and scorer in ("", r.scorer):
            scored[r.c, r.t, r.k] = r.score
    table: dict[str, list[list[float]]] = {}

    def add(name: str, c: int, t: int, amount: float = 1.0) -> None:
        table.setdefault(name, [[0.0] * n_t for _ in range(n_c)])[c][t] += amount

    for r in others:
        add("other_cost_pusd", r.c, r.t, r.cost or 0)
        add("other_unpriced", r.c, r.t, r.cost is None)
    for (c, t, k), ended in attempts.items():
        add("trials", c, t, ended[-1].final or (c, t, k) in scored)
        add("unscored", c, t, ended[-1].final and (c, t, k) not in scored)
        for r in ended:
            reply = r.reply or Reply()
            add("attempts", c, t)
            add("cost_pusd", c, t, r.cost or 0)
            add("unpriced", c, t, r.cost is None)
            add("input_tokens", c, t, reply.usage.input_tokens or 0)
            add("output_tokens", c, t, reply.usage.output_tokens or 0)
            add("seconds", c, t, (reply.timing.done_ns if reply.timing else 0) / 1e9)
        add("timed", c, t, any(r.reply and r.reply.timing and r.reply.timing.done_ns >= 1000 for r in ended))
        last = ended[-1].reply or Reply()
        add("truncated", c, t, last.finish == "length")
        add("refused", c, t, ended[-1].ended_by == "refusal" or bool(last.refusal))
    for (c, t, k), score in scored.items():
        add("trials", c, t, (c, t, k) not in attempts)
        add(score.outcome.name.lower(), c, t)
        add("format_failures", c, t, score.format_failure)
        if score.value is not None:
            add("graded", c, t)
            add("value_sum", c, t, score.value)
            add("value_sq", c, t, score.value**2)
    return table


def _check_cells(ledger: Ledger, run: str, records: list[Record], n_c: int, n_t: int) -> None:
    for scorer in ("", *ledger.scorers(run)):
        wanted = slow_cells(records, n_c, n_t, scorer)
        cells = ledger.cells(run, scorer)
        assert set(wanted) <= set(cells.columns)
        for name, column in cells.columns.items():
            rows = wanted.get(name, [[0.0] * n_t] * n_c)
            assert column.shape == (n_c, n_t), name
            for c in range(n_c):
                for t in range(n_t):
                    got = float(column[c, t])
                    assert math.isclose(got, rows[c][t], abs_tol=1e-9), (name, scorer, c, t, got, rows[c][t])


def cells_are_what_the_rows_say(open_ledger: Open) -> None:
    """Columns equal the slow definition: while the run grows, from another connection, after it closed."""
    rng, (n_c, n_t) = random.Random(7), (3, 5)
    ledger = open_ledger()
    with ledger.create_run(plan_of("a", "b", "c"), [sums(n_t)]) as writer:
        assert ledger.scorers(writer.run) == ()
        assert all(not column.any() for column in ledger.cells(writer.run).columns.values())
        appended: list[Record] = []
        for n in (1, 30, 200):
            more = _random_records(rng, n_c, n_t, n)
            appended += more
            writer.append(more)
            _check_cells(ledger, writer.run, appended, n_c, n_t)
        writer.close("complete")
    _check_cells(open_ledger(), writer.run, appended, n_c, n_t)
    _check_cells(open_ledger(), writer.run, appended, n_c, n_t)
    refuses(DataError, lambda: ledger.cells(writer.run, "exact@9"))
    assert ledger.verify().problems == ()


def trials_are_what_the_rows_say(open_ledger: Open) -> None:
    """Every trial once, in order, with the reply of its last attempt and its newest score; `where` narrows."""
    ledger, rng = open_ledger(), random.Random(3)
    with ledger.create_run(plan_of("a", "b"), [sums(6)]) as writer:
        order = [(c, t, k) for c in range(2) for t in range(6) for k in range(3)]
        rng.shuffle(order)
        for c, t, k in order:
            writer.append([intent(c, t, k), fault(c, t, k, cost=4)])
            writer.append([intent(c, t, k, 1), result(c, t, k, 1)])
            writer.append([Scored(c, t, k, 1, "exact@1", FAILED)])
        writer.append([Scored(1, 2, 1, 1, "exact@2", PASSED)])
        writer.append([intent(0, 0, 7)])
    rows = eager(ledger.trials(writer.run))
    assert [(r.c, r.t, r.k) for r in rows] == sorted(order)
    assert all(r.reply and r.reply.text == f"{r.c}:{r.t}:{r.k}" for r in rows)
    assert all((r.attempts, r.cost_pusd, r.ended_by) == (2, 14, "contestant") for r in rows)
    assert all(r.seed == intent(r.c, r.t, r.k, 1).seed for r in rows)
    assert all(r.split == ("held_out" if r.t == 4 else "public") for r in rows)
    passed = eager(ledger.trials(writer.run, {"outcome": "passed"}))
    assert [(r.c, r.t, r.k, r.scorer) for r in passed] == [(1, 2, 1, "exact@2")]
    assert len(eager(ledger.trials(writer.run, {"outcome": Outcome.FAILED, "c": 1}))) == 17
    assert len(eager(ledger.trials(writer.run, {"t": 3, "k": 2}))) == 2
    assert eager(ledger.trials(writer.run, {"c": 9})) == []
    first = eager(ledger.trials(writer.run, {"c": 1, "t": 2, "k": 1, "scorer": "exact@1"}))
    assert [r.score for r in first] == [FAILED]
    assert eager(ledger.trials(writer.run, {"ended_by": "provider"})) == []
    for bad in ({"tsk": 1}, {"c": "0"}, {"outcome": "ok"}, {"scorer": "exact@7"}):
        refuses(DataError, lambda bad=bad: eager(ledger.trials(writer.run, bad)))  # type: ignore[misc] # bound early
