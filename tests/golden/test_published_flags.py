"""Recorded answers of real models get the published verdicts."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome
from steelyard.schema.task import Task
from steelyard.scorers import Item, build
from steelyard.tasks import load


def rows(shared_data: Path, name: str) -> list[dict[str, object]]:
    path = shared_data / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the repository (../shared/data)")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.mark.parametrize(("model", "right"), [("6b_finetuning", 286), ("175b_finetuning", 458)])
def test_gsm8k_solutions_get_every_published_flag(shared_data: Path, model: str, right: int) -> None:
    scorer = build({"type": "numeric", "after": ["A:"]})
    wrong = []
    passed = 0
    for i, row in enumerate(rows(shared_data, "gsm8k/model_solutions_finetuning.jsonl.gz")):
        target = str(row["ground_truth"]).rpartition("A:")[2].strip()
        said = row[model]
        score = scorer.score(Item(Task(id=str(i), target=target), Reply(text=said["solution"])))
        assert score.outcome in (Outcome.PASSED, Outcome.FAILED)
        passed += score.outcome is Outcome.PASSED
        if (score.outcome is Outcome.PASSED) != said["is_correct"]:
            wrong.append((i, target, said["solution"][-60:]))
    assert not wrong
    assert passed == right


def test_gsm8k_suite_is_loaded_and_its_targets_are_numbers(shared_data: Path) -> None:
    rows(shared_data, "gsm8k/test.jsonl.gz")
    suite = load(
        str(shared_data / "gsm8k" / "test.jsonl.gz"),
        options={"fields": {"input": "question", "target": "answer"}},
    )
    assert len(suite) == 1319
    ask = build({"type": "numeric", "after": ["####"]})
    for i in range(len(suite)):
        task = suite.task(i)
        found = ask.find(task.target)
        assert not isinstance(found, str), task.id


def test_bbh_direct_is_exact_and_chain_of_thought_is_read_after_its_marker(shared_data: Path) -> None:
    direct, cot = build("exact"), build({"type": "exact", "after": ["the answer is"]})
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows(shared_data, "bbh/code-davinci-002.jsonl.gz"):
        target, said = str(row["target"]), str(row["prediction"])
        item = Item(Task(id=f"{row['task']}:{row['i']}", target=target), Reply(text=said))
        if row["mode"] == "direct":
            score, answer = direct.score(item), said.strip()
        else:
            _, marked, tail = said.rpartition("the answer is")
            answer = tail.strip().split("\n")[0].strip().removesuffix(".") if marked else ""
            score = cot.score(item)
            assert score.format_failure == (not marked)
        assert (score.outcome is Outcome.PASSED) == (answer == target.strip()), (target, said)
        counts[str(row["mode"]), score.outcome.name] += 1
    assert counts == {
        ("direct", "PASSED"): 1683,
        ("direct", "FAILED"): 1817,
        ("cot", "PASSED"): 2582,
        ("cot", "FAILED"): 918,
    }


def test_mt_bench_questions_are_tasks(shared_data: Path) -> None:
    rows(shared_data, "mt_bench/mt_bench_question.jsonl.gz")
    suite = load(
        str(shared_data / "mt_bench" / "mt_bench_question.jsonl.gz"),
        options={"fields": {"id": "question_id", "input": "turns[0]", "conditions": ["category"]}},
    )
    assert len(suite) == 80
    assert suite.task(0).id == "81"
    assert suite.task(0).conditions == {"category": "writing"}
    assert suite.task(0).fields["turns"][0] is None
