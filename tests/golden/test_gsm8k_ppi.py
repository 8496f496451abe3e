"""Prediction-powered means on GSM8K against ppi-python 0.2.3."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from steelyard.stats.base import Interval
from steelyard.stats.ppi import PpiOptions, classical_mean, ppi_mean, tuned


@pytest.fixture(scope="module")
def data(shared_data: Path) -> tuple[dict, np.ndarray, np.ndarray]:
    folder = shared_data / "gsm8k"
    text = gzip.decompress((folder / "model_solutions_finetuning.jsonl.gz").read_bytes()).decode()
    rows = [json.loads(x) for x in text.splitlines()]
    large, small = (
        np.array([float(r[m]["is_correct"]) for r in rows]) for m in ("175b_finetuning", "6b_finetuning")
    )
    return json.loads((folder / "expected.json").read_text())["ppi"], large, small


@pytest.mark.parametrize(
    ("tune", "key"), [(1.0, "ppi_mean_lam_1"), (0.0, "ppi_mean_lam_0"), ("auto", "ppi_mean_lam_auto")]
)
def test_large_sample_form_equals_the_authors(data: tuple, tune: float, key: str) -> None:
    golden, y, f = data
    found = ppi_mean(y[:300], f[:300], f[300:], PpiOptions(tune, small_sample=False))
    assert found.value == pytest.approx(golden[key]["point"], abs=1e-12)
    assert isinstance(found.interval, Interval)
    assert found.interval.low == pytest.approx(golden[key]["lo"], abs=1e-12)
    assert found.interval.high == pytest.approx(golden[key]["hi"], abs=1e-12)


def test_default_form_is_near_the_authors_at_300_labels(data: tuple) -> None:
    golden, y, f = data
    found = ppi_mean(y[:300], f[:300], f[300:])
    assert found.value == pytest.approx(golden["ppi_mean_lam_auto"]["point"], abs=1e-12)
    assert isinstance(found.interval, Interval)
    assert found.interval.low == pytest.approx(golden["ppi_mean_lam_auto"]["lo"], abs=2e-3)
    assert found.interval.high == pytest.approx(golden["ppi_mean_lam_auto"]["hi"], abs=2e-3)
    assert tuned(y[:300], f[:300], f[300:]) == pytest.approx(golden["own_lambda_plugin"], abs=2e-3)


def test_classical_mean(data: tuple) -> None:
    golden, y, _ = data
    found = classical_mean(y[:300], small_sample=False)
    assert isinstance(found.interval, Interval)
    assert [found.value, found.interval.low, found.interval.high] == pytest.approx(
        [golden["classical"][k] for k in ("point", "lo", "hi")], abs=1e-12
    )
    assert y.mean() == pytest.approx(golden["truth_all_1319"], abs=1e-12)
