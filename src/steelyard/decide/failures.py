"""Failed trials in groups: what broke outside the contestant apart from what the contestant got wrong.

Grouping by what was said, not by meaning: texts that differ only in numbers, quoted parts, paths and case are one
group. Gives counts of what it was shown, no rates: whoever shows a sample says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Side = Literal["infrastructure", "model"]
WIDTH = 90


@dataclass(frozen=True, slots=True)
class Failure:
    """A trial that did not pass. `who` is the contestant's name, `kind` a short cause (`wrong answer`, `http_503`).

    `says` is what tells failures of one kind apart: an explanation, an error, the beginning of an answer.
    `conditions` are the task's.
    """

    side: Side
    kind: str
    who: str
    says: str
    cell: tuple[int, int, int]
    conditions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Failures of one kind that say the same. `examples` are (contestant, task, trial) of the first few.

    `typical` are conditions that most of the group share, with their share in it and among all failures of its side.
    """

    side: Side
    kind: str
    says: str
    count: int
    by_contestant: tuple[tuple[str, int], ...]
    typical: tuple[tuple[str, str, float, float], ...]
    examples: tuple[tuple[int, int, int], ...]
    varied: bool = False
    """True when `says` is one of several texts of the group."""


def signature(text: str) -> str:
    """A text without what changes from trial to trial."""
    first = " ".join(text.split())[:400].lower()
    first = re.sub(r"[\"'`“”‘’][^\"'`“”‘’]{0,80}[\"'`“”‘’]", "…", first)
    first = re.sub(r"\b0x[0-9a-f]+\b|\b[0-9a-f]{8,}\b|[-+]?\d[\d.,:/_%-]*", "0", first)
    first = re.sub(r"(?:/[\w.-]+){2,}", "/…", first)
    return first[:WIDTH]


def groups(failures: Iterable[Failure], *, examples: int = 4) -> tuple[Group, ...]:
    """Groups, the largest first within each side; infrastructure before model."""
    found: dict[tuple[Side, str, str], list[Failure]] = {}
    sides: dict[Side, Counter[tuple[str, str]]] = {"infrastructure": Counter(), "model": Counter()}
    totals: Counter[Side] = Counter()
    for f in failures:
        found.setdefault((f.side, f.kind, signature(f.says)), []).append(f)
        sides[f.side].update(f.conditions)
        totals[f.side] += 1
    out = []
    for (side, kind, _), members in found.items():
        who = Counter(f.who for f in members)
        out.append(
            Group(
                side,
                kind,
                members[0].says[:400],
                len(members),
                tuple(who.most_common()),
                _typical(members, sides[side], totals[side]),
                _spread(members, examples),
                any(f.says != members[0].says for f in members),
            )
        )
    return tuple(sorted(out, key=lambda g: (g.side, -g.count, g.kind, g.says)))


def _typical(
    members: list[Failure], every: Counter[tuple[str, str]], total: int
) -> tuple[tuple[str, str, float, float], ...]:
    """Conditions of at least 60 % of a group of five or more that are at least 1.3 times as common as on its side."""
    if len(members) < 5:
        return ()
    own = Counter(c for f in members for c in f.conditions)
    shares = [(n, v, k / len(members), every[n, v] / total) for (n, v), k in own.items()]
    return tuple(s for s in sorted(shares, key=lambda s: -s[2]) if s[2] >= 0.6 and s[2] >= 1.3 * s[3])[:3]


def _spread(members: list[Failure], most: int) -> tuple[tuple[int, int, int], ...]:
    """The first failure of each contestant in turn, then the next ones."""
    by_who: dict[str, list[Failure]] = {}
    for f in members:
        by_who.setdefault(f.who, []).append(f)
    found: list[tuple[int, int, int]] = []
    depth = 0
    while len(found) < most and any(depth < len(fs) for fs in by_who.values()):
        found += [fs[depth].cell for fs in by_who.values() if depth < len(fs)]
        depth += 1
    return tuple(found[:most])
