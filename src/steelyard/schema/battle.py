"""Battles: an arena's terms, and every pair that was shown, before anybody voted on it. Rows of the chain `battles`."""

from __future__ import annotations

from msgspec import Struct


class ArenaOpened(Struct, frozen=True, omit_defaults=True, tag="opened"):
    """The terms of an arena, its first row.

    `run` is whose answers are shown, `more` further runs whose answers are pooled with them, `contestants` which of
    them (empty: all). `seed` makes every draw repeatable from the rows; `explore` is the share of draws that are
    uniform over pairs; a battle can be voted on for `expires_s`. `reveal` shows held-out tasks too: somebody decided
    so, and the split is exposed from then on.
    """

    name: str
    run: str
    at: int
    seed: int
    contestants: tuple[str, ...] = ()
    explore: float = 0.2
    expires_s: float = 3600.0
    reveal: bool = False
    more: tuple[str, ...] = ()

    @property
    def runs(self) -> tuple[str, ...]:
        """All runs, in the order in which tasks and contestants are numbered."""
        return (self.run, *self.more)


class Issued(Struct, frozen=True, omit_defaults=True, tag="issued"):
    """Two answers are about to be shown to `annotator`; what the person sees holds none of the names.

    `draw` numbers the draws of the arena: with the arena's seed it gives pair, task, repeats and sides again.
    `left` and `right` are contestants by name, `task` the index of the task in the run (or the runs'
    pool, `arena.pool`), the repeats are trials.
    `probability` is that with which this pair was drawn.
    """

    battle: str
    annotator: str
    at: int
    draw: int
    left: str
    right: str
    task: int
    left_repeat: int
    right_repeat: int
    probability: float


BattleRow = ArenaOpened | Issued


class Enrolled(Struct, frozen=True, omit_defaults=True, tag="enrolled"):
    """A person who judges: a random id, and the name that the person chose ("" for none). The newest row counts."""

    annotator: str
    at: int
    name: str = ""
