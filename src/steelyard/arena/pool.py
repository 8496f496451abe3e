"""The answers of several runs as if they were of one: the same task is one task, the same contestant one contestant.

Tasks are the same when suite, id and everything that they ask are (a prompt that was changed is another task).
Contestants are the same when their whole specification but the price is; two that only share a name are told apart by
their runs. Everything follows from the runs' plans in the order given, so that what an arena wrote down means the
same tomorrow.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from steelyard.arena.answers import Answers
from steelyard.arena.base import Answer, Prompt
from steelyard.errors import DataError
from steelyard.ledger.base import Ledger
from steelyard.schema.canon import content_hash
from steelyard.stats.base import BoolArray

REPEATS = 1 << 20
"""A trial of run r is called r * REPEATS + its number in the run."""


class Pool:
    """As `Answers`, over several runs of one ledger. Threads may share it as far as they may share the ledger."""

    def __init__(self, ledger: Ledger, runs: Sequence[str], *, reveal: bool = False) -> None:
        self._parts = [Answers(ledger, run, reveal=reveal) for run in runs]
        self.runs = tuple(p.run for p in self._parts)
        if len(set(self.runs)) < len(self.runs):
            raise DataError("a run is named twice", got=", ".join(self.runs), fix="name each run once")
        self.names, self._who = _contestants(ledger, self.runs)
        self._where: list[list[tuple[int, int]]] = []
        known: dict[str, int] = {}
        for r, part in enumerate(self._parts):
            for t in range(part.n_tasks):
                n = known.setdefault(part.identity(t), len(self._where))
                if n == len(self._where):
                    self._where.append([])
                self._where[n].append((r, t))
        self.n_tasks = len(self._where)

    def done(self) -> BoolArray:
        """Which contestant has a finished trial of which task in any run, shape (contestants, tasks)."""
        out = np.zeros((len(self.names), self.n_tasks), np.bool_)
        parts = [p.done() for p in self._parts]
        for n, places in enumerate(self._where):
            for r, t in places:
                for c, who in enumerate(self._who[r]):
                    out[who, n] |= bool(parts[r][c, t])
        return out

    def label(self, t: int) -> str:
        """`suite/id` of a task; where several tasks go by it, with the run in which this one was first."""
        r, first = self._where[self._checked(t)][0]
        name = self._parts[r].label(first)
        before = (self._parts[q].has_label(name) for q in range(r))
        return f"{name}@{self.runs[r]}" if any(before) else name

    def prompt(self, t: int) -> Prompt:
        """What the task asks."""
        r, first = self._where[self._checked(t)][0]
        return self._parts[r].prompt(first)

    def repeats(self, c: int, t: int) -> list[int]:
        """The trials of contestant `c` on task `t` that are answers, over all runs."""
        out = []
        for r, here in self._where[self._checked(t)]:
            for own in self._own(r, c):
                out += [r * REPEATS + k for k in self._parts[r].repeats(own, here)]
        return out

    def answer(self, c: int, t: int, k: int) -> Answer:
        """What is shown of a trial."""
        r, own = divmod(k, REPEATS)
        here = dict(self._where[self._checked(t)]).get(r)
        mine = self._own(r, c)
        if here is None or not mine:
            raise DataError(f"no trial of contestant {c}, task {t}, repeat {k} in these runs")
        return self._parts[r].answer(mine[0], here, own)

    def _own(self, r: int, c: int) -> list[int]:
        return [i for i, who in enumerate(self._who[r]) if who == c]

    def _checked(self, t: int) -> int:
        if not 0 <= t < self.n_tasks:
            raise DataError(f"these runs have no task {t}", wanted=f"0 to {self.n_tasks - 1}")
        return t


def _contestants(ledger: Ledger, runs: Sequence[str]) -> tuple[tuple[str, ...], list[list[int]]]:
    """Names over all runs, and for each run the number of each of its contestants."""
    found: dict[str, str] = {}  # by content
    taken: dict[str, str] = {}  # the content that goes by a name
    numbers = []
    for run in runs:
        mine = []
        for spec in ledger.plan(run).contestants:
            what = content_hash(
                msgspec.structs.replace(spec, price=None)
            )  # a new price list is no new contestant
            if what not in found:
                name = spec.name if spec.name not in taken else f"{spec.name} ({run})"
                found[what] = name
                taken[name] = what
            mine.append(list(found).index(what))
        numbers.append(mine)
    return tuple(found.values()), numbers


def answers_of(ledger: Ledger, runs: Sequence[str], *, reveal: bool = False) -> Answers | Pool:
    """The answers of one run, or of several together."""
    if len(runs) == 1:
        return Answers(ledger, runs[0], reveal=reveal)
    return Pool(ledger, runs, reveal=reveal)
