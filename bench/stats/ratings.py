"""Bradley-Terry ratings from string votes: seconds, memory and error, against peers on the same votes.

usage: python -m bench stats.ratings [--peers DIR] [--quick] [--out FILE]

CAVEATS. Two shared cores are noisy: read the ratios of one run, not the seconds, and of the two ratios the one of CPU
seconds, which a busy machine disturbs less. BLAS is held to one thread for all.
Every measurement is a fresh process that makes the votes, then starts its clock with the table in memory as the user
has it (pandas string columns where the peers are found, else NumPy object arrays), imports done. arena-rank's time is
mostly JAX's compilation, which a long-lived process pays once. Point estimates of the peers have no position term, so
ours is measured both with it (the default) and without. evalica and FastChat give no standard errors in their times
below. FastChat's bootstrap is its method written anew from its description (unique matchup x outcome cells, multinomial
weights, one L-BFGS fit a replicate with both sides in one scatter, a process a core), not its code; one scatter a side
would halve its time. Errors are root mean squares against the planted
truth in Elo points; the votes hold 25 % ties, no position effect and random sides, the case that the peers assume.

`--peers DIR` is a virtual environment that nobody else uses:
    python3.11 -m venv DIR
    DIR/bin/pip install arena-rank==0.1.1 evalica==0.4.2 choix==0.4.1 ppi-python==0.2.3 pandas scikit-learn
What is not there is named and left out. The full grid takes about fifteen minutes, --quick under two.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from bench.facts import machine

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GRID = [(n, k) for k in (50, 300) for n in (100_000, 1_000_000, 10_000_000)]
POINT = ["ours", "ours_no_position", "floor", "evalica", "arena_rank", "fastchat"]
NEEDS = {"evalica": "evalica", "arena_rank": "arena_rank", "choix": "choix"}


def measure(python: str, what: str, votes: int, contestants: int) -> dict[str, object] | None:
    """One fresh process; None, with the reason on stderr, when it fails or takes over half an hour."""
    env = os.environ | {
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
        "PYTHONPATH": f"{ROOT / 'src'}",
    }
    command = [python, str(HERE / "ratings_worker.py"), what, str(votes), str(contestants)]
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=1800, check=False)
    except subprocess.TimeoutExpired:
        print(f"   {what}: over 1800 s, cut", file=sys.stderr)
        return None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        print(f"   {what}: failed: {reason}", file=sys.stderr)
        return None
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def missing(python: str) -> list[str]:
    """The peers that `python` cannot import."""
    out = []
    for name, module in NEEDS.items():
        if subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode:
            out.append(name)
    return out


def best(python: str, what: str, votes: int, contestants: int, times: int) -> dict[str, object] | None:
    """The one of `times` fresh processes with the least CPU: noise of a shared machine only ever adds."""
    found = [measure(python, what, votes, contestants) for _ in range(times)]
    known = [f for f in found if f]
    return min(known, key=lambda f: float(str(f["cpu_seconds"]))) if known else None


def table(title: str, rows: dict[str, dict[str, object] | None]) -> None:
    print(f"\n{title}")
    ours = next((row for name, row in rows.items() if name.startswith("ours") and row), None)
    for name, row in rows.items():
        if row:
            wall, cpu = (float(str(row[k])) for k in ("seconds", "cpu_seconds"))
            by = (
                [v / max(1e-9, float(str(ours[k]))) for k, v in (("seconds", wall), ("cpu_seconds", cpu))]
                if ours
                else [1.0, 1.0]
            )
            print(
                f"   {name:24} {wall:9.3f} s, {cpu:9.3f} CPU s  {by[0]:8.1f} x, {by[1]:8.1f} x ours"
                f"  peak {row['peak_gb']} GB (table {row['table_gb']})  rmse {row['rmse_elo']} Elo",
                flush=True,
            )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", default="")
    parser.add_argument("--quick", action="store_true", help="100k votes only, 100 replicates")
    parser.add_argument("--only", default="", choices=["", "point", "bootstrap"], help="one half of it")
    parser.add_argument("--out", default="", help="write the results here as JSON, beside what is there")
    options = parser.parse_args(arguments)
    print((__doc__ or "").split("`--peers")[0])
    python = str(Path(options.peers) / "bin" / "python") if options.peers else sys.executable
    absent = missing(python)
    if absent:
        print(f"peers not found, left out: {', '.join(absent)}")
    grid = [g for g in GRID if not options.quick or g[0] == 100_000] if options.only != "bootstrap" else []
    results: dict[str, object] = {}
    for votes, contestants in grid:
        wanted = [
            p for p in POINT if p not in absent and not (not options.peers and p in ("fastchat", "floor"))
        ]
        rows = {p: best(python, p, votes, contestants, 2 if votes < 10_000_000 else 1) for p in wanted}
        if (votes, contestants) == (1_000_000, 50) and "choix" not in absent:
            rows["choix"] = best(python, "choix", votes, contestants, 2)
        key = f"{votes:,} votes, {contestants} contestants"
        results[key] = rows
        table(f"{key}: point estimate, ours with sandwich errors", rows)
    if options.only != "point":
        size, replicates = (100_000, 100) if options.quick else (1_000_000, 1000)
        names = [f"{who}_bootstrap_{replicates}" for who in ("ours", "fastchat")]
        boot = {name: best(python, name, size, 50, 3) for name in names}
        results[f"bootstrap, {size:,} votes, 50 contestants"] = boot
        table(f"{replicates} bootstrap replicates, {size:,} votes, 50 contestants", boot)
    if options.out:
        out = Path(options.out)
        before = json.loads(out.read_text())["results"] if out.exists() else {}
        facts = {
            "bench": "stats.ratings",
            "machine": machine(),
            "not_found": absent,
            "results": before | results,
        }
        out.write_text(json.dumps(facts, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
