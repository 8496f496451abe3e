"""The pages: time on the server, first paint and memory at a million trials; beside `inspect view` on 20,000 samples.

Caveats first. One reader, on the machine that serves; a browser without a graphics card; the page cache is warm. "First"
is the first request of a server that has just started: nothing is cached but the ledger's own columns. Beside `inspect
view` the work differs: it sends the list of samples to the browser and sorts there, we send one page of it; so the time
until the first samples are readable is compared, and the memory of both sides, not bytes or features. `inspect` is found on
PATH or in $INSPECT_VIEW; without it, or without Chromium, that part says so and is left out.

usage: python -m bench.web [--trials 1000000] [--samples 20000] [--ledger FOLDER] [--out FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.facts import machine
from bench.web import inspect_log
from bench.web.ledger import make

PAGES = ("/runs", "/runs/last", "/runs/last/grid", "/runs/last/grid?sort=disagreement&dir=down", "/runs/last/task?t=17",
         "/runs/last/diff", "/runs/last/failures", "/runs/last/conditions", "/runs/last/conditions?by=size&by=kind",
         "/runs/last/pareto", "/runs/last/pareto?axis=seconds", "/runs/last/latency",
         "/runs/last/latency?by=contestant&metric=first", "/runs/last/ratings", "/runs/last/trace?c=0&t=17&k=0",
         "/runs/last/score?c=0&t=17&k=0", "/trend", "/arena")  # fmt: skip
SHAPES = {"million": (20, 200, 10), "million_of_many_tasks": (4, 4, 1)}
"""Contestants, trials a task, repeats: the same number of trials as few tasks with repeats, and as many without."""
CHROMIUM = shutil.which("chromium")


@contextlib.contextmanager
def server(command: list[str], port: int, ready: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that listens on `port`, stopped at the end."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()
            process.wait(20)


def cpu_ms(pid: int) -> float:
    """CPU that a process has used: what a page costs, whatever else the machine does."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return 1e3 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def memory_mb(pid: int) -> float:
    """Peak resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def milliseconds(port: int, path: str) -> tuple[float, int, int]:
    """(ms, status, bytes) of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    begin = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    size = len(answer.read())
    took = 1e3 * (time.perf_counter() - begin)
    connection.close()
    return took, answer.status, size


def view_command(place: Path, port: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "steelyard",
        "view",
        "--ledger",
        str(place),
        "--port",
        str(port),
        "--no-open",
    ]


def million(place: Path) -> dict[str, object]:
    """Server times of every page, first and again, and the server's peak memory."""
    port = free_port()
    found: dict[str, object] = {}
    with server(view_command(place, port), port, "/runs") as process:
        for path in PAGES:
            before = cpu_ms(process.pid)
            first, status, size = milliseconds(port, path)
            spent = cpu_ms(process.pid) - before
            if status == 404:
                continue
            again = sorted(milliseconds(port, path)[0] for _ in range(5))[2]
            found[path] = {
                "first_ms": round(first, 1),
                "first_cpu_ms": round(spent),
                "again_ms": round(again, 1),
                "status": status,
                "bytes": size,
            }
            print(f"  {path:45} {json.dumps(found[path])}", flush=True)
        if CHROMIUM:
            found["first_paint_ms"] = {
                p: painted(f"http://127.0.0.1:{port}{p}") for p in ("/runs/last", "/runs/last/grid")
            }
            print(f"  first paint {json.dumps(found['first_paint_ms'])}", flush=True)
        found["server_peak_mb"] = memory_mb(process.pid)
        print(f"  server peak {found['server_peak_mb']} MB", flush=True)
    return found


def painted(url: str) -> float:
    """First contentful paint as the browser says it, from the navigation's start."""
    return float(browse(url, "main", "")["paint_ms"])


_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"


def browse(url: str, selector: str, text: str) -> dict[str, float]:
    """Open a page: ms until `selector` holds `text`, first paint, and the page's script memory."""
    # lazy: playwright is a development dependency
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto("about:blank")
        begin = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.wait_for_function(
            "([s, t]) => [...document.querySelectorAll(s)].some(e => e.textContent.includes(t))",
            arg=[selector, text], timeout=180_000, polling=20,
        )  # fmt: skip
        ready = 1e3 * (time.perf_counter() - begin)
        # the page may be there before the browser has told of its paint
        page.wait_for_function(f"() => ({_PAINTED}) > 0", timeout=60_000, polling=20)
        paint = page.evaluate(_PAINTED)
        heap = page.evaluate("performance.memory?.usedJSHeapSize ?? 0")
        browser.close()
    return {"ready_ms": round(ready, 1), "paint_ms": round(paint, 1), "script_heap_mb": round(heap / 1e6, 1)}


def beside_inspect(folder: Path, samples: int) -> dict[str, object]:
    """The same log in both viewers, until its first samples are readable."""
    logs = folder / "logs"
    logs.mkdir()
    log = logs / "2026-11-22T00-00-00+00-00_sums_bench.eval"
    inspect_log.write(log, samples)
    found: dict[str, object] = {"samples": samples, "log_mb": round(log.stat().st_size / 1e6, 1)}
    place = folder / "imported"
    begin = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "steelyard",
        "import",
        str(log),
        "--ledger",
        str(place),
        "--name",
        "sums",
    ]
    subprocess.run(command, check=True, capture_output=True)
    found["our_import_s"] = round(time.perf_counter() - begin, 1)
    port = free_port()
    with server(view_command(place, port), port, "/runs") as process:
        ours = browse(f"http://127.0.0.1:{port}/runs/last/grid", "main th a", "1")
        found["steelyard"] = ours | {"server_peak_mb": memory_mb(process.pid)}
    print(f"  steelyard     {json.dumps(found['steelyard'])}", flush=True)
    program = os.environ.get("INSPECT_VIEW") or shutil.which("inspect")
    if program is None:
        print("  inspect: not found (set INSPECT_VIEW)")
        return found
    port = free_port()
    command = [program, "view", "start", "--log-dir", str(logs), "--port", str(port)]
    with server(command, port, "/") as process:
        time.sleep(3)  # its port answers before its pages do
        address = f"http://127.0.0.1:{port}/#/logs/{log.name}/samples"
        theirs = browse(address, "body", "Answer with the number only")
        found["inspect"] = theirs | {"server_peak_mb": memory_mb(process.pid)}
    print(f"  inspect view  {json.dumps(found['inspect'])}", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1_000_000)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--ledger", type=Path, help="made by bench.web.ledger before; else it is made here")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    given = parser.parse_args()
    print(str(__doc__).split("\n\n")[1], end="\n\n")
    found: dict[str, object] = {"machine": machine()}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name, (contestants, each, repeats) in SHAPES.items():
            if given.ledger is not None and name != "million":
                continue
            place = given.ledger or folder / name
            if given.ledger is None:
                make(place, name, contestants, max(1, given.trials // each), repeats)
            print(f"{given.trials:,} trials, {name}", flush=True)
            found[name] = million(place)
        if CHROMIUM and given.samples:
            print(f"{given.samples:,} samples", flush=True)
            found["beside_inspect"] = beside_inspect(folder, given.samples)
        elif given.samples:
            print("chromium: not found, nothing is compared")
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
