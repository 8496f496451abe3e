"""The ledger as the pages read it: each figure made once for each state of a run, and held-out content kept back.

A cached value belongs to a chain's head: a run that goes on gets new figures when they are asked for, at most every
few times as long as they took to make, so that a page that polls cannot hold up the run or the other pages.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar, cast

from steelyard.errors import DataError, UsageError
from steelyard.ledger.base import Ledger, RunInfo
from steelyard.runner.base import Prepared, prepared
from steelyard.runner.control import ask as ask_run
from steelyard.runner.control import socket_path
from steelyard.runner.exposure import expose
from steelyard.runner.results import Results, results
from steelyard.schema.task import Task
from steelyard.web.memory import give_back

T = TypeVar("T")
_NONE = object()

LARGE = 200_000
"""Cells (tasks times contestants) from which on figures are made one after the other: each needs columns of tens of
megabytes meanwhile, and ten readers at once would need as many times that without being served any sooner."""

KEPT_SMALL = 4_000
"""Cached values of a few hundred bytes."""
KEPT = 48
"""Cached values: page models and boards, a few hundred kilobytes each at most. Not for trials or texts."""


@dataclass(slots=True)
class _Kept:
    value: object
    head: str
    made_at: float
    took: float


class Desk:
    """A ledger with a memory. Threads share it.

    `reveal` says that whoever started the server wants held-out content shown: the first time that it is shown, the
    split is marked as exposed for good. Without it `hides` is True for every held-out task. `named` is the ledger's
    place as command lines have to name it: "" when they find it without being told.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        reveal: bool = False,
        named: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ledger, self.named, self._reveal, self._clock = ledger, named, reveal, clock
        self._kept: OrderedDict[tuple[object, ...], _Kept] = OrderedDict()
        self._small: OrderedDict[tuple[object, ...], _Kept] = OrderedDict()
        self._locks: dict[tuple[object, ...], threading.Lock] = {}
        self._lock = threading.Lock()
        self._turns, self._making = threading.Lock(), threading.local()
        self._exposed: set[str] = set()
        self._open: dict[tuple[object, ...], object] = {}

    def run(self, name: str) -> RunInfo:
        """A run by id, prefix, name or `last`. Raises DataError (a 404 page)."""
        return self.ledger.find(name)

    def has(self, run: RunInfo, what: tuple[object, ...]) -> bool:
        """True when a small value of the run as it is now would be given at once."""
        with self._lock:
            kept = self._small.get((run.run, *what))
        return kept is not None and (kept.head == run.head or run.status == "running")

    def cached(
        self, run: RunInfo, what: tuple[object, ...], make: Callable[[], T], *, small: bool = False
    ) -> T:
        """`make()` once for each head of the run; `what` names the figure and its settings.

        Of a running run an older value is given for up to ten times as long as it took to make. Thousands of `small`
        values are kept.
        """
        store, most = (self._small, KEPT_SMALL) if small else (self._kept, KEPT)
        key = (run.run, *what)
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        if (value := self._good(store, key, run)) is not _NONE:
            return cast("T", value)
        with self._turn(run), lock:
            if (value := self._good(store, key, run)) is not _NONE:  # another reader was faster
                return cast("T", value)
            now = self._clock()
            value = make()
            with self._lock:
                store[key] = _Kept(value, run.head, now, self._clock() - now)
                while len(store) > most:
                    old, _ = store.popitem(last=False)
                    self._locks.pop(old, None)
            return value

    def _good(
        self, store: OrderedDict[tuple[object, ...], _Kept], key: tuple[object, ...], run: RunInfo
    ) -> object:
        """A kept value that is not too old, `_NONE` without one."""
        with self._lock:
            kept = store.get(key)
            if kept is None:
                return _NONE
            store.move_to_end(key)
        young = run.status == "running" and self._clock() - kept.made_at < 10 * kept.took
        return kept.value if kept.head == run.head or young else _NONE

    @contextmanager
    def _turn(self, run: RunInfo) -> Iterator[None]:
        """The figures of large runs are made one after the other, and give back what memory they took."""
        # who makes a figure holds its lock, and somebody whose turn it is may wait for that: no second wait
        if getattr(self._making, "inside", False):
            yield
            return
        large = run.n_tasks * len(run.contestants) >= LARGE
        with self._turns if large else nullcontext():
            self._making.inside = True
            try:
                yield
            finally:
                self._making.inside = False
                if large:
                    give_back()

    def once(self, what: tuple[object, ...], make: Callable[[], T]) -> T:
        """`make()` the first time, the same value from then on: for what follows the ledger by itself (an arena)."""
        with self._lock:
            if what not in self._open:
                self._open[what] = make()
            return cast("T", self._open[what])

    def lately(self, what: tuple[object, ...], make: Callable[[], T]) -> T:
        """`make()` once for `what`, which says everything that the value depends on; kept among the newest."""
        with self._lock:
            kept = self._kept.get(what)
        if kept is None:
            kept = _Kept(make(), "", self._clock(), 0.0)
            with self._lock:
                self._kept[what] = kept
                while len(self._kept) > KEPT:
                    old, _ = self._kept.popitem(last=False)
                    self._locks.pop(old, None)
        return cast("T", kept.value)

    def results(self, run: RunInfo, scorer: str = "") -> Results:
        """The leaderboard of a run: what `steelyard show` prints."""
        return self.cached(run, ("results", scorer), lambda: results(self.ledger, run.run, scorer))

    def ready(self, run: RunInfo) -> Prepared:
        """The plan and the suites, tasks read lazily. For one thread: a new one each time."""
        return prepared(self.ledger.plan(run.run), self.ledger.suites(run.run))

    def live(self, run: RunInfo) -> dict[str, object] | None:
        """What a running run says of itself (see `runner.control.status`); None when it does not answer."""
        if run.status != "running":
            return None
        try:
            return ask_run(socket_path(self.ledger.place, run.run), {"verb": "status"}, 1.0)
        except UsageError:
            return None

    def hides(self, run: RunInfo, task: Task) -> bool:
        """True when this task's content must not be shown. Ask before every use of a held-out task's texts.

        With `reveal` it is False, and the ledger notes that the split was looked at before anybody sees it.
        """
        return self.hides_split(run, task.split)

    def hides_split(self, run: RunInfo, split: str) -> bool:
        """As `hides`, of a task whose split is known."""
        if split != "held_out":
            return False
        if not self._reveal:
            return True
        with self._lock:
            if run.run not in self._exposed:
                versions = [u.version for u in self.ledger.plan(run.run).suites]
                expose(self.ledger, versions, at=time.time_ns(), by="steelyard view --reveal")
                self._exposed.add(run.run)
        return False

    def contestant(self, run: RunInfo, name: str) -> int:
        """The index of a contestant by name. Raises DataError."""
        if name not in run.contestants:
            raise DataError("no such contestant in this run", wanted=" | ".join(run.contestants), got=name)
        return run.contestants.index(name)
