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
from steelyard.sandbox.selfcheck import self_check
from steelyard.schema.score import Outcome
from steelyard.testing.agent import bash, scripted, submit
from steelyard.testing.agentic import fix_task
from steelyard.testing.executors import executor_conformance
from steelyard.testing.stub import Stub, StubOptions


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


@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(240)
@pytest.mark.skipif(self_check().rung is None, reason="no sandbox can be had on this machine")
def test_agents_work_on_the_cluster_and_are_paid_from_here(cluster: str, tmp_path: Path) -> None:
    from steelyard.runner.ray import RayExecutor

    for i in range(3):
        fix_task(tmp_path / "suite" / f"t{i}")
    steps = {"": [bash("sed -i s/-/+/ calc.py"), submit()]}

    async def go() -> None:
        async with Stub(StubOptions(answer=scripted(steps))) as stub:
            plan = tmp_path / "plan.yaml"
            plan.write_text(
                f"suites: [suite]\ncontestants:\n- {{agent: steelyard, model: m, base_url: '{stub.base_url}', "
                "max_tokens: 150, price: {input: 1, output: 2}, headers: {X-Api-Key: '${TEAM_KEY}'}}\n"
                "- {policy: gold}\ncaps: {money: 1}\n"
            )
            environ = {"TEAM_KEY": "correct horse battery"}
            ledger = open_ledger(str(tmp_path / "ledger"))
            executor = RayExecutor(cluster, environ)
            options = Options(environ, executor=executor, signals=False, control=False)
            outcome = await begin(prepare(read_plan(plan, environ)), ledger, options)
            assert outcome.status == "complete"

    asyncio.run(go())
    rows = list(open_ledger(str(tmp_path / "ledger")).trials("last"))
    assert [r.score.outcome for r in rows if r.score is not None] == [Outcome.PASSED] * 6
    assert all(r.cost_pusd for r in rows if r.c == 0)
