"""A run on a team's PostgreSQL: the same leaderboard, resumed and verified like one in a folder."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from pathlib import Path

import pytest

from steelyard.contestants.base import Answer, Ask
from steelyard.ledger import open_ledger
from steelyard.runner.planfile import read_plan
from steelyard.runner.prepare import prepare
from steelyard.runner.results import results
from steelyard.runner.session import Options, begin, take_up
from steelyard.schema.reply import Reply, Usage
from steelyard.testing.postgres import find_programs, server
from steelyard.testing.runs import ScriptedExecutor


@pytest.mark.postgres
def test_a_run_on_postgresql_is_stopped_resumed_shown_and_verified(tmp_path: Path) -> None:
    programs = find_programs()
    if programs is None or importlib.util.find_spec("psycopg") is None:
        pytest.skip("no PostgreSQL server or no psycopg here: apt-get install postgresql")
    with (tmp_path / "d.jsonl").open("w") as f:
        f.writelines(
            json.dumps({"id": str(i), "input": f"q {i}", "target": str(i % 2)}) + "\n" for i in range(60)
        )
    (tmp_path / "plan.yaml").write_text(
        'suites: [d.jsonl]\ntrials: 2\nconcurrency: 4\ncontestants: [{model: m, base_url: "http://127.0.0.1:9/v1"}]\n'
        "caps: {seconds: 0.3}\n"
    )

    def answer(c: int, ask: Ask) -> Answer:
        asked.append((ask.task_id, ask.trial))
        return Answer(Reply(text="1", usage=Usage(3, 1)))

    asked: list[tuple[str, int]] = []
    with server(programs) as template:
        place = template.format("postgres")

        def options(**caps: float) -> Options:
            slow = ScriptedExecutor(answer, delay=lambda c, ask: 0.02)
            return Options({}, executor=slow, signals=False, control=False, caps=caps)

        with open_ledger(place) as ledger:
            status = asyncio.run(
                begin(prepare(read_plan(tmp_path / "plan.yaml", {})), ledger, options())
            ).status
        assert status == "capped"
        for sessions in range(2, 20):
            with open_ledger(place) as ledger:
                status = asyncio.run(take_up(ledger, "last", options(seconds=0.3 * sessions))).status
            if status == "complete":
                break
        with open_ledger(place) as ledger:
            line = results(ledger, "last").board.overall[0]
            assert not ledger.verify().problems
        assert (line.n_graded, line.estimate.value) == (120, 0.5)
        assert len(asked) == len(set(asked)) == 120
