"""What a run has done so far, from one pass over its rows. Memory grows with what is unfinished, not with trials."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from steelyard.errors import EndedBy
from steelyard.ledger.base import InFlight, ResumeState
from steelyard.ledger.rows import Lean, LeanIntent, LeanResult, LeanScored, LeanSpilled
from steelyard.schema.record import Closed, Noted, Opened

MEASUREMENTS = frozenset(e.value for e in EndedBy if e.is_measurement)

CAPS = {"cap": "money", "cap_tokens": "tokens", "cap_seconds": "seconds"}
"""Kinds of notes that change a cap; their detail is a number, or `none`."""
LEARNT = "learnt"
"""Kind of a note that holds what was learnt about charges, as JSON; the last one counts."""
_LEARNT = dict[int, tuple[int, int, int, int]]

RUN = 255
"""Repeats that a cell's count can hold; a done repeat beyond is kept as a bit."""


def _cap(detail: str) -> int | float | None:
    if detail == "none":
        return None
    return int(detail) if detail.isdigit() else float(detail)


@dataclass(slots=True)
class DoneTrials:
    """Done repeats a cell: `run` counts those from 0 on without a gap, `later` holds the others as bit sets."""

    run: bytearray
    later: dict[int, int] = field(default_factory=dict)

    def mark(self, cell: int, k: int) -> bool:
        """Repeat `k` of `cell` is done; True when it was not done before."""
        if self.is_done(cell, k):
            return False
        bits = self.later.pop(cell, 0) | 1 << k
        n = self.run[cell]
        while n < RUN and bits >> n & 1:
            n += 1
        self.run[cell] = n
        if bits := bits >> n << n:
            self.later[cell] = bits
        return True

    def is_done(self, cell: int, k: int) -> bool:
        """True when repeat `k` of `cell` is done."""
        return k < self.run[cell] or bool(self.later.get(cell, 0) >> k & 1)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """(cell, k) of all that are done."""
        for cell, n in enumerate(self.run):
            for k in range(n):
                yield cell, k
            bits = self.later.get(cell, 0)
            while bits:
                k = (bits & -bits).bit_length() - 1
                yield cell, k
                bits &= bits - 1


class Scan:
    """Feeds on a run's rows in order; `state()`, `done` and `judged` are then what they say.

    `judged` holds the row numbers of judge calls that came back and that no score of their trial has followed.
    """

    def __init__(self, n_contestants: int, n_tasks: int) -> None:
        self._n_tasks = n_tasks
        self.done = DoneTrials(bytearray(n_contestants * n_tasks))
        self.judged: dict[tuple[int, int, int], list[int]] = {}
        self.upto = 0
        self.sessions = 0
        self._caps: dict[str, int | float | None] = {}
        self._learnt = ""
        self._began = self._last = self._lasted = 0
        self._spent = self._held = self._tokens = 0
        self._in_flight: dict[tuple[int, int, int, int, str], InFlight] = {}
        self._unscored: dict[tuple[int, int, int], int] = {}
        self._attempts: dict[tuple[int, int, int], int] = {}

    def feed(self, rows: Iterable[Lean]) -> None:
        """Take the next rows."""
        for row in rows:
            if isinstance(row, LeanIntent):
                self._intent(row)
            elif isinstance(row, LeanResult):
                self._result(row)
            elif isinstance(row, LeanScored):
                self._scored(row)
            elif isinstance(row, LeanSpilled):
                self._result(row.row)
            elif isinstance(row, Opened):
                self.sessions += 1
                self._lasted += self._last - self._began
                self._began = self._last = row.at
            elif isinstance(row, Noted):
                self._noted(row)
            elif isinstance(row, Closed):
                self._passed(row.at)
            self.upto += 1

    def _passed(self, at: int) -> None:
        """The session was still alive at `at`. A clock that was set back takes nothing away."""
        self._last = max(self._last, at)

    def _noted(self, row: Noted) -> None:
        self._passed(row.at)
        if row.kind in CAPS:
            self._caps[CAPS[row.kind]] = _cap(row.detail)
        elif row.kind == LEARNT:
            self._learnt = row.detail

    def _intent(self, row: LeanIntent) -> None:
        self._passed(row.at)
        self._in_flight[row.c, row.t, row.k, row.a, row.role] = InFlight(
            row.c, row.t, row.k, row.a, row.reserved, row.role, row.tokens
        )
        if not row.role and not self.done.is_done(row.c * self._n_tasks + row.t, row.k):
            trial = (row.c, row.t, row.k)
            self._attempts[trial] = max(self._attempts.get(trial, 0), row.a + 1)

    def _result(self, row: LeanResult) -> None:
        trial = (row.c, row.t, row.k)
        self._passed(row.at)
        self._in_flight.pop((row.c, row.t, row.k, row.a, row.role), None)
        self._spent += row.cost or 0
        self._held += row.held
        if row.reply is not None:
            usage = row.reply.usage
            self._tokens += max(usage.input_tokens or 0, 0) + max(usage.output_tokens or 0, 0)
        self._tokens += row.tokens
        if row.role:
            if row.reply is not None:
                self.judged.setdefault(trial, []).append(self.upto)
        elif row.final:
            self._attempts.pop(trial, None)
            if self.done.mark(row.c * self._n_tasks + row.t, row.k) and row.ended_by in MEASUREMENTS:
                self._unscored[trial] = row.a

    def _scored(self, row: LeanScored) -> None:
        trial = (row.c, row.t, row.k)
        self.done.mark(row.c * self._n_tasks + row.t, row.k)
        self._attempts.pop(trial, None)
        self._unscored.pop(trial, None)
        self.judged.pop(trial, None)

    def state(self) -> ResumeState:
        """The state after the last row; the caller's own."""
        in_flight = list(self._in_flight.values())
        return ResumeState(
            spent_pusd=self._spent,
            held_pusd=self._held + sum(f.reserved or 0 for f in in_flight),
            tokens=self._tokens + sum(f.tokens for f in in_flight),
            sessions=self.sessions,
            in_flight=in_flight,
            unscored=[(c, t, k, a) for (c, t, k), a in self._unscored.items()],
            attempts=dict(self._attempts),
            seconds=(self._lasted + self._last - self._began) / 1e9,
            caps=dict(self._caps),
            learnt=msgspec.json.decode(self._learnt, type=_LEARNT) if self._learnt else {},
        )
