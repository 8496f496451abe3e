"""A table of votes as integer codes: the fast way from string columns to numbers, and its checks.

Not covered: cleaning. A missing name, an unknown winner, a contestant against itself or a feature that is
not finite is refused with its rows; nothing is dropped or guessed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from steelyard.errors import DataError, RowsError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Column = Collection[object] | NDArray[np.generic]

_CHUNK = 1 << 16  # rows turned into Python objects at once: bounds memory at 10 million rows
A_WINS, TIE, B_WINS = 2, 1, 0
_WINNERS = {
    **dict.fromkeys(("model_a", "a", "left", "first", "win_a"), A_WINS),
    **dict.fromkeys(("model_b", "b", "right", "second", "win_b"), B_WINS),
    **dict.fromkeys(("tie", "draw", "equal", "both", "neither"), TIE),
    **dict.fromkeys(("1", "1.0"), A_WINS),
    **dict.fromkeys(("0", "0.0"), B_WINS),
    **dict.fromkeys(("0.5", ".5"), TIE),
    **dict.fromkeys(("tie (bothbad)", "tie (both bad)", "bothbad", "both_bad", "both bad"), TIE),
}


@runtime_checkable
class _Factorizes(Protocol):
    """A pandas Series or Index: it has its own hash table over whatever it stores."""

    def factorize(self) -> tuple[NDArray[np.int64], Iterable[object]]: ...


@runtime_checkable
class _ArrowDictionary(Protocol):
    indices: Iterable[object]
    dictionary: Iterable[object]


@runtime_checkable
class _Arrow(Protocol):
    """A pyarrow array or chunked array."""

    def combine_chunks(self) -> _Arrow: ...
    def dictionary_encode(self) -> _ArrowDictionary: ...


class _Table(dict[object, int]):
    """First-seen order codes. `__missing__` lets `map` stay in C for every label already seen."""

    def __missing__(self, key: object) -> int:
        code = self[key] = len(self)
        return code


def factorise(column: Column) -> tuple[Codes, list[object]]:
    """Codes 0..K-1 of a column's labels in first-seen order, and the labels.

    Takes lists, NumPy arrays of strings, objects or integers, pandas Series and pyarrow arrays. One dictionary
    look-up a row, in chunks, so a million string votes take about a tenth of a second and 10 million need no
    second copy of the strings. Missing values of pandas keep their code -1.
    """
    if isinstance(column, np.ndarray):
        if column.ndim != 1:
            raise DataError(
                "a column has one value a row", wanted="one dimension", got=f"shape {column.shape}"
            )
        if column.dtype.kind in "iub":
            return _factorise_integers(column.astype(np.int64))
    elif isinstance(column, _Factorizes):
        codes, labels = column.factorize()
        return codes.astype(np.int32), list(labels)
    elif isinstance(column, _Arrow):
        encoded = column.combine_chunks().dictionary_encode()
        labels = [_as_python(x) for x in encoded.dictionary]
        return np.asarray(encoded.indices, dtype=np.float64).astype(np.int32), labels
    return _factorise_objects(column)


def _as_python(value: object) -> object:
    """A pyarrow scalar's Python value."""
    convert = getattr(value, "as_py", None)
    return convert() if callable(convert) else value


def _factorise_integers(column: Ints) -> tuple[Codes, list[object]]:
    if not len(column):
        return np.zeros(0, np.int32), []
    low, high = int(column.min()), int(column.max())
    if high - low > 4 * len(column) + 1024:
        labels, codes = np.unique(column, return_inverse=True)
        return codes.astype(np.int32), [int(x) for x in labels]
    present = np.bincount(column - low) > 0
    rank = (np.cumsum(present) - 1).astype(np.int32)
    return rank[column - low], [int(x) + low for x in np.flatnonzero(present)]


def _factorise_objects(column: Column) -> tuple[Codes, list[object]]:
    n = len(column)
    table, out = _Table(), np.empty(n, np.int32)
    try:
        return _look_up(column, table, out)
    except TypeError as error:
        raise DataError("a label is not hashable", wanted="strings or integers", got=str(error)) from None


def _look_up(column: Column, table: _Table, out: Codes) -> tuple[Codes, list[object]]:
    n, lookup = len(column), table.__getitem__
    if isinstance(column, np.ndarray):
        for i in range(0, n, _CHUNK):
            part = column[i : i + _CHUNK].tolist()
            out[i : i + len(part)] = np.fromiter(map(lookup, part), np.int32, len(part))
    else:
        out[:] = np.fromiter(map(lookup, column), np.int32, n)
    return out, list(table)


def _at(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(mask).tolist())


