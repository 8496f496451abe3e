"""Published and independently computed standard errors, from real runs."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from steelyard.stats.clusters import clustered_rate
from steelyard.stats.paired import paired
from steelyard.stats.passk import pass_hat_k
from steelyard.stats.rates import rate
from steelyard.stats.twolevel import two_level


@pytest.fixture
def airline(shared_data: Path) -> tuple[list[float], list[int]]:
    with gzip.open(shared_data / "tau_bench_airline" / "gpt-4o-airline.json.gz", "rt", encoding="utf-8") as f:
        runs = json.load(f)
    return [r["reward"] for r in runs], [r["task_id"] for r in runs]


def test_tau_bench_by_task_is_half_again_the_naive_standard_error(
    airline: tuple[list[float], list[int]],
) -> None:
    rewards, tasks = airline
    assert rate(rewards).se == pytest.approx(0.0349, abs=5e-5)
    by_task = two_level(rewards, tasks)
    assert by_task.estimate.value == pytest.approx(0.42, abs=1e-12)
    assert by_task.estimate.se == pytest.approx(0.0522, abs=5e-5)
    assert clustered_rate(rewards, tasks).se == pytest.approx(by_task.estimate.se, rel=1e-12)


def test_tau_bench_decomposition_adds_up(airline: tuple[list[float], list[int]]) -> None:
    got = two_level(*airline)
    assert (got.least_trials, got.most_trials) == (4, 4)
    assert got.se_tasks**2 + got.se_trials**2 == pytest.approx(got.estimate.se**2, rel=1e-12)


def test_big_bench_hard_by_task_file_is_many_times_the_naive_standard_error(shared_data: Path) -> None:
    with gzip.open(shared_data / "bbh" / "code-davinci-002.jsonl.gz", "rt", encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]
    right = [float(r["prediction"] == r["target"]) for r in rows if r["mode"] == "direct"]
    tasks = [r["task"] for r in rows if r["mode"] == "direct"]
    clustered, naive = clustered_rate(right, tasks), rate(right)
    assert clustered.n_clusters == len(set(tasks))
    assert 4.0 < clustered.se / naive.se < 9.0


def test_gsm8k_counts_and_rates(shared_data: Path) -> None:
    with gzip.open(
        shared_data / "gsm8k" / "model_solutions_finetuning.jsonl.gz", "rt", encoding="utf-8"
    ) as f:
        rows = [json.loads(line) for line in f]
    got = rate([float(r["175b_finetuning"]["is_correct"]) for r in rows])
    assert got.n_trials == 1319
    assert got.value == 458 / 1319


def test_gsm8k_paired_difference(shared_data: Path) -> None:
    with gzip.open(
        shared_data / "gsm8k" / "model_solutions_finetuning.jsonl.gz", "rt", encoding="utf-8"
    ) as f:
        rows = [json.loads(line) for line in f]
    sides = ("6b_finetuning", "175b_finetuning")
    values = [float(r[side]["is_correct"]) for side in sides for r in rows]
    tasks = [i for _ in sides for i in range(len(rows))]
    got = paired(values, tasks, [s for s in sides for _ in rows], baseline="6b_finetuning")
    assert got.difference.value == pytest.approx(0.1304, abs=5e-5)
    assert got.difference.se == pytest.approx(0.0137, abs=5e-5)
    assert got.se_unpaired == pytest.approx(0.0173, abs=5e-5)
    assert got.difference.interval.low == pytest.approx(0.1304 - 1.96 * 0.0137, abs=1e-3)


def test_tau_bench_pass_hat_k_as_published(airline: tuple[list[float], list[int]]) -> None:
    published = ("0.420", "0.273", "0.220", "0.200")
    got = [pass_hat_k(*airline, k) for k in (1, 2, 3, 4)]
    assert tuple(f"{e.value:.3f}" for e in got) == published
    assert all(e.n_clusters == 50 and e.interval.low < e.value < e.interval.high for e in got)
