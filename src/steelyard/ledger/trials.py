"""Trials as pages and exports show them, in (c, t, k) order, from a fold (where) and the rows (what)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steelyard.errors import DataError, LedgerCorrupt
from steelyard.ledger import blocks, fold, payloads, rows
from steelyard.ledger.base import ScoreColumns, TrialRow
from steelyard.ledger.chain import Packer
from steelyard.ledger.database import Database
from steelyard.ledger.fold import Fold
from steelyard.schema.record import Intent, Result, Scored
from steelyard.schema.score import Outcome

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PASS = 50_000
"""Trials gathered in one pass over the rows: they are held as bytes meanwhile (a few hundred bytes a trial)."""

FIRST = 200
"""Trials of the first pass: who wants a few must not wait for fifty thousand."""

MANY = 4096
"""From so many slots on, which trials match is found on arrays."""

FEW = 700
"""Up to this many rows are looked up one by one instead of in a pass over all."""

STRETCHES = 40
"""Parts of a run, evenly over it, that a sample is taken from: a block is read for all of its trials at once."""

SPAN = 200_000
"""Rows whose blocks are read for a sample of trials that are rare: some 200 blocks, a tenth of a second."""

GAP = 8_000
"""Rows between two wanted ones from which on it is cheaper to seek the second than to read all between."""

_KEYS = ("c", "t", "k", "outcome", "ended_by", "scorer")


@dataclass(frozen=True, slots=True)
class Where:
    """A checked `where` of `Ledger.trials`; None is any."""

    c: int | None = None
    t: int | None = None
    k: int | None = None
    outcome: Outcome | None = None
    ended_by: str | None = None
    scorer: str = ""


def parse_where(where: Mapping[str, object] | None) -> Where:
    """Raises DataError for a key or a value that means nothing, so that a typo does not select everything."""
    given = dict(where or {})
    unknown = sorted(set(given) - set(_KEYS))
    if unknown:
        raise DataError(
            f"trials cannot be chosen by {unknown[0]!r}", wanted=", ".join(_KEYS), got=", ".join(unknown)
        )
    for key in ("c", "t", "k"):
        value = given.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise DataError(f"trials by {key!r}", wanted="a whole number from 0", got=repr(value))
    outcome = given.get("outcome")
    if isinstance(outcome, str):
        names = {o.name.lower(): o for o in Outcome}
        if outcome.lower() not in names:
            raise DataError("trials by 'outcome'", wanted=", ".join(names), got=outcome)
        outcome = names[outcome.lower()]
    elif outcome is not None:
        try:
            outcome = Outcome(outcome)  # type: ignore[arg-type] # any object may be given: Outcome refuses it
        except ValueError as e:
            raise DataError("trials by 'outcome'", wanted=", ".join(o.name for o in Outcome)) from e
    texts = {key: given.get(key) for key in ("ended_by", "scorer")}
    for key, text in texts.items():
        if text is not None and not isinstance(text, str):
            raise DataError(f"trials by {key!r}", wanted="a text", got=repr(text))
    c, t, k = (given.get(key) for key in ("c", "t", "k"))
    return Where(c, t, k, outcome, texts["ended_by"], str(texts["scorer"] or ""))  # type: ignore[arg-type] # checked above


class Trials:
    """Reads the trials of one run. `split_of` tells a task's split by its index in the run."""

    def __init__(
        self, db: Database, number: int, folded: Fold, packer: Packer, split_of: Callable[[int], str]
    ) -> None:
        self._db, self._number, self._fold = db, number, folded
        self._packer, self._split_of = packer, split_of

    def select(self, where: Where) -> Iterator[TrialRow]:
        """The trials that `where` allows, in order. The first few come soon: passes over the rows grow to `PASS`."""
        wanted: list[tuple[int, int]] = []
        most = FIRST
        for found in self._wanted(where):
            wanted.append(found)
            if len(wanted) == most:
                yield from self._gather(wanted)
                wanted.clear()
                most = min(PASS, 8 * most)
        yield from self._gather(wanted)

    def _wanted(self, where: Where) -> Iterator[tuple[int, int]]:
        """(slot, row number + 1 of its newest score) of the trials that `where` allows, in (c, t, k) order."""
        f, scorers = self._fold, self._scorers(where.scorer)
        cs = range(f.n_contestants) if where.c is None else range(where.c, min(where.c + 1, f.n_contestants))
        ts = range(f.n_tasks) if where.t is None else range(where.t, min(where.t + 1, f.n_tasks))
        ks = range(f.repeats) if where.k is None else range(where.k, min(where.k + 1, f.repeats))
        if len(cs) * len(ts) * len(ks) >= MANY:
            yield from self._sieve(where, scorers, (cs, ts, ks))
            return
        for c in cs:
            for t in ts:
                for k in ks:
                    slot = k * f.n_cells + c * f.n_tasks + t
                    scored, mark, _ = self._newest(slot, scorers)
                    if self._matches(slot, mark, where):
                        yield slot, scored

    def _matches(self, slot: int, mark: int, where: Where) -> bool:
        f = self._fold
        ended = f.column("ended")[slot] if f.has("ended") else 0
        if not ended and not mark:
            return False
        if where.outcome is not None and mark & fold.OUTCOME != 1 + where.outcome:
            return False
        return where.ended_by is None or (f.ended[ended - 1] if ended else "") == where.ended_by

    def _sieve(
        self, where: Where, scorers: Sequence[int], ranges: tuple[range, range, range]
    ) -> Iterator[tuple[int, int]]:
        """As the loop of `_wanted`, contestant by contestant on arrays: a million slots in some 30 ms."""
        # lazy: who writes a run and asks for a few of its trials must stay without NumPy
        import numpy as np

        f, (cs, ts, ks) = self._fold, ranges
        inside = np.add.outer(
            np.asarray(ts, dtype=np.int64), np.asarray(ks, dtype=np.int64) * f.n_cells
        ).ravel()
        for c in cs:
            slots = inside + c * f.n_tasks
            best, mark, _ = self._newest_at(slots, scorers)
            ended = self._at("ended", slots)
            keep = (ended > 0) | (mark > 0)
            if where.outcome is not None:
                keep &= (mark & fold.OUTCOME) == 1 + where.outcome
            if where.ended_by is not None:
                code = 1 + f.ended.index(where.ended_by) if where.ended_by in f.ended else -1
                keep &= ended == (code if where.ended_by else 0)
            yield from zip(slots[keep].tolist(), best[keep].tolist(), strict=True)

    def _newest_at(
        self, slots: NDArray[np.int64], scorers: Sequence[int]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """`_newest` of many slots."""
        # lazy: as above
        import numpy as np

        best, mark, by = (np.zeros(slots.size, dtype=np.int64) for _ in range(3))
        for i in scorers:
            when = self._at(f"scored/{i}", slots)
            later = when > best
            best[later], mark[later], by[later] = when[later], self._at(f"score/{i}", slots)[later], i
        return best, mark, by

    def _at(self, name: str, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        # lazy: as above
        import numpy as np

        if not self._fold.has(name):
            return np.zeros(slots.size, dtype=np.int64)
        column = self._fold.column(name)
        return np.frombuffer(column, dtype=np.dtype(column.typecode))[slots].astype(np.int64)

    def scores(self, scorer: str) -> Iterator[tuple[int, int, int, int, float | None]]:
        """(c, t, k, outcome, value) of every judged trial, by the newest score or that of one scorer; in order."""
        f, scorers = self._fold, self._scorers(scorer)
        for slot in self._slots():
            when, mark, i = self._newest(slot, scorers)
            if when:
                k, cell = divmod(slot, f.n_cells)
                outcome = (mark & fold.OUTCOME) - 1
                explicit = f.column(f"value/{i}")[slot] if mark & fold.EXPLICIT else fold.own_value(outcome)
                yield cell // f.n_tasks, cell % f.n_tasks, k, outcome, explicit

    def score_columns(self, contestants: Sequence[int], *, amounts: bool = False) -> ScoreColumns:
        """As `scores` by the newest score, of these contestants (none named: all), as arrays; see `Ledger`."""
        # lazy: who writes a run and asks for a few of its trials must stay without NumPy
        import numpy as np

        f, scorers = self._fold, self._scorers("")
        tasks = np.repeat(np.arange(f.n_tasks), f.repeats)
        repeats = np.tile(np.arange(f.repeats), f.n_tasks)
        inside = tasks + repeats * f.n_cells
        parts = []
        for c in contestants or range(f.n_contestants):
            slots = inside + c * f.n_tasks
            when, mark, by = self._newest_at(slots, scorers)
            keep = when > 0
            if amounts:
                mark[~keep] = 1 + Outcome.UNGRADED
                keep |= self._at("ended", slots) > 0
            mark, outcome = mark[keep], (mark[keep] & fold.OUTCOME) - 1
            value = np.array([fold.own_value(o) for o in range(fold.OUTCOME)], np.float64)[outcome]
            for i in scorers:
                own = ((mark & fold.EXPLICIT) > 0) & (by[keep] == i)
                if own.any():
                    column = f.column(f"value/{i}")
                    kept = np.frombuffer(column, dtype=np.dtype(column.typecode))
                    value[own] = kept[slots[keep][own]]
            who = np.full(outcome.size, c, np.int32)
            took = self._amounts(slots[keep]) if amounts else ()
            parts.append((who, tasks[keep].astype(np.int32), repeats[keep].astype(np.int32),
                          outcome.astype(np.int8), value, *took))  # fmt: skip
        return ScoreColumns(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def sample(
        self, contestants: Sequence[int], outcomes: Sequence[Outcome], most: int
    ) -> Iterator[TrialRow]:
        """As `Ledger.sample`."""
        # lazy: as above
        import numpy as np

        if not contestants:
            return
        f, scorers = self._fold, self._scorers("")
        inside = np.add.outer(np.arange(f.n_tasks), np.arange(f.repeats) * f.n_cells).ravel()
        parts = []
        for c in contestants:
            when, mark, _ = self._newest_at(inside + c * f.n_tasks, scorers)
            mark &= fold.OUTCOME
            parts += [(1 + o, inside[mark == 1 + o] + c * f.n_tasks, when[mark == 1 + o]) for o in outcomes]
        found = [
            (np.concatenate([s for i, s, _ in parts if i == 1 + o]),
             np.concatenate([w for i, _, w in parts if i == 1 + o])) for o in outcomes
        ]  # fmt: skip
        chosen = []
        left, open_ = most, len(found)
        for slots, rows_ in sorted(found, key=lambda x: x[0].size):
            # what a rare outcome leaves of its share is the others'
            kept = _spread_out(rows_, max(1, left // open_), f.upto)
            chosen.append(np.stack([slots[kept], rows_[kept]], axis=1))
            left, open_ = left - int(kept.sum()), open_ - 1
        picked = np.concatenate(chosen)
        picked = picked[np.argsort(picked[:, 1])]
        for start in range(0, len(picked), FIRST * 8):
            yield from self._gather([(s, w) for s, w in picked[start : start + FIRST * 8].tolist()])

    def _amounts(self, slots: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(dollars, seconds) of trials, NaN where not known: over all attempts of one."""
        # lazy: as above
        import numpy as np

        cost, seconds = self._at("cost", slots) / 1e12, self._at("micros", slots) / 1e6
        unknown = (self._at("unpriced", slots) > 0) | (self._at("attempts", slots) == 0)
        return np.where(unknown, np.nan, cost), np.where(seconds > 0, seconds, np.nan)

    def records(self, numbers: Sequence[int]) -> Iterator[object]:
        """The rows of these numbers (ascending), replies whole."""
        for _, row in self._rows([(n, 0) for n in numbers]):
            yield self._decode(row)

    def _scorers(self, scorer: str) -> list[int]:
        if not scorer:
            return list(range(len(self._fold.scorers)))
        if scorer not in self._fold.scorers:
            raise DataError(
                f"no trial of this run was judged by {scorer!r}",
                wanted=", ".join(self._fold.scorers) or "a judged run",
            )
        return [self._fold.scorers.index(scorer)]

    def _slots(self) -> Iterator[int]:
        f = self._fold
        for cell in range(f.n_cells):
            for k in range(f.repeats):
                yield k * f.n_cells + cell

    def _newest(self, slot: int, scorers: Sequence[int]) -> tuple[int, int, int]:
        """(row number + 1, mark, scorer) of the newest score of a slot, zeros when there is none."""
        best = mark = by = 0
        for i in scorers:
            when = self._fold.column(f"scored/{i}")[slot]
            if when > best:
                best, mark, by = when, self._fold.column(f"score/{i}")[slot], i
        return best, mark, by

    def _gather(self, wanted: Sequence[tuple[int, int]]) -> Iterator[TrialRow]:
        f = self._fold
        numbers: list[tuple[int, int]] = []
        for i, (slot, scored) in enumerate(wanted):
            intent = f.column("intent")[slot] if f.has("intent") else 0
            result = f.column("result")[slot] if f.has("result") else 0
            numbers += [(n - 1, 3 * i + j) for j, n in enumerate((intent, result, scored)) if n]
        found: list[bytes | None] = [None] * (3 * len(wanted))
        for place, row in self._rows(sorted(numbers)):
            found[place] = row
        for i, (slot, _) in enumerate(wanted):
            yield self._trial(slot, found[3 * i : 3 * i + 3])

    def _rows(self, numbers: Sequence[tuple[int, int]]) -> Iterator[tuple[int, bytes]]:
        i = 0
        while i < len(numbers):
            last = i
            while (
                len(numbers) > FEW
                and last + 1 < len(numbers)
                and numbers[last + 1][0] - numbers[last][0] < GAP
            ):
                last += 1
            stop = numbers[last][0] + 1
            before = i
            for block in blocks.read(self._db, self._number, numbers[i][0], stop):
                raws = None
                while i < len(numbers) and numbers[i][0] < block.first + block.n:
                    raws = raws or self._packer.rows(block.body)
                    yield numbers[i][1], bytes(raws[numbers[i][0] - block.first])
                    i += 1
            if i == before:
                raise LedgerCorrupt(f"row {numbers[i][0]} is missing")

    def _trial(self, slot: int, found: Sequence[bytes | None]) -> TrialRow:
        f = self._fold
        k, cell = divmod(slot, f.n_cells)
        c, t = divmod(cell, f.n_tasks)
        intent, result, scored = (self._decode(row) if row else None for row in found)
        unpriced = f.column("unpriced")[slot] if f.has("unpriced") else 0
        cost = f.column("cost")[slot] if f.has("cost") else 0
        trial = TrialRow(
            c,
            t,
            k,
            attempts=f.column("attempts")[slot] if f.has("attempts") else 0,
            ended_by=result.ended_by if isinstance(result, Result) else "",
            fault=result.fault if isinstance(result, Result) else "",
            reply=result.reply if isinstance(result, Result) else None,
            score=scored.score if isinstance(scored, Scored) else None,
            scorer=scored.scorer if isinstance(scored, Scored) else "",
            cost_pusd=None if unpriced else cost,
            trace=result.trace if isinstance(result, Result) else "",
            order=intent.order if isinstance(intent, Intent) else (),
            seed=intent.seed if isinstance(intent, Intent) else 0,
            at=result.at if isinstance(result, Result) else 0,
            detail=result.detail if isinstance(result, Result) else "",
            split=self._split_of(t),
            final=result.final if isinstance(result, Result) else True,
            changes=result.changes if isinstance(result, Result) else "",
            state=result.state if isinstance(result, Result) else "",
            a=result.a if isinstance(result, Result) else scored.a if isinstance(scored, Scored) else 0,
        )
        if not (isinstance(intent, Intent | None) and isinstance(result, Result | None)):
            raise LedgerCorrupt(f"the rows of trial c={c} t={t} k={k} are not where they were; rebuild")
        return trial

    def _decode(self, row: bytes) -> object:
        record = rows.decode(row)
        if isinstance(record, rows.Spilled):
            reply = rows.decode_reply(payloads.read(self._db, self._packer, record.reply))
            return rows.with_reply(record.row, reply)
        return record


def _spread_out(rows: NDArray[np.int64], most: int, n: int) -> NDArray[np.bool_]:
    """Which of the trials with these rows (of a chain of `n`) are in a sample of about `most`: all, or those that lie
    in `STRETCHES` parts of the chain."""
    # lazy: as above
    import numpy as np

    share = min(most / max(rows.size, 1), max(SPAN / max(n, 1), min(most, FIRST) / max(rows.size, 1)))
    period = -(-n // STRETCHES)
    if share >= 1:
        return np.ones(rows.size, dtype=np.bool_)
    kept: NDArray[np.bool_] = rows % period < share * period
    return kept
