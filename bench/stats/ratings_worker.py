"""One measurement in a fresh process: makes planted votes, times one program on them, prints a line of JSON.

usage: python ratings_worker.py WHAT VOTES CONTESTANTS   (run by bench.stats.ratings)
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

ELO = 400 / math.log(10)


def planted(votes: int, contestants: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """True logits; sides and outcome codes. A tie is half a win exactly: the mean score is expit(difference)."""
    rng = np.random.default_rng(7)
    truth = rng.normal(0, 0.8, contestants)
    share = rng.lognormal(0, 0.7, contestants)
    share /= share.sum()
    a = rng.choice(contestants, votes, p=share).astype(np.int32)
    b = rng.choice(contestants, votes, p=share).astype(np.int32)
    while (same := a == b).any():
        b[same] = rng.choice(contestants, int(same.sum()), p=share)
    p = expit(truth[a] - truth[b])
    tie = 0.25 / 0.22 * p * (1 - p)
    u = rng.random(votes)
    outcome = np.where(u < p - tie / 2, 2, np.where(u < p + tie / 2, 1, 0)).astype(np.int8)
    return truth - truth.mean(), a, b, outcome


def as_table(names: np.ndarray, a: np.ndarray, b: np.ndarray, outcome: np.ndarray) -> dict:
    words = np.array(["model_b", "tie", "model_a"], dtype=object)
    columns = {"model_a": (names, a), "model_b": (names, b), "winner": (words, outcome)}
    try:
        import pandas as pd
    except ImportError:
        return {k: labels[codes] for k, (labels, codes) in columns.items()}
    return pd.DataFrame({k: labels[codes] for k, (labels, codes) in columns.items()})


def ours(table: dict, *, position: bool = True) -> Callable:
    from steelyard.stats.ratings import RatingOptions, rate
    from steelyard.stats.ratings_votes import votes

    def run() -> dict[str, float]:
        result = rate(
            votes(table["model_a"], table["model_b"], table["winner"]), RatingOptions(position=position)
        )
        return {line.name: line.estimate.value for line in result.elo()}

    return run


def ours_bootstrap(table: dict, replicates: int) -> Callable:
    from steelyard.stats.ratings_bootstrap import bootstrap
    from steelyard.stats.ratings_votes import votes

    def run() -> dict[str, float]:
        found = bootstrap(
            votes(table["model_a"], table["model_b"], table["winner"]), replicates=replicates, seed=1
        )
        return dict(zip(found.names, ELO * found.theta.mean(axis=0), strict=True))

    return run


def cells(table: dict) -> tuple[list, np.ndarray, np.ndarray]:
    """Unique (a, b, outcome) rows and their counts, by pandas' factorisation and a sort of rows."""
    import pandas as pd

    n = len(table)
    codes, names = pd.factorize(pd.concat([table["model_a"], table["model_b"]]))
    rows = np.ones((n, 3), np.int32)
    rows[:, 0], rows[:, 1] = codes[:n], codes[n:]
    rows[table["winner"] == "model_a", 2] = 2
    rows[table["winner"] == "model_b", 2] = 0
    return list(names), *np.unique(rows, axis=0, return_counts=True)


def descend(found: np.ndarray, k: int, weight: np.ndarray) -> np.ndarray:
    """One L-BFGS fit of weighted cells, as FastChat's rating systems do: base ten, both sides in one scatter."""
    sides, y, base = found[:, :2], found[:, 2] / 2.0, math.log(10)
    sign = np.array([1.0, -1.0])

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        p = expit(base * (theta[sides] @ sign))
        gradient = np.zeros(k)
        np.add.at(gradient, sides, (base * (p - y) * weight)[:, None] * sign)
        return -float(np.sum((y * np.log(p) + (1 - y) * np.log(1 - p)) * weight)), gradient

    fit = minimize(loss, np.zeros(k), jac=True, method="L-BFGS-B", options={"maxiter": 100, "gtol": 1e-6})
    return base * fit.x


def fastchat(table: dict) -> Callable:
    def run() -> dict[str, float]:
        names, found, count = cells(table)
        return dict(zip(names, ELO * descend(found, len(names), count / count.sum()), strict=True))

    return run


def fastchat_bootstrap(table: dict, replicates: int) -> Callable:
    def run() -> dict[str, float]:
        names, found, count = cells(table)
        drawn = np.random.default_rng(0).multinomial(len(table), count / count.sum(), size=replicates)
        with multiprocessing.Pool() as pool:
            fits = pool.map(partial(descend, found, len(names)), drawn / len(table))
            pool.close()
            pool.join()  # so that the children's CPU time is counted
        return dict(zip(names, ELO * np.mean(fits, axis=0), strict=True))

    return run


