"""An endpoint that misbehaves: no trial is misgraded, no fault enters a mean, coverage and bounds are right."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from steelyard.ledger import open_ledger
from steelyard.runner.planfile import read_plan
from steelyard.runner.prepare import prepare
from steelyard.runner.results import Results, results
from steelyard.runner.session import Options, begin
from steelyard.schema.score import Outcome
from steelyard.testing.stub import Rule, StubOptions, prompt_of, stub_thread
from steelyard.wire.base import Request

N = 120


def half_right(request: Request) -> str:
    """Right for even numbers, wrong for odd ones."""
    i = int(prompt_of(request).split()[-1])
    return "ABCD"[i % 4] if i % 2 == 0 else "wrong"


def measure(
    folder: Path, options: StubOptions, *, stream: bool, timeout: float = 30.0, n: int = N
) -> Results:
    with (folder / "tasks.jsonl").open("w") as f:
        for i in range(n):
            f.write(json.dumps({"id": str(i), "input": f"question {i}", "target": "ABCD"[i % 4]}) + "\n")
    with stub_thread(options) as stub:
        plan = folder / "plan.yaml"
        plan.write_text(
            f"""
suites: [{{source: tasks.jsonl, scorer: exact}}]
contestants: [{{model: m, base_url: "{stub.base_url}", stream: {str(stream).lower()}, timeout: {timeout}}}]
retry: {{attempts: 4, wait: 0.01, wait_max: 0.05}}
concurrency: 16
"""
        )
        ledger = open_ledger(str(folder / "ledger"))
        asyncio.run(begin(prepare(read_plan(plan, {})), ledger, Options({}, signals=False, control=False)))
    return results(ledger, "last")


@pytest.mark.parametrize("stream", [False, True])
def test_a_tenth_of_faulty_replies_of_every_kind_biases_nothing(tmp_path: Path, stream: bool) -> None:
    options = StubOptions(answer=half_right, fault_rate=0.1, seed=3, hang_s=2.0)
    found = measure(tmp_path, options, stream=stream, timeout=1.0)
    ledger = open_ledger(str(tmp_path / "ledger"))
    for row in ledger.trials(found.info.run):
        assert row.score is not None
        if row.score.outcome is not Outcome.UNGRADED:
            assert row.score.outcome is (Outcome.PASSED if row.t % 2 == 0 else Outcome.FAILED), row
    line = found.board.overall[0]
    assert line.n_graded + line.n_ungraded == N
    assert line.coverage == pytest.approx(line.n_graded / N)
    assert line.all_wrong <= line.estimate.value <= line.all_right
    assert line.all_right - line.all_wrong == pytest.approx(line.n_ungraded / N)


def test_one_hopeless_task_of_each_kind_never_stops_the_run(tmp_path: Path) -> None:
    rules = (
        Rule("question 10", "400"),
        Rule("question 11", "500"),
        Rule("question 12", "hang"),
        Rule("question 13", "bad_json"),
    )
    found = measure(
        tmp_path, StubOptions(answer=half_right, rules=rules, hang_s=3.0), stream=False, timeout=0.5, n=40
    )
    line = found.board.overall[0]
    assert (line.n_graded, line.n_ungraded) == (36, 4)
    ledger = open_ledger(str(tmp_path / "ledger"))
    parked = {
        row.t: row
        for row in ledger.trials(found.info.run)
        if row.score and row.score.outcome is Outcome.UNGRADED
    }
    assert set(parked) == {10, 11, 12, 13}
    assert parked[10].attempts == 1
    assert parked[11].attempts == 4
    assert found.n_ungraded == 4
