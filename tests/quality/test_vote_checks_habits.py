"""Vote checks among people with habits: a taste and a favourite side of each, ties, both bad, uneven reading times.

Another model of people than `test_vote_checks`, so that neither is what the checks were made for. What is hard to find
is measured too: the guide says how much of it is found.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from steelyard.arena.checks import Suspicion, suspicions
from steelyard.ledger.votes import Ballots, Quarantine
from steelyard.schema.vote import Vote

SKILL = np.array([0.8, 0.4, 0.0, -0.4, -0.8])
WORLDS = 8
Cast = dict[str, object]


def person(rng: np.random.Generator, name: str, n: int) -> list[Cast]:
    """The votes of somebody with a side habit (sd 0.25 logits) and a taste (sd 0.5) of their own."""
    side, taste, at, out = rng.normal(0, 0.25), rng.normal(0, 0.5, 5), rng.uniform(0, 14_400), []
    for _ in range(n):
        a, b = (int(x) for x in rng.choice(5, 2, replace=False))
        length = int(rng.integers(80, 1500))
        read = 3 + length / 40 * float(rng.lognormal(0, 0.5))
        at += read + float(rng.exponential(10))
        edge = SKILL[a] + taste[a] - SKILL[b] - taste[b] + side
        draw = rng.random()
        winner = "tie" if draw < 0.1 else "both_bad" if draw < 0.18 else ""
        winner = winner or ("left" if rng.random() < 1 / (1 + math.exp(-edge)) else "right")
        out.append({"left": a, "right": b, "winner": winner, "voter": name, "at": at, "seconds": read,
                    "read": length, "prompt": int(rng.integers(10**5))})  # fmt: skip
    return out


def hasty(rng: np.random.Generator) -> list[Cast]:
    return [{**v, "seconds": float(rng.uniform(0.2, 0.8))} for v in person(rng, "bad", 20)]


def left(rng: np.random.Generator) -> list[Cast]:
    return [{**v, "winner": "left" if rng.random() < 0.95 else "right"} for v in person(rng, "bad", 30)]


def copied(rng: np.random.Generator) -> list[Cast]:
    one = person(rng, "bad", 60)
    return one + [{**v, "voter": "bad too", "at": float(str(v["at"])) + rng.uniform(60, 3000)} for v in one]


def twice(rng: np.random.Generator) -> list[Cast]:
    one = person(rng, "bad", 20)
    return one + [{**v, "at": float(str(v["at"])) + 3000} for v in one[:8]]


def world(rng: np.random.Generator, campaign: list[Cast]) -> tuple[list[Suspicion], dict[str, Vote]]:
    every = [v for n in range(16) for v in person(rng, f"honest {n}", 30)] + campaign
    found = {}
    for n, v in enumerate(sorted(every, key=lambda v: float(str(v["at"])))):
        found[str(n)] = Vote(
            f"c{v['left']}", f"c{v['right']}", v["winner"], id=str(n), prompt=f"p{v['prompt']}",  # type: ignore[arg-type] # one of the four
            voter=str(v["voter"]), at=int(1.7e18 + float(str(v["at"])) * 1e9), seconds=float(str(v["seconds"])),
            fields={"read": v["read"]},
        )  # fmt: skip
    cast = Ballots()
    cast.votes.update(found)
    return suspicions(cast, Quarantine()), found


def test_people_with_habits_are_left_alone() -> None:
    held = votes = 0
    for n in range(WORLDS):
        found, cast = world(np.random.default_rng([7, n]), [])
        held += len({i for s in found for i in s.votes})
        votes += len(cast)
    assert held <= 0.01 * votes, f"{held} of {votes} honest votes held"


@pytest.mark.parametrize(
    ("campaign", "check", "least"),
    [
        (hasty, "too_fast", 1.0),
        (copied, "copying", 0.9),
        (twice, "duplicate", 1.0),
        (left, "position_only", 0.2),
    ],
)
def test_campaigns_among_them_are_found_and_they_are_not_held_for_it(
    campaign: object, check: str, least: float
) -> None:
    hits = wrong = votes = 0
    for n in range(WORLDS):
        rng = np.random.default_rng([11, n])
        found, cast = world(rng, campaign(rng))  # type: ignore[operator] # a function above
        hits += any(s.check == check and any(v.startswith("bad") for v in s.voters) for s in found)
        wrong += sum(not cast[i].voter.startswith("bad") for s in found for i in s.votes)
        votes += len(cast)
    assert hits >= least * WORLDS, f"{check}: found in {hits} of {WORLDS} worlds"
    assert wrong <= 0.01 * votes, f"{check}: {wrong} honest votes of {votes} held"
