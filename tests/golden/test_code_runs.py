"""Recorded solutions of real models run again here, and agree with their recorded verdicts.

Agreement must be at least 97 % a file (the data's own re-run: 164/164, 162/164, 391/397). The rest, one by one:
HumanEval/133, 143 and 150 of text-davinci-003 use names that their programs never define; mbpp 67, 170, 798,
724, 419 and 598 of gpt-4 satisfy every assertion, though they are recorded as unsolved.
"""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from steelyard.scorers.code.answers import Suite, code_of, complete, run_cases
from steelyard.scorers.code.python import find

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "code_runs"
KNOWN = {
    "humaneval_simple_gpt-4": set(),
    "humaneval_simple_text-davinci-003": {"HumanEval/133", "HumanEval/143", "HumanEval/150"},
    "mbpp_simple_gpt-4": {f"mbpp_{n}" for n in (67, 170, 798, 724, 419, 598)},
}


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not here")
@pytest.mark.parametrize("name", KNOWN)
def test_recorded_verdicts_are_met(name: str) -> None:
    python = find()
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]

    def met(row: dict[str, str]) -> tuple[str, bool, bool]:
        program = complete(code_of(row["solution"]), row["prompt"], row["entry_point"])
        tested = run_cases(program, Suite.of(row["test"], row["entry_point"]), python)
        return row.get("task_id") or row["name"], tested.passed, bool(row["is_solved"])

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(met, rows))
    differ = {task for task, passed, recorded in found if passed != recorded}
    assert 1 - len(differ) / len(found) >= 0.97, differ
    unexplained = {t for t in differ if not any(t == k or t.startswith(k + "_") for k in KNOWN[name])}
    assert not unexplained
