"""Coverage and width on one grid for ours and ppi-python, if it is installed; prints a line of JSON.

usage: python ppi_worker.py SETS   (run by bench.stats.ppi)
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

from steelyard.stats.base import Interval
from steelyard.stats.ppi import PpiOptions, ppi_mean

Ends = tuple[float, float] | None
BINARY = [(n, p, s) for n in (20, 100, 300) for p in (0.01, 0.1, 0.5, 0.99) for s in (0.7, 0.9, 0.99)]
GRADED = [(n, noise) for n in (20, 100, 300) for noise in (0.3, 1.0, 5.0)]


def binary(
    rng: np.random.Generator, n: int, p: float, skill: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y = rng.random(11 * n) < p
    f = np.where(rng.random(11 * n) < skill, y, ~y)
    return y[:n] * 1.0, f[:n] * 1.0, f[n:] * 1.0


def graded(rng: np.random.Generator, n: int, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y = rng.exponential(1.0, 11 * n)
    f = y + rng.normal(0, noise, 11 * n)
    return y[:n], f[:n], f[n:]


def ours(y: np.ndarray, f: np.ndarray, rest: np.ndarray, *, small: bool) -> Ends:
    found = ppi_mean(y, f, rest, PpiOptions(small_sample=small)).interval
    return (found.low, found.high) if isinstance(found, Interval) else None


def programs() -> tuple[dict[str, Callable[..., Ends]], str]:
    out: dict[str, Callable[..., Ends]] = {
        "ours": lambda *d: ours(*d, small=True),
        "ours, large-sample": lambda *d: ours(*d, small=False),
    }
    try:
        from ppi_py import ppi_mean_ci
    except ImportError:
        return out, ""

    def peer(y: np.ndarray, f: np.ndarray, rest: np.ndarray) -> Ends:
        low, high = ppi_mean_ci(y, f, rest, alpha=0.05)
        ends = float(np.ravel(low)[0]), float(np.ravel(high)[0])
        return ends if np.isfinite(ends).all() else None

    out["ppi-python"] = peer
    return out, importlib.metadata.version("ppi-python")


def study(sets: int, draw: Callable, truth: float, known: dict[str, Callable[..., Ends]]) -> dict[str, dict]:
    tally = {name: {"hits": 0, "width": 0.0, "given": 0, "seconds": 0.0} for name in known}
    for i in range(sets):
        data = draw(np.random.default_rng((11, i)))
        for name, run in known.items():
            began = time.perf_counter()
            ends = run(*data)
            cell = tally[name]
            cell["seconds"] += time.perf_counter() - began
            if ends is not None:
                cell["given"] += 1
                cell["hits"] += ends[0] <= truth <= ends[1]
                cell["width"] += ends[1] - ends[0]
    return {
        name: {
            "coverage": round(cell["hits"] / max(1, cell["given"]), 4),
            "width": round(cell["width"] / max(1, cell["given"]), 5),
            "unknown": sets - int(cell["given"]),
            "microseconds": round(1e6 * cell["seconds"] / sets, 1),
        }
        for name, cell in tally.items()
    }


def main() -> None:
    sets = int(sys.argv[1])
    known, version = programs()
    rows = []
    warnings.simplefilter("ignore")  # ppi-python divides by a spread of 0 when all predictions are alike
    for n, p, skill in BINARY:
        found = study(sets, lambda rng, n=n, p=p, s=skill: binary(rng, n, p, s), p, known)
        rows.append({"data": f"0/1, {n} labels, rate {p}, judge right {skill:.0%}", "programs": found})
    for n, noise in GRADED:
        found = study(sets, lambda rng, n=n, s=noise: graded(rng, n, s), 1.0, known)
        rows.append({"data": f"graded (exponential), {n} labels, judge noise {noise}", "programs": found})
    print(json.dumps({"version": version, "rows": rows}))


if __name__ == "__main__":
    main()
