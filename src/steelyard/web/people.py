"""Arenas and queues as the pages use them: opened once, and who the person before the browser is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from steelyard.arena.battles import Arena
from steelyard.arena.keys import Keys, key_path, load_keys
from steelyard.arena.queue import ANNOTATIONS, Queue
from steelyard.errors import UsageError
from steelyard.ledger.base import Ledger
from steelyard.web.ask import Ask
from steelyard.web.desk import Desk


def keys(desk: Desk) -> Keys:
    """The key of this ledger's votes; made when it is first needed."""
    return desk.once(("votes", "keys"), lambda: load_keys(key_path(desk.ledger.place, Path.home())))


def judged(ledger: Ledger, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(kind, name) of the arenas and queues with these names. Raises UsageError for a name that none has."""
    kinds = {"arena": "battles", "queue": ANNOTATIONS}
    there = {kind: {c.key for c in ledger.chains(chain)} for kind, chain in kinds.items()}
    found = [(kind, name) for name in dict.fromkeys(names) for kind in kinds if name in there[kind]]
    for name in names:
        if not any(name == n for _, n in found):
            raise UsageError(
                f"--only {name}: no arena and no queue goes by that name",
                wanted=", ".join(sorted(set().union(*there.values()))) or "one; none is open",
                fix="steelyard arena open NAME, or steelyard annotate open NAME",
            )
    return tuple(found)


def me(desk: Desk, ask: Ask) -> str:
    """The annotator that this browser is."""
    return keys(desk).annotator(ask.session)


def arena(desk: Desk, name: str) -> Arena:
    """An arena by name, up to date. Raises DataError (a 404 page)."""
    key = keys(desk)
    found = desk.once(("votes", "arena", name), lambda: Arena(desk.ledger, name, key))
    found.follow()
    return found


def queue(desk: Desk, name: str) -> Queue:
    """A queue by name, up to date. Raises DataError (a 404 page)."""
    key = keys(desk)
    found = desk.once(("votes", "queue", name), lambda: Queue(desk.ledger, name, key))
    found.follow()
    return found
