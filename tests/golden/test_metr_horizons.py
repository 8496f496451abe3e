"""Time horizons of METR's public runs against METR's own code (which stops its optimiser early)."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pytest

from steelyard.stats.base import Interval
from steelyard.stats.horizon import Horizon, HorizonOptions, horizon

AGENTS = ["Claude 3 Opus", "Claude 3.5 Sonnet (Old)", "GPT-4 0314", "GPT-4o", "human"]


def of(folder: Path, agent: str, options: HorizonOptions) -> tuple[Horizon, dict]:
    golden = json.loads((folder / "metr_runs" / "expected.json").read_text())
    lines = gzip.decompress((folder / "metr_runs" / "runs.jsonl.gz").read_bytes()).decode().splitlines()
    runs = [r for r in map(json.loads, lines) if r["alias"] == agent]
    columns = ["score_binarized", "human_minutes", "task_id", "task_family"]
    return horizon(*([r[c] for r in runs] for c in columns), options), golden[agent]


def test_every_agent_with_a_golden_value_is_tested(shared_data: Path) -> None:
    golden = json.loads((shared_data / "metr_runs" / "expected.json").read_text())
    assert sorted(golden) == sorted(AGENTS)


@pytest.mark.parametrize("agent", AGENTS)
def test_point_horizons(shared_data: Path, agent: str) -> None:
    found, golden = of(shared_data, agent, HorizonOptions(bootstrap=0))
    assert found.at[0.5].value == pytest.approx(golden["p50"], rel=0.005)
    assert found.at[0.8].value == pytest.approx(golden["p80"], rel=0.01)
    assert found.slope == pytest.approx(golden["coefficient"], rel=0.003)
    assert found.average == pytest.approx(golden["average"], abs=1e-5)
    assert found.bce == pytest.approx(golden["bce_loss"], abs=1e-4)


@pytest.mark.parametrize("agent", AGENTS)
def test_bootstrap_intervals_agree_up_to_their_own_noise(shared_data: Path, agent: str) -> None:
    found, golden = of(shared_data, agent, HorizonOptions(seed=1))
    interval = found.at[0.5].interval
    assert isinstance(interval, Interval)
    # both sides are percentiles of 1,000 draws; the lower end of a weak agent wanders by half a doubling
    assert abs(math.log2(interval.low / golden["ci"][0])) < 0.9
    assert abs(math.log2(interval.high / golden["ci"][1])) < 0.5
