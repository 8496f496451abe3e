"""Raters beside each other, and a judge beside itself with the sides swapped.

Not covered: who is right (`judging`). Rows are columns by role: first, swapped, or item, swap, winner, with label, by
(whose verdicts these are) and cluster; and item, rater, value, or a column a rater.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from steelyard.decide.cells import Column, numbers
from steelyard.decide.lines import Line, line_of, plain_line
from steelyard.decide.roles import groups, rows_of, texts, whole
from steelyard.errors import DataError, RowsError
from steelyard.stats.agreement import Weights, cohen_kappa
from steelyard.stats.alpha import Metric, krippendorff_alpha
from steelyard.stats.base import FloatArray, IntArray, codes, no_repeats
from steelyard.stats.clusters import clustered_rate
from steelyard.stats.judge import swap_table
from steelyard.unknown import Unknown

_NEITHER = frozenset(("tie", "draw", "none", "null", "both", "neither", "0"))
_MOST_RATERS = 20
_MOST_VALUES = 50


@dataclass(frozen=True, slots=True)
class _Pairs:
    """A pair judged in both orders an entry; `rows` is the row of its first order."""

    first: list[str]
    swapped: list[str]
    label: list[str] | None
    by: list[str]
    cluster: list[str] | None
    rows: IntArray


def swap_lines(columns: Mapping[str, Column], *, last: bool = False, level: float = 0.95) -> tuple[Line, ...]:
    """Position bias, consistency and accuracies of a judge asked in both orders, for each value of `by`.

    Winners are named as outputs, 1 or 2; a tie, or an empty cell, is neither. `last`: of a pair that was asked again
    in one order the last answer counts; else it is refused. Raises RowsError for another winner, or an order that is
    missing.
    """
    pairs = _long_pairs(columns, last=last) if "winner" in columns else _wide_pairs(columns)
    out: list[Line] = []
    for subject, at in groups(pairs.by).items():
        first, swapped = ([c[i] for i in at] for c in (pairs.first, pairs.swapped))
        label = None if pairs.label is None else [pairs.label[i] for i in at]
        cluster = None if pairs.cluster is None else [pairs.cluster[i] for i in at]
        with rows_of(pairs.rows[at]):
            found = swap_table(first, swapped, label, clusters=cluster, level=level)
        kappa = cohen_kappa(first, swapped, clusters=cluster, level=level)
        out += [
            line_of(subject, "same winner in both orders", found.consistent),
            line_of(subject, "kappa of the two orders", kappa),
            line_of(subject, "position bias", found.position_bias),
        ]
        for figure, estimate in (
            ("accuracy, output 1 first", found.correct_first),
            ("accuracy, output 2 first", found.correct_swapped),
            ("right in both orders", found.correct_both),
        ):
            if isinstance(estimate, Unknown):
                out.append(plain_line(subject, figure, estimate, "clustered mean"))
            else:
                out.append(line_of(subject, figure, estimate))
    return tuple(out)


def _winner(column: Column, name: str) -> list[str]:
    """1, 2, or tie for neither."""
    found = ["tie" if t is None or t.lower() in _NEITHER else t for t in texts(column)]
    bad = tuple(i for i, t in enumerate(found) if t not in ("1", "2", "tie"))
    if bad:
        raise RowsError(
            f"{name}: neither an output nor a tie", rows=bad, wanted="1 or 2, the output that won; tie, or empty",
            got=found[bad[0]], fix="name winners as outputs, in whichever order they were shown",
        )  # fmt: skip
    return found


def _wide_pairs(columns: Mapping[str, Column]) -> _Pairs:
    first, swapped = (_winner(columns[name], name) for name in ("first", "swapped"))
    n = len(first)
    by = whole(columns["by"], "by") if "by" in columns else ["judge"] * n
    if "item" in columns:
        no_repeats([("by", codes(by, "by")), ("item", codes(whole(columns["item"], "item"), "item"))])
    label = whole(columns["label"], "label") if "label" in columns else None
    cluster = whole(columns["cluster"], "cluster") if "cluster" in columns else None
    return _Pairs(first, swapped, label, by, cluster, np.arange(n))


def _long_pairs(columns: Mapping[str, Column], *, last: bool) -> _Pairs:
    """The answers of both orders brought together by item."""
    winner = _winner(columns["winner"], "winner")
    item = whole(columns["item"], "item")
    by = whole(columns["by"], "by") if "by" in columns else ["judge"] * len(item)
    swap, there = numbers(
        columns["swap"], "swap", "true where output 2 was shown first, false where output 1 was"
    )
    bad = np.flatnonzero(~there | ((swap != 0) & (swap != 1)))
    if bad.size:
        raise RowsError("swap: neither true nor false", rows=tuple(bad.tolist()), wanted="true or false")
    seen: dict[tuple[str, str], dict[float, int]] = {}
    again: list[int] = []
    for row, key in enumerate(zip(by, item, strict=True)):
        orders = seen.setdefault(key, {})
        if swap[row] in orders:
            again.append(row)
        orders[float(swap[row])] = row
    if again and not last:
        raise RowsError(
            "the same item was judged again in the same order", rows=tuple(again), wanted="one answer an order",
            got=f"item {item[again[0]]} of {by[again[0]]}",
            fix="tell judges apart with --by NAME, or let the last answer count with --last",
        )  # fmt: skip
    half = [next(iter(orders.values())) for orders in seen.values() if len(orders) < 2]
    if half:
        raise RowsError(
            "judged in one order only", rows=tuple(half), wanted="both orders of every item",
            got=f"item {item[half[0]]} of {by[half[0]]}", fix="ask the other order, or leave these rows out",
        )  # fmt: skip
    rows = [orders[0.0] for orders in seen.values()]
    other = [orders[1.0] for orders in seen.values()]
    columns_of = {n: whole(columns[n], n) for n in ("label", "cluster") if n in columns}
    for name, column in columns_of.items():
        bad_rows = tuple(b for a, b in zip(rows, other, strict=True) if column[a] != column[b])
        if bad_rows:
            raise RowsError(
                f"{name} differs between the orders of an item", rows=bad_rows, wanted=f"one {name} an item"
            )
    label, cluster = (
        [columns_of[n][i] for i in rows] if n in columns_of else None for n in ("label", "cluster")
    )
    return _Pairs(
        [winner[i] for i in rows],
        [winner[i] for i in other],
        label,
        [by[i] for i in rows],
        cluster,
        np.array(rows),
    )


@dataclass(frozen=True, slots=True)
class _Ratings:
    """One row a rating that is there: `rows` is its row in the table."""

    item: list[str]
    rater: list[str]
    text: list[str]
    cluster: list[str] | None
    rows: IntArray


def agreement_lines(
    columns: Mapping[str, Column], raters: Mapping[str, Column], *, metric: Metric = "nominal",
    weights: Weights | None = None, level: float = 0.95,
) -> tuple[Line, ...]:  # fmt: skip
    """Krippendorff's alpha of all raters, and Cohen's kappa of each pair on the items that both rated.

    `columns` has item, rater and value, one row a rating; or else `raters` a column each, one row an item (and item,
    if it is there). Empty cells are ratings that are missing. `weights` of kappa: None takes nominal for a nominal
    metric, else quadratic. Raises RowsError for an item that one rater rated twice, or a value that is no number where
    one is needed.
    """
    x = _wide_ratings(columns, raters) if raters else _long_ratings(columns)
    if len(x.text) < 2:
        raise DataError("too few ratings", wanted="two or more of one item", got=str(len(x.text)))
    with rows_of(x.rows):
        if not raters:
            no_repeats([("item", codes(x.item, "item")), ("rater", codes(x.rater, "rater"))])
        scores = None if metric == "nominal" and weights in (None, "nominal") else _numbers(x.text)
        values = x.text if metric == "nominal" or scores is None else scores
        alpha = krippendorff_alpha(values, x.item, metric=metric, clusters=x.cluster, level=level)
    out = [line_of("all raters", f"alpha, {metric}", alpha)]
    names = list(raters) if raters else list(dict.fromkeys(x.rater))
    if len(names) > _MOST_RATERS:
        why = Unknown(f"{len(names)} raters make too many pairs to print (up to {_MOST_RATERS} raters)")
        return (*out, plain_line("pairs", "kappa", why, "Cohen's kappa"))
    each = weights or ("nominal" if metric == "nominal" else "quadratic")
    texts_of = x.text if scores is None else [f"{v:g}" for v in scores]
    for pair in combinations(names, 2):
        out += _pair(pair, x, texts_of, (each, level))
    return tuple(out)


def _numbers(text: Sequence[str]) -> FloatArray:
    fix = "write numbers, or take --metric nominal"
    values, there = numbers(text, "value", fix)
    bad = np.flatnonzero(~there)
    if bad.size:
        got = text[int(bad[0])]
        raise RowsError(
            "value is not a number", rows=tuple(bad.tolist()), wanted="numbers, or empty", got=got, fix=fix
        )
    return values


def _pair(pair: tuple[str, str], x: _Ratings, text: list[str], how: tuple[Weights, float]) -> list[Line]:
    weights, level = how
    subject = " and ".join(pair)
    one, two = ({x.item[i]: i for i, r in enumerate(x.rater) if r == name} for name in pair)
    both = [(i, two[item]) for item, i in one.items() if item in two]
    if not both:
        why = Unknown("no item was rated by both")
        return [plain_line(subject, "kappa", why, "Cohen's kappa")]
    first, second = [text[i] for i, _ in both], [text[j] for _, j in both]
    cluster = None if x.cluster is None else [x.cluster[i] for i, _ in both]
    same = np.array([a == b for a, b in zip(first, second, strict=True)], np.float64)
    group: Sequence[str] | IntArray = np.arange(len(both)) if cluster is None else cluster
    out = [line_of(subject, "same value", clustered_rate(same, group, level=level))]
    seen = set(first) | set(second)
    if len(seen) > _MOST_VALUES:
        why = Unknown(
            f"{len(seen)} different values are scores, not labels: alpha with --metric interval says more"
        )
        return [*out, plain_line(subject, "kappa", why, "Cohen's kappa")]
    order = sorted(seen) if weights == "nominal" else sorted(seen, key=float)
    kappa = cohen_kappa(first, second, weights=weights, order=order, clusters=cluster, level=level)
    return [*out, line_of(subject, f"kappa, {weights} weights", kappa)]


def _long_ratings(columns: Mapping[str, Column]) -> _Ratings:
    item, rater = whole(columns["item"], "item"), whole(columns["rater"], "rater")
    value = texts(columns["value"])
    there = [i for i, v in enumerate(value) if v is not None]
    cluster = whole(columns["cluster"], "cluster") if "cluster" in columns else None
    return _Ratings(
        [item[i] for i in there], [rater[i] for i in there], [str(value[i]) for i in there],
        None if cluster is None else [cluster[i] for i in there], np.array(there, np.int64),
    )  # fmt: skip


def _wide_ratings(columns: Mapping[str, Column], raters: Mapping[str, Column]) -> _Ratings:
    rows = len(next(iter(raters.values())))
    item = whole(columns["item"], "item") if "item" in columns else [str(i) for i in range(rows)]
    no_repeats([("item", codes(item, "item"))])
    cluster = whole(columns["cluster"], "cluster") if "cluster" in columns else None
    there = [(i, name, v) for name, c in raters.items() for i, v in enumerate(texts(c)) if v is not None]
    return _Ratings(
        [item[i] for i, _, _ in there], [name for _, name, _ in there], [v for _, _, v in there],
        None if cluster is None else [cluster[i] for i, _, _ in there], np.array([i for i, _, _ in there], np.int64),
    )  # fmt: skip
