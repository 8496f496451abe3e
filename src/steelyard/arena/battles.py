"""An arena: issue blind battles, take votes, reveal after the vote is durable.

Not covered: rating (`stats`), showing (`web`), and who may come in (the door). Chains: `battles/NAME` holds the terms
and every battle before it is shown, `votes/NAME` the votes, `quarantine/NAME` what is done with doubtful ones.
A battle belongs to one annotator and takes one vote; sending it again, from another tab too, changes nothing and
returns the first vote.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from steelyard.arena.answers import Answers, same, style
from steelyard.arena.base import Answer, Battle, NoBattle, Refused, Voted, checked_name
from steelyard.arena.checks import check_into, due
from steelyard.arena.draw import Past, Table, VoteCodes, common_tasks, draw
from steelyard.arena.journal import Journal
from steelyard.arena.keys import Keys
from steelyard.arena.pool import Pool, answers_of
from steelyard.arena.state import Battles, People
from steelyard.errors import DataError
from steelyard.ledger.base import Ledger
from steelyard.ledger.votes import QUARANTINE, VOTES, Ballots, Quarantine
from steelyard.schema.battle import ArenaOpened, Issued
from steelyard.schema.canon import canonical
from steelyard.schema.message import text_of
from steelyard.schema.vote import Vote, Winner
from steelyard.stats.vote_checks import CheckOptions

CHOICES: dict[str, Winner] = {"left": "left", "right": "right", "tie": "tie", "both_bad": "both_bad"}
Clock = Callable[[], int]
MOST_REPEATS = 8
"""Repeats of a task from which a battle's are drawn: each is read."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How to open an arena; see `ArenaOpened`."""

    contestants: tuple[str, ...] = ()
    explore: float = 0.2
    expires_s: float = 3600.0
    reveal: bool = False
    seed: int | None = None


def open_arena(
    ledger: Ledger, name: str, run: str | Sequence[str], terms: Terms, clock: Clock = time.time_ns
) -> ArenaOpened:
    """Open an arena over the answers of a run, or of several together.

    Raises DataError for a name that is taken, or when no task has answers of two contestants.
    """
    checked_name(name, "arena")
    answers = answers_of(ledger, [run] if isinstance(run, str) else list(run), reveal=terms.reveal)
    where = f"run {' and '.join(answers.runs)}"
    names = _contestants(answers, terms.contestants)
    if not 0.0 < terms.explore <= 1.0:
        raise DataError("explore: out of range", wanted="above 0, up to 1", got=str(terms.explore))
    if not 10.0 <= terms.expires_s <= 30 * 86400:
        raise DataError("expires_s: out of range", wanted="10 seconds to 30 days", got=str(terms.expires_s))
    done = answers.done()[[answers.names.index(n) for n in names]]
    if not (done.sum(axis=0) >= 2).any():
        raise DataError(
            "no task has answers of two contestants",
            where=where,
            wanted="a task that two contestants did, in the public split",
            fix="run more, name runs over the same prompts, or decide to show held-out tasks (--reveal)",
        )
    seed = secrets.randbits(48) if terms.seed is None else terms.seed
    first, *more = answers.runs
    row = ArenaOpened(
        name, first, clock(), seed, names, terms.explore, terms.expires_s, terms.reveal, tuple(more)
    )
    state = Battles()
    journal = Journal(ledger, "battles", name, state)
    taken = any(c.key == name for c in ledger.chains("votes"))
    try:
        if taken or not journal.commit(lambda: [] if state.terms else [canonical(row)]):
            raise DataError(f"there is an arena (or votes) called {name!r} already", fix="give another name")
    finally:
        journal.close()
    ledger.open_chain("votes", name).close()
    return row