def floor(table: dict) -> Callable:
    """Twenty-odd lines of pandas and NumPy: factorise, count pairs, Newton, sandwich; no checks, no position."""
    import pandas as pd

    def run() -> dict[str, float]:
        n = len(table)
        codes, names = pd.factorize(pd.concat([table["model_a"], table["model_b"]]))
        score = table["winner"].map({"model_a": 1.0, "tie": 0.5, "model_b": 0.0}).to_numpy()
        k = len(names)
        pair = codes[:n] * k + codes[n:]
        met, won = (np.bincount(pair, w, k * k).reshape(k, k) for w in (None, score))
        met, won = met + met.T, won + (met - won).T
        squares = np.bincount(pair, score**2, k * k).reshape(k, k)
        theta = np.zeros(k)
        for _ in range(20):
            p = expit(theta[:, None] - theta[None, :])
            information = met * p * (1 - p)
            hessian = np.diag(information.sum(1)) - information + 1.0
            step = np.linalg.solve(hessian, (won - met * p).sum(1))
            theta += step
            if np.abs(step).max() < 1e-9:
                break
        inverse = np.linalg.inv(hessian)
        one_way = squares - 2 * p * np.bincount(pair, score, k * k).reshape(k, k)
        meat = one_way + np.bincount(pair, None, k * k).reshape(k, k) * p**2
        meat = meat + meat.T
        np.sqrt(np.diag(inverse @ (np.diag(meat.sum(1)) - meat) @ inverse))
        return dict(zip(names, ELO * theta, strict=True))

    return run


def evalica_point(table: dict) -> Callable:
    import evalica

    words = {"model_a": evalica.Winner.X, "model_b": evalica.Winner.Y, "tie": evalica.Winner.Draw}

    def run() -> dict[str, float]:
        scores = evalica.bradley_terry(table["model_a"], table["model_b"], table["winner"].map(words)).scores
        return (ELO * np.log(scores)).to_dict()

    return run


def arena_rank_sandwich(table: dict) -> Callable:
    from arena_rank.models.bradley_terry import BradleyTerry
    from arena_rank.utils.data_utils import PairDataset

    def run() -> dict[str, float]:
        data = PairDataset.from_pandas(table)
        found = BradleyTerry(n_competitors=len(data.competitors)).compute_ratings_and_cis(data)
        return dict(zip(data.competitors, np.asarray(found["ratings"], float).tolist(), strict=True))

    return run


def choix_codes(table: dict) -> Callable:
    import choix
    import pandas as pd

    def run() -> dict[str, float]:
        n = len(table)
        codes, names = pd.factorize(pd.concat([table["model_a"], table["model_b"]]))
        k = len(names)
        score = table["winner"].map({"model_a": 1.0, "tie": 0.5, "model_b": 0.0}).to_numpy()
        won = np.bincount(codes[:n] * k + codes[n:], score, k * k).reshape(k, k)
        won += np.bincount(codes[n:] * k + codes[:n], 1 - score, k * k).reshape(k, k)
        return dict(zip(names, ELO * choix.ilsr_pairwise_dense(won), strict=True))

    return run


def program(what: str, table: dict) -> Callable:
    if "bootstrap" in what:
        name, _, replicates = what.rpartition("_")
        return {"ours_bootstrap": ours_bootstrap, "fastchat_bootstrap": fastchat_bootstrap}[name](
            table, int(replicates)
        )
    return {
        "ours": ours,
        "ours_no_position": partial(ours, position=False),
        "floor": floor,
        "fastchat": fastchat,
        "evalica": evalica_point,
        "arena_rank": arena_rank_sandwich,
        "choix": choix_codes,
    }[what](table)


def spent() -> float:
    """CPU seconds of this process and of its ended children (a pool)."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def main() -> None:
    what, votes, contestants = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    truth, a, b, outcome = planted(votes, contestants)
    names = np.array([f"organisation/model-{i:03d}-instruct" for i in range(contestants)], dtype=object)
    table = as_table(names, a, b, outcome)
    del a, b, outcome
    run = program(what, table)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, cpu = time.perf_counter(), spent()
    ratings = run()
    seconds, cpu = time.perf_counter() - began, spent() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = np.array([ratings[n] for n in names])
    error = found - found.mean() - ELO * truth
    module = {"arena_rank": "arena-rank"}.get(what, what)
    version = importlib.metadata.version(module) if module in ("arena-rank", "evalica", "choix") else ""
    print(
        json.dumps(
            {
                "seconds": round(seconds, 4),
                "cpu_seconds": round(cpu, 4),
                "peak_gb": round(peak / 2**20, 2),
                "table_gb": round(before / 2**20, 2),
                "rmse_elo": round(float(np.sqrt(np.mean(error**2))), 3),
                "version": version,
            }
        )
    )


if __name__ == "__main__":
    main()
