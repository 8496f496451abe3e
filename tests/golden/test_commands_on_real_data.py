"""The commands on published data, as a user would type them: files of other tools, without running anything again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.test_verdict_commands import steelyard

METR = (
    "--column",
    "score=score_binarized",
    "--column",
    "contestant=alias",
    "--column",
    "cluster=task_family",
    "--ignore-rest",
)


def test_horizon_of_metrs_runs(shared_data: Path) -> None:
    folder = shared_data / "metr_runs"
    golden = json.loads((folder / "expected.json").read_text())
    got = json.loads(
        steelyard("horizon", folder / "runs.jsonl.gz", *METR, "--bootstrap", 50, "--json").output
    )
    found = {h["contestant"]: h["minutes"] for h in got}
    for agent, expected in golden.items():
        assert found[agent]["p50"]["value"] == pytest.approx(expected["p50"], rel=0.005), agent
        assert found[agent]["p80"]["value"] == pytest.approx(expected["p80"], rel=0.01), agent


def test_compare_metrs_agents_by_family(shared_data: Path) -> None:
    got = steelyard(
        "compare", shared_data / "metr_runs" / "runs.jsonl.gz", *METR, "--baseline", "GPT-4o", "--json"
    )
    items = {c["contestant"]: c for c in json.loads(got.stdout)["items"]}
    assert items["human"]["verdict"] == "better"
    assert items["gpt-3.5-turbo-instruct"]["verdict"] == "worse"
    assert items["human"]["paired"]["difference"]["n_clusters"] == 36


def test_rank_llmfao_votes(shared_data: Path) -> None:
    votes = shared_data / "llmfao" / "llmfao.csv.gz"
    got = json.loads(steelyard("rank", votes, "--json").stdout)
    assert len(got["rows"]) == 59
    assert got["rows"][0]["contestant"] == "GPT 4"
    assert "two-way cluster-robust" in got["method"]


def test_plan_and_doctor_on_tau_bench(shared_data: Path) -> None:
    """Four trials of fifty tasks; naive standard error 0.0349, by task 0.0522 (1.5 times)."""
    log = shared_data / "tau_bench_airline" / "gpt-4o-airline.json.gz"
    plan = json.loads(steelyard("plan", log, "--ignore-rest", "--half-width", 0.05, "--json").stdout)[
        "plans"
    ][0]
    assert plan["now"] == pytest.approx(1.96 * 0.0522, rel=0.01)
    assert plan["split"]["between"] > 0
    assert "200 rows, 50 tasks" in steelyard("doctor", log).output


@pytest.mark.parametrize(
    ("name", "rows"),
    [("2025-02-11_popularity.eval", 10), ("2025-05-12T20-28-26-04-00_security-guide.json.gz", 3)],
)
def test_doctor_reads_real_inspect_logs(shared_data: Path, name: str, rows: int) -> None:
    got = steelyard("doctor", shared_data / "eval_logs" / "inspect" / name)
    assert got.exit_code == 0, got.output
    assert f"{rows} rows" in got.output
    assert "read as: Inspect log" in got.output


def test_gsm8k_models_from_a_table(shared_data: Path, tmp_path: Path) -> None:
    """175b less 6b: +0.1304, paired standard error 0.0137, unpaired 0.0173."""
    import gzip

    lines = gzip.decompress(
        (shared_data / "gsm8k" / "model_solutions_finetuning.jsonl.gz").read_bytes()
    ).decode()
    out = tmp_path / "gsm8k.jsonl"
    with out.open("w") as stream:
        for i, text in enumerate(lines.splitlines()):
            row = json.loads(text)
            for model in ("6b_finetuning", "175b_finetuning"):
                stream.write(
                    json.dumps({"task": i, "model": model, "correct": row[model]["is_correct"]}) + "\n"
                )
    got = json.loads(steelyard("compare", out, "--baseline", "6b_finetuning", "--json").stdout)["items"][0]
    assert got["verdict"] == "better"
    assert got["paired"]["difference"]["value"] == pytest.approx(0.1304, abs=5e-5)
    assert got["paired"]["difference"]["se"] == pytest.approx(0.0137, abs=5e-5)
    assert got["paired"]["se_unpaired"] == pytest.approx(0.0173, abs=5e-5)
    sequential = json.loads(steelyard("compare", out, "--sequential", "--json").stdout)["items"][0]
    assert sequential["verdict"] == "better"


def test_estimate_repeats_of_tau_bench_are_the_published_ones(shared_data: Path) -> None:
    log = shared_data / "tau_bench_airline" / "gpt-4o-airline.json.gz"
    ks = [x for k in (1, 2, 3, 4) for x in ("--k", k)]
    got = json.loads(steelyard("estimate", "repeats", log, "--ignore-rest", *ks, "--json").stdout)["lines"]
    hat = {x["figure"]: round(x["value"], 3) for x in got if x["figure"].startswith("pass^")}
    assert hat == {"pass^1": 0.420, "pass^2": 0.273, "pass^3": 0.220, "pass^4": 0.200}


def test_estimate_scores_of_tau_bench_split_the_variance(shared_data: Path) -> None:
    """Naive standard error 0.0349, by task 0.0522."""
    log = shared_data / "tau_bench_airline" / "gpt-4o-airline.json.gz"
    got = json.loads(steelyard("estimate", "scores", log, "--ignore-rest", "--json").stdout)["lines"]
    found = {x["figure"]: x["value"] for x in got}
    assert found["score"] == pytest.approx(0.42)
    assert found["standard error"] == pytest.approx(0.0522, abs=5e-5)
    assert found["se from the choice of tasks"] ** 2 + found["se from trial to trial"] ** 2 == pytest.approx(
        found["standard error"] ** 2
    )
