"""Recorded answers of real models through the public commands: a plan, a run, then `show` and `compare`."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from tests.cli.test_verdict_commands import steelyard

GSM8K = """
name: gsm8k
suites:
  - source: {file}
    name: gsm8k
    fields: {{input: question, target: ground_truth}}
    scorer: {{type: numeric, after: ["A:"]}}
contestants:
  - {{name: 6b, recording: {file}, ids: row, fields: {{text: 6b_finetuning.solution}}}}
  - {{name: 175b, recording: {file}, ids: row, fields: {{text: 175b_finetuning.solution}}}}
baseline: 6b
"""
BBH = """
name: bbh
suites:
  - source: {file}
    name: bbh
    where: {{mode: direct}}
    fields: {{id: [task, i], input: question, cluster: task}}
    scorer:
      type: composite
      combine: any
      of: {{whole: exact, marked: {{type: exact, after: [the answer is]}}}}
contestants:
  - {{name: direct, recording: {file}, where: {{mode: direct}}, fields: {{id: [task, i], text: prediction}}}}
  - {{name: steps, recording: {file}, where: {{mode: cot}}, fields: {{id: [task, i], text: prediction}}}}
baseline: direct
"""


def rows(path: Path) -> list[dict[str, object]]:
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the repository (../shared/data)")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def ran(plan: str, data: Path, folder: Path) -> Path:
    """Run the plan on the recorded answers; the folder of its ledger."""
    (folder / "plan.yaml").write_text(plan.format(file=json.dumps(str(data))), encoding="utf-8")
    got = steelyard("run", folder / "plan.yaml", "--ledger", folder / "ledger", "--json")
    assert got.exit_code == 0, got.output
    return folder / "ledger"


def test_gsm8k_every_published_flag_and_the_paired_difference(shared_data: Path, tmp_path: Path) -> None:
    """1,319 questions, two models: 286 and 458 right; +0.1304 paired, standard error 0.0137 (0.0173 unpaired)."""
    data = shared_data / "gsm8k" / "model_solutions_finetuning.jsonl.gz"
    published = rows(data)
    ledger = ran(GSM8K, data, tmp_path)
    board = json.loads(steelyard("show", "gsm8k", "--ledger", ledger, "--json").output)
    for line in board["overall"]:
        assert (line["n_graded"], line["n_ungraded"], line["coverage"]) == (1319, 0, 1.0)
        flags = [row[line["contestant"] + "_finetuning"]["is_correct"] for row in published]  # type: ignore[index,call-overload] # JSON
        assert sum(flags) == {"6b": 286, "175b": 458}[line["contestant"]]
        assert line["estimate"]["value"] == pytest.approx(sum(flags) / 1319, abs=1e-12)
        trials = json.loads(
            steelyard(
                "show", "gsm8k", "--ledger", ledger, "--contestant", line["contestant"], "--limit", 2000, "--json"
            ).output
        )  # fmt: skip
        passed = {int(t["task"]): t["outcome"] == "passed" for t in trials}
        wrong = [k for k, flag in enumerate(flags, 1) if passed[k] is not flag]
        assert not wrong
    item = json.loads(steelyard("compare", "gsm8k", "--ledger", ledger, "--json").output)["items"][0]
    assert (item["contestant"], item["verdict"]) == ("175b", "better")
    assert item["paired"]["difference"]["value"] == pytest.approx(0.1304, abs=5e-5)
    assert item["paired"]["difference"]["se"] == pytest.approx(0.0137, abs=5e-5)
    assert item["paired"]["se_unpaired"] == pytest.approx(0.0173, abs=5e-5)
    assert steelyard("verify", "--ledger", ledger).exit_code == 0


def test_bbh_direct_against_chain_of_thought_joined_and_clustered(shared_data: Path, tmp_path: Path) -> None:
    """3,500 items of 14 tasks: 1,683 against 2,582 right; the standard error by task is six times the naive one."""
    data = shared_data / "bbh" / "code-davinci-002.jsonl.gz"
    right: dict[tuple[object, object], dict[object, bool]] = {}
    for row in rows(data):
        said, target = str(row["prediction"]), str(row["target"]).strip()
        _, marked, tail = said.rpartition("the answer is")
        answer = tail.strip().split("\n")[0].strip().removesuffix(".") if marked else ""
        right.setdefault((row["task"], row["i"]), {})[row["mode"]] = target == (
            said.strip() if row["mode"] == "direct" else answer
        )
    n = len(right)
    assert n == 3500
    mean = sum(r["cot"] - r["direct"] for r in right.values()) / n
    clusters: dict[object, float] = {}
    for (task, _), r in right.items():
        clusters[task] = clusters.get(task, 0.0) + r["cot"] - r["direct"] - mean
    g = len(clusters)
    se = (
        g / (g - 1) * sum(x * x for x in clusters.values())
    ) ** 0.5 / n  # cluster-robust, small-sample factor

    ledger = ran(BBH, data, tmp_path)
    item = json.loads(steelyard("compare", "bbh", "--ledger", ledger, "--json").output)["items"][0]
    paired = item["paired"]
    assert item["verdict"] == "better"
    assert paired["baseline_mean"] == pytest.approx(1683 / 3500, abs=1e-12)
    assert paired["contestant_mean"] == pytest.approx(2582 / 3500, abs=1e-12)
    assert paired["difference"]["value"] == pytest.approx(mean, abs=1e-12)
    assert paired["difference"]["n_clusters"] == g == 14
    assert paired["difference"]["se"] == pytest.approx(se, rel=1e-6)
    assert paired["dropped_tasks"] == 0
