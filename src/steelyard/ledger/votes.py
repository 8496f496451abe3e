"""The votes of a chain and which of them count: one a battle, those in quarantine apart. Nothing is judged here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from steelyard.errors import DataError
from steelyard.ledger.base import Ledger
from steelyard.schema.vote import Decision, Quarantined, Vote

VOTES, QUARANTINE = "votes", "quarantine"
"""Kinds of the two chains; both have the name of the arena (or of the imported table) as their key."""

_vote = msgspec.json.Decoder(Vote)
_decision: msgspec.json.Decoder[Decision] = msgspec.json.Decoder(Decision)


@dataclass(slots=True)
class Ballots:
    """The chain of votes. Of several signed rows for one battle the first counts; imported rows all count."""

    votes: dict[str, Vote] = field(default_factory=dict)
    again: int = 0
    by_voter: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def feed(self, row: bytes) -> None:
        """Take the next row."""
        vote = _vote.decode(row)
        key = vote.id
        if vote.signature and key in self.votes:
            self.again += 1
            return
        if not key or key in self.votes:
            key = f"{key}#{len(self.votes)}"
        self.votes[key] = vote
        self.by_voter[vote.voter] += 1


@dataclass(slots=True)
class Quarantine:
    """The chain of decisions: which votes do not count now, and why. A later decision on a vote replaces an earlier."""

    held: dict[str, Quarantined] = field(default_factory=dict)
    released_by_people: set[str] = field(default_factory=set)
    decisions: list[Decision] = field(default_factory=list)

    def feed(self, row: bytes) -> None:
        """Take the next row."""
        found = _decision.decode(row)
        self.decisions.append(found)
        for vote in found.votes:
            if isinstance(found, Quarantined):
                self.held[vote] = found
            else:
                self.held.pop(vote, None)
                if not found.by.startswith("check:"):
                    self.released_by_people.add(vote)


def counted_votes(ledger: Ledger, key: str) -> Iterator[tuple[str, Vote]]:
    """(id, vote) of every vote under `key` that `Ballots` keeps, one after the other: none of them is held.

    Raises DataError when there are no such votes.
    """
    seen: set[str] = set()
    n = 0
    for row in ledger.chain(VOTES, key):
        vote = _vote.decode(row)
        name = vote.id
        if vote.signature and name in seen:
            continue
        if not name or name in seen:
            name = f"{name}#{n}"
        if vote.id:
            seen.add(name)
        n += 1
        yield name, vote
    if not n:
        _refuse_absent(ledger, key)


def _refuse_absent(ledger: Ledger, key: str) -> None:
    if not any(c.key == key for c in ledger.chains(VOTES)):
        known = ", ".join(c.key for c in ledger.chains(VOTES))
        raise DataError(f"no votes are kept under {key!r}", where=ledger.place, wanted=known or "votes")


def ballots(ledger: Ledger, key: str) -> tuple[Ballots, Quarantine]:
    """Votes and decisions kept under `key`. Raises DataError when there are no such votes."""
    cast, decided = Ballots(), Quarantine()
    for row in ledger.chain(VOTES, key):
        cast.feed(row)
    if not cast.votes:
        _refuse_absent(ledger, key)
    for row in ledger.chain(QUARANTINE, key):
        decided.feed(row)
    return cast, decided
