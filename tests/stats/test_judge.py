"""Calibration claims and their refusal, position bias, self-preference."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.errors import DataError, RowsError
from steelyard.stats.base import Interval
from steelyard.stats.judge import (
    LabelSource,
    ModelMadeLabels,
    calibrate,
    require_people,
    self_preference,
    swap_table,
)
from steelyard.unknown import Unknown


def judged(n: int, agree: float, seed: int = 0) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=n)
    judge = np.where(rng.random(n) < agree, labels, 1 - labels)
    return [str(x) for x in judge], [str(x) for x in labels]


@pytest.mark.parametrize("source", [LabelSource.MODEL, LabelSource.UNSTATED, "model", "unstated"])
def test_labels_that_a_model_made_calibrate_nothing(source: LabelSource) -> None:
    with pytest.raises(ModelMadeLabels, match="cannot calibrate a judge"):
        calibrate(*judged(100, 0.99), source)


def test_one_model_made_label_is_found_and_named() -> None:
    sources = [LabelSource.PERSON] * 99 + [LabelSource.MODEL]
    with pytest.raises(ModelMadeLabels) as caught:
        calibrate(*judged(100, 0.99), sources)
    assert caught.value.rows == (99,)
    assert "1 of 100 were made by a model" in str(caught.value)
    require_people([LabelSource.PERSON, LabelSource.PROGRAM], 2)
    with pytest.raises(DataError, match="source: unknown"):
        calibrate(*judged(100, 0.99), "crowd")  # type: ignore[arg-type]  # the point


def test_claims_follow_the_interval_of_kappa() -> None:
    good = calibrate(*judged(400, 0.97), LabelSource.PERSON)
    assert good.calibrated is True
    assert "kappa is above 0.6" in good.claim
    bad = calibrate(*judged(400, 0.6), LabelSource.PERSON)
    assert bad.calibrated is False
    assert bad.claim.startswith("not calibrated")
    unclear = calibrate(*judged(60, 0.8), LabelSource.PERSON)
    assert isinstance(unclear.calibrated, Unknown)
    assert "label more" in unclear.claim
    few = calibrate(*judged(20, 1.0), LabelSource.PERSON)
    assert isinstance(few.calibrated, Unknown)


def test_a_judge_that_always_takes_the_first_is_pure_position_bias() -> None:
    found = swap_table(["1"] * 40, ["2"] * 40, ["1", "2"] * 20)
    assert found.position_bias.value == pytest.approx(0.5)
    assert found.consistent.value == 0.0
    assert [found.correct_first.value, found.correct_both.value] == [0.5, 0.0]  # type: ignore[union-attr]  # labels given


def test_position_bias_is_estimated_with_an_interval_and_ties_count_neither() -> None:
    rng = np.random.default_rng(1)
    first = np.where(rng.random(2000) < 0.6, "1", "2").tolist()
    swapped = np.where(rng.random(2000) < 0.6, "2", "1").tolist()
    found = swap_table(first, swapped)
    assert isinstance(found.position_bias.interval, Interval)
    assert found.position_bias.interval.contains(0.1)
    assert isinstance(found.correct_first, Unknown)
    tied = swap_table(["1", None, "tie", "2"], ["1", "tie", None, "2"])
    assert tied.position_bias.value == 0.0


def test_exchanging_outputs_leaves_bias_and_exchanging_orders_flips_it() -> None:
    rng = np.random.default_rng(2)
    first, swapped = (rng.choice(["1", "2"], 50, p=[0.7, 0.3]).tolist() for _ in range(2))
    other = {"1": "2", "2": "1"}
    base = swap_table(first, swapped).position_bias.value
    renamed = swap_table([other[x] for x in swapped], [other[x] for x in first]).position_bias.value
    flipped = swap_table(swapped, first).position_bias.value
    assert renamed == pytest.approx(base)
    assert flipped == pytest.approx(-base)  # type: ignore[operator]  # known


def test_self_preference_is_a_difference_in_differences() -> None:
    rng = np.random.default_rng(3)
    own = np.arange(400) % 2
    people = rng.normal(5 + own, 1.0)  # its own outputs are better, and people see it
    judge = people + 0.7 + 0.4 * own + rng.normal(0, 0.5, 400)  # generous to all, more so to its own
    found = self_preference(judge, people, own == 1, clusters=np.arange(400) // 2)
    assert found.value == pytest.approx(0.4, abs=0.2)
    assert isinstance(found.interval, Interval)
    assert found.interval.low > 0.1
    again = self_preference(judge * 2, people * 2, own == 1)
    assert again.value == pytest.approx(2 * found.value)  # type: ignore[operator]  # known


def test_bad_input_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="outputs of both kinds"):
        self_preference([1.0, 2.0], [1.0, 2.0], [True, False])
    with pytest.raises(RowsError, match="own: neither"):
        self_preference([1.0, 2.0], [1.0, 2.0], [2, 0])
    with pytest.raises(DataError, match="no judged pairs"):
        swap_table([], [])
    with pytest.raises(DataError, match="names no output"):
        swap_table(["A", "B"], ["A", "B"])
    with pytest.raises(RowsError, match="neither output 1 nor output 2"):
        swap_table(["1", "2"], ["1", "2"], ["1", "tie"])
