"""The local and the Ray executor keep the same promises; a plan runs on a Ray cluster of two local nodes."""

from __future__ import annotations

import asyncio
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.ledger import open_ledger
from steelyard.runner.local import LocalExecutor
from steelyard.runner.planfile import read_plan
from steelyard.runner.prepare import prepare
from steelyard.runner.results import results
from steelyard.runner.session import Options, begin
from steelyard.testing.executors import executor_conformance


def test_the_local_executor_conforms() -> None:
    executor_conformance(lambda: LocalExecutor({}))


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    pytest.importorskip("ray", reason="the ray extra is not installed")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster

        made = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80_000_000}
        )
        made.add_node(num_cpus=1, object_store_memory=80_000_000)
        made.wait_for_nodes()
        yield made.address
        import ray

        ray.shutdown()
        made.shutdown()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(240)
def test_the_ray_executor_conforms_and_runs_a_plan_on_two_nodes(cluster: str, tmp_path: Path) -> None:
    import ray

    from steelyard.runner.ray import RayExecutor

    executor_conformance(lambda: RayExecutor(cluster, {}))
    with (tmp_path / "data.jsonl").open("w") as f:
        for i in range(40):
            f.write(json.dumps({"id": str(i), "input": f"word{i}", "target": f"WORD{i}"}) + "\n")
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "suites: [data.jsonl]\ntrials: 2\nconcurrency: 8\n"
        "contestants: [{callable: 'steelyard.testing.executors:shout'}]\n"
    )
    ledger = open_ledger(str(tmp_path / "ledger"))
    executor = RayExecutor(cluster, {})
    options = Options({}, executor=executor, signals=False, control=False)
    outcome = asyncio.run(begin(prepare(read_plan(plan, {})), ledger, options))
    assert outcome.status == "complete"
    line = results(ledger, "last").board.overall[0]
    assert (line.n_graded, line.estimate.value) == (80, 1.0)
    assert len(executor.nodes) == 2
    assert not ray.is_initialized()
