"""Votes as columns: what a ranking is made of, for a handful and for a million (as objects they are a kilobyte each).

Not covered: the checks, which take votes one by one (`arena.checks`), and the votes of an arena that is open here,
which are held anyway.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from steelyard.arena.answers import STYLE_FEATURES
from steelyard.ledger.base import Ledger
from steelyard.ledger.votes import QUARANTINE, Quarantine, counted_votes
from steelyard.schema.vote import Vote
from steelyard.stats.base import BoolArray, FloatArray, IntArray
from steelyard.stats.ratings_votes import Votes, votes_from_codes

_OUTCOME = {"left": 2, "right": 0, "tie": 1, "both_bad": 1}


@dataclass(frozen=True, slots=True, eq=False)
class Poll:
    """Votes in their order. `prompt` and `voter` are codes, 0 where a vote has none; `styles` by feature."""

    left: IntArray
    right: IntArray
    outcome: IntArray
    prompt: IntArray
    voter: IntArray
    styles: dict[str, FloatArray]
    names: tuple[str, ...]
    voters: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.left)

    def take(self, which: BoolArray) -> Poll:
        """The votes that are True."""
        return replace(
            self,
            left=self.left[which],
            right=self.right[which],
            outcome=self.outcome[which],
            prompt=self.prompt[which],
            voter=self.voter[which],
            styles={k: v[which] for k, v in self.styles.items()},
        )

    @property
    def n_voters(self) -> int:
        """How many named people voted."""
        return int(np.count_nonzero(np.bincount(self.voter, minlength=1)[1:]))

    @property
    def n_prompts(self) -> int:
        """How many prompts are named; 0 unless every vote names one."""
        if not len(self) or not self.prompt.all():
            return 0
        return int(np.count_nonzero(np.bincount(self.prompt)))

    def table(self, features: Iterable[str] = ()) -> Votes:
        """As `stats` takes them, names in order. Raises DataError for a contestant that meets itself."""
        present = np.flatnonzero(np.bincount(self.left, minlength=len(self.names)) +
                                 np.bincount(self.right, minlength=len(self.names)))  # fmt: skip
        order = sorted(present.tolist(), key=lambda i: self.names[i])
        place = np.zeros(len(self.names), np.int32)
        place[order] = np.arange(len(order))
        found = votes_from_codes(
            place[self.left], place[self.right], self.outcome, [self.names[i] for i in order]
        )
        styles = {f: self.styles[f] for f in features}
        return replace(
            found,
            prompt=self.prompt.astype(np.int32) - 1 if self.prompt.all() else None,
            voter=self.voter.astype(np.int32) - 1 if self.voter.all() else None,
            features=np.stack(list(styles.values()), axis=1) if styles else None,
            feature_names=tuple(styles),
        )


def poll_of(votes: Iterable[Vote]) -> Poll:
    """Columns of votes."""
    names, prompts, voters = _Codes(), _Codes(""), _Codes("")
    columns = [array("i") for _ in range(5)]
    styles = {f: array("d") for f in STYLE_FEATURES}
    for v in votes:
        values = (names[v.left], names[v.right], _OUTCOME[v.winner], prompts[v.prompt], voters[v.voter])
        for column, value in zip(columns, values, strict=True):
            column.append(value)
        for f, style in styles.items():
            found = v.fields.get(f)
            style.append(float(found) if isinstance(found, int | float) else 0.0)
    left, right, outcome, prompt, voter = (np.array(c, np.int64) for c in columns)
    measured = {f: np.array(s, np.float64) for f, s in styles.items()}
    return Poll(left, right, outcome, prompt, voter, measured, tuple(names.found), tuple(voters.found))


def read_poll(ledger: Ledger, key: str) -> tuple[Poll, BoolArray, Quarantine]:
    """The votes kept under `key`, which of them are in quarantine, and the decisions. Raises DataError without any."""
    decided = Quarantine()
    for row in ledger.chain(QUARANTINE, key):
        decided.feed(row)
    held = bytearray()

    def stream() -> Iterable[Vote]:
        for name, vote in counted_votes(ledger, key):
            held.append(name in decided.held)
            yield vote

    found = poll_of(stream())
    return found, np.frombuffer(bytes(held), np.bool_), decided


class _Codes:
    def __init__(self, *first: str) -> None:
        self.found = {name: i for i, name in enumerate(first)}

    def __getitem__(self, name: str) -> int:
        return self.found.setdefault(name, len(self.found))
