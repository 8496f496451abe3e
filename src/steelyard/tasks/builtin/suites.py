"""Make the shipped suites. The same version gives the same bytes on every machine."""

from __future__ import annotations

import json
import random
import uuid
from pathlib import Path

from steelyard.tasks.builtin.makers import LEVELS, Problem, make_problem
from steelyard.tasks.builtin.makers.base import Family

VERSION = 1
"""Raised with any change of a task; old versions are then only in the package's history."""
PUBLIC_A_LEVEL = 60
HELD_OUT_A_LEVEL = 20
FOLDER = Path(__file__).parent

DESCRIPTIONS: dict[Family, str] = {
    "arithmetic": "Addition, subtraction and multiplication; level n has numbers of n digits or so.",
    "strings": "Reverse, upper case, count, nth and last letter, join, remove; words of 3 to 14 letters.",
    "facts": "Closed-book facts of an invented world; level 1 is famous, 4 rare, 5 never taught.",
    "choice": "Four options: the largest number, a first or last letter, a sum, a fact.",
}
SCORERS: dict[Family, dict[str, object]] = {
    "arithmetic": {"type": "numeric"},
    "strings": {"type": "exact"},
    "facts": {"type": "exact"},
    "choice": {"type": "choice"},
}


def canary(name: str) -> str:
    """A string that stands in no other text: a model that can complete it was trained on the file."""
    return f"steelyard-canary {uuid.uuid5(uuid.NAMESPACE_URL, f'steelyard builtin {name} {VERSION}')}"


def tasks(family: Family) -> list[dict[str, object]]:
    """Rows of a suite: 60 public and 20 held-out tasks a level, fewer where a level has no more problems."""
    rng = random.Random(f"steelyard builtin {family} {VERSION}")
    rows: list[dict[str, object]] = []
    seen: set[str] = set()
    for split, wanted in (("public", PUBLIC_A_LEVEL), ("held_out", HELD_OUT_A_LEVEL)):
        for level in LEVELS:
            got = 0
            for _ in range(50 * wanted):
                made = make_problem(rng, family, level, split="public" if split == "public" else "held_out")
                if made.key in seen:
                    continue
                seen.add(made.key)
                rows.append(_row(made, len(rows) + 1, split))
                got += 1
                if got == wanted:
                    break
    return rows


def _row(made: Problem, number: int, split: str) -> dict[str, object]:
    row: dict[str, object] = {
        "id": f"{made.family}-{number:03d}",
        "input": made.question,
        "target": made.answer,
        "conditions": {"family": made.family, "difficulty": str(made.level), "kind": made.kind},
        "split": split,
    }
    if made.choices:
        row["choices"] = list(made.choices)
    if made.family == "facts":
        row["cluster"] = made.cluster
    return row


def rendered(family: Family) -> dict[str, bytes]:
    """File name -> content of a suite's two files."""
    rows = tasks(family)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    header = {
        "name": family,
        "description": f"{DESCRIPTIONS[family]} Made by Steelyard, version {VERSION}.",
        "canary": canary(family),
        "prompt": "{input}\n{choices}" if family == "choice" else "{input}",
        "scorer": SCORERS[family],
        "tasks": f"{family}.jsonl",
    }
    # JSON values are YAML: each on its line, so that no YAML writer is needed
    text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in header.items())
    return {f"{family}.yaml": text.encode(), f"{family}.jsonl": lines.encode()}


def write_all(folder: Path = FOLDER) -> None:
    """Write all suites into a folder."""
    for family in DESCRIPTIONS:
        for name, content in rendered(family).items():
            (folder / name).write_bytes(content)
