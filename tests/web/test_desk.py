"""The desk: figures of large runs are made one after the other, whoever asks; nothing waits in a circle."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.ledger import Ledger, open_ledger
from steelyard.ledger.base import RunInfo
from steelyard.testing import ledgers
from steelyard.web.desk import LARGE, Desk


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    place: Path = tmp_path_factory.mktemp("desk")
    ledgers.ordinary(place, tasks=3)
    with open_ledger(str(place), create=False) as opened:
        yield opened


class Crowd:
    """Counts how many makers are at work at once."""

    def __init__(self) -> None:
        self.now = self.most = self.made = 0
        self._lock = threading.Lock()

    def make(self) -> int:
        """A figure that takes a while."""
        with self._lock:
            self.now += 1
            self.made += 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        with self._lock:
            self.now -= 1
        return self.made


def ask_at_once(desk: Desk, runs: list[RunInfo], crowd: Crowd) -> list[threading.Thread]:
    """Ten readers, each with a figure that needs another one, on two runs in both orders."""

    def read(i: int) -> None:
        one, other = (runs[0], runs[-1]) if i % 2 else (runs[-1], runs[0])
        desk.cached(one, ("outer", i % 5), lambda: desk.cached(other, ("inner", i % 3), crowd.make))

    threads = [threading.Thread(target=read, args=(i,), daemon=True) for i in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(20)
    return threads


def test_figures_of_large_runs_are_made_one_after_the_other(ledger: Ledger) -> None:
    run = replace(ledger.find("last"), n_tasks=LARGE)
    crowd = Crowd()
    threads = ask_at_once(Desk(ledger), [run], crowd)
    assert not any(t.is_alive() for t in threads)
    assert crowd.most == 1
    assert crowd.made <= 3  # each once: nobody who waited makes it again


def test_a_large_and_a_small_run_that_need_each_other_do_not_wait_in_a_circle(ledger: Ledger) -> None:
    """One reader makes a figure of the small run out of one of the large run, the other the other way round."""
    small = ledger.find("last")
    large = replace(small, run="another", n_tasks=LARGE)
    desk, met = Desk(ledger), threading.Barrier(2, timeout=10)

    def shared() -> int:
        met.wait()
        return desk.cached(large, ("of large",), lambda: 1)

    def other() -> int:
        met.wait()
        time.sleep(0.05)
        return desk.cached(small, ("shared",), lambda: 2)

    readers = [
        threading.Thread(target=desk.cached, args=(small, ("shared",), shared), daemon=True),
        threading.Thread(target=desk.cached, args=(large, ("other",), other), daemon=True),
    ]
    for t in readers:
        t.start()
    for t in readers:
        t.join(10)
    assert not any(t.is_alive() for t in readers)
