"""What the chains of an arena say beside its votes: its terms, the battles that were issued, the people."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import msgspec

from steelyard.schema.battle import ArenaOpened, BattleRow, Enrolled, Issued
from steelyard.schema.canon import canonical

_battle_row = msgspec.json.Decoder(BattleRow)
_enrolled = msgspec.json.Decoder(Enrolled)


@dataclass(slots=True)
class Battles:
    """The chain `battles`: `terms` (None before the arena was opened) and every battle by its id."""

    terms: ArenaOpened | None = None
    issued: dict[str, Issued] = field(default_factory=dict)
    latest: dict[str, str] = field(default_factory=dict)
    """Each annotator's newest battle."""
    seen: dict[str, set[tuple[str, str, int]]] = field(default_factory=lambda: defaultdict(set))
    """For each annotator the (contestant, contestant, task) it was shown, the names in order."""
    shown: dict[tuple[str, str, int], int] = field(default_factory=lambda: defaultdict(int))
    """How often each (contestant, contestant, task) was shown to anybody."""

    def feed(self, row: bytes) -> None:
        """Take the next row."""
        found = _battle_row.decode(row)
        if isinstance(found, ArenaOpened):
            self.terms = self.terms or found
            return
        self.issued[found.battle] = found
        self.latest[found.annotator] = found.battle
        first, second = sorted((found.left, found.right))
        self.seen[found.annotator].add((first, second, found.task))
        self.shown[first, second, found.task] += 1


@dataclass(slots=True)
class People:
    """The chain `annotators`: everybody who judges in this ledger, by id."""

    names: dict[str, str] = field(default_factory=dict)

    def feed(self, row: bytes) -> None:
        """Take the next row."""
        found = _enrolled.decode(row)
        self.names[found.annotator] = found.name

    def enrolled(self, annotator: str, name: str, at: int) -> list[bytes]:
        """The row that records the annotator, or a new name; none when nothing is new. A name is what the person typed:
        hostile text, at most 60 characters."""
        wanted, known = name.strip()[:60], self.names.get(annotator)
        return (
            []
            if known is not None and wanted in ("", known)
            else [canonical(Enrolled(annotator, at, wanted))]
        )
