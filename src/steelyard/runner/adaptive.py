"""Repeat until the interval is narrow enough: `decide.Stopper` says which trials, this says when and resumes it.

One stopper a suite. A round of a contestant is proposed when its round before is judged to the last trial, so the
answers' time of arrival decides nothing. Rounds are a function of the plan's seed and the scores: a run that was killed
replays them from the ledger - what is recorded is fed back, what is not is done - and ends where it would have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from steelyard.decide.stopping import Stopper
from steelyard.decide.until import Progress, Until
from steelyard.ledger.taskcolumns import columns_of
from steelyard.runner.base import Prepared
from steelyard.runner.keeper import Key
from steelyard.runner.schedule import derive
from steelyard.runner.source import BatchSource, Cell
from steelyard.schema.score import Outcome, Score
from steelyard.stats.base import IntArray

Recorded = tuple[int, int, int, int, float | None]
"""(contestant, task, repeat, outcome, value)."""


class Adaptive:
    """Stoppers of all suites, and the batches that they want by provider."""

    def __init__(
        self, ready: Prepared, providers: Mapping[str, Sequence[int]], clusters: Sequence[IntArray]
    ) -> None:
        plan = ready.plan
        self._ready, self._providers = ready, providers
        rule = Until.of(plan.trials)
        self._stoppers = [
            Stopper(
                rule,
                len(plan.contestants),
                len(suite),
                clusters=clusters[s],
                seed=derive(plan.seed, "rounds", s),
            )
            for s, suite in enumerate(ready.suites)
        ]
        self._pending: dict[str, list[Cell]] = {p: [] for p in providers}
        self._known: dict[Cell, tuple[int, float | None]] = {}
        self._awaiting: set[Cell] = set()
        self._provider_of = {c: p for p, cs in providers.items() for c in cs}
        self.sources = {p: BatchSource(self._batch_for(p)) for p in providers}

    def replay(self, recorded: Iterator[Recorded], awaiting: set[Cell] | None = None) -> int:
        """Feed a resumed run's scores back, before the first batch is taken; how many trials that were.

        `awaiting` are trials that are answered but not judged: their scores will come, they are not to be sent.
        """
        self._awaiting = awaiting or set()
        self._known = {(c, t, k): (outcome, value) for c, t, k, outcome, value in recorded}
        n = len(self._known)
        self._advance()
        return n

    def _batch_for(self, provider: str) -> Callable[[], list[Cell] | None]:
        def batch() -> list[Cell] | None:
            self._advance()
            cells, self._pending[provider] = self._pending[provider], []
            if cells:
                return cells
            mine = self._providers[provider]
            over = all(s.finished(c) for s in self._stoppers for c in mine)
            return None if over else []

        return batch

    def _advance(self) -> None:
        """Open every round that can be opened; recorded scores are fed at once, which may open the next."""
        moved = True
        while moved:
            moved = False
            for s, stopper in enumerate(self._stoppers):
                proposed = stopper.propose()
                offset = self._ready.offsets[s]
                for c, i, k in zip(
                    proposed.contestant.tolist(), proposed.task.tolist(), proposed.trial.tolist(), strict=True
                ):
                    cell = (c, i + offset, k)
                    known = self._known.pop(cell, None)
                    if cell in self._awaiting:
                        self._awaiting.discard(cell)
                    elif known is None:
                        self._pending[self._provider_of[c]].append(cell)
                    else:
                        moved = True
                        self._observe(cell, *known)

    def _observe(self, cell: Cell, outcome: int, value: float | None) -> None:
        c, t, _ = cell
        s, i = self._ready.locate(t)
        self._stoppers[s].observe_one(c, i, None if outcome == Outcome.UNGRADED else value)

    def on_scores(self, scores: list[tuple[Key, Score]]) -> None:
        """Scores came in: feed them, and wake the workers that wait for the next round."""
        for (c, t, k, _a), score in scores:
            self._observe((c, t, k), int(score.outcome), score.value)
        for source in self.sources.values():
            source.news()

    def progress(self) -> list[tuple[int, Progress]]:
        """(suite, progress) of every contestant in every suite."""
        n = len(self._ready.plan.contestants)
        return [(s, stopper.progress(c)) for s, stopper in enumerate(self._stoppers) for c in range(n)]


def clusters_by_suite(ready: Prepared) -> list[IntArray]:
    """The number of every task's independent unit, suite by suite: its cluster, or itself.

    Suites that say that no task names a cluster are not read.
    """
    out = []
    for suite in ready.suites:
        units = columns_of(suite).units() if suite.header.clustered else None
        out.append(np.arange(len(suite), dtype=np.int64) if units is None else units)
    return out
