"""A provider that is rate limited does not hold up the others, and all together stay within the plan's concurrency."""

from __future__ import annotations

from pathlib import Path

from tests.hostile.kit import run_plan, write_tasks

from steelyard.testing.stub import StubOptions, stub_thread


def test_a_slow_provider_does_not_starve_a_free_one(tmp_path: Path) -> None:
    data = write_tasks(tmp_path, [{"id": str(i), "input": f"q{i}", "target": "B"} for i in range(40)])
    with stub_thread(StubOptions(answer=lambda _: "B", latency_s=0.01)) as stub:
        contestants = [{"model": m, "base_url": stub.base_url, "provider": m} for m in ("slow", "fast")]
        plan = {
            "suites": [data],
            "contestants": contestants,
            "limits": {"slow": {"requests_per_minute": 20}},
            "concurrency": 4,
            "caps": {"seconds": 4},
        }
        _, outcome, found = run_plan(tmp_path, plan)
        assert stub.counts.most_in_flight <= 4
    assert outcome.status == "capped"
    graded = {line.contestant: line.n_graded for line in found.board.overall}
    assert graded["fast"] == 40
    assert graded["slow"] < 40
