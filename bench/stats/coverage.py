"""Coverage and width of 95 % intervals on planted data, side by side with evalstats.

usage: python -m bench stats.coverage [--peers DIR] [--sets N] [--kind KIND] [--out FILE] [--table FILE]

CAVEATS. Coverage of 2,000 data sets has a standard error of 0.5 points; both sides see the same data sets. evalstats is
called through the functions that its own automatic choice leads to (Wilson on task means for repeated 0/1 scores,
logit-t for bounded ones, t for others, Bonett-Price and its shrunk multi-run form for pairs), `nested` being its
explicit over-dispersed Wilson with t. It has no clusters: there it is given rows as independent tasks, which is what
its users can do. An interval that ours leaves unknown counts as neither hit nor miss, and is shown.

`--peers DIR` is a virtual environment that nobody else uses:
    python3.11 -m venv DIR
    DIR/bin/pip install evalstats==0.3.3
Without it, ours is shown alone. The grid takes about ten minutes at 2,000 sets.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import special

from bench.facts import machine
from steelyard.stats.base import Interval
from steelyard.stats.means import mean_t
from steelyard.stats.paired import PairedOptions, paired
from steelyard.stats.rates import rate
from steelyard.stats.twolevel import two_level
from steelyard.unknown import Unknown

HERE = Path(__file__).parent
CLUSTERS = tuple(int(x) for x in np.round(np.exp(np.linspace(0.0, 3.0, 20))))


@dataclass(frozen=True)
class Case:
    """`kind` picks estimator and peer; `p` (and `other`) the truth; `n` tasks of `trials` each."""

    kind: str
    p: float
    n: int
    trials: int = 1
    other: float = 0.0
    shape: str = ""

    @property
    def name(self) -> str:
        parts = {
            "rate": f"rate {self.p}",
            "suite": f"rate {self.p}, {self.trials} trials",
            "clusters": f"rate {self.p}, {len(CLUSTERS)} clusters of 1..{max(CLUSTERS)}",
            "bounded": f"mean of {self.shape} in 0..1",
            "mean": f"mean of {self.shape}",
            "pair": f"{self.p} against {self.other}, {self.trials} trials",
            "graded pair": f"graded pair, {self.shape}",
        }
        return f"{parts[self.kind]}, n={self.n}"


GRID = [
    *(Case("rate", p, n) for n in (20, 100) for p in (0.01, 0.1, 0.5, 0.99)),
    *(Case("suite", p, n, 8) for n in (20, 100) for p in (0.01, 0.1, 0.5, 0.99)),
    *(Case("clusters", p, sum(CLUSTERS)) for p in (0.01, 0.1, 0.5)),
    *(
        Case("bounded", 0.0, n, shape=s)
        for n in (20, 100)
        for s in ("beta(2,5)", "beta(0.3,0.3)", "beta(9,1)")
    ),
    *(Case("mean", 0.0, n, shape=s) for n in (20, 100) for s in ("normal", "exponential")),
    *(
        Case("pair", a, n, k, other=b)
        for n in (20, 100)
        for k in (1, 8)
        for a, b in ((0.5, 0.5), (0.5, 0.6), (0.9, 0.99), (0.99, 0.99), (0.2, 0.8))
    ),
    *(Case("graded pair", 0.0, n, shape=s) for n in (20, 100) for s in ("close", "apart")),
]


def plant(case: Case, random: np.random.Generator, sets: int) -> tuple[np.ndarray, float]:
    """Data of all sets and the truth; shapes (sets, n), (sets, n, K) or (sets, 2, n, K)."""
    size = (sets, case.n)
    if case.kind == "rate":
        return (random.random(size) < case.p).astype(float), case.p
    if case.kind == "suite":
        return _trials(random, case.p, random.normal(size=size), case.trials), case.p
    if case.kind == "clusters":
        group = random.normal(size=(sets, len(CLUSTERS)))[:, np.repeat(np.arange(len(CLUSTERS)), CLUSTERS)]
        return _trials(random, case.p, group, 1)[:, :, 0], case.p
    if case.kind in ("bounded", "mean"):
        return _shape(case.shape, random, size)
    if case.kind == "pair":
        common = random.normal(size=size)
        sides = []
        for p in (case.p, case.other):
            own = np.sqrt(0.7) * common + np.sqrt(0.3) * random.normal(size=size)
            sides.append(_trials(random, p, own, case.trials))
        return np.stack(sides, axis=1), case.other - case.p
    level = random.beta(3, 3, size)
    step = 0.02 if case.shape == "close" else 0.15
    moved = np.clip(level * (1 - step), 0, 1)
    noise = [np.clip(x + random.uniform(-0.05, 0.05, size), 0, 1) for x in (level, moved)]
    truth = _graded_truth(step)
    return np.stack(noise, axis=1)[..., None], truth


def _graded_truth(step: float) -> float:
    """By one very large draw: clipping makes the mean difference a little less than step / 2."""
    random = np.random.default_rng(0)
    level = random.beta(3, 3, 4_000_000)
    a, b = (np.clip(x + random.uniform(-0.05, 0.05, level.size), 0, 1) for x in (level, level * (1 - step)))
    return float((b - a).mean())


def _trials(random: np.random.Generator, p: float, latent: np.ndarray, trials: int) -> np.ndarray:
    chance = special.ndtr((special.ndtri(p) + np.sqrt(0.3) * latent) / np.sqrt(0.7))
    return (random.random((*latent.shape, trials)) < chance[..., None]).astype(float)


def _shape(name: str, random: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, float]:
    if name == "normal":
        return random.normal(size=size), 0.0
    if name == "exponential":
        return random.exponential(size=size), 1.0
    a, b = (float(x) for x in name[5:-1].split(","))
    return random.beta(a, b, size), a / (a + b)


def ours(case: Case, data: np.ndarray) -> list[Interval | Unknown]:
    """Our interval of every data set."""
    out: list[Interval | Unknown] = []
    tasks = np.repeat(np.arange(case.n), case.trials)
    groups = np.repeat(np.arange(len(CLUSTERS)), CLUSTERS)
    for x in data:
        if case.kind == "rate":
            out.append(rate(x).interval)
        elif case.kind == "suite":
            out.append(two_level(x.ravel(), tasks).estimate.interval)
        elif case.kind == "clusters":
            out.append(two_level(x, tasks, clusters=groups).estimate.interval)
        elif case.kind in ("bounded", "mean"):
            out.append(mean_t(x, bounds=(0, 1) if case.kind == "bounded" else None).interval)
        else:
            both, who = np.tile(tasks, 2), np.repeat([0, 1], tasks.size)
            got = paired(x.ravel(), both, who, baseline=0, options=PairedOptions())
            out.append(got.difference.interval)
    return out


def theirs(python: str, case: Case, data: np.ndarray) -> dict[str, np.ndarray]:
    """evalstats' limits by method, each (sets, 2), from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(given, data=data)
        subprocess.run(
            [python, str(HERE / "coverage_worker.py"), case.kind, str(given), str(found)],
            check=True,
            timeout=1800,
        )
        return dict(np.load(found))


