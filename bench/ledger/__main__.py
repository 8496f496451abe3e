"""The ledger against a bare journal: bytes and CPU a sample, memory over a run, leaderboard at a million trials.

Caveats first. One writer, no model, no network: what a runner adds is not here. Samples are single-turn with a small,
nearly identical completion, which compresses well; long distinct answers cost their own compressed size. Times are CPU
(user and system) of the process; the machine's disk decides how long a sync takes, so no wall time is compared. The
floor writes the same rows as JSON lines with one fdatasync a batch: it has no chain, no index and cannot be queried.

usage: python -m bench.ledger [--trials 1000000] [--postgres] [--out FILE]
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bench.facts import machine
from steelyard.ledger import Ledger, open_ledger
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.plan import Plan, SuiteUse
from steelyard.schema.record import Intent, Record, Result, Scored
from steelyard.schema.reply import Reply, Timing, Usage
from steelyard.schema.score import Outcome, Score
from steelyard.schema.task import SuiteHeader, Task
from steelyard.testing import postgres

BATCH = 64
RIGHT, WRONG = Score(Outcome.PASSED, 1.0, extracted="42"), Score(Outcome.FAILED, 0.0, extracted="41")


class Sums:
    """Tasks made when they are asked for, so that the suite itself costs no memory."""

    def __init__(self, n: int) -> None:
        self.header = SuiteHeader("sums", version="v" * 64, n_public=n)
        self.n = n

    def __len__(self) -> int:
        return self.n

    def task(self, i: int) -> Task:
        a, b = i * 7919 % 10007, i * 104729 % 10009
        return Task(f"sums-{i}", f"What is {a} + {b}? Answer with the number only.", str(a + b))


def plan(contestants: int) -> Plan:
    names = [f"model-{c}" for c in range(contestants)]
    return Plan(
        (SuiteUse("sums.jsonl", name="sums"),), tuple(ContestantSpec(n, "endpoint", model=n) for n in names)
    )


def batches(n_c: int, n_t: int) -> Iterator[tuple[list[Record], list[Record]]]:
    """(intents, results with scores) of 64 trials each; every contestant and task once, interleaved."""
    rng = random.Random(1)
    step = next(s for s in range(n_t // 3 + 1, n_t * 2) if _coprime(s, n_t))
    for first in range(0, n_c * n_t, BATCH):
        now = 1_795_000_000_000_000_000 + first * 1_000_000
        intents: list[Record] = []
        ended: list[Record] = []
        for i in range(first, min(first + BATCH, n_c * n_t)):
            c, t = i % n_c, i // n_c * step % n_t
            intents.append(Intent(c, t, 0, 0, now + i * 997, rng.getrandbits(63), 400_000))
            took = Timing(rng.randrange(10**6), rng.randrange(10**7))
            reply = Reply(
                "The answer is 42.",
                usage=Usage(21, 6),
                model="stub-1",
                response_id="chatcmpl-stub",
                timing=took,
            )
            ended.append(Result(c, t, 0, 0, now + i * 1009, "contestant", True, 12_345, reply))
            ended.append(Scored(c, t, 0, 0, "exact@1", RIGHT if rng.random() < 0.6 else WRONG))
        yield intents, ended


def _coprime(a: int, b: int) -> bool:
    while b:
        a, b = b, a % b
    return a == 1


def size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write(ledger: Ledger, n_c: int, n_t: int) -> tuple[str, float, list[float]]:
    """Write a run and close it; returns its id, CPU seconds in `append`, and those of each tenth."""
    spent = [0.0] * 10
    total, done = n_c * n_t, 0
    with ledger.create_run(plan(n_c), [Sums(n_t)]) as writer:
        for intents, ended in batches(n_c, n_t):
            before = time.process_time()
            writer.append(intents)
            writer.append(ended)
            spent[min(9, done * 10 // total)] += time.process_time() - before
            done += len(intents)
        writer.close("complete")
    return writer.run, sum(spent), spent


def floor(folder: Path, n: int) -> tuple[float, int]:
    """The same rows as JSON lines, one fdatasync a batch."""
    encode = msgspec.json.Encoder().encode
    path = folder / "journal.jsonl"
    spent = 0.0
    with path.open("wb") as out:
        for intents, ended in batches(1, n):
            before = time.process_time()
            for rows in (intents, ended):
                out.write(b"".join(encode(r) + b"\n" for r in rows))
                out.flush()
                os.fdatasync(out.fileno())
            spent += time.process_time() - before
    return spent, path.stat().st_size


def milliseconds(action: Callable[[], object], times: int = 5) -> float:
    """The median of several; the garbage collector's work is part of it."""
    took = []
    for _ in range(times):
        gc.collect()
        before = time.perf_counter()
        action()
        took.append(time.perf_counter() - before)
    return sorted(took)[times // 2] * 1e3


def per_sample(n: int = 5_000) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        base, base_size = floor(folder, n)
        ledger = open_ledger(str(folder / "ledger"))
        _, spent, _ = write(ledger, 1, n)
        ledger.close()
        return {
            "samples": n,
            "bytes_a_sample": round(size(folder / "ledger") / n, 1),
            "append_us_a_sample": round(spent / n * 1e6, 1),
            "floor_bytes_a_sample": round(base_size / n, 1),
            "floor_us_a_sample": round(base / n * 1e6, 1),
            "ratio_of_cpu_to_floor": round(spent / base, 2),
        }


def memory_of(n: int) -> dict[str, float]:
    """Run in a process of its own: peak memory of a writer of `n` samples, and first against last tenth."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = open_ledger(folder)
        before = peak_mb()
        _, _, tenths = write(ledger, 1, n)
        peak = peak_mb()
        columns = ledger.cells("last").columns
        graded = float(columns["graded"].sum())
        ledger.close()
        return {
            "samples": n,
            "start_mb": round(before, 1),
            "peak_mb": round(peak, 1),
            "with_a_leaderboard_mb": round(peak_mb(), 1),
            "last_tenth_over_first": round(tenths[-1] / tenths[0], 2),
            "graded": graded,
        }


def leaderboard(ledger: Ledger, reopen: Callable[[], Ledger], n_c: int, n_t: int) -> dict[str, float]:
    """Queries of a closed run of n_c x n_t trials, from a connection that has not seen it."""
    run, spent, _ = write(ledger, n_c, n_t)
    ledger.close()
    wanted = (
        "graded",
        "value_sum",
        "value_sq",
        "ungraded",
        "cost_pusd",
        "unpriced",
        "input_tokens",
        "output_tokens",
        "seconds",
    )

    def board() -> float:
        fresh = reopen()
        columns = fresh.cells(run).columns
        total = sum(float(columns[name].sum()) for name in wanted)
        fresh.close()
        return total

    def everything() -> None:
        fresh = reopen()
        for column in fresh.cells(run).columns.values():
            column.sum()
        fresh.close()

    board()  # NumPy is imported once
    found = {
        "trials": n_c * n_t,
        "append_us_a_sample": round(spent / (n_c * n_t) * 1e6, 1),
        "leaderboard_ms": round(milliseconds(board), 1),
        "all_22_columns_ms": round(milliseconds(everything), 1),
    }
    fresh = reopen()
    found["one_trial_ms"] = round(milliseconds(lambda: list(fresh.trials(run, {"c": 0, "t": n_t // 2}))), 1)
    before = time.perf_counter()
    report = fresh.verify(run)
    took = time.perf_counter() - before
    found["verify_rows_a_second"] = round(report.n_records / took)
    found["problems"] = len(report.problems)
    fresh.close()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1_000_000, help="of the leaderboard")
    parser.add_argument("--postgres", action="store_true", help="the leaderboard on PostgreSQL too")
    parser.add_argument("--memory-of", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    given = parser.parse_args()
    if given.memory_of:
        print(json.dumps(memory_of(given.memory_of)))
        return 0
    print(str(__doc__).split("\n\n")[1], end="\n\n")
    found: dict[str, object] = {"machine": machine(), "per_sample": per_sample()}
    print(json.dumps(found["per_sample"]), flush=True)
    memory = []
    for n in (5_000, 20_000, 200_000):
        command = [sys.executable, "-m", "bench.ledger", "--memory-of", str(n)]
        memory.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        print(json.dumps(memory[-1]), flush=True)
    found["memory"] = memory
    n_c = 10
    with tempfile.TemporaryDirectory() as folder:
        found["sqlite"] = leaderboard(
            open_ledger(folder), lambda: open_ledger(folder), n_c, given.trials // n_c
        )
        print("sqlite", json.dumps(found["sqlite"]), flush=True)
    programs = postgres.find_programs()
    if given.postgres and programs is not None:
        with postgres.server(programs) as address:
            place = address.format("postgres")
            found["postgres"] = leaderboard(
                open_ledger(place), lambda: open_ledger(place), n_c, given.trials // n_c
            )
            print("postgres", json.dumps(found["postgres"]), flush=True)
    elif given.postgres:
        print("postgres: no server here (apt-get install postgresql)")
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
