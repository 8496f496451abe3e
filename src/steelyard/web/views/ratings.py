"""View 8: ratings of an arena, of imported votes, or of a run task by task: ranks with intervals, tie groups, style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steelyard.arena.answers import STYLE_FEATURES
from steelyard.arena.checks import Suspicion, release, suspicions
from steelyard.arena.poll import read_poll
from steelyard.arena.standing import Effect, Standing, effect, effect_of_poll
from steelyard.decide.ranking import Ranked, Ranking, ranking_of_results
from steelyard.errors import DataError
from steelyard.ledger.base import RunInfo
from steelyard.ledger.runs import results_of_cells
from steelyard.ledger.votes import QUARANTINE, VOTES, Ballots, Quarantine, ballots
from steelyard.stats.base import Estimate
from steelyard.unknown import Unknown
from steelyard.web import people
from steelyard.web.ask import Ask, address, fill
from steelyard.web.base import Act, Done, Table, View
from steelyard.web.desk import Desk
from steelyard.web.views.battle import elo_scale

MOST_CHECKED = 100_000
"""Imported votes up to which the page looks for doubtful ones itself: the checks hold every vote in memory."""
COLUMNS = ("group", "rank", "best_rank", "worst_rank", "contestant", "elo", "low", "high", "level", "win_rate",
           "votes", "method")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Held:
    """Votes in quarantine for one reason: how many, of whom, the evidence, by whom decided."""

    reason: str
    n: int
    voter: str
    detail: str
    by: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shift:
    """What quarantine changes for a contestant: rank and rating as they count, and with all votes."""

    contestant: str
    rank: int
    elo: Estimate
    rank_all: int
    elo_all: Estimate


@dataclass(frozen=True, slots=True)
class RatingsPage:
    """The ranking of an arena's votes. `styled` is the effect of each style feature when style is controlled for."""

    arena: str
    is_arena: bool
    style: bool
    can_style: bool
    counting: Standing
    rows: tuple[Ranked, ...]
    reason: str
    shifts: tuple[Shift, ...]
    held: tuple[Held, ...]
    n_held: int
    suspicious: tuple[Suspicion, ...]
    checked: bool
    people: tuple[tuple[str, int, int], ...]
    low: float
    high: float

    @property
    def title(self) -> str:
        """The arena."""
        return f"Ranking · {self.arena}"

    @property
    def command(self) -> str:
        """What prints the same."""
        return self.counting.command

    def table(self) -> Table:
        """One row a contestant."""
        return Table(COLUMNS, map(_row, self.rows))


@dataclass(frozen=True, slots=True)
class RunRatingsPage:
    """A run's contestants compared task by task."""

    run: RunInfo
    rows: tuple[Ranked, ...]
    reason: str
    method: str
    notes: tuple[str, ...]
    low: float
    high: float

    @property
    def title(self) -> str:
        """The run."""
        return f"Ratings · {self.run.name or self.run.run}"

    @property
    def command(self) -> str:
        """What prints the same."""
        return f"steelyard rank {self.run.run}"

    def table(self) -> Table:
        """One row a contestant."""
        return Table(COLUMNS, map(_row, self.rows))


