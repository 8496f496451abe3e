"""estimate judge, swaps, agreement and length on published data, as the files lie there."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from tests.cli.test_estimate_tables import Table, lines
from tests.cli.test_verdict_commands import steelyard, write
from tests.golden.test_alpaca_eval import read

from steelyard.stats.agreement import cohen_kappa


def test_every_llmbar_table_by_command(shared_data: Path) -> None:
    folder = shared_data / "llmbar"
    found = lines(
        steelyard(
            "estimate", "swaps", folder / "judgements.jsonl.gz", "--labels", folder / "dataset.jsonl.gz",
            "--by", "set", "--by", "evaluator", "--by", "prompt", "--last", "--json",
        )
    )  # fmt: skip
    published = json.loads((folder / "statistics_published.json").read_text())
    assert {subject for subject, _ in found} == set(published)
    wanted = {
        "correct_False": "accuracy, output 1 first",
        "correct_True": "accuracy, output 2 first",
        "correct_both": "right in both orders",
        "equal": "same winner in both orders",
    }
    for judge, cells in published.items():
        for cell, figure in wanted.items():
            right, total = cells[cell].split(" = ")[0].split(" / ")
            line = found[judge, figure]
            assert line["value"] == pytest.approx(int(right) / int(total), abs=1e-12), (judge, cell)
            assert line["tasks"] == int(total)


def test_llmbar_asked_again_is_refused_unless_the_last_answer_is_to_count(shared_data: Path) -> None:
    folder = shared_data / "llmbar"
    got = steelyard(
        "estimate",
        "swaps",
        folder / "judgements.jsonl.gz",
        "--by",
        "set",
        "--by",
        "evaluator",
        "--by",
        "prompt",
    )
    assert got.exit_code == 3
    assert "judged again" in got.output
    assert "--last" in got.output


def test_agreement_of_two_judges_on_llmbar(shared_data: Path) -> None:
    path = shared_data / "llmbar" / "judgements.jsonl.gz"
    where = [o for w in ("set=Natural", "prompt=Vanilla", "swap=false") for o in ("--where", w)]
    found = lines(steelyard("estimate", "agreement", path, *where, "--json"))
    rows = [json.loads(x) for x in gzip.decompress(path.read_bytes()).decode().splitlines()]
    winner = {
        (r["evaluator"], r["i"]): r["winner"]
        for r in rows
        if (r["set"], r["prompt"], r["swap"]) == ("Natural", "Vanilla", False)
    }
    columns = [[winner[name, i] for i in range(100)] for name in ("ChatGPT", "GPT-4")]
    expected = cohen_kappa(*columns)
    assert found["ChatGPT and GPT-4", "kappa, nominal weights"]["value"] == expected.value
    assert found["ChatGPT and GPT-4", "same value"]["value"] == 0.83
    assert found["all raters", "alpha, nominal"]["value"] == pytest.approx(0.661, abs=1e-3)


def test_alpacaevals_leaderboard_by_command(shared_data: Path) -> None:
    folder = shared_data / "alpaca_eval2"
    files = ("--difficulty", folder / "instruction_difficulty_recovered.csv",
             "--anchors", folder / "gamed_baseline_imputed.csv.gz")  # fmt: skip
    command = ("estimate", "length", folder / "preferences.csv.gz", *files, "--json")
    found = {c: lines(steelyard(*command, *(["--compat"] if c else []))) for c in (True, False)}
    off: dict[bool, list[float]] = {True: [], False: []}
    for row in read(folder / "leaderboard_published.csv"):
        model = row[""]
        mine = {figure: found[False][model, figure]["value"] for figure in (
            "win rate", "win rate, discrete", "wins", "losses", "draws")}  # fmt: skip
        assert 100 * mine["win rate"] == pytest.approx(float(row["win_rate"]), abs=1e-9), model
        assert 100 * mine["win rate, discrete"] == pytest.approx(float(row["discrete_win_rate"]), abs=1e-9)
        assert [mine[n] for n in ("wins", "losses", "draws")] == [
            int(row[c]) for c in ("n_wins", "n_wins_base", "n_draws")
        ]
        for compat, errors in off.items():
            rate = found[compat][model, "win rate at equal length"]["value"]
            errors.append(abs(100 * rate - float(row["length_controlled_winrate"])))
    assert np.median(off[True]) <= 0.15, f"median {np.median(off[True]):.3f} points over {len(off[True])}"
    assert max(off[True]) < 0.6
    assert max(off[False]) > 0.6  # models with missing rows: upstream's join is wrong there


def test_ppi_on_gsm8k_by_command(shared_data: Path, tmp_path: Path) -> None:
    """The large model's grade is the label, known for the first 300 of 1319; the small model's is the judge's."""
    folder = shared_data / "gsm8k"
    raw = gzip.decompress((folder / "model_solutions_finetuning.jsonl.gz").read_bytes()).decode()
    rows = [json.loads(x) for x in raw.splitlines()]
    table: Table = {
        "question": [*range(len(rows))],
        "judge": [r["6b_finetuning"]["is_correct"] for r in rows],
        "human": [r["175b_finetuning"]["is_correct"] if i < 300 else None for i, r in enumerate(rows)],
    }
    path = write(tmp_path / "gsm8k.jsonl", table)
    golden = json.loads((folder / "expected.json").read_text())["ppi"]
    command = ("estimate", "judge", path, "--labels-by", "program", "--json")
    large = lines(steelyard(*command, "--large-sample"))
    for figure, key in (
        ("people's mean, with the judge", "ppi_mean_lam_auto"),
        ("people's mean, labels alone", "classical"),
    ):
        line = large["judge", figure]
        got = [line["value"], line["interval"]["low"], line["interval"]["high"]]
        assert got == pytest.approx([golden[key][k] for k in ("point", "lo", "hi")], abs=1e-12)
    line = lines(steelyard(*command))["judge", "people's mean, with the judge"]
    assert line["interval"]["low"] == pytest.approx(golden["ppi_mean_lam_auto"]["lo"], abs=2e-3)
