"""One arena over several runs: the same prompts meet, whoever changed is told apart, one run is as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.arena.kit import KEYS

from steelyard.arena.answers import Answers
from steelyard.arena.base import Battle
from steelyard.arena.battles import Arena, Terms, open_arena
from steelyard.arena.pool import REPEATS, Pool, answers_of
from steelyard.arena.standing import standing
from steelyard.decide.ranking import Ranking
from steelyard.errors import DataError
from steelyard.ledger import Ledger, open_ledger
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.plan import Plan, SuiteUse
from steelyard.schema.record import Intent, Result, Scored
from steelyard.schema.reply import Reply
from steelyard.schema.score import PASSED
from steelyard.schema.task import Task
from steelyard.testing.ledger_rows import ListSuite


def run_of(ledger: Ledger, prompts: dict[str, str], *specs: ContestantSpec, name: str) -> str:
    tasks = [Task(id=i, input=text) for i, text in prompts.items()]
    plan = Plan((SuiteUse("ours.jsonl", name="ours"),), specs, name=name)
    with ledger.create_run(plan, [ListSuite("ours", tasks)], name=name) as writer:
        for c, spec in enumerate(specs):
            for t, task in enumerate(tasks):
                reply = Reply(f"{spec.name} of {name} on {task.input}")
                writer.append([Intent(c, t, 0, 0, 1, 7, None), Result(c, t, 0, 0, 2, "contestant", True, 0, reply),
                               Scored(c, t, 0, 0, "answered@1", PASSED)])  # fmt: skip
        writer.close("complete")
        return writer.run


PROMPTS = {f"p{i}": f"question {i}" for i in range(8)}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return open_ledger(str(tmp_path))


def spec(name: str, model: str = "") -> ContestantSpec:
    return ContestantSpec(name, "endpoint", model=model or name)


def test_answers_of_two_runs_of_one_contestant_each_meet(ledger: Ledger) -> None:
    one = run_of(ledger, PROMPTS, spec("ada"), name="monday")
    two = run_of(ledger, {**PROMPTS, "p7": "question 7, said otherwise"}, spec("bob"), name="tuesday")
    made = open_arena(ledger, "both", [one, two], Terms(seed=3))
    assert (made.runs, made.contestants) == ((one, two), ("ada", "bob"))
    arena = Arena(ledger, "both", KEYS)
    texts = []
    while isinstance(battle := arena.battle("zoe"), Battle):
        texts.append(battle.prompt.messages[0].content)
        a, b = battle.left.text, battle.right.text
        assert {a.split()[2], b.split()[2]} == {"monday", "tuesday"}
        assert a.split(" on ")[1] == b.split(" on ")[1] == texts[-1]
        # ada is better but for the first prompt
        ada = "left" if a.startswith("ada") else "right"
        other = {"left": "right", "right": "left"}[ada]
        arena.vote(battle.token, other if len(texts) == 1 else ada, "zoe")
    # the prompt that was changed between the runs is not one task
    assert sorted(texts) == [f"question {i}" for i in range(7)]
    found = standing("both", list(arena.ballots.votes.values()))
    assert isinstance(found.ranking, Ranking)
    assert [r.contestant for r in found.ranking.rows] == ["ada", "bob"]
    assert not arena.forged()


def test_the_same_contestant_is_one_and_a_changed_one_is_another(ledger: Ledger) -> None:
    one = run_of(ledger, PROMPTS, spec("ada"), spec("bob"), name="monday")
    two = run_of(ledger, PROMPTS, spec("bob"), spec("ada", "ada-2"), name="tuesday")
    pool = Pool(ledger, [one, two])
    assert pool.names == ("ada", "bob", f"ada ({two})")
    assert pool.repeats(1, 0) == [0, REPEATS]
    assert pool.answer(1, 0, REPEATS).text == "bob of tuesday on question 0"
    assert pool.answer(2, 3, REPEATS).text == "ada of tuesday on question 3"
    assert pool.done().all()
    assert [pool.label(t) for t in range(2)] == ["ours/p0", "ours/p1"]
    with pytest.raises(DataError):
        pool.answer(0, 0, REPEATS)


def test_changed_prompts_keep_their_own_labels(ledger: Ledger) -> None:
    one = run_of(ledger, {"p": "old"}, spec("ada"), name="monday")
    two = run_of(ledger, {"p": "new"}, spec("bob"), name="tuesday")
    assert [Pool(ledger, [one, two]).label(t) for t in range(2)] == ["ours/p", f"ours/p@{two}"]
    with pytest.raises(DataError, match="no task has answers of two"):
        open_arena(ledger, "none", [one, two], Terms())
    with pytest.raises(DataError, match="twice"):
        open_arena(ledger, "none", [one, one], Terms())


def test_one_run_is_no_pool(ledger: Ledger) -> None:
    one = run_of(ledger, PROMPTS, spec("ada"), spec("bob"), name="monday")
    assert isinstance(answers_of(ledger, [one]), Answers)
    assert open_arena(ledger, "one", one, Terms()).more == ()
