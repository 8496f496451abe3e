"""Votes as columns: what a ranking is made of, for a handful and for a million (as objects they are a kilobyte each).

Not covered: the checks, which take votes one by one (`arena.checks`), and the votes of an arena that is open here,
which are held anyway.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from steelyard.arena.answers import STYLE_FEATURES
from steelyard.ledger.base import Ledger
from steelyard.ledger.votes import QUARANTINE, Quarantine, counted_votes
from steelyard.schema.vote import Vote
from steelyard.stats.base import BoolArray, FloatArray
from steelyard.stats.ratings_votes import Votes, votes_from_codes

CHUNK = 4096
_OUTCOME = {"left": 2, "right": 0, "tie": 1, "both_bad": 1}


@dataclass(frozen=True, slots=True, eq=False)
class Poll:
    """Votes in their order. `prompt` and `voter` are codes, 0 where a vote has none; `styles` by feature, of those that
    any vote has."""

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    outcome: NDArray[np.int32]
    prompt: NDArray[np.int32]
    voter: NDArray[np.int32]
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
            prompt=self.prompt - 1 if self.prompt.all() else None,
            voter=self.voter - 1 if self.voter.all() else None,
            features=np.stack(list(styles.values()), axis=1) if styles else None,
            feature_names=tuple(styles),
        )


def poll_of(votes: Iterable[Vote]) -> Poll:
    """Columns of votes; they are taken `CHUNK` at a time, column by column, which is three times as fast."""
    names, prompts, voters = _Codes(), _Codes({"": 0}), _Codes({"": 0})
    columns = [array("i") for _ in range(5)]
    styles: dict[str, array[float]] = {}
    n, stream = 0, iter(votes)
    while chunk := list(itertools.islice(stream, CHUNK)):
        left, right, outcome, prompt, voter = columns
        left.extend(map(names.__getitem__, [v.left for v in chunk]))
        right.extend(map(names.__getitem__, [v.right for v in chunk]))
        outcome.extend(map(_OUTCOME.__getitem__, [v.winner for v in chunk]))
        prompt.extend(map(prompts.__getitem__, [v.prompt for v in chunk]))
        voter.extend(map(voters.__getitem__, [v.voter for v in chunk]))
        for i, fields in [(i, v.fields) for i, v in enumerate(chunk, n) if v.fields]:
            for f in STYLE_FEATURES:
                found = fields.get(f)
                if isinstance(found, int | float):
                    style = styles.setdefault(f, array("d"))
                    style.frombytes(bytes(8 * (i - len(style))))
                    style.append(found)
        n += len(chunk)
    one, two, came_out, asked, by = (np.frombuffer(c, np.int32) for c in columns)
    measured = {f: np.zeros(n) for f in STYLE_FEATURES if f in styles}
    for f, style in styles.items():
        measured[f][: len(style)] = style
    return Poll(one, two, came_out, asked, by, measured, tuple(names), tuple(voters))


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


class _Codes(dict[str, int]):
    """The number of each text, in the order in which they come."""

    def __missing__(self, name: str) -> int:
        self[name] = len(self)
        return self[name]
