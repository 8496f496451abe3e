"""Which trials are to be done next: a fixed number a task, or wherever they narrow the answer most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from steelyard.runner.schedule import Bits, Permutation, derive

Cell = tuple[int, int, int]
"""(contestant, task, repeat)."""


class Source(Protocol):
    """Hands out trials to the workers of one provider."""

    async def take(self) -> Cell | None:
        """The next trial, or None when there will be no more."""
        ...

    def end(self) -> None:
        """Give no more; whoever waits for a trial gets None."""


class FixedSource:
    """`count` rounds over all cells of some contestants; what is in `finished` is left out.

    `finished` holds cell numbers c * n_tasks * count + t * count + k. Memory does not grow with trials.
    """

    def __init__(
        self, contestants: Sequence[int], n_tasks: int, count: int, seed: int, finished: Bits
    ) -> None:
        self._contestants, self._n_tasks, self._count = list(contestants), n_tasks, count
        self._seed, self._finished = seed, finished
        self._k, self._i = 0, 0
        self._order = self._round(0)

    def _round(self, k: int) -> Permutation:
        return Permutation(len(self._contestants) * self._n_tasks, derive(self._seed, "round", k))

    async def take(self) -> Cell | None:
        """The next unfinished trial in this provider's order."""
        while True:
            if self._i >= self._order.n:
                self._k, self._i = self._k + 1, 0
                if self._k < self._count:
                    self._order = self._round(self._k)
            if self._k >= self._count:
                return None
            which, t = divmod(self._order[self._i], self._n_tasks)
            self._i += 1
            c = self._contestants[which]
            if (c * self._n_tasks + t) * self._count + self._k not in self._finished:
                return c, t, self._k

    def end(self) -> None:
        """Give no more."""
        self._k, self._i = self._count, 0


class BatchSource:
    """Trials in batches that a planning function gives, each when the one before has been judged.

    `plan_batch` returns the next trials for these contestants, [] when there are none to send now but some are in
    flight whose scores may ask for more, None when nothing more will come.
    """

    def __init__(self, plan_batch: Callable[[], list[Cell] | None]) -> None:
        self._plan_batch = plan_batch
        self._batch: list[Cell] = []
        self._news = asyncio.Event()
        self._over = False

    def end(self) -> None:
        """Give no more: a stopped run's rounds may never be judged to their end."""
        self._over = True
        self._batch.clear()
        self._news.set()

    def news(self) -> None:
        """Scores came: look again."""
        self._news.set()

    async def take(self) -> Cell | None:
        """The next trial; waits for scores when the plan depends on them."""
        while not self._batch:
            if self._over:
                return None
            self._news.clear()
            batch = self._plan_batch()
            if batch is None:
                self._news.set()
                return None
            self._batch = batch[::-1]
            if not batch:
                await self._news.wait()
        return self._batch.pop()
