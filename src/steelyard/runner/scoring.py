"""The scorers of a plan, sorted by where they may run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast

from steelyard import scorers
from steelyard.runner.base import Prepared
from steelyard.runner.engine import SuiteScoring
from steelyard.runner.keeper import Key, ScoringBackend
from steelyard.schema.record import Record, Scored
from steelyard.schema.score import Score
from steelyard.scorers.base import Item, Judge, Scorer


class Pool(Protocol):
    """What is used of `steelyard.scorers.pool.ScoringPool`."""

    def score_batch(self, batch: list[tuple[object, str, Item]]) -> list[tuple[object, Score]]:
        """Scores in any order; what hangs or crashes is ungraded."""
        ...

    def close(self) -> None:
        """End its processes."""


def make_pool(table: Mapping[str, Scorer]) -> Pool:
    """The pool for scorers that must be bounded in time."""
    # lazy: processes and pipes are needed only by scorers that are not linear in the text
    from steelyard.scorers.pool import ScoringPool

    return ScoringPool(table)


class Scoring:
    """The scorers of a plan's suites: inline where they are linear in the text, bounded in a pool otherwise."""

    def __init__(self, ready: Prepared) -> None:
        inline: dict[str, Scorer] = {}
        bounded: dict[str, Scorer] = {}
        self.judges: dict[str, Judge] = {}
        suites = []
        for use in ready.plan.suites:
            built = scorers.build(use.scorer)
            name = f"{built.name}@{built.version}"
            if isinstance(built, Scorer):
                (inline if built.linear else bounded)[name] = built
            else:
                self.judges[name] = built
            suites.append(SuiteScoring(name, name in self.judges))
        self.suites = tuple(suites)
        self._bounded = bounded
        self._pool: Pool | None = None
        self.backend = ScoringBackend({n: s.score for n, s in inline.items()}, self._score)

    def _score(self, batch: list[tuple[object, str, Item]]) -> list[tuple[object, Score]]:
        if not batch:
            return []
        if self._pool is None:
            self._pool = make_pool(self._bounded)
        return self._pool.score_batch(batch)

    def score(self, batch: list[tuple[object, str, Item]]) -> list[Record]:
        """Score items now, wherever they may run; the records to append."""
        names = {key: name for key, name, _ in batch}
        inline = self.backend.inline
        found = [(key, inline[name](item)) for key, name, item in batch if name in inline]
        found += self._score([entry for entry in batch if entry[1] not in inline])
        return [Scored(*cast("Key", key), names[key], score) for key, score in found]

    def close(self) -> None:
        """End the pool's processes."""
        if self._pool is not None:
            self._pool.close()
