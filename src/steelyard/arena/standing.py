"""Where the contestants of an arena stand: the ranking, and what it would be without quarantine or with style control.

Every figure is `decide.ranking`'s; here it is only said how it is called, in words that a command line repeats.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from steelyard.arena.answers import STYLE_FEATURES
from steelyard.arena.poll import Poll, poll_of
from steelyard.decide.ranking import Ranking, ranking
from steelyard.errors import DataError
from steelyard.ledger.votes import Ballots, Quarantine
from steelyard.schema.vote import Vote
from steelyard.stats.base import BoolArray
from steelyard.stats.ratings import RatingOptions
from steelyard.unknown import Unknown

FEW_VOTERS = 10
"""Below so many annotators, clusters of annotators say nothing: intervals are over prompts then, and a note says so."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A ranking (or why there is none) of `n_votes` votes of `n_voters` people; `command` prints the same.

    `notes` must be shown with it.
    """

    ranking: Ranking | Unknown
    n_votes: int
    n_voters: int
    command: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Effect:
    """What quarantine does: the same votes with those in quarantine left out (what counts) and counted."""

    without: Standing
    with_all: Standing
    n_held: int


def kept(cast: Ballots, decided: Quarantine) -> list[Vote]:
    """The votes that count."""
    return [v for k, v in cast.votes.items() if k not in decided.held]


def standing(
    key: str,
    votes: Sequence[Vote] | Poll,
    *,
    style: bool = False,
    quarantined: bool = False,
    level: float = 0.95,
) -> Standing:
    """The ranking of these votes of the chain `key`.

    Clusters: prompts and annotators, prompts alone below `FEW_VOTERS` annotators, none where prompts are not known.
    When a contestant never lost (or never won) a ridge of half a vote makes the ranking finite, and a note says so.
    """
    poll = votes if isinstance(votes, Poll) else poll_of(votes)
    voters = poll.n_voters
    words = ["steelyard", "rank", key]
    notes: list[str] = []
    if quarantined:
        words.append("--quarantined")
    if not len(poll):
        return Standing(Unknown("no votes yet"), 0, 0, shlex.join(words))
    options = RatingOptions(level=level)
    if poll.n_prompts > 1 and 0 < voters < FEW_VOTERS:
        options = replace(options, cluster="prompt")
        words += ["--cluster", "prompt"]
        people = "one person" if voters == 1 else f"{voters} people"
        notes.append(f"intervals say what {people} would vote on other prompts, not what other people would")
    if level != 0.95:
        words += ["--level", f"{level:g}"]
    features = [f for f in STYLE_FEATURES if style and f in poll.styles and poll.styles[f].any()]
    for f in features:
        words += ["--feature", f]
    if style and not features:
        notes.append("style control changes nothing: the votes carry no style features, or all are zero")
    found, ridge = _ranked(poll, options, features)
    if ridge:
        words += ["--ridge", f"{ridge:g}"]
        notes.append("somebody never lost or never won: ratings are pulled to the middle by half a vote")
    return Standing(found, len(poll), voters, shlex.join(words), tuple(notes))


def _ranked(poll: Poll, options: RatingOptions, features: Sequence[str]) -> tuple[Ranking | Unknown, float]:
    try:
        table = poll.table(features)
    except DataError as e:
        return Unknown(e.message), 0.0
    reason = ""
    for ridge in (0.0, 0.5):
        try:
            return ranking(table, replace(options, ridge=ridge)), ridge
        except DataError as e:
            reason = reason or e.message
    return Unknown(reason), 0.0


def effect_of_poll(key: str, poll: Poll, held: BoolArray, *, style: bool = False) -> Effect:
    """As `effect`, from columns."""
    one = standing(key, poll.take(~held) if held.any() else poll, style=style)
    two = standing(key, poll, style=style, quarantined=True) if held.any() else one
    return Effect(one, two, int(held.sum()))


def effect(key: str, cast: Ballots, decided: Quarantine, *, style: bool = False) -> Effect:
    """The ranking that counts, and what it would be with the votes in quarantine."""
    every = list(cast.votes.values())
    counting = kept(cast, decided)
    one = standing(key, counting, style=style)
    two = one if len(counting) == len(every) else standing(key, every, style=style, quarantined=True)
    return Effect(one, two, len(every) - len(counting))
