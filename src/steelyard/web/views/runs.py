"""View 1: the runs of a ledger. Filter, group, tags, live progress and spend."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from steelyard.arena.queue import ANNOTATIONS
from steelyard.errors import SteelyardError
from steelyard.ledger.base import RunInfo
from steelyard.runner.results import results
from steelyard.stats.base import Estimate
from steelyard.unknown import Unknown, is_known
from steelyard.web.ask import Ask, address
from steelyard.web.base import Act, Done, Table, View
from steelyard.web.desk import LARGE, Desk
from steelyard.web.tags import all_tags, tag

STATES = ("running", "open", "complete", "capped", "stopped", "failed")
GROUPS = ("none", "name", "suite", "status", "source", "day", "tag")
SORTS = ("created", "name", "status", "tasks", "spent")
SPARED = 0.25
"""Seconds that a page may take to work out who leads; the others follow while it is looked at."""
NOT_YET = Unknown("not worked out yet")
MOST = 500
"""Rows on one page; a filter finds the others."""


@dataclass(frozen=True, slots=True)
class Live:
    """What a running run says of itself: counts, money in dollars, trials a second (None: not known yet)."""

    state: str
    done: int
    total: int
    in_flight: int
    retries: int
    parked: int
    spent_dollars: float
    cap_dollars: float | None
    rate: float | None


@dataclass(frozen=True, slots=True)
class Leader:
    """Who stands first in a run: `ahead` of how many of the `others` it is clearly better than; `sentence` is the
    verdict as the summary has it, `clear` False when that is none (coverage below the floor). `done` trials of
    `planned` ones have ended."""

    contestant: str
    estimate: Estimate
    ahead: int
    others: int
    clear: bool
    sentence: str
    done: int
    planned: int


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run, who leads in it and, while it is running and answers, how far it is."""

    info: RunInfo
    live: Live | None
    leader: Leader | Unknown


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that share a value of what they are grouped by."""

    name: str
    rows: tuple[RunRow, ...]
    spent_pusd: int
    unpriced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunsPage:
    """`n_all` runs are in the ledger, `n_found` match, `groups` hold the first `MOST` of those. `n_votes` are arenas,
    imported votes and queues; `pending` says that some leaders are still to be worked out."""

    groups: tuple[Group, ...]
    n_all: int
    n_found: int
    any_running: bool
    states: tuple[str, ...]
    suites: tuple[str, ...]
    tags: tuple[str, ...]
    n_votes: int
    pending: bool
    title: str = "Runs"
    command: str = "steelyard show"

    def table(self) -> Table:
        """One row a run."""
        columns = ("run", "name", "status", "created_at", "source", "suites", "contestants", "tasks", "records",
                   "spent_dollars", "leader", "score", "low", "high", "tags", "head")  # fmt: skip
        return Table(columns, (_row(r.info, r.leader) for g in self.groups for r in g.rows))


def _row(r: RunInfo, leader: Leader | Unknown) -> tuple[object, ...]:
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(r.created_at / 1e9))
    return (r.run, r.name, r.status, made, r.source, " ".join(r.suites), " ".join(r.contestants), r.n_tasks,
            r.n_records, r.spent_pusd / 1e12, *_ends(leader), " ".join(r.tags), r.head)  # fmt: skip


def _ends(leader: Leader | Unknown) -> tuple[object, ...]:
    if not is_known(leader):
        return leader, leader, leader, leader
    i = leader.estimate.interval
    low, high = (i.low, i.high) if is_known(i) else (i, i)
    return leader.contestant, leader.estimate.value, low, high


def build(desk: Desk, ask: Ask) -> RunsPage:
    """The runs that the query asks for."""
    tagged = all_tags(desk.ledger)
    every = [_with_tags(r, tagged) for r in desk.ledger.runs()]
    states, suites, tags = ask.all("status"), ask.all("suite"), ask.all("tag")
    words = ask.text("q").lower().split()
    found = [
        r
        for r in every
        if (not states or r.status in states)
        and (not suites or set(suites) & set(r.suites))
        and (not tags or set(tags) <= set(r.tags))
        and all(w in _searched(r) for w in words)
    ]
    found = _sorted(found, ask)
    until = math.inf if ask.text("format") else time.monotonic() + SPARED
    rows = [RunRow(r, live_of(desk, r), _leader(desk, r, until)) for r in found[:MOST]]
    return RunsPage(
        groups=_grouped(rows, ask.one_of("group", GROUPS, "none")),
        n_all=len(every),
        n_found=len(found),
        any_running=any(r.status == "running" for r in every),
        states=tuple(s for s in STATES if any(r.status == s for r in every)),
        suites=tuple(sorted({s for r in every for s in r.suites})),
        tags=tuple(sorted({t for r in every for t in r.tags})),
        n_votes=len(desk.ledger.chains("votes")) + len(desk.ledger.chains(ANNOTATIONS)),
        pending=any(row.leader == NOT_YET for row in rows),
    )


def _leader(desk: Desk, run: RunInfo, until: float) -> Leader | Unknown:
    """Who leads; not worked out any more after the moment `until`, so that a page of many runs comes at once."""
    if time.monotonic() > until and not desk.has(run, ("leader",)):
        return NOT_YET
    return desk.cached(run, ("leader",), lambda: _worked_out(desk, run), small=True)


def _worked_out(desk: Desk, run: RunInfo) -> Leader | Unknown:
    try:
        # of a large run all of it is kept: its summary is what is opened next
        large = run.n_tasks * len(run.contestants) >= LARGE
        board = (desk.results(run) if large else results(desk.ledger, run.run)).board
    except SteelyardError as e:
        return Unknown(str(e))
    if not board.overall or not is_known(board.overall[0].estimate.value):
        return Unknown("no graded trial yet" if run.status == "running" else "no graded trial")
    top, others = board.overall[0], board.versus
    return Leader(
        contestant=top.contestant,
        estimate=top.estimate,
        ahead=sum(v.verdict == "better" for v in others),
        others=len(others),
        clear=not board.sentence.startswith("No verdict"),
        sentence=board.sentence,
        done=sum(x.n_graded + x.n_ungraded for x in board.overall),
        planned=sum(x.n_planned for x in board.overall),
    )


def _with_tags(run: RunInfo, tagged: Mapping[str, tuple[str, ...]]) -> RunInfo:
    return replace(run, tags=(*run.tags, *tagged[run.run])) if tagged.get(run.run) else run


def _tag(desk: Desk, ask: Ask) -> Done:
    """Give the run of the path a tag, or take one away."""
    run = desk.run(ask.param("run"))
    if ask.field("remove"):
        tag(desk.ledger, run, ask.field("remove"), remove=True)
    else:
        tag(desk.ledger, run, ask.field("add"))
    return Done(address("/runs/" + run.run), {"tags": list(all_tags(desk.ledger).get(run.run, ()))})


def _searched(r: RunInfo) -> str:
    return " ".join((r.run, r.name, r.status, r.source, *r.contestants, *r.suites, *r.tags)).lower()


_KEYS: dict[str, Callable[[RunInfo], tuple[object, ...]]] = {
    "created": lambda r: (r.created_at,),
    "name": lambda r: (r.name.lower(), r.created_at),
    "status": lambda r: (STATES.index(r.status) if r.status in STATES else 9, r.created_at),
    "tasks": lambda r: (r.n_tasks * len(r.contestants), r.created_at),
    "spent": lambda r: (r.spent_pusd, r.created_at),
}


def _sorted(found: Sequence[RunInfo], ask: Ask) -> list[RunInfo]:
    by = ask.one_of("sort", SORTS, "created")
    down = ask.one_of("dir", ("up", "down"), "up" if by in ("name", "status") else "down") == "down"
    return sorted(found, key=_KEYS[by], reverse=down)


def _grouped(rows: Sequence[RunRow], by: str) -> tuple[Group, ...]:
    groups: dict[str, list[RunRow]] = {}
    for row in rows:
        for name in _names(row.info, by):
            groups.setdefault(name, []).append(row)
    return tuple(
        Group(
            n, tuple(rs), sum(r.info.spent_pusd for r in rs), tuple({u for r in rs for u in r.info.unpriced})
        )
        for n, rs in groups.items()
    )


def _names(r: RunInfo, by: str) -> tuple[str, ...]:
    if by == "none":
        return ("",)
    if by == "suite":
        return r.suites or ("(no suite)",)
    if by == "tag":
        return r.tags or ("(no tag)",)
    if by == "day":
        return (time.strftime("%Y-%m-%d", time.localtime(r.created_at / 1e9)),)
    return (str(getattr(r, by)) or "(no name)",)


def live_of(desk: Desk, run: RunInfo) -> Live | None:
    """What a running run says, or None."""
    said = desk.live(run)
    if said is None:
        return None

    def number(key: str) -> float:
        value = said.get(key)
        return float(value) if isinstance(value, int | float) else 0.0

    cap, rate = said.get("cap_dollars"), said.get("rate_per_second")
    return Live(
        state=str(said.get("state", "running")),
        done=int(number("done")),
        total=int(number("total")),
        in_flight=int(number("in_flight")),
        retries=int(number("retries")),
        parked=int(number("parked")),
        spent_dollars=number("spent_dollars"),
        cap_dollars=float(cap) if isinstance(cap, int | float) else None,
        rate=float(rate) if isinstance(rate, int | float) else None,
    )


ACTS = (Act("tag", "/runs/{run}/tag", _tag),)
VIEWS = (View("runs", "/runs", build, tab="Runs", scope="ledger", order=10, key="r"),)
