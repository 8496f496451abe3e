"""Planted tables for the tests of decisions."""

from __future__ import annotations

import numpy as np

from steelyard.decide.columns import from_columns
from steelyard.decide.results import Results


def planted(
    rates: dict[str, np.ndarray],
    trials: int,
    seed: int,
    *,
    family: int = 0,
    ungraded: dict[str, float] | None = None,
    cost: dict[str, float] | None = None,
    seconds: dict[str, float] | None = None,
    suite: str = "",
) -> Results:
    """Bernoulli trials of every contestant on the same tasks, trial by trial; `family` tasks share a cluster."""
    return from_columns(columns(rates, trials, seed, family=family, ungraded=ungraded, cost=cost, seconds=seconds,
                                suite=suite))  # fmt: skip


def columns(
    rates: dict[str, np.ndarray],
    trials: int,
    seed: int,
    *,
    family: int = 0,
    ungraded: dict[str, float] | None = None,
    cost: dict[str, float] | None = None,
    seconds: dict[str, float] | None = None,
    suite: str = "",
) -> dict[str, list[object]]:
    rng = np.random.default_rng(seed)
    out: dict[str, list[object]] = {k: [] for k in ("task", "contestant", "trial", "score")}
    for name in [
        n for n, on in (("cluster", family), ("cost", cost), ("seconds", seconds), ("suite", suite)) if on
    ]:
        out[name] = []
    for task in range(len(next(iter(rates.values())))):
        for name, rate in rates.items():
            for trial in range(trials):
                lost = ungraded is not None and rng.random() < ungraded.get(name, 0.0)
                out["task"].append(f"{suite}t{task}")
                out["contestant"].append(name)
                out["trial"].append(trial)
                out["score"].append(None if lost else float(rng.random() < rate[task]))
                if family:
                    out["cluster"].append(f"{suite}f{task // family}")
                if cost is not None:
                    out["cost"].append(cost[name] * rng.uniform(0.8, 1.2))
                if seconds is not None:
                    out["seconds"].append(seconds[name] * rng.exponential())
                if suite:
                    out["suite"].append(suite)
    return out
