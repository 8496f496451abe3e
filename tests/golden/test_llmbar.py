"""LLMBar: the published judge tables of every judge, prompt and subset, exactly."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from pathlib import Path

import pytest

from steelyard.stats.agreement import cohen_kappa
from steelyard.stats.judge import swap_table
from steelyard.unknown import is_known


def lines(path: Path) -> list[dict]:
    return [json.loads(x) for x in gzip.decompress(path.read_bytes()).decode().splitlines()]


@pytest.fixture(scope="module")
def tables(shared_data: Path) -> list[tuple[str, dict, list, list, list]]:
    folder = shared_data / "llmbar"
    labels = {(r["set"], r["i"]): str(r["label"]) for r in lines(folder / "dataset.jsonl.gz")}
    winner: dict[str, dict] = defaultdict(dict)
    for r in lines(folder / "judgements.jsonl.gz"):  # a judge asked again overwrites: its last word counts
        winner[f"{r['set']}|{r['evaluator']}|{r['prompt']}"][r["i"], r["swap"]] = r["winner"]
    out = []
    for key, cells in json.loads((folder / "statistics_published.json").read_text()).items():
        items = sorted({i for i, _ in winner[key]})
        columns = [[winner[key][i, swap] for i in items] for swap in (False, True)]
        out.append((key, cells, *columns, [labels[key.split("|")[0], i] for i in items]))
    return out


def test_every_accuracy_and_consistency(tables: list) -> None:
    assert len(tables) == 60
    for key, cells, first, swapped, labels in tables:
        found = swap_table(first, swapped, labels)
        wanted = {
            "correct_False": found.correct_first,
            "correct_True": found.correct_swapped,
            "correct_both": found.correct_both,
            "equal": found.consistent,
        }
        for name, estimate in wanted.items():
            assert is_known(estimate)
            right, total = cells[name].split(" = ")[0].split(" / ")
            assert estimate.value == pytest.approx(int(right) / int(total), abs=1e-12), (key, name)


def test_every_kappa_as_upstream_codes_it(tables: list) -> None:
    """Upstream codes winner "1" as 1 and all else as 0, but labels as 1 and 2, so its kappas with labels are
    not agreement with the labels. Coded its way, every published cell comes out; coded right, ours differ.
    """
    for key, cells, first, swapped, labels in tables:
        one, two = ([int(x == "1") for x in w] for w in (first, swapped))
        gold = [int(x) for x in labels]
        for name, pair in (
            ("kappa_False", (one, gold)), ("kappa_True", (two, gold)), ("kappa_agreement", (one, two)),
        ):  # fmt: skip
            assert cohen_kappa(*pair).value == pytest.approx(cells[name], abs=1e-12), (key, name)
