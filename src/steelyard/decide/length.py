"""Win rates against a baseline, raw, discrete and at equal length, of each model in a table of preferences.

Not covered: whether the judge is right. Rows are columns by role: preference; length_a (the baseline's answer) and
length_b (the model's), or length_difference (a less b), or the answers themselves as output_a and output_b; and
contestant, instruction, row, difficulty where there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from steelyard.decide.cells import Column, numbers
from steelyard.decide.judging import COUNT
from steelyard.decide.lines import Line, line_of, plain_line
from steelyard.decide.roles import groups, rows_of, texts, whole
from steelyard.errors import DataError, RowsError
from steelyard.stats.base import BoolArray, FloatArray, IntArray, codes, no_repeats
from steelyard.stats.length_control import Anchors, Difficulty, length_controlled, win_rate
from steelyard.unknown import Unknown

_COMPAT = ("difficulties are joined by row number, as upstream does: wrong where rows are missing",)
CONTROLLED = "win rate at equal length"
"""The name of the figure."""


@dataclass(frozen=True, slots=True)
class LengthOptions:
    """`share`: preferences are the chance 0..1 that the model is better, not AlpacaEval's 1..2 with 0 a draw.

    compat: difficulties are joined by row number, as upstream does.
    """

    share: bool = False
    compat: bool = False
    level: float = 0.95


@dataclass(frozen=True, slots=True)
class Hardness:
    """The difficulty of every instruction, in the order of their file."""

    instruction: Sequence[str]
    difficulty: FloatArray


@dataclass(frozen=True, slots=True)
class Gamed:
    """Judged pairs of length-gamed variants of the baseline (`Anchors`), by instruction."""

    instruction: Sequence[str]
    tanh_length: FloatArray
    preference: FloatArray


def hardness_of(columns: Mapping[str, Column]) -> Hardness:
    """`Hardness` of the columns instruction and difficulty. Raises RowsError for one that stands there twice."""
    item = whole(columns["instruction"], "instruction")
    no_repeats([("instruction", codes(item, "instruction"))])
    return Hardness(item, _full(columns, "difficulty"))


def gamed_of(columns: Mapping[str, Column]) -> Gamed:
    """`Gamed` of the columns instruction, tanh_length and preference (0..1)."""
    preference = _full(columns, "preference")
    bad = np.flatnonzero((preference < 0) | (preference > 1))
    if bad.size:
        raise RowsError(
            "preference: outside its scale", rows=tuple(bad.tolist()), wanted="0 to 1 in --anchors"
        )
    return Gamed(whole(columns["instruction"], "instruction"), _full(columns, "tanh_length"), preference)


def _full(columns: Mapping[str, Column], name: str) -> FloatArray:
    values, there = numbers(columns[name], name, "write numbers")
    bad = np.flatnonzero(~there)
    if bad.size:
        raise RowsError(f"{name} is empty", rows=tuple(bad.tolist()), wanted="a number in every row")
    return values


def length_lines(
    columns: Mapping[str, Column],
    how: LengthOptions,
    hardness: Hardness | None = None,
    gamed: Gamed | None = None,
) -> tuple[Line, ...]:
    """Lines of every contestant. Rows without a preference are left out and counted in a note.

    Raises RowsError for a preference off its scale, an instruction that `hardness` lacks, or a pair judged twice;
    DataError where the scale cannot be told. A rate at equal length that cannot be fitted is Unknown with the reason.
    """
    value, there = numbers(columns["preference"], "preference", "leave it empty where the judge gave none")
    value = _scaled(value, there, how)
    longer, known = _longer(columns, there)
    who = whole(columns["contestant"], "contestant") if "contestant" in columns else ["model"] * value.size
    if "instruction" in columns:
        item = whole(columns["instruction"], "instruction")
        no_repeats([("model", codes(who, "model")), ("instruction", codes(item, "instruction"))])
    out: list[Line] = []
    for name, at in groups(who).items():
        judged = at[there[at]]
        if not judged.size:
            raise DataError(
                f"{name}: no preference", wanted="a judged pair or more", got=f"{at.size} empty ones"
            )
        with rows_of(judged):
            found = win_rate(value[judged], level=how.level)
        gone = at.size - judged.size
        notes = (f"{name}: {gone} of {at.size} pairs have no preference and are left out",) if gone else ()
        out += [
            line_of(name, "win rate", found.rate),
            line_of(name, "win rate, discrete", found.discrete),
            *(
                plain_line(name, figure, float(n), COUNT, trials=judged.size)
                for figure, n in (("wins", found.wins), ("losses", found.losses), ("draws", found.draws))
            ),
        ]
        if notes:
            out[-5] = replace(out[-5], notes=(*out[-5].notes, *notes))
        if longer is not None:
            missing = judged[~known[judged]]
            if missing.size:
                raise RowsError(
                    "no length", rows=tuple(missing.tolist()), wanted="the lengths of both answers",
                    fix="fill them in, or take the columns of lengths away for raw win rates",
                )  # fmt: skip
            out += _controlled(name, judged, (value, longer), (columns, how, hardness, gamed))
    return tuple(out)


def _scaled(value: FloatArray, there: BoolArray, how: LengthOptions) -> FloatArray:
    """Preferences on AlpacaEval's scale."""
    given = value[there]
    if how.share:
        bad = np.flatnonzero(there & ((value < 0) | (value > 1)))
        if bad.size:
            raise RowsError(
                "preference: outside its scale", rows=tuple(bad.tolist()), wanted="0 (baseline) to 1 (model)",
                got=", ".join(f"{v:g}" for v in value[bad[:5]]), fix="for AlpacaEval's 1 to 2 leave --share out",
            )  # fmt: skip
        return value + 1.0
    if given.size and bool(np.all(given <= 1.0)):
        raise DataError(
            "preference: none is above 1, so its scale cannot be told",
            wanted="1 (baseline better) to 2 (model better), 0 a draw, as AlpacaEval writes them",
            got=f"{given.min():g} to {given.max():g}",
            fix="give --share if these are the chance, 0 to 1, that the model is better",
        )
    return value


