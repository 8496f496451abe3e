"""View 13: a blind battle. Two answers side by side, a vote, then the names and how the ranking moved."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from steelyard.arena.base import Battle, NoBattle, Refused, Voted
from steelyard.arena.battles import Arena
from steelyard.arena.standing import Standing, standing
from steelyard.decide.ranking import Ranking
from steelyard.errors import DataError
from steelyard.schema.vote import Vote
from steelyard.stats.base import Estimate
from steelyard.unknown import is_known
from steelyard.web import people
from steelyard.web.ask import Ask, address, fill
from steelyard.web.base import Act, Body, Done, Raw, Table, View
from steelyard.web.desk import Desk
from steelyard.web.judged import Asked, Shown, asked, asked_media, numbered, rendered, shown, whole

CHOICE_NAMES = {"left": "A is better", "right": "B is better", "tie": "A tie", "both_bad": "Both are bad"}
SIDES = ("left", "right")


@dataclass(frozen=True, slots=True)
class Moved:
    """A contestant's line of the ranking after the vote, and before it (None: it was not ranked)."""

    contestant: str
    elo: Estimate
    rank: int
    best: int
    worst: int
    was: float | None
    was_rank: int | None
    in_battle: bool


@dataclass(frozen=True, slots=True)
class BattlePage:
    """`battle` is what to vote on, or why there is none; after the vote `voted` holds the names.

    The names and the ranking are not in the model before the vote.
    """

    arena: str
    battle: str
    token: str
    none: str
    prompt: Asked | None
    left: Shown | None
    right: Shown | None
    n_voted: int
    n_votes: int
    as_rendered: bool
    can_render: bool
    voted: Voted | None
    after: Standing | None
    moved: tuple[Moved, ...]
    low: float
    high: float
    name: str
    notice: str
    receipt: str

    @property
    def title(self) -> str:
        """The arena."""
        return f"Battle · {self.arena}"

    @property
    def command(self) -> str:
        """What prints the ranking."""
        return self.after.command if self.after else f"steelyard arena show {self.arena}"

    @property
    def said(self) -> str:
        """The vote in words."""
        return CHOICE_NAMES[self.voted.winner] if self.voted else ""

    def table(self) -> Table:
        """The ranking after the vote; nothing before it."""
        columns = ("contestant", "rank", "best", "worst", "elo", "low", "high", "elo_before")
        rows = []
        for m in self.moved:
            i = m.elo.interval
            ends = (i.low, i.high) if is_known(i) else (i, i)
            rows.append((m.contestant, m.rank, m.best, m.worst, m.elo.value, *ends, m.was))
        return Table(columns, rows)


def build(desk: Desk, ask: Ask) -> BattlePage:
    """The battle that this browser has open, or (with `?voted=`) one that it has voted on."""
    arena, who = people.arena(desk, ask.param("arena")), people.me(desk, ask)
    past = ask.text("voted")
    if past:
        return _revealed(desk, arena, past, ask)
    found = arena.battle(who)
    if isinstance(found, NoBattle):
        return _page(arena, who, ask, none=found.reason)
    return _page(arena, who, ask, battle=found)


def _revealed(desk: Desk, arena: Arena, past: str, ask: Ask) -> BattlePage:
    who = people.me(desk, ask)
    try:
        voted = arena.revealed(past, who)
    except Refused as e:
        raise DataError("no vote of this browser on such a battle", got=past[:80]) from e
    after, moved = _movement(desk, arena, voted)
    low, high = elo_scale([m.elo for m in moved])
    return replace(_page(arena, who, ask, voted=voted), after=after, moved=moved, low=low, high=high)


def _page(
    arena: Arena,
    who: str,
    ask: Ask,
    *,
    battle: Battle | None = None,
    voted: Voted | None = None,
    none: str = "",
) -> BattlePage:
    left = right = prompt = None
    if battle is not None:
        prompt, left, right = asked(battle.prompt), shown(battle.left), shown(battle.right)
    elif voted is not None:
        issued = arena.battles.issued[voted.battle]
        prompt = asked(arena.answers.prompt(issued.task))
        left, right = (shown(a) for a in arena.sides(issued))
    can = any(s is not None and s.form != "plain" for s in (left, right))
    return BattlePage(
        arena=arena.name,
        battle=voted.battle if voted else battle.id if battle else "",
        token=battle.token if battle else "",
        none=none,
        prompt=prompt,
        left=left,
        right=right,
        n_voted=arena.ballots.by_voter.get(who, 0),
        n_votes=len(arena.ballots.votes),
        as_rendered=can and ask.one_of("show", ("rendered", "text"), "rendered") == "rendered",
        can_render=can,
        voted=voted,
        after=None,
        moved=(),
        low=0.0,
        high=0.0,
        name=arena.people.names.get(who, ""),
        notice=_NOTICES.get(ask.text("notice"), ""),
        receipt=given if voted and re.fullmatch("[0-9a-f]{64}", given := ask.text("receipt")) else "",
    )


_NOTICES = {
    "expired": "That battle had expired: the vote was not taken. Here is another one.",
    "again": "You had voted on this battle already: your first vote stands.",
}