def _row(r: Ranked) -> tuple[object, ...]:
    i = r.elo.interval
    ends = (i, i, r.rank.level) if isinstance(i, Unknown) else (i.low, i.high, i.level)
    return (r.rank.group, r.rank.rank, r.rank.best, r.rank.worst, r.contestant, r.elo.value, *ends,
            r.win_rate.value, r.votes, r.rank.method)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is made once for a state of the votes and of the decisions."""

    effect: Effect
    suspicious: tuple[Suspicion, ...]
    checked: bool
    can_style: bool
    held: tuple[Held, ...]
    people: tuple[tuple[str, int, int], ...]


def build(desk: Desk, ask: Ask) -> RatingsPage:
    """The ranking of an arena or of imported votes."""
    name = ask.param("arena")
    is_arena = _is_arena(desk, name)
    style = ask.one_of("style", ("off", "on"), "off") == "on"
    made = _of_arena(desk, name, style=style) if is_arena else _of_table(desk, name, style=style)
    counting = made.effect.without
    rows = counting.ranking.rows if isinstance(counting.ranking, Ranking) else ()
    low, high = elo_scale([r.elo for r in rows])
    return RatingsPage(
        arena=name,
        is_arena=is_arena,
        style=style,
        can_style=made.can_style,
        counting=counting,
        rows=rows,
        reason="" if isinstance(counting.ranking, Ranking) else counting.ranking.reason,
        shifts=_shifts(made.effect),
        held=made.held,
        n_held=made.effect.n_held,
        suspicious=tuple(s for s in made.suspicious if s.new),
        checked=made.checked,
        people=made.people,
        low=low,
        high=high,
    )


def _of_arena(desk: Desk, name: str, *, style: bool) -> _Facts:
    arena = people.arena(desk, name)
    cast, held = arena.snapshot()
    names = dict(arena.people.names)
    can = any(v.fields.get(f) for v in cast.votes.values() for f in STYLE_FEATURES)
    found, doubtful = desk.lately(
        ("ratings", name, style, len(cast.votes), len(held.decisions)),
        lambda: (effect(name, cast, held, style=style), tuple(suspicions(cast, held))),
    )
    return _Facts(found, doubtful, True, can, _held(held), _people(cast, held, names))


def _of_table(desk: Desk, name: str, *, style: bool) -> _Facts:
    """Imported votes: read as columns, once for each state of the two chains."""
    sizes = {(c.kind, c.key): c.n for c in desk.ledger.chains()}
    state = tuple(sizes.get((kind, name), 0) for kind in (VOTES, QUARANTINE))

    def make() -> _Facts:
        poll, held, decided = read_poll(desk.ledger, name)
        few = len(poll) <= MOST_CHECKED
        doubtful = tuple(suspicions(*ballots(desk.ledger, name))) if few else ()
        voted, kept_back = (
            np.bincount(poll.voter[w], minlength=len(poll.voters)) for w in (slice(None), held)
        )
        busiest = [v for v in np.argsort(-voted, kind="stable").tolist() if v and voted[v]][:40]
        return _Facts(
            effect_of_poll(name, poll, held, style=style),
            doubtful,
            few,
            any(x.any() for x in poll.styles.values()),
            _held(decided),
            tuple((poll.voters[v], int(voted[v]), int(kept_back[v])) for v in busiest),
        )

    return desk.lately(("ratings of a table", name, style, *state), make)


def _is_arena(desk: Desk, name: str) -> bool:
    return any(c.key == name for c in desk.ledger.chains("battles"))


def _shifts(found: Effect) -> tuple[Shift, ...]:
    one, every = found.without.ranking, found.with_all.ranking
    if not found.n_held or not isinstance(one, Ranking) or not isinstance(every, Ranking):
        return ()
    others = {r.contestant: r for r in every.rows}
    return tuple(
        Shift(r.contestant, r.rank.rank, r.elo, others[r.contestant].rank.rank, others[r.contestant].elo)
        for r in one.rows
        if r.contestant in others
    )


def _held(state: Quarantine) -> tuple[Held, ...]:
    """Votes in quarantine by reason and voter; the evidence is that of the newest decision."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    newest: dict[tuple[str, str, str], str] = {}
    for vote, q in state.held.items():
        key = (q.reason, q.voter or q.detail, q.by)
        groups.setdefault(key, []).append(vote)
        newest[key] = q.detail
    found = [
        Held(reason, len(ids), state.held[ids[0]].voter, newest[reason, whose, by], by, tuple(ids))
        for (reason, whose, by), ids in groups.items()
    ]
    return tuple(sorted(found, key=lambda h: -h.n))


def _people(cast: Ballots, held: Quarantine, names: dict[str, str]) -> tuple[tuple[str, int, int], ...]:
    """(name or id, votes, of them in quarantine) of everybody, the busiest first, at most 40."""
    kept_back: dict[str, int] = {}
    for vote in held.held:
        if vote in cast.votes:
            voter = cast.votes[vote].voter
            kept_back[voter] = kept_back.get(voter, 0) + 1
    busiest = sorted(((n, v) for v, n in cast.by_voter.items() if v), reverse=True)[:40]
    return tuple((names.get(v) or v, n, kept_back.get(v, 0)) for n, v in busiest)


def _release(desk: Desk, ask: Ask) -> Done:
    name = ask.param("arena")
    _, state = ballots(desk.ledger, name)
    ids = [h.ids for h in _held(state) if h.ids[0] == ask.field("first")]
    if not ids:
        raise DataError("these votes are not in quarantine now", fix="look at the page again")
    who = people.me(desk, ask)
    shown = people.arena(desk, name).people.names.get(who, "") if _is_arena(desk, name) else ""
    n = release(desk.ledger, name, ids[0], by=shown or who, reason=ask.field("reason")[:300])
    return Done(address(*fill("/arena/{arena}/ratings", {"arena": name})), {"released": n})


def build_run(desk: Desk, ask: Ask) -> RunRatingsPage:
    """The ratings of a run: on every task that two contestants have, the higher mean wins."""
    run = desk.run(ask.param("run"))
    made = desk.cached(run, ("ratings",), lambda: _of_run(desk, run))
    rows: Sequence[Ranked] = made.rows if isinstance(made, Ranking) else ()
    low, high = elo_scale([r.elo for r in rows])
    if isinstance(made, Unknown):
        return RunRatingsPage(run, (), made.reason, "", (), low, high)
    return RunRatingsPage(run, made.rows, "", made.method, made.notes, low, high)


def _of_run(desk: Desk, run: RunInfo) -> Ranking | Unknown:
    try:
        return ranking_of_results(results_of_cells(desk.ledger, run.run))
    except DataError as e:
        return Unknown(e.message)


VIEWS = (
    View("ratings", "/arena/{arena}/ratings", build, style="judge.css"),
    View("run_ratings", "/runs/{run}/ratings", build_run, tab="Ratings", order=60, style="judge.css"),
)
ACTS = (Act("release", "/arena/{arena}/release", _release),)