def relative_difference(side_a: Column, side_b: Column) -> Floats:
    """(a - b) / (a + b + 1) of two counts a vote (characters, headers, bolds): the usual style covariate."""
    a, b = (np.asarray(c if isinstance(c, np.ndarray) else list(c), np.float64) for c in (side_a, side_b))
    bad = (
        ~(np.isfinite(a) & np.isfinite(b) & (a >= 0) & (b >= 0)) if a.shape == b.shape else np.zeros(1, bool)
    )
    if a.shape != b.shape or bad.any():
        raise RowsError(
            "a count is negative or missing, or a side is shorter", rows=_at(bad), wanted="counts"
        )
    return np.asarray((a - b) / (a + b + 1.0), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """Pairwise votes. `a` was shown first (left), `b` second; `outcome` is 2 (a), 1 (tie) or 0 (b).

    Arrays have one entry a vote: `a`, `b` index `names`; `prompt` and `voter` are codes or None; `features` has
    shape (votes, len(feature_names)) and holds side a minus side b. Made by `votes` or `votes_from_codes`.
    """

    a: Codes
    b: Codes
    outcome: NDArray[np.int8]
    names: tuple[str, ...]
    prompt: Codes | None = None
    voter: Codes | None = None
    features: Floats | None = None
    feature_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.a)

    def swapped(self) -> Votes:
        """The same votes with the sides exchanged (ratings stay, the position term changes its sign)."""
        features = None if self.features is None else -self.features
        return Votes(
            self.b, self.a, (2 - self.outcome).astype(np.int8), self.names,
            self.prompt, self.voter, features, self.feature_names,
        )  # fmt: skip

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Votes:
        """The votes at `index` (positions or a mask), names kept."""
        return Votes(
            self.a[index], self.b[index], self.outcome[index], self.names,
            None if self.prompt is None else self.prompt[index],
            None if self.voter is None else self.voter[index],
            None if self.features is None else self.features[index],
            self.feature_names,
        )  # fmt: skip


def votes(
    model_a: Column,
    model_b: Column,
    winner: Column,
    *,
    prompt: Column | None = None,
    voter: Column | None = None,
    features: Mapping[str, Column] | None = None,
) -> Votes:
    """Votes from columns of labels, one entry a vote.

    `winner` holds model_a / model_b / tie (also a, b, left, right, first, second, draw, both bad), or the
    winner's own name, or the score of `model_a` (1, 0.5, 0) as a number or as text. `features` are covariates as side a
    minus side b, for example a difference of lengths. Raises `DataError` naming the rows.
    """
    columns = {"model_b": model_b, "winner": winner, "prompt": prompt, "voter": voter, **(features or {})}
    for key, column in columns.items():
        if column is not None and len(column) != len(model_a):
            raise DataError(
                f"column {key} has another length than model_a",
                wanted=f"{len(model_a)} rows",
                got=str(len(column)),
            )
    if not len(model_a):
        raise DataError(
            "there are no votes", wanted="at least one row of model_a, model_b, winner",
            fix="check the filter or the file that this table came from",
        )  # fmt: skip
    a, b, names = _names(model_a, model_b)
    outcome = _outcomes(winner, a, b, names)
    return _checked(
        Votes(
            a, b, outcome, names, _cluster(prompt, "prompt"), _cluster(voter, "voter"), *_features(features)
        )
    )


def votes_from_codes(
    a: NDArray[np.integer], b: NDArray[np.integer], outcome: NDArray[np.integer], names: Sequence[str]
) -> Votes:
    """Votes from ready codes: `a`, `b` index `names`, `outcome` is 2 (a wins), 1 (tie) or 0 (b wins)."""
    for label, column in (("a", a), ("b", b), ("outcome", outcome)):
        top = 3 if label == "outcome" else len(names)
        if len(column) != len(a) or column.dtype.kind not in "iu":
            raise DataError(
                f"column {label} must hold {len(a)} integers", got=f"{len(column)} of {column.dtype}"
            )
        bad = (column < 0) | (column >= top)
        if bad.any():
            raise RowsError(f"column {label} is out of range", rows=_at(bad), wanted=f"0 to {top - 1}")
    if len(set(names)) != len(names):
        raise DataError("a name stands twice in names", fix="give each contestant one code")
    if not len(a):
        raise DataError(
            "there are no votes", wanted="at least one", fix="check that the two sides share tasks"
        )
    return _checked(Votes(a.astype(np.int32), b.astype(np.int32), outcome.astype(np.int8), tuple(names)))


def _checked(table: Votes) -> Votes:
    same = table.a == table.b
    if same.any():
        name = table.names[int(table.a[int(np.argmax(same))])]
        raise RowsError(
            f"a contestant meets itself ({name})", rows=_at(same), fix="drop these rows: they rate nobody"
        )
    return table


