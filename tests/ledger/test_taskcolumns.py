"""Columns of tasks: they say what the tasks say, are made again when they are not there, and `verify` sees others."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.ledger import open_ledger, taskcolumns
from steelyard.ledger.runs import EMPTY, results_of_run
from steelyard.ledger.suites import KeptSuite
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.plan import Plan, SuiteUse
from steelyard.schema.record import Intent, Result, Scored
from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome, Score
from steelyard.schema.task import Task
from steelyard.testing.ledger_rows import ListSuite

N = taskcolumns.WORTH_KEEPING


def tasks(n: int, word: str = "a") -> list[Task]:
    """Tasks that leave out now the cluster, now a condition, now the minutes; some conditions come late."""
    return [
        Task(
            f"{word}-é{i}",
            "Q?",
            "1",
            conditions={}
            if i % 5 == 0
            else {"kind": ("x", EMPTY, "")[i % 3], **({"late": f"v{i % 7}"} if i > n // 2 else {})},
            cluster="" if i % 3 == 0 else f"c{i % 11}",
            human_minutes=None if i % 4 else float(i),
        )
        for i in range(n)
    ]


def write(place: Path, *suites: ListSuite) -> str:
    """A run in which every task was tried once."""
    uses = tuple(
        SuiteUse(f"{s.header.name}.jsonl", name=s.header.name, version=s.header.version) for s in suites
    )
    ledger = open_ledger(str(place))
    plan = Plan(uses, (ContestantSpec("m", "endpoint", model="m"),), name="columns")
    with ledger, ledger.create_run(plan, list(suites), name="columns") as writer:
        for t in range(sum(map(len, suites))):
            score = Score(Outcome.PASSED, 1.0) if t % 2 else Score(Outcome.FAILED, 0.0)
            writer.append([Intent(0, t, 0, 0, 1, seed=1),
                           Result(0, t, 0, 0, 2, "contestant", True, 0, Reply(text="1")),
                           Scored(0, t, 0, 0, "e@1", score)])  # fmt: skip
        writer.close("complete")
        return writer.run


def edited(place: Path, sql: str, *args: object) -> None:
    """Change the ledger's file behind its back."""
    with sqlite3.connect(place / "ledger.db") as db:
        db.execute(sql, args)
    db.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("columns")
    write(folder, ListSuite("one", tasks(N)), ListSuite("two", tasks(37, "b")))
    return folder


def test_columns_say_what_the_tasks_say(place: Path) -> None:
    with open_ledger(str(place), create=False) as ledger:
        for suite in ledger.suites("last"):
            assert isinstance(suite, KeptSuite)
            columns = suite.columns()
            said = [suite.task(i) for i in range(len(suite))]
            assert columns.ids() == [t.id for t in said]
            for name in columns.conditions:
                found = columns.condition(name)
                labels = [found.values[c - 1] if c else None for c in found.numbers().tolist()]
                assert labels == [t.conditions.get(name) for t in said]
            assert {n for t in said for n in t.conditions} == set(columns.conditions)
            units, first = columns.units(), dict[str, int]()
            assert units is not None
            assert units.tolist() == [
                first.setdefault(t.cluster, i) if t.cluster else i for i, t in enumerate(said)
            ]
            minutes = columns.minutes()
            assert minutes is not None
            known = [None if math.isnan(m) else m for m in minutes.tolist()]
            assert known == [t.human_minutes for t in said]


def test_results_name_tasks_clusters_and_conditions_as_the_tasks_do(place: Path) -> None:
    """Against the plain reading of every task, over two suites of which one has kept columns."""
    with open_ledger(str(place), create=False) as ledger:
        found = results_of_run(ledger, "last")
        said = [(s.header.name, s.task(i)) for s in ledger.suites("last") for i in range(len(s))]
        assert [found.task.labels[i] for i in found.task.index] == [f"{name}/{t.id}" for name, t in said]
        assert found.cluster is not None
        units = [f"{s}/{t.cluster}" if t.cluster else f"{s}#{n}" for n, (s, t) in enumerate(said)]
        assert [found.cluster.labels[i] for i in found.cluster.index] == units
        assert found.conditions is not None
        assert sorted(found.conditions) == ["kind", "late"]
        for name, column in found.conditions.items():
            assert [column.labels[i] for i in column.index] == [
                t.conditions.get(name, EMPTY) for _, t in said
            ]


def test_a_ledger_of_before_gets_them_at_the_first_look(tmp_path: Path) -> None:
    write(tmp_path, ListSuite("one", tasks(N)))
    with open_ledger(str(tmp_path), create=False) as ledger:
        before = results_of_run(ledger, "last")
    edited(tmp_path, "DELETE FROM fold_columns WHERE chain < 0")
    with open_ledger(str(tmp_path), create=False) as ledger:
        again = results_of_run(ledger, "last")
        assert again.task.labels == before.task.labels
        assert again.cluster is not None
        assert before.cluster is not None
        assert again.cluster.labels == before.cluster.labels
        assert ledger.verify().problems == ()
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        assert db.execute("SELECT count(*) FROM fold_columns WHERE chain < 0").fetchone()[0] >= 5
    db.close()


def test_columns_of_another_version_are_made_again(tmp_path: Path) -> None:
    write(tmp_path, ListSuite("one", tasks(N)))
    edited(tmp_path, "UPDATE fold_columns SET body = (SELECT body FROM fold_columns WHERE name = 'cluster' AND chain < 0) "
                     "WHERE name = 'shape' AND chain < 0")  # fmt: skip
    with open_ledger(str(tmp_path), create=False) as ledger:
        assert results_of_run(ledger, "last").task.size == N


def test_verify_names_a_suite_whose_columns_are_not_what_its_tasks_say(tmp_path: Path) -> None:
    run = write(tmp_path, ListSuite("one", tasks(N)))
    edited(tmp_path, "UPDATE fold_columns SET body = (SELECT body FROM fold_columns WHERE name = 'condition/late') "
                     "WHERE name = 'cluster'")  # fmt: skip
    with open_ledger(str(tmp_path), create=False) as ledger:
        (problem,) = ledger.verify(run).problems
        assert "'one'" in problem
        assert "derived columns" in problem
    edited(tmp_path, "DELETE FROM fold_columns WHERE chain < 0")
    with open_ledger(str(tmp_path), create=False) as ledger:
        assert ledger.verify(run).problems == ()