def judge(limits: np.ndarray, truth: float) -> dict[str, float]:
    known = np.isfinite(limits).all(axis=1)
    low, high = limits[known].T
    return {
        "coverage": float(np.mean((low <= truth + 1e-12) & (truth - 1e-12 <= high)))
        if known.any()
        else float("nan"),
        "width": float(np.mean(high - low)) if known.any() else float("nan"),
        "unknown": int(np.sum(~known)),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", default="")
    parser.add_argument("--sets", type=int, default=2000)
    parser.add_argument("--kind", default="", help="only cases of this kind, such as 'graded pair'")
    parser.add_argument("--out", default="", help="write the results here as JSON")
    parser.add_argument("--table", default="", help="write the table here as Markdown")
    options = parser.parse_args(arguments)
    print((__doc__ or "").split("`--peers")[0])
    python = Path(options.peers) / "bin" / "python" if options.peers else None
    if python is None or not python.exists():
        print("evalstats not found: ours alone")
        python = None
    results: dict[str, dict[str, dict[str, float]]] = {}
    rows = ["| data | method | coverage | mean width |", "|---|---|---|---|"]
    for number, case in enumerate(GRID):
        if options.kind not in ("", case.kind):
            continue
        data, truth = plant(case, np.random.default_rng((1, number)), options.sets)
        found = [(i.low, i.high) if isinstance(i, Interval) else (np.nan, np.nan) for i in ours(case, data)]
        cell = {"ours": judge(np.array(found), truth)}
        if python is not None:
            cell |= {name: judge(x, truth) for name, x in theirs(str(python), case, data).items()}
        results[case.name] = cell
        for name, x in cell.items():
            unknown = f" ({x['unknown']:.0f} unknown)" if x["unknown"] else ""
            rows.append(f"| {case.name} | {name} | {100 * x['coverage']:.1f} %{unknown} | {x['width']:.4f} |")
            print(rows[-1], flush=True)
    if options.out:
        facts = {"bench": "stats.coverage", "sets": options.sets, "machine": machine(), "results": results}
        Path(options.out).write_text(json.dumps(facts, indent=1) + "\n")
    if options.table:
        Path(options.table).write_text("\n".join(rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
