"""Prediction-powered means: coverage, width and seconds beside ppi-python, on the same planted data sets.

usage: python -m bench stats.ppi [--peers DIR] [--sets 2000] [--out FILE]

CAVEATS. Coverage of a stated 95 % over --sets data sets has a standard error of half a point at 2,000. Both estimate the
same mean with a tuned lambda; ours is the default (Student's t, a little of a count more in each cell of 0/1 scores) and
its large-sample form, which is ppi-python's interval. Wider is not worse where the other covers less than it states. An
interval that cannot be given (Unknown) is left out of coverage and counted. Seconds are per call, imports done, one BLAS
thread.

`--peers DIR` is a virtual environment that nobody else uses:
    python3.11 -m venv DIR
    DIR/bin/pip install ppi-python==0.2.3
Without it ppi-python's column is left out.
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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", default="")
    parser.add_argument("--sets", type=int, default=2000)
    parser.add_argument("--out", default="", help="write the results here as JSON")
    options = parser.parse_args(arguments)
    print((__doc__ or "").split("`--peers")[0])
    python = str(Path(options.peers) / "bin" / "python") if options.peers else sys.executable
    env = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    command = [python, str(HERE / "ppi_worker.py"), str(options.sets)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return 1
    found = json.loads(done.stdout.splitlines()[-1])
    if not found["version"]:
        print("peers not found, left out: ppi-python")
    print(f"{'data':52} {'program':22} {'covered':>8} {'width':>8} {'unknown':>8} {'us/call':>8}")
    for row in found["rows"]:
        for name, cell in row["programs"].items():
            print(
                f"{row['data']:52} {name:22} {cell['coverage']:8.4f} {cell['width']:8.4f}"
                f" {cell['unknown']:8d} {cell['microseconds']:8.0f}"
            )
    if options.out:
        facts = {"bench": "stats.ppi", "machine": machine(), "sets": options.sets, "results": found}
        Path(options.out).write_text(json.dumps(facts, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
