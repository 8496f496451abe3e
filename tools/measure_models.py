"""Measure a model's accuracy by family and level on freshly made public problems, at temperature 0.

As a program it prints the table of cards that are there: `measure_models.py FOLDER NAME...`.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from pathlib import Path

from steelyard.contestants.embedded.engine import Engine
from steelyard.contestants.embedded.sampler import Sampling
from steelyard.contestants.embedded.weights import load
from steelyard.scorers.choice import chosen
from steelyard.tasks.builtin.makers import FAMILIES, LEVELS, Problem, make_problem
from steelyard.tasks.builtin.makers.base import LETTERS, Family

MEASURE_SEED = 4711
STEPS = "Work step by step."
LETTER = "\nAnswer with the letter."
Table = dict[str, dict[str, dict[str, int]]]


def asked(p: Problem) -> str:
    """The problem as the shipped suites ask it."""
    return p.question + "".join(f"\n{LETTERS[i]}) {o}" for i, o in enumerate(p.choices))


def option(p: Problem, said: str) -> str:
    """The letter of the option that an answer chooses, read as the choice scorer does; empty for none."""
    at = chosen(said, list(p.choices))
    return LETTERS[at] if at >= 0 else ""


def is_right(p: Problem, said: str) -> bool:
    return option(p, said) == p.letter if p.choices else said == p.answer


def distinct(rng: random.Random, family: Family, level: int, n: int) -> list[Problem]:
    """Up to n different public problems (there are only some 90 facts a level)."""
    made: dict[str, Problem] = {}
    for _ in range(20 * n):
        p = make_problem(rng, family, level, split="public")
        made.setdefault(p.key, p)
        if len(made) == n:
            break
    return list(made.values())


def measure(
    engine: Engine,
    n: int,
    *,
    families: tuple[Family, ...] = FAMILIES,
    system: str = "",
    tail: str = "",
    seed: int = MEASURE_SEED,
) -> Table:
    """family -> level -> right, said "I don't know", n. `tail` is put below each question."""
    rng = random.Random(seed)
    out: Table = {}
    for family in families:
        out[family] = {}
        for level in LEVELS:
            problems = distinct(rng, family, level, n)
            turns = [([("system", system)] if system else []) + [("user", asked(p) + tail)] for p in problems]
            answers = engine.answer_all(turns, Sampling(max_tokens=120, temperature=0))
            said = [a.text.rsplit("Answer: ", 1)[-1].strip() for a in answers]
            right = sum(is_right(p, s) for s, p in zip(said, problems, strict=True))
            out[family][str(level)] = {
                "right": right,
                "dont_know": said.count("I don't know"),
                "n": len(said),
            }
    return out


def positions(engine: Engine, n: int, *, tail: str = "", seed: int = MEASURE_SEED) -> dict[str, int]:
    """How often each place is chosen, at temperature 0, when the right option is equally often in each."""
    rng = random.Random(seed)
    problems = [make_problem(rng, "choice", LEVELS[i % 5], split="public") for i in range(n)]
    answers = engine.answer_all(
        [[("user", asked(p) + tail)] for p in problems], Sampling(max_tokens=24, temperature=0)
    )
    seen = Counter(option(p, a.text) for p, a in zip(problems, answers, strict=True))
    return {letter: seen[letter] for letter in LETTERS} | {"n": n}


def measure_all(name: str, folder: Path, n: int) -> dict[str, object]:
    """The measured part of a card."""
    engine = Engine(load(name, folder))
    return {
        "measured_seed": MEASURE_SEED,
        "measured": measure(engine, n),
        "measured_step_by_step": measure(engine, n, families=("arithmetic",), system=STEPS),
        "measured_letter_asked": measure(engine, n, families=("choice",), tail=LETTER),
        "positions": positions(engine, 4 * n),
        "positions_letter_asked": positions(engine, 4 * n, tail=LETTER),
    }


def table(cards: list[dict]) -> str:
    """The cards as the table of docs/concepts/embedded-models.md: per cent right, level 1 to 5."""
    short = [c["name"].removeprefix("steelyard-") for c in cards]
    lines = [f"| right, % | {' | '.join(short)} |", "|---|" + "---|" * len(cards)]
    rows = [(f, [c["measured"][f] for c in cards]) for f in FAMILIES]
    rows.append(("arithmetic, step by step", [c["measured_step_by_step"]["arithmetic"] for c in cards]))
    rows.append(("choice, the letter asked for", [c["measured_letter_asked"]["choice"] for c in cards]))
    for label, found in rows:
        cells = [" ".join(f"{100 * v['right'] / v['n']:.0f}" for v in levels.values()) for levels in found]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    unsure = [
        " ".join(f"{100 * v['dont_know'] / v['n']:.0f}" for v in c["measured"]["facts"].values())
        for c in cards
    ]
    lines.append(f'| facts, "I don\'t know" | {" | ".join(unsure)} |')
    for label, key in (
        ("option chosen, A to D", "positions"),
        ("the same, the letter asked for", "positions_letter_asked"),
    ):
        cells = [" ".join(f"{100 * c[key][x] / c[key]['n']:.0f}" for x in LETTERS) for c in cards]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    folder = Path(sys.argv[1])
    print(table([json.loads((folder / f"{name}.json").read_text()) for name in sys.argv[2:]]))


if __name__ == "__main__":
    main()