def _contestants(answers: Answers | Pool, wanted: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [n for n in wanted if n not in answers.names]
    if unknown:
        raise DataError("no such contestant in this run", wanted=" | ".join(answers.names), got=unknown[0])
    names = tuple(dict.fromkeys(wanted)) or answers.names
    if len(names) < 2:
        where = f"run {' and '.join(answers.runs)}"
        raise DataError("an arena needs two contestants", where=where, got=" | ".join(names))
    return names


class Arena:
    """One arena of a ledger. Threads and processes may share it: the ledger puts their rows in order."""

    def __init__(self, ledger: Ledger, name: str, keys: Keys, clock: Clock = time.time_ns) -> None:
        self.name, self.keys = name, keys
        self._ledger, self._clock = ledger, clock
        self.battles, self.ballots, self.quarantine, self.people = (
            Battles(),
            Ballots(),
            Quarantine(),
            People(),
        )
        self._issuing = Journal(ledger, "battles", name, self.battles)
        self.voting = Journal(ledger, VOTES, name, self.ballots)
        self.deciding = Journal(ledger, QUARANTINE, name, self.quarantine)
        self._enrolling = Journal(ledger, "annotators", "people", self.people)
        self._issuing.follow()
        if self.battles.terms is None:
            names = ", ".join(c.key for c in ledger.chains("battles"))
            raise DataError(
                f"no arena {name!r}", where=ledger.place, wanted=names or "an arena; none is open"
            )
        self.terms = self.battles.terms
        self.answers = answers_of(ledger, self.terms.runs, reveal=self.terms.reveal)
        self.names = self.terms.contestants
        self._place = [self.answers.names.index(n) for n in self.names]
        self._number = {n: i for i, n in enumerate(self.names)}
        self._votes = VoteCodes(self.names)
        self._done = self.answers.done()[self._place]
        self._common = common_tasks(self._done)
        self._useless: set[tuple[int, int, int]] = set()

    def follow(self) -> None:
        """Take in what others wrote."""
        for journal in (self._issuing, self.voting, self.deciding, self._enrolling):
            journal.follow()

    def close(self) -> None:
        """Close the writers' connections."""
        for journal in (self._issuing, self.voting, self.deciding, self._enrolling):
            journal.close()

    def enrol(self, annotator: str, name: str = "") -> None:
        """Record the annotator, or a new name (what the person typed, up to 60 characters)."""
        self._enrolling.commit(lambda: self.people.enrolled(annotator, name, self._clock()))

    def battle(self, annotator: str, *, skip: str = "") -> Battle | NoBattle:
        """The battle that this annotator has open, or a new one, recorded before it is returned.

        `skip` names an open battle that the person passes on: another one is drawn. That is all that a skip is: a
        battle that was handed out and has no vote; going back to it and voting is possible until it expires.
        """
        with self._issuing.lock:
            self.follow()
            self.enrol(annotator)
            made: list[Issued] = []

            def decide() -> list[bytes]:
                made.clear()
                open_one = self._open(annotator)
                if open_one is not None and open_one.battle != skip:
                    made.append(open_one)
                    return []
                drawn = self._draw(annotator)
                if drawn is None:
                    return []
                made.append(drawn)
                return [canonical(drawn)]

            self._issuing.commit(decide)
        return self._shown(made[0]) if made else NoBattle(self._why_none(annotator))

    def _open(self, annotator: str) -> Issued | None:
        latest = self.battles.issued.get(self.battles.latest.get(annotator, ""))
        if latest is None or latest.battle in self.ballots.votes or self._expires(latest) <= self._clock():
            return None
        return latest

    def _expires(self, issued: Issued) -> int:
        return issued.at + int(self.terms.expires_s * 1e9)

    def _draw(self, annotator: str) -> Issued | None:
        number = len(self.battles.issued)
        rng = np.random.default_rng([self.terms.seed, number])
        seen = {self._codes(s) for s in self.battles.seen.get(annotator, ())} | self._useless
        table = Table(self._done, self._common, self._times_shown)
        found = draw(rng, self._past(), table, seen, self._usable, self.terms.explore)
        if found is None:
            return None
        pairs = self._differing(found.left, found.right, found.task)
        repeats = pairs[int(rng.integers(len(pairs)))]
        return Issued(
            battle=secrets.token_urlsafe(12),
            annotator=annotator,
            at=self._clock(),
            draw=number,
            left=self.names[found.left],
            right=self.names[found.right],
            task=found.task,
            left_repeat=repeats[0],
            right_repeat=repeats[1],
            probability=found.probability,
        )

    def _codes(self, names: tuple[str, str, int]) -> tuple[int, int, int]:
        i, j = sorted((self._number[names[0]], self._number[names[1]]))
        return i, j, names[2]

    def _times_shown(self, i: int, j: int, t: int) -> int:
        first, second = sorted((self.names[i], self.names[j]))
        return self.battles.shown.get((first, second, t), 0)

    def _past(self) -> Past:
        now = self._clock()
        newest = (self.battles.issued[b] for b in self.battles.latest.values())
        pending = [
            (i.left, i.right) for i in newest if i.battle not in self.ballots.votes and self._expires(i) > now
        ]
        with self.voting.lock, self.deciding.lock:
            return self._votes.past(self.ballots.votes, self.quarantine.held, pending)

    def _usable(self, i: int, j: int, t: int) -> bool:
        good = bool(self._differing(i, j, t))
        if not good:
            self._useless.add((i, j, t))
        return good

    def _differing(self, i: int, j: int, t: int) -> list[tuple[int, int]]:
        """Repeats of the two contestants on a task whose answers differ, the first `MOST_REPEATS` of each."""
        ones, others = (
            [(k, self.answers.answer(c, t, k)) for k in self.answers.repeats(c, t)[:MOST_REPEATS]]
            for c in (self._place[i], self._place[j])
        )
        return [(k, m) for k, one in ones for m, other in others if not same(one, other)]

    def _shown(self, issued: Issued) -> Battle:
        left, right = self.sides(issued)
        return Battle(
            id=issued.battle,
            token=self.keys.token(self.name, issued.annotator, issued.battle),
            prompt=self.answers.prompt(issued.task),
            left=left,
            right=right,
            expires_at=self._expires(issued),
            n_voted=self.ballots.by_voter.get(issued.annotator, 0),
        )

    def sides(self, issued: Issued) -> tuple[Answer, Answer]:
        """The two answers of a battle, left first."""

        def one(name: str, k: int) -> Answer:
            return self.answers.answer(self.answers.names.index(name), issued.task, k)

        return one(issued.left, issued.left_repeat), one(issued.right, issued.right_repeat)

    def _why_none(self, annotator: str) -> str:
        mine = self.ballots.by_voter.get(annotator, 0)
        if mine:
            return f"you have seen every pair of answers that differ ({mine} votes of yours are kept)"
        return "no two contestants gave different answers to the same task"

    def skip(self, token: str, annotator: str) -> Battle | NoBattle:
        """Another battle instead of this one. Raises Refused for a token that is not this annotator's.

        Sent twice, the second changes nothing: the battle that it names is not the open one any more.
        """
        return self.battle(annotator, skip=self.keys.opened(token, self.name, annotator))

    def vote(self, token: str, choice: str, annotator: str) -> Voted:
        """Take a vote: signed, durable, then revealed. The same battle again returns the vote that stands.

        Raises Refused for a token that is not this annotator's, an expired battle, a choice that is none.
        """
        battle = self.keys.opened(token, self.name, annotator)
        if choice not in CHOICES:
            raise Refused("no such choice", kind="choice", fix="left, right, tie or both_bad")
        self._issuing.follow()
        issued = self.battles.issued.get(battle)
        if issued is None or issued.annotator != annotator:
            raise Refused("no such battle was handed to you", kind="foreign")
        vote = self._signed(issued, CHOICES[choice])

        def decide() -> list[bytes]:
            if battle in self.ballots.votes:
                return []
            if self._expires(issued) <= self._clock():
                raise Refused("this battle has expired", kind="expired", fix="ask for a new one")
            return [canonical(vote)]

        with self.voting.lock:
            first = self.voting.commit(decide)
            receipt = self.voting.head if first else ""
            found = self.snapshot()[0] if first and due(len(self.ballots.votes)) else None
        if found is not None:
            check_into(self.deciding, found, self.quarantine, CheckOptions(busiest=60), self._clock)
        return self._voted(issued, first=first, receipt=receipt)

    def _signed(self, issued: Issued, winner: Winner) -> Vote:
        now = self._clock()
        left, right = self.sides(issued)
        vote = Vote(
            left=issued.left,
            right=issued.right,
            winner=winner,
            id=issued.battle,
            prompt=self.answers.label(issued.task),
            voter=issued.annotator,
            at=now,
            fields={**style(left, right), "read": _length(left) + _length(right)},
            probability=issued.probability,
            seconds=round(max(0, now - issued.at) / 1e9, 3),
        )
        return self.keys.signed(vote, issued.annotator)

    def revealed(self, battle: str, annotator: str) -> Voted:
        """The vote on a battle of this annotator, with the names. Raises Refused before the vote is cast."""
        self.follow()
        issued = self.battles.issued.get(battle)
        if issued is None or issued.annotator != annotator or battle not in self.ballots.votes:
            raise Refused("nothing to reveal: no vote of yours on such a battle", kind="foreign")
        return self._voted(issued, first=False, receipt="")

    def _voted(self, issued: Issued, *, first: bool, receipt: str) -> Voted:
        vote = self.ballots.votes[issued.battle]
        held = self.quarantine.held.get(issued.battle)
        return Voted(
            battle=issued.battle,
            winner=vote.winner,
            left=issued.left,
            right=issued.right,
            task=vote.prompt,
            first=first,
            receipt=receipt,
            quarantined="" if held is None else held.reason,
        )

    def snapshot(self) -> tuple[Ballots, Quarantine]:
        """Votes and quarantine as they are now, which nobody changes any more."""
        with self.voting.lock:
            votes = Ballots(dict(self.ballots.votes), self.ballots.again, dict(self.ballots.by_voter))
        with self.deciding.lock:
            now = self.quarantine
            held = Quarantine(dict(now.held), set(now.released_by_people), list(now.decisions))
        return votes, held

    def forged(self) -> list[str]:
        """The ids of votes that no annotator of this arena signed, or that no battle was issued for."""
        self.follow()
        bad = []
        for key, vote in self.ballots.votes.items():
            issued = self.battles.issued.get(key)
            fits = issued is not None and (issued.annotator, issued.left, issued.right) == (
                vote.voter, vote.left, vote.right,
            )  # fmt: skip
            if not fits or not self.keys.is_signed(vote, vote.voter):
                bad.append(key)
        return bad


def _length(answer: Answer) -> int:
    return len(answer.text) + sum(len(text_of(m)) for m in answer.messages)
