"""Measure a model's accuracy by family and level on freshly made public problems; greedy decoding."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from steelyard.contestants.embedded.engine import Engine
from steelyard.contestants.embedded.sampler import Sampling
from steelyard.contestants.embedded.weights import load
from steelyard.tasks.builtin.makers import FAMILIES, LEVELS, Problem, make_problem

MEASURE_SEED = 4711
Table = dict[str, dict[str, dict[str, int]]]


def asked(p: Problem) -> str:
    """The problem as the shipped suites ask it."""
    return p.question + "".join(f"\n{'ABCD'[i]}) {o}" for i, o in enumerate(p.choices))


def measure(engine: Engine, n: int, *, system: str = "", seed: int = MEASURE_SEED) -> Table:
    """family -> level -> right, said "I don't know", n."""
    rng = random.Random(seed)
    out: Table = {}
    for family in FAMILIES:
        out[family] = {}
        for level in LEVELS:
            problems = [make_problem(rng, family, level, split="public") for _ in range(n)]
            turns = [([("system", system)] if system else []) + [("user", asked(p))] for p in problems]
            answers = engine.answer_all(turns, Sampling(max_tokens=120, temperature=0))
            said = [a.text.rsplit("Answer: ", 1)[-1].strip() for a in answers]
            right = sum(s == (p.letter or p.answer) for s, p in zip(said, problems, strict=True))
            out[family][str(level)] = {"right": right, "dont_know": said.count("I don't know"), "n": n}
    return out


def show(table: Table) -> str:
    """Share right (share of "I don't know"), a row a family, a column a level."""
    lines = []
    for family, levels in table.items():
        cells = [f"{c['right'] / c['n']:.2f} ({c['dont_know'] / c['n']:.2f})" for c in levels.values()]
        lines.append(f"  {family:10s} {'  '.join(cells)}")
    return "\n".join(lines)


def main() -> None:
    folder, names, n = Path(sys.argv[1]), sys.argv[2].split(","), int(sys.argv[3])
    for name in names:
        engine = Engine(load(name, folder))
        for system in sys.argv[4:] or [""]:
            began = time.perf_counter()
            table = measure(engine, n, system=system)
            rate = 20 * n / (time.perf_counter() - began)
            print(f"{name} {system!r} {rate:.0f} answers/s\n{show(table)}")


if __name__ == "__main__":
    main()
