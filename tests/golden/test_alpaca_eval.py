"""AlpacaEval 2: published raw, discrete and length-controlled win rates of every model in the folder."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from steelyard.stats.length_control import Anchors, Difficulty, length_controlled, win_rate
from steelyard.unknown import is_known

Rows = list[dict[str, str]]


def read(path: Path) -> Rows:
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return list(csv.DictReader(text.splitlines()))


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "alpaca_eval2"


@pytest.fixture(scope="module")
def judged(folder: Path) -> dict[str, Rows]:
    out: dict[str, Rows] = defaultdict(list)
    for row in read(folder / "preferences.csv.gz"):
        out[row["model"]].append(row)
    return out


def column(rows: Rows, name: str) -> np.ndarray:
    return np.array([float(r[name]) for r in rows])


def test_raw_win_rates_errors_and_discrete_rates_of_every_model(
    folder: Path, judged: dict[str, Rows]
) -> None:
    published = {r[""]: r for r in read(folder / "leaderboard_published.csv")}
    assert set(published) <= set(judged)
    for model, line in published.items():
        rows = judged[model]
        found = win_rate(column(rows, "preference"))
        assert is_known(found.rate.value)
        assert is_known(found.rate.se)
        assert is_known(found.discrete.value)
        assert 100 * found.rate.value == pytest.approx(float(line["win_rate"]), abs=1e-9), model
        assert 100 * found.rate.se == pytest.approx(float(line["standard_error"]), abs=1e-9), model
        assert 100 * found.discrete.value == pytest.approx(float(line["discrete_win_rate"]), abs=1e-9), model
        assert [found.wins, found.losses, found.draws] == [
            int(line[c]) for c in ("n_wins", "n_wins_base", "n_draws")
        ]


def test_length_controlled_rates(folder: Path, judged: dict[str, Rows]) -> None:
    hard = column(read(folder / "instruction_difficulty_recovered.csv"), "instruction_difficulty")
    gamed = read(folder / "gamed_baseline_imputed.csv.gz")
    anchors = Anchors(
        column(gamed, "tanh_std_delta_len"),
        hard[column(gamed, "index").astype(int)],
        column(gamed, "preference_imputed"),
    )
    off: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for line in read(folder / "leaderboard_published.csv"):
        rows = judged[line[""]]
        difficulty = Difficulty(hard, column(rows, "index"), column(rows, "pos"))
        longer = column(rows, "len_1") - column(rows, "len_2")
        for compat in (True, False):
            found = length_controlled(
                column(rows, "preference"), longer, difficulty, anchors, compat=compat
            ).rate
            assert is_known(found.value)
            off[compat][line[""]] = abs(100 * found.value - float(line["length_controlled_winrate"]))
    errors = np.array(list(off[True].values()))
    assert len(errors) >= 28
    assert np.median(errors) <= 0.15, f"median {np.median(errors):.3f} points over {len(errors)} models"
    assert errors.max() < 0.6
    # a model with missing rows: upstream gives each of its rows the wrong instruction's difficulty
    for model in ("phi-2", "text_davinci_001", "minotaur-13b"):
        assert len(judged[model]) < 805
        assert off[False][model] > 0.5 > off[True][model]
