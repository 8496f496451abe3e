"""Win rate against a baseline from a judge's preferences, raw and controlled for length (AlpacaEval 2).

Not covered: whether the judge is right, styles other than length, and baselines whose answers differ from
those that the difficulties were estimated with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from steelyard.errors import DataError, RowsError
from steelyard.stats.base import (
    Estimate,
    Figure,
    FloatArray,
    Interval,
    finite,
    fraction,
    same_length,
    t_quantile,
)
from steelyard.unknown import Unknown

Column = Sequence[float] | FloatArray
_STEPS = 100


@dataclass(frozen=True, slots=True)
class WinRate:
    """`rate` and `discrete` are in 0..1; `discrete` counts a draw as half a win and drops the judge's doubt."""

    rate: Estimate
    discrete: Estimate
    wins: int
    losses: int
    draws: int


@dataclass(frozen=True, slots=True)
class Anchors:
    """Judged pairs of known, length-gamed variants of the baseline, which hold the length effect in place.

    One entry a pair: `tanh_length` is tanh(length difference / its standard deviation), `difficulty` that of
    its instruction, `preference` 0..1. They enter the fit with `weight` a pair and without the model's term.
    """

    tanh_length: FloatArray
    difficulty: FloatArray
    preference: FloatArray
    weight: float = 0.1


@dataclass(frozen=True, slots=True)
class Difficulty:
    """How hard each instruction is for the baseline: `values[i]` of instruction number i.

    `instruction` is each pair's instruction number, `row` its row number in the annotation file (from 0, rows
    that were not judged left out), needed only to copy upstream's figures.
    """

    values: Column
    instruction: Column
    row: Column | None = None


@dataclass(frozen=True, slots=True)
class LengthControlled:
    """`rate` is the win rate at equal length, 0..1; coefficients are in logits."""

    rate: Estimate
    length: float
    difficulty: float | Unknown
    model: float


def win_rate(preference: Column, *, level: float = 0.95) -> WinRate:
    """Win rate of a model over the baseline from AlpacaEval preferences (1 baseline ... 2 model, 0 a draw).

    rate = mean(preference) - 1 with a draw as 1.5; standard error sd / sqrt(n); Student interval. n = 1 has no
    error. Raises `RowsError` for a preference outside 1..2 that is not 0.
    """
    score = _score(preference)
    plain = finite(preference, "preference")
    exact = np.where(score > 0.5, 1.0, np.where(score < 0.5, 0.0, 0.5))
    draws = int(np.sum((plain == 0) | (plain == 1.5)))
    return WinRate(
        _mean(score, level, "mean preference"),
        _mean(exact, level, "mean preference rounded to win, half, loss"),
        int(np.sum(score > 0.5)),
        int(np.sum(score < 0.5)),
        draws,
    )


def _score(preference: Column) -> FloatArray:
    values = finite(preference, "preference")
    bad = np.flatnonzero((values != 0) & ((values < 1) | (values > 2)))
    if bad.size:
        raise RowsError(
            "preference: outside its scale",
            rows=tuple(bad.tolist()),
            wanted="0 (draw) or 1 (baseline better) to 2 (model better)",
            got=", ".join(f"{v:g}" for v in values[bad[:5]]),
        )
    return np.where(values == 0, 0.5, values - 1.0)


def _mean(values: FloatArray, level: float, what: str) -> Estimate:
    n, mean = len(values), float(values.mean())
    fraction(level, "level")
    se: Figure = Unknown("one pair") if n < 2 else float(values.std(ddof=1) / np.sqrt(n))
    interval: Interval | Unknown
    if isinstance(se, Unknown):
        interval = se
    elif se == 0.0:
        se = interval = Unknown(f"all {n} preferences are alike, so they show no spread")
    else:
        half = t_quantile(level, n - 1) * se
        interval = Interval(max(0.0, mean - half), min(1.0, mean + half), level, f"{what}, Student's t")
    return Estimate(mean, se, interval, what, n, n, n)


def length_controlled(
    preference: Column,
    length_difference: Column,
    difficulty: Difficulty | None = None,
    anchors: Anchors | None = None,
    *,
    compat: bool = False,
    level: float = 0.95,
) -> LengthControlled:
    """Win rate that the model would have at the baseline's length (Dubois et al. 2024).

    Logistic regression of the preference on tanh(d / sd(d)), d = baseline length minus model length, on the
    instruction's difficulty and on the model's own term; then the mean prediction at d = 0. Difficulty is
    joined by instruction; upstream joins it by row number, which misplaces it for models with missing rows.
    `compat=True` copies that, only to reproduce published figures. The fit is the exact maximum; upstream's
    takes an L1 penalty chosen by cross-validation, which is next to nothing. The interval is a sandwich over
    pairs that carries the coefficients' uncertainty; upstream's standard error is that of the predictions
    only, and too small.
    """
    y = _score(preference)
    d = finite(length_difference, "length_difference")
    same_length(len(y), [("length_difference", len(d))])
    if len(y) < 10:
        raise DataError("too few pairs to control for length", wanted="10 or more", got=str(len(y)))
    spread = d.std(ddof=1)
    if spread == 0:
        raise DataError(
            "every pair has the same length difference, so its effect cannot be told from the model's",
            fix="report the raw win rate",
        )
    columns = [np.tanh(d / spread)]
    hard = None if difficulty is None else _difficulty(difficulty, len(y), compat=compat)
    if hard is not None:
        columns.append(hard)
    x = np.column_stack([*columns, np.ones(len(y))])
    w = np.ones(len(y))
    if anchors is not None:
        x, y, w = _with_anchors(x, y, anchors, with_difficulty=hard is not None)
    return _controlled(x, y, w, (len(d), hard is not None, level))


