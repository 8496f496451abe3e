"""Planted truth: results tables whose true score is known, for coverage studies.

Rates are probit: a task passes with probability `Phi((z_p + sqrt(c) u + sqrt(t) v) / sqrt(1 - c - t))`, where u is
its cluster's and v its own standard normal, so that the mean is exactly p whatever the shares c and t.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import special


@dataclass(frozen=True)
class Law:
    """`cluster` and `task` are the shares of latent variance; `sizes` tasks by cluster (empty: no clusters)."""

    p: float
    tasks: int = 20
    trials: int = 1
    task: float = 0.3
    cluster: float = 0.0
    sizes: tuple[int, ...] = ()
    unequal_trials: bool = False

    @property
    def name(self) -> str:
        groups = f", {len(self.sizes)} clusters of {min(self.sizes)}..{max(self.sizes)}" if self.sizes else ""
        k = f"1..{self.trials}" if self.unequal_trials else str(self.trials)
        shares = f"task {self.task}, cluster {self.cluster}"
        return f"p={self.p} n={sum(self.sizes) or self.tasks} K={k} ({shares}){groups}"


def unequal(clusters: int, spread: float = 4.0) -> tuple[int, ...]:
    """Cluster sizes from 1 to e^spread, evenly spaced on the log scale: 1 to 55 by default."""
    return tuple(int(x) for x in np.round(np.exp(np.linspace(0.0, spread, clusters))))


@dataclass
class Table:
    values: np.ndarray
    tasks: np.ndarray
    clusters: np.ndarray
    contestants: np.ndarray = field(default_factory=lambda: np.empty(0))


def plant(random: np.random.Generator, law: Law) -> Table:
    """One data set of one contestant."""
    cluster = np.repeat(np.arange(len(law.sizes)), law.sizes) if law.sizes else np.arange(law.tasks)
    n = cluster.size
    chances = _chances(
        random, law, law.p, random.normal(size=n), random.normal(size=cluster.max() + 1)[cluster]
    )
    k = random.integers(1, law.trials + 1, n) if law.unequal_trials else np.full(n, law.trials)
    tasks = np.repeat(np.arange(n), k)
    return Table((random.random(tasks.size) < chances[tasks]).astype(float), tasks, cluster[tasks])


def plant_pair(random: np.random.Generator, law: Law, other: float, shared: float) -> Table:
    """Two contestants, 0 at `law.p` and 1 at `other`, whose task effects correlate by `shared`."""
    cluster = np.repeat(np.arange(len(law.sizes)), law.sizes) if law.sizes else np.arange(law.tasks)
    n = cluster.size
    u = random.normal(size=cluster.max() + 1)[cluster]
    common = random.normal(size=n)
    values, tasks, who = [], [], []
    for side, p in enumerate((law.p, other)):
        own = np.sqrt(shared) * common + np.sqrt(1.0 - shared) * random.normal(size=n)
        chances = _chances(random, law, p, own, u)
        rows = np.repeat(np.arange(n), law.trials)
        values.append((random.random(rows.size) < chances[rows]).astype(float))
        tasks.append(rows)
        who.append(np.full(rows.size, side))
    rows = np.concatenate(tasks)
    return Table(np.concatenate(values), rows, cluster[rows], np.concatenate(who))


def _chances(random: np.random.Generator, law: Law, p: float, v: np.ndarray, u: np.ndarray) -> np.ndarray:
    left = 1.0 - law.cluster - law.task
    return special.ndtr((special.ndtri(p) + np.sqrt(law.cluster) * u + np.sqrt(law.task) * v) / np.sqrt(left))


@dataclass
class Tally:
    """Hits of intervals over data sets; an Unknown interval is no hit and no miss, and is counted apart."""

    hits: int = 0
    total: int = 0
    unknown: int = 0
    width: float = 0.0

    def add(self, interval: object, truth: float) -> None:
        low, high = getattr(interval, "low", None), getattr(interval, "high", None)
        if low is None or high is None:
            self.unknown += 1
            return
        self.hits += low - 1e-12 <= truth <= high + 1e-12
        self.total += 1
        self.width += high - low

    @property
    def coverage(self) -> float:
        return self.hits / max(1, self.total)

    def check(self, what: str, low: float = 0.935, high: float = 0.965) -> None:
        """Fail when the hits are beyond the 99.9 % quantile of a coverage at `low` or at `high`."""
        n = self.total
        text = (
            f"{what}: coverage {self.coverage:.4f} = {self.hits}/{n}, wanted {low}..{high},"
            f" mean width {self.width / max(1, n):.4f}, unknown {self.unknown}"
        )
        print(text)
        assert n > 0, text
        assert special.bdtr(self.hits, n, low) > 0.001, text
        assert high >= 1.0 or special.bdtrc(self.hits - 1, n, high) > 0.001, text


def attainable(n: int, p: float) -> list[float]:
    """Every coverage that an interval method can have at this n and p: runs of counts round the likeliest."""
    x = np.arange(n + 1)
    mass = np.exp(
        special.gammaln(n + 1)
        - special.gammaln(x + 1)
        - special.gammaln(n - x + 1)
        + special.xlogy(x, p)
        + special.xlog1py(n - x, -p)
    )
    mode, sums = int(mass.argmax()), np.concatenate([[0.0], np.cumsum(mass)])
    return sorted({float(sums[b + 1] - sums[a]) for a in range(mode + 1) for b in range(mode, n + 1)})
