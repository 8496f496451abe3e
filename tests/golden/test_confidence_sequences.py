"""Confidence sequences on GSM8K against values of the authors' own software (confseq 0.0.11)."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from steelyard.stats import sequential as sq
from steelyard.stats import sequential_bounds as sb


@pytest.fixture(scope="module")
def gsm8k(shared_data: Path) -> tuple[np.ndarray, dict[str, dict[str, list[float]]]]:
    folder = shared_data / "gsm8k"
    with gzip.open(folder / "model_solutions_finetuning.jsonl.gz", "rt", encoding="utf-8") as lines:
        x = np.array([float(json.loads(line)["175b_finetuning"]["is_correct"]) for line in lines])
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["confidence_sequences"]
    return x, expected


NAMES = {
    "betting_cs_hedged_default": lambda x: sq.hedged_betting(x, running=False),
    "betting_cs_hedged_running_intersection": sq.hedged_betting,
    "predmix_empirical_bernstein_cs": lambda x: sb.empirical_bernstein(x, running=False),
    "predmix_hoeffding_cs": lambda x: sb.hoeffding(x, running=False),
    "bernoulli_confidence_interval_topt500": lambda x: sb.beta_binomial(
        np.cumsum(x), np.arange(1, x.size + 1), best_at=500
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_intervals_equal_the_published_ones(name: str, gsm8k: tuple[np.ndarray, dict]) -> None:
    x, expected = gsm8k
    got = NAMES[name](x)
    for n, ends in expected[name].items():
        interval = got.at(int(n))
        assert (interval.low, interval.high) == pytest.approx(tuple(ends), abs=1e-9), f"n={n}"


def test_boundaries_equal_the_published_ones(gsm8k: tuple[np.ndarray, dict]) -> None:
    _, expected = gsm8k
    normal = expected["normal_mixture_bound v=100 alpha=.05 v_opt=100"]
    stitched = expected["poly_stitching_bound v=100 alpha=.05 v_min=10"]
    assert sb.normal_mixture_bound(100, 0.05, 100) == pytest.approx(normal, rel=1e-10)
    assert sb.stitched_bound(100, 0.05, 10) == pytest.approx(stitched, rel=1e-12)
