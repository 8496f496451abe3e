"""Prediction-powered means and the corrected rate: formulas, invariances, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.errors import DataError, RowsError
from steelyard.stats.base import Interval
from steelyard.stats.ppi import Clusters, PpiOptions, classical_mean, ppi_mean, rogan_gladen, tuned
from steelyard.unknown import Unknown


def planted(seed: int, n: int = 60, more: int = 600) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(0.5, 0.2, n + more)
    judge = truth + rng.normal(0.1, 0.1, n + more)
    return truth[:n] + rng.normal(0, 0.02, n), judge[:n], judge[n:]


def test_lambda_zero_is_the_classical_mean_and_one_is_plain_ppi() -> None:
    y, f, rest = planted(1)
    plain = ppi_mean(y, f, rest, PpiOptions(1.0, small_sample=False))
    assert plain.value == pytest.approx(rest.mean() + (y - f).mean())
    assert plain.se == pytest.approx(np.sqrt(rest.var() / 600 + (y - f).var() / 60))
    alone = ppi_mean(y, f, rest, PpiOptions(0.0))
    assert [alone.value, alone.se] == pytest.approx([y.mean(), y.std(ddof=1) / np.sqrt(60)])
    assert alone.interval.low == pytest.approx(classical_mean(y).interval.low)  # type: ignore[union-attr]  # known


def test_a_good_judge_narrows_and_a_useless_one_is_ignored() -> None:
    y, f, rest = planted(2)
    powered, alone = ppi_mean(y, f, rest).interval, classical_mean(y).interval
    assert isinstance(powered, Interval)
    assert isinstance(alone, Interval)
    assert powered.width < 0.7 * alone.width
    rng = np.random.default_rng(3)
    assert tuned(y, rng.random(60), rng.random(600)) < 0.2
    assert tuned(y, np.ones(60), np.ones(600)) == 0.0


def test_shift_and_scale_of_human_scores_carry_over() -> None:
    y, f, rest = planted(4)
    one = ppi_mean(y, f, rest, PpiOptions(1.0))
    two = ppi_mean(10 * y + 3, 10 * f + 3, 10 * rest + 3, PpiOptions(1.0))
    assert two.value == pytest.approx(10 * one.value + 3)  # type: ignore[operator]  # known
    assert two.interval.width == pytest.approx(10 * one.interval.width)  # type: ignore[union-attr]  # known


def test_repeating_rows_within_their_clusters_narrows_nothing() -> None:
    y, f, rest = planted(5)
    inside = Clusters(np.arange(60) % 12, 100 + np.arange(600) % 40)
    one = ppi_mean(y, f, rest, PpiOptions(1.0), clusters=inside).interval
    three = Clusters(np.tile(inside.labelled, 3), np.tile(inside.unlabelled, 3))
    two = ppi_mean(np.tile(y, 3), np.tile(f, 3), np.tile(rest, 3), PpiOptions(1.0), clusters=three).interval
    assert isinstance(one, Interval)
    assert isinstance(two, Interval)
    assert two.width >= one.width * (1 - 1e-9)


def test_clusters_of_one_item_each_are_nearly_the_independent_interval() -> None:
    y, f, rest = planted(6)
    alone = ppi_mean(y, f, rest, PpiOptions(1.0)).interval
    each = ppi_mean(
        y, f, rest, PpiOptions(1.0), clusters=Clusters(np.arange(60), 60 + np.arange(600))
    ).interval
    assert isinstance(alone, Interval)
    assert isinstance(each, Interval)
    assert each.width == pytest.approx(alone.width, rel=0.1)


def test_a_judge_that_agrees_with_every_label_still_gets_room_for_error() -> None:
    y = np.array([1.0, 0.0] * 15)
    found = ppi_mean(y, y, np.array([1.0, 0.0] * 5000), PpiOptions(1.0)).interval
    assert isinstance(found, Interval)
    assert found.width > 0.05  # by its own spread it would be 0.02


def test_graded_scores_that_agree_exactly_have_no_interval() -> None:
    y, _, rest = planted(7)
    assert "agrees with all 60 labels" in str(ppi_mean(y, y, rest, PpiOptions(1.0)).interval)


def test_one_cluster_of_labels_has_no_interval() -> None:
    y, f, rest = planted(8)
    assert isinstance(ppi_mean(y, f, rest, clusters=Clusters(["a"] * 60, ["b"] * 600)).interval, Unknown)


def test_rogan_gladen_inverts_the_judges_errors() -> None:
    human = np.array([1.0] * 50 + [0.0] * 50)
    judged = np.array([1.0] * 45 + [0.0] * 5 + [1.0] * 10 + [0.0] * 40)  # sensitivity 0.9, specificity 0.8
    unlabelled = np.array([1.0] * 55 + [0.0] * 45)
    found = rogan_gladen(human, judged, unlabelled)
    assert found.value == pytest.approx((0.55 + 0.8 - 1) / 0.7)
    assert isinstance(found.interval, Interval)
    assert found.interval.contains(0.5)


@pytest.mark.parametrize(
    ("human", "judged", "why"),
    [
        ([1.0, 1.0, 1.0], [1.0, 1.0, 0.0], "hold no no"),
        ([0.0, 0.0], [1.0, 0.0], "hold no yes"),
        ([1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0], "no better than chance"),
    ],
)
def test_rogan_gladen_says_when_it_cannot(human: list[float], judged: list[float], why: str) -> None:
    assert why in str(rogan_gladen(human, judged, [1.0, 0.0, 1.0]).value)


def test_bad_input_names_rows_and_needs() -> None:
    with pytest.raises(RowsError, match="human"):
        ppi_mean([1.0, float("nan")], [1.0, 1.0], [1.0, 1.0])
    with pytest.raises(DataError, match="too few items"):
        ppi_mean([1.0], [1.0], [1.0, 0.0])
    with pytest.raises(DataError, match="judged"):
        ppi_mean([1.0, 0.0], [1.0], [1.0, 0.0])
    with pytest.raises(RowsError, match="unlabelled"):
        rogan_gladen([1.0, 0.0], [1.0, 0.0], [0.5, 1.0])
    with pytest.raises(DataError, match="tune"):
        ppi_mean([1.0, 0.0], [1.0, 0.0], [1.0, 0.0], PpiOptions(float("nan")))