def _longer(columns: Mapping[str, Column], there: BoolArray) -> tuple[FloatArray | None, BoolArray]:
    """The baseline's length less the model's, and where it is known; None without lengths."""
    if "length_difference" in columns:
        return numbers(columns["length_difference"], "length_difference", "write numbers")
    if {"length_a", "length_b"} <= set(columns):
        sides = [numbers(columns[n], n, "write the number of characters") for n in ("length_a", "length_b")]
        return sides[0][0] - sides[1][0], sides[0][1] & sides[1][1]
    if {"output_a", "output_b"} <= set(columns):
        answers = [[x if isinstance(x, str) else "" for x in columns[n]] for n in ("output_a", "output_b")]
        lengths = [np.array([len(x) for x in c], np.float64) for c in answers]
        return lengths[0] - lengths[1], np.ones(there.size, np.bool_)
    return None, there


def _controlled(
    name: str,
    judged: IntArray,
    values: tuple[FloatArray, FloatArray],
    about: tuple[Mapping[str, Column], LengthOptions, Hardness | None, Gamed | None],
) -> list[Line]:
    """The rate at equal length and the coefficients, or why there are none."""
    columns, how, hardness, gamed = about
    value, longer = values
    with rows_of(judged):
        difficulty = _difficulty(columns, judged, hardness, compat=how.compat)
    anchors = None if gamed is None else _anchors(gamed, hardness)
    if anchors is not None and difficulty is not None and hardness is None:
        raise DataError(
            "--anchors with a difficulty column", fix="give the difficulties as a file: --difficulty FILE"
        )
    try:
        found = length_controlled(
            value[judged], longer[judged], difficulty, anchors, compat=how.compat, level=how.level
        )
    except RowsError:
        raise
    except DataError as e:
        # one model that cannot be fitted is no reason to keep the others' figures back
        return [
            plain_line(
                name,
                CONTROLLED,
                Unknown(e.message + (f"; {e.fix}" if e.fix else "")),
                "logistic regression, sandwich over pairs",
            )
        ]
    method = "logistic regression, logits"
    return [
        replace(line_of(name, CONTROLLED, found.rate), notes=_COMPAT if how.compat else ()),
        plain_line(name, "effect of length", found.length, method, trials=judged.size),
        *(
            [] if isinstance(found.difficulty, Unknown)
            else [plain_line(name, "effect of difficulty", found.difficulty, method, trials=judged.size)]
        ),
        plain_line(name, "the model's own term", found.model, method, trials=judged.size),
    ]  # fmt: skip


def _difficulty(
    columns: Mapping[str, Column], judged: IntArray, hardness: Hardness | None, *, compat: bool
) -> Difficulty | None:
    if hardness is None:
        if "difficulty" not in columns:
            if compat:
                raise DataError(
                    "--compat needs difficulties", fix="give --difficulty FILE, one line an instruction"
                )
            return None
        hard, there = numbers(columns["difficulty"], "difficulty", "write numbers")
        bad = np.flatnonzero(~there[judged])
        if bad.size:
            raise RowsError(
                "difficulty is empty", rows=tuple(bad.tolist()), wanted="a number in every judged row"
            )
        if compat:
            raise DataError(
                "--compat needs difficulties as a file", fix="give --difficulty FILE, one line an instruction"
            )
        return Difficulty(hard[judged], np.arange(judged.size, dtype=np.float64))
    if "instruction" not in columns:
        raise DataError(
            "--difficulty needs an instruction column", got=", ".join(columns),
            fix="name it with --column instruction=NAME",
        )  # fmt: skip
    place = {x: i for i, x in enumerate(hardness.instruction)}
    item = texts(columns["instruction"])
    bad = np.array([i for i, row in enumerate(judged) if item[row] not in place], np.int64)
    if bad.size:
        raise RowsError(
            "no difficulty of these instructions", rows=tuple(bad.tolist()), wanted="a line in the --difficulty file",
            got=str(item[judged[bad[0]]]), fix="check that both files name instructions alike",
        )  # fmt: skip
    index = np.array([place[str(item[row])] for row in judged], np.float64)
    row = np.arange(judged.size, dtype=np.float64)
    if "row" in columns:
        row = numbers(columns["row"], "row", "write row numbers from 0")[0][judged]
    return Difficulty(hardness.difficulty, index, row)


def _anchors(gamed: Gamed, hardness: Hardness | None) -> Anchors:
    if hardness is None:
        return Anchors(gamed.tanh_length, np.zeros(gamed.tanh_length.size), gamed.preference)
    place = {x: i for i, x in enumerate(hardness.instruction)}
    bad = next((x for x in gamed.instruction if x not in place), None)
    if bad is not None:
        raise DataError(
            "--anchors: an instruction without difficulty", wanted="one of the --difficulty file", got=bad
        )
    at = np.array([place[x] for x in gamed.instruction], np.int64)
    return Anchors(gamed.tanh_length, hardness.difficulty[at], gamed.preference)
