"""Start, run `true`, tear down: our sandbox beside a plain process, bubblewrap, runc and sandbox-runtime.

Caveats first. The ways are not equal: a plain process isolates nothing; bubblewrap here has namespaces and a
read-only system, no limits, no filter; runc has limits and a filter, no quota of files, and starts a Go program; the
npm sandbox-runtime starts Node each time and sets no limits. Ours is fully limited (processes, memory, CPU,
bytes, inodes), and is called from a running program: its launcher is up, and keeps one sandbox prepared while the
caller works. Rounds are interleaved, so that a busy machine hurts all. Read ratios, not milliseconds.

usage: python -m bench.sandbox [--rounds N] [--json FILE] [--srt PATH]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from bench.facts import machine
from steelyard.sandbox.base import Command
from steelyard.sandbox.box import NamespaceBox, Namespaces
from steelyard.sandbox.launch import launcher
from steelyard.sandbox.profile import Profile

TRUE = ("/usr/bin/true",)


def plain() -> None:
    subprocess.run(TRUE, check=True)


def bwrap() -> None:
    binds = ["--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"]
    argv = ["bwrap", "--unshare-all", "--die-with-parent", *binds, "--proc", "/proc", "--dev", "/dev", *TRUE]
    subprocess.run(argv, check=True)


def ours() -> None:
    assert Namespaces().once(Profile(), Command(TRUE)).ok


def runc(place: Path) -> Callable[[], None]:
    subprocess.run(["runc", "spec"], cwd=place, check=True)
    spec = json.loads((place / "config.json").read_text())
    spec["process"] |= {"terminal": False, "args": list(TRUE)}
    root = place / "rootfs"
    for name in ("usr", "proc", "dev", "sys"):
        (root / name).mkdir(parents=True)
    for name in ("lib", "lib64", "bin"):
        (root / name).symlink_to(f"usr/{name}")
    spec["root"] = {"path": str(root), "readonly": True}
    system = {"destination": "/usr", "type": "none", "source": "/usr", "options": ["rbind", "ro"]}
    spec["mounts"] = [system, *(m for m in spec["mounts"] if m["type"] != "cgroup")]
    cpu = {"quota": 100_000, "period": 100_000}
    spec["linux"]["resources"] = {"memory": {"limit": 512 << 20}, "pids": {"limit": 256}, "cpu": cpu}
    (place / "config.json").write_text(json.dumps(spec))
    count = iter(range(10**6))

    def once() -> None:
        subprocess.run(["runc", "run", "-b", str(place), f"bench-{os.getpid()}-{next(count)}"], check=True)

    return once


def timed(act: Callable[[], None]) -> float:
    start = time.perf_counter()
    act()
    return (time.perf_counter() - start) * 1e3


def throughput(workers: int, count: int) -> float:
    def one(_: int) -> None:
        ours()

    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, range(count)))
    return count / (time.perf_counter() - start)


def idle_memory(count: int = 10) -> float:
    """MB (PSS) that one more idle sandbox costs: process 1 and a sleeping program, the mean of `count`."""

    def held() -> int:
        keeper = launcher().process.pid
        total = 0
        for pid in [keeper, *_below(keeper)]:
            rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next(int(r.split()[1]) for r in rows if r.startswith("Pss:"))
        return total

    time.sleep(0.5)
    before = held()
    null = os.open(os.devnull, os.O_RDWR)
    with ExitStack() as stack:
        for _ in range(count):
            box = stack.enter_context(NamespaceBox(Profile()))
            box.spawn(Command(("sleep", "60")), [null, null, null])
        time.sleep(1)
        after = held()
    os.close(null)
    return (after - before) / 1024 / count


def _below(top: int) -> list[int]:
    found, todo = [], [top]
    while todo:
        pid = todo.pop()
        kids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        todo += map(int, kids)
        found += map(int, kids)
    return found


def cpu_ms(count: int) -> float:
    """CPU milliseconds of one sandbox, in the evaluator, the launcher and all that they start."""

    def used() -> float:
        ticks = Path(f"/proc/{launcher().process.pid}/stat").read_text().rpartition(") ")[2].split()[11:15]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK") + time.process_time()

    before = used()
    for _ in range(count):
        ours()
    return (used() - before) / count * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--srt", default=shutil.which("srt") or "")
    asked = parser.parse_args()
    print((__doc__ or "").split("\n\n")[1])
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as place:
        ways: dict[str, Callable[[], None]] = {"plain": plain, "steelyard": ours}
        if shutil.which("bwrap"):
            ways["bubblewrap"] = bwrap
        if shutil.which("runc") and os.geteuid() == 0:
            ways["runc"] = runc(Path(place))
        if asked.srt:
            ways["sandbox-runtime"] = lambda: subprocess.run([asked.srt, *TRUE], check=True) and None
        missing = [n for n in ("bubblewrap", "runc", "sandbox-runtime") if n not in ways]
        if missing:
            print("not found, hence not measured:", ", ".join(missing))
        ours()
        times: dict[str, list[float]] = {name: [] for name in ways}
        for i in range(asked.rounds):
            for name, act in ways.items():
                if name != "sandbox-runtime" or i % 5 == 0:
                    times[name].append(timed(act))
    floor = statistics.median(times["plain"])
    result: dict[str, object] = {"machine": machine(), "ways": {}}
    rows = {}
    for name, values in times.items():
        middle = statistics.median(values)
        p90 = sorted(values)[int(len(values) * 0.9)]
        p10 = sorted(values)[int(len(values) * 0.1)]  # on a busy machine, the least disturbed rounds
        rows[name] = {
            "median_ms": round(middle, 2),
            "p10_ms": round(p10, 2),
            "p90_ms": round(p90, 2),
            "times_plain": round(middle / floor, 1),
        }
        print(
            f"{name:16} median {middle:7.2f} ms  p10 {p10:7.2f}  p90 {p90:7.2f}  {middle / floor:6.1f} x plain"
        )
    result["ways"] = rows
    result["per_second"] = {str(n): round(throughput(n, 300), 1) for n in (2, 4)}
    result["cpu_ms"] = round(cpu_ms(100), 2)
    result["idle_mb"] = round(idle_memory(), 2)
    for key in ("per_second", "cpu_ms", "idle_mb"):
        print(key, result[key])
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
