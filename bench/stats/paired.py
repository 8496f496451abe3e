"""A paired clustered comparison over 1M rows: seconds from columns to interval and p-value.

usage: python -m bench stats.paired [--rows N] [--out FILE]

CAVEATS. Two shared cores are noisy: the least of five runs is shown, wall and CPU, with a NumPy floor (three bincounts and a
subtraction on ready integer codes) measured beside it; read the ratio. The promise is under 1 s for 1M rows with
integer columns and with string columns, on a machine that is not busy. Imports are done before the clock starts.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.facts import machine
from steelyard.stats.paired import paired


def columns(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores, tasks, contestants and clusters: 10 rows a task (5 trials of each side), 20 tasks a cluster."""
    tasks = np.arange(rows) // 10
    who = np.arange(rows) % 10 // 5
    scores = (np.random.default_rng(1).random(rows) < 0.6).astype(float)
    return scores, tasks, who, tasks // 20


def least(call: Callable[[], object], times: int = 5) -> tuple[float, float]:
    """The least wall and CPU seconds of several calls."""
    wall, cpu = [], []
    for _ in range(times):
        start, busy = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - busy)
    return min(wall), min(cpu)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--out", default="", help="write the results here as JSON")
    options = parser.parse_args(arguments)
    print(__doc__)
    scores, tasks, who, clusters = columns(options.rows)
    strings = [
        [f"{name} {x}" for x in column]
        for name, column in (("task", tasks), ("side", who), ("group", clusters))
    ]

    def floor() -> None:
        sides = [np.bincount(tasks[who == s], weights=scores[who == s]) for s in (0, 1)]
        np.bincount(clusters[::10], weights=sides[1] - sides[0])

    seconds = {
        "floor": least(floor),
        "integer columns": least(lambda: paired(scores, tasks, who, baseline=0, clusters=clusters)),
        "string columns": least(
            lambda: paired(scores, strings[0], strings[1], baseline="side 0", clusters=strings[2]), 3
        ),
    }
    for name, (wall, cpu) in seconds.items():
        print(f"{name:18} {wall:7.3f} s wall {cpu:7.3f} s CPU  {cpu / seconds['floor'][1]:6.1f} x floor")
    if options.out:
        facts = {"bench": "stats.paired", "rows": options.rows, "machine": machine(), "seconds": seconds}
        Path(options.out).write_text(json.dumps(facts, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
