"""Pages over a million trials: what they cost the server, in CPU (the machine's other work does not count) and memory."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from bench.web.__main__ import cpu_ms, free_port, memory_mb, milliseconds, server, view_command
from bench.web.ledger import make


def costs(place: Path, paths: tuple[str, ...]) -> tuple[dict[str, float], float]:
    """CPU ms of the first request of each page by a fresh server, and the server's peak memory in MB."""
    found = {}
    port = free_port()
    with server(view_command(place, port), port, "/runs") as process:
        milliseconds(port, "/runs")  # templates and modules are loaded once, whatever the ledger holds
        for path in paths:
            before = cpu_ms(process.pid)
            _, status, _ = milliseconds(port, path)
            assert status == 200, path
            found[path] = cpu_ms(process.pid) - before
        return found, memory_mb(process.pid)


def test_pages_of_a_hundred_thousand_trials_are_cheap(tmp_path: Path) -> None:
    make(tmp_path, "large", 10, 2_000, 5)
    found, peak = costs(tmp_path, ("/runs/last", "/runs/last/grid", "/runs/last/task?t=3"))
    assert max(found.values()) < 600, found
    assert peak < 200, f"{peak} MB"


@pytest.mark.slow
def test_a_million_trials_stay_within_the_budget(tmp_path: Path) -> None:
    make(tmp_path, "million", 20, 5_000, 10)
    found, peak = costs(tmp_path, ("/runs/last", "/runs/last/grid", "/runs/last/grid?sort=disagreement"))
    assert max(found.values()) < 450, (
        found
    )  # 300 ms on a machine that does nothing else; CPU counts are coarse
    assert peak < 300, f"{peak} MB"


EVERY = ("/runs", "/runs/last", "/runs/last/grid", "/runs/last/task?t=1", "/runs/last/diff", "/runs/last/failures",
         "/runs/last/conditions", "/runs/last/pareto", "/runs/last/latency", "/runs/last/ratings", "/trend", "/arena")  # fmt: skip


def test_a_walk_through_every_page_of_many_tasks_stays_within_the_memory(tmp_path: Path) -> None:
    make(tmp_path, "wide", 4, 50_000, 1)
    found, peak = costs(tmp_path, EVERY)
    assert max(found.values()) < 3000, found
    assert peak < 250, f"{peak} MB"


def test_a_table_of_every_task_is_given_whole_and_in_pieces(tmp_path: Path) -> None:
    make(tmp_path, "wide", 2, 30_000, 1)
    port = free_port()
    with server(view_command(tmp_path, port), port, "/runs") as process:
        for path, rows in (
            ("/runs/last/grid?format=csv", 60_000),
            ("/runs/last/diff?show=all&format=csv", 30_000),
        ):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=120) as answer:
                assert sum(1 for _ in answer) == 1 + rows, path
        peak = memory_mb(process.pid)
    assert peak < 200, f"{peak} MB"


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(20, 5_000, 10), (10, 100_000, 1), (4, 250_000, 1)])
def test_a_walk_through_every_page_of_a_million_trials_stays_within_the_memory(
    tmp_path: Path, shape: tuple[int, int, int]
) -> None:
    make(tmp_path, "million", *shape)
    found, peak = costs(tmp_path, EVERY)
    assert max(found.values()) < 5000, found
    assert peak < 300, f"{peak} MB"


def test_ten_readers_at_once_do_not_multiply_the_memory(tmp_path: Path) -> None:
    make(tmp_path, "large", 10, 2_000, 5)
    port = free_port()
    program = (
        "import http.client, sys, threading\n"
        "def go():\n"
        "    for p in ('/runs/last', '/runs/last/grid', '/runs/last/task?t=1', '/runs/last/grid?sort=flips'):\n"
        "        c = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]), timeout=120)\n"
        "        c.request('GET', p); a = c.getresponse(); a.read(); assert a.status == 200\n"
        "ts = [threading.Thread(target=go) for _ in range(10)]\n"
        "[t.start() for t in ts]; [t.join() for t in ts]\n"
    )
    with server(view_command(tmp_path, port), port, "/runs") as process:
        subprocess.run(
            [sys.executable, "-c", program, str(port)], check=True, timeout=200, env=dict(os.environ)
        )
        assert memory_mb(process.pid) < 300