def _names(model_a: Column, model_b: Column) -> tuple[Codes, Codes, tuple[str, ...]]:
    """Codes of both columns on one sorted list of names, so that row order cannot change a result."""
    coded = {"model_a": factorise(model_a), "model_b": factorise(model_b)}
    texts = {key: [_name(x) for x in labels] for key, (_, labels) in coded.items()}
    for key, (codes, _) in coded.items():
        missing = np.array([x == "" for x in texts[key]] + [True])  # the last entry answers code -1
        bad = missing[codes]
        if bad.any():
            raise RowsError(
                f"column {key} has no name", rows=_at(bad), fix="fill the name in or drop the rows"
            )
    names = sorted({*texts["model_a"], *texts["model_b"]})
    if len(names) < 2:
        raise DataError(
            f"there is one contestant ({names[0]})",
            wanted="votes between at least two",
            fix="add a second one",
        )
    place = {x: i for i, x in enumerate(names)}
    a, b = (np.array([place[x] for x in texts[k]], np.int32)[coded[k][0]] for k in ("model_a", "model_b"))
    return a, b, tuple(names)


def _name(label: object) -> str:
    """A contestant's name; "" when it is missing (None, NaN, blank)."""
    if label is None or label != label:  # noqa: PLR0124 - NaN is the value that differs from itself
        return ""
    if isinstance(label, bytes):
        label = label.decode("utf-8", "replace")
    return label.strip() if isinstance(label, str) else str(label)


def _outcomes(winner: Column, a: Codes, b: Codes, names: tuple[str, ...]) -> NDArray[np.int8]:
    numeric = _numeric_winner(winner)
    if numeric is not None:
        return numeric
    codes, labels = factorise(winner)
    table = np.full(len(labels) + 1, -1, np.int8)
    named = np.full(len(labels) + 1, -1, np.int32)
    place = {x: i for i, x in enumerate(names)}
    for i, label in enumerate(labels):
        text = _name(label)
        # a name that only looks like a side in another case ("B") is a name
        table[i] = _WINNERS.get(text if text in place else text.lower(), -1)
        named[i] = place.get(text, -1)
    outcome = table[codes]
    if (named >= 0).any():
        who = named[codes]
        by_name = np.where(who == a, np.int8(A_WINS), np.where(who == b, np.int8(B_WINS), np.int8(-1)))
        torn = (who >= 0) & (outcome >= 0) & (by_name != outcome)
        if torn.any():
            raise RowsError(
                "column winner has a word that is both a side (or a tie) and a contestant's name", rows=_at(torn),
                wanted="one meaning", got=repr(labels[int(codes[int(np.argmax(torn))])]),
                fix="rename the contestant, or write model_a / model_b / tie",
            )  # fmt: skip
        outcome = np.where(who >= 0, by_name, outcome)
    bad = outcome < 0
    if bad.any():
        at = int(codes[int(np.argmax(bad))])
        raise RowsError(
            "column winner has a value that says neither who won nor that it was a tie", rows=_at(bad),
            wanted="model_a, model_b, tie, a score of model_a (1, 0.5, 0), or the name of one of the two",
            got=repr(labels[at]) if at >= 0 else "nothing",
            fix="write model_a, model_b or tie, and drop votes without an answer",
        )  # fmt: skip
    return outcome.astype(np.int8, copy=False)


def _numeric_winner(winner: Column) -> NDArray[np.int8] | None:
    """Outcomes of a numeric column (the score of model_a), or None when it holds labels."""
    if not isinstance(winner, np.ndarray) or winner.dtype.kind == "O":
        first = next(iter(winner))
        if isinstance(first, str) or not isinstance(first, int | float | np.number):
            return None
        if not all(isinstance(x, int | float | np.number) for x in winner):
            return None
        winner = np.asarray(list(winner), np.float64)
    if winner.dtype.kind not in "iufb":
        return None
    doubled = winner.astype(np.float64) * 2
    bad = ~np.isin(doubled, (0.0, 1.0, 2.0))
    if bad.any():
        raise RowsError(
            "column winner is numeric but not a score of model_a", rows=_at(bad), wanted="1, 0.5 or 0",
            got=str(winner[int(np.argmax(bad))]), fix="write model_a / model_b / tie instead of side numbers",
        )  # fmt: skip
    return doubled.astype(np.int8)


def _cluster(column: Column | None, key: str) -> Codes | None:
    if column is None:
        return None
    codes, labels = factorise(column)
    missing = np.array([_name(x) == "" for x in labels] + [True])
    bad = missing[codes]
    if bad.any():
        raise RowsError(
            f"column {key} is empty", rows=_at(bad), fix=f"fill it in, drop the rows, or leave {key} out"
        )
    return codes


def _features(features: Mapping[str, Column] | None) -> tuple[Floats | None, tuple[str, ...]]:
    if not features:
        return None, ()
    parts = []
    for key, column in features.items():
        try:
            values = np.asarray(column if isinstance(column, np.ndarray) else list(column), np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"feature {key} is not numeric", got=str(error)) from None
        bad = ~np.isfinite(values)
        if bad.any():
            raise RowsError(f"feature {key} is not finite", rows=_at(bad), fix="fill it in or drop the rows")
        parts.append(values)
    return np.column_stack(parts), tuple(features)