def _movement(desk: Desk, arena: Arena, voted: Voted) -> tuple[Standing, tuple[Moved, ...]]:
    cast, held = arena.snapshot()
    counting = [v for k, v in cast.votes.items() if k not in held.held]
    after = _standing(desk, arena, counting)
    before = _standing(desk, arena, [v for v in counting if v.id != voted.battle])
    if not isinstance(after.ranking, Ranking):
        return after, ()
    was = {r.contestant: r for r in before.ranking.rows} if isinstance(before.ranking, Ranking) else {}
    moved = []
    for row in after.ranking.rows:
        old = was.get(row.contestant)
        value = None if old is None or not isinstance(old.elo.value, float) else old.elo.value
        moved.append(
            Moved(
                row.contestant, row.elo, row.rank.rank, row.rank.best, row.rank.worst, value,
                None if old is None else old.rank.rank, row.contestant in (voted.left, voted.right),
            )
        )  # fmt: skip
    return after, tuple(moved)


def _standing(desk: Desk, arena: Arena, votes: list[Vote]) -> Standing:
    """The ranking of these votes. The one before a vote is often the one after the vote before."""
    key = ("standing", arena.name, len(votes), hash(tuple(v.id for v in votes)))
    return desk.lately(key, lambda: standing(arena.name, votes))


def elo_scale(estimates: list[Estimate]) -> tuple[float, float]:
    """The ends of an axis for Elo ratings: hundreds that hold every value, intervals up to 600 beyond."""
    values = [e.value for e in estimates if isinstance(e.value, float)]
    if not values:
        return 900.0, 1100.0
    ends = [x for e in estimates for i in (e.interval,) if is_known(i) for x in (i.low, i.high)]
    low = max(min([*values, *ends]), min(values) - 600)
    high = min(max([*values, *ends]), max(values) + 600)
    return 100 * (low // 100), 100 * -(-high // 100)


def _vote(desk: Desk, ask: Ask) -> Done:
    arena, who = people.arena(desk, ask.param("arena")), people.me(desk, ask)
    path = {"arena": arena.name, "show": ask.field("show")}
    try:
        voted = arena.vote(ask.field("token"), ask.field("choice"), who)
    except Refused as e:
        if e.kind == "expired":
            return Done(address(*fill("/arena/{arena}", {**path, "notice": "expired"})), {"expired": True})
        raise
    to = fill("/arena/{arena}", {**path, "voted": voted.battle, "notice": "" if voted.first else "again",
                                    "receipt": voted.receipt})  # fmt: skip
    return Done(address(*to), {"voted": voted.battle, "receipt": voted.receipt})


def _skip(desk: Desk, ask: Ask) -> Done:
    arena, who = people.arena(desk, ask.param("arena")), people.me(desk, ask)
    arena.skip(ask.field("token"), who)
    to = fill("/arena/{arena}", {"arena": arena.name, "show": ask.field("show")})
    return Done(address(*to))


def _name(desk: Desk, ask: Ask) -> Done:
    arena = people.arena(desk, ask.param("arena"))
    arena.enrol(people.me(desk, ask), ask.field("name"))
    return Done(address(*fill("/arena/{arena}", {"arena": arena.name})))


def _side(desk: Desk, ask: Ask) -> tuple[Arena, int]:
    """The arena, and which side is asked for. Only this browser's own battles are given."""
    arena = people.arena(desk, ask.param("arena"))
    issued = arena.battles.issued.get(ask.text("battle"))
    if issued is None or issued.annotator != people.me(desk, ask):
        raise DataError("no such battle of this browser", got=ask.text("battle")[:80])
    return arena, SIDES.index(ask.one_of("side", SIDES, "left"))


def _rendered(desk: Desk, ask: Ask) -> Body:
    arena, side = _side(desk, ask)
    return rendered(arena.sides(arena.battles.issued[ask.text("battle")])[side].text)


def _text(desk: Desk, ask: Ask) -> Body:
    arena, side = _side(desk, ask)
    return whole(arena.sides(arena.battles.issued[ask.text("battle")])[side].text)


def _medium(desk: Desk, ask: Ask) -> Body:
    arena, side = _side(desk, ask)
    media = arena.sides(arena.battles.issued[ask.text("battle")])[side].media
    return numbered(desk.ledger, media, ask.whole("n", 0))


def _asked(desk: Desk, ask: Ask) -> Body:
    arena, _ = _side(desk, ask)
    issued = arena.battles.issued[ask.text("battle")]
    return numbered(desk.ledger, asked_media(arena.answers.prompt(issued.task)), ask.whole("n", 0))


VIEWS = (View("battle", "/arena/{arena}", build, script="battle.js", style="judge.css", judges=True),)
ACTS = (
    Act("vote", "/arena/{arena}/vote", _vote, judges=True),
    Act("skip", "/arena/{arena}/skip", _skip, judges=True),
    Act("my_name", "/arena/{arena}/name", _name, judges=True),
)
RAWS = (
    Raw("battle_rendered", "/arena/{arena}/rendered", _rendered, judges=True),
    Raw("battle_text", "/arena/{arena}/text", _text, judges=True),
    Raw("battle_medium", "/arena/{arena}/medium", _medium, judges=True),
    Raw("battle_asked", "/arena/{arena}/asked", _asked, judges=True),
)