def _difficulty(given: Difficulty, pairs: int, *, compat: bool) -> FloatArray:
    """The difficulty of each pair's instruction, or upstream's misplaced one."""
    values = finite(given.values, "difficulty")
    if compat and given.row is None:
        raise DataError("compat=True needs Difficulty.row", fix="give each pair's row in the annotation file")
    name, column = (
        ("row", given.row) if compat and given.row is not None else ("instruction", given.instruction)
    )
    index = finite(column, name)
    same_length(pairs, [(name, len(index))])
    bad = np.flatnonzero((index < 0) | (index >= len(values)) | (index != np.floor(index)))
    if bad.size:
        raise RowsError(
            f"{name}: no such difficulty",
            rows=tuple(bad.tolist()),
            wanted=f"a whole number, 0 to {len(values) - 1}",
        )
    return values[index.astype(np.int64)]


def _with_anchors(
    x: FloatArray, y: FloatArray, anchors: Anchors, *, with_difficulty: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    gamed = finite(anchors.tanh_length, "anchors.tanh_length")
    hard = finite(anchors.difficulty, "anchors.difficulty")
    liked = finite(anchors.preference, "anchors.preference")
    same_length(len(gamed), [("anchors.difficulty", len(hard)), ("anchors.preference", len(liked))])
    columns = [gamed, hard] if with_difficulty else [gamed]
    more = np.column_stack([*columns, np.zeros(len(gamed))])
    weight = np.concatenate([np.ones(len(y)), np.full(len(gamed), anchors.weight)])
    return np.concatenate([x, more]), np.concatenate([y, liked]), weight


def _controlled(
    x: FloatArray, y: FloatArray, w: FloatArray, about: tuple[int, bool, float]
) -> LengthControlled:
    n, has_difficulty, level = about
    fraction(level, "level")
    beta, bread = _maximise(x, y, w)
    at_zero = x[:n].copy()
    at_zero[:, 0] = 0.0
    p = special.expit(at_zero @ beta)
    mean = float(p.mean())
    slope = (p * (1 - p)) @ at_zero / n
    residual = w * (y - special.expit(x @ beta))
    # influence of each row: through its own prediction and through the coefficients
    influence = (x @ (bread @ slope)) * residual
    influence[:n] += (p - mean) / n
    se = float(np.sqrt(np.sum(influence**2) * n / (n - x.shape[1])))
    method = "length-controlled win rate, logistic regression, sandwich over pairs"
    half = t_quantile(level, n - x.shape[1]) * se / (mean * (1 - mean))
    centre = float(special.logit(mean))
    interval = Interval(
        float(special.expit(centre - half)), float(special.expit(centre + half)), level, method
    )
    hardness: float | Unknown = (
        float(beta[1]) if has_difficulty else Unknown("no difficulties of instructions were given")
    )
    rate = Estimate(mean, se, interval, method, n, n, n, float(n - x.shape[1]))
    return LengthControlled(rate, float(beta[0]), hardness, float(beta[-1]))


def _maximise(x: FloatArray, y: FloatArray, w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Coefficients and inverse information of a weighted logistic regression, by Newton with halved steps."""
    beta = np.zeros(x.shape[1])
    value = -np.inf
    for _ in range(_STEPS):
        p = special.expit(x @ beta)
        information = (x * (w * p * (1 - p))[:, None]).T @ x
        if np.linalg.cond(information) > 1e14:
            break
        move = np.linalg.solve(information, x.T @ (w * (y - p)))
        scale = 1.0
        while True:
            eta = x @ (beta + scale * move)
            found = float(w @ (y * eta - np.logaddexp(0.0, eta)))
            if found >= value - 1e-12 * abs(value) or scale < 1e-6:
                break
            scale /= 2
        beta, value = beta + scale * move, found
        if np.abs(move).max() < 1e-10:
            return beta, np.asarray(np.linalg.inv(information), np.float64)
    raise DataError(
        "no finite fit: length, difficulty and the model's term explain every preference, or one another",
        wanted="preferences of both kinds at long and at short answers",
        fix="report the raw win rate",
    )
