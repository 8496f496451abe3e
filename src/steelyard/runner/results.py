"""What a run's ledger rows say, as `decide` reads them: evidence in, leaderboard out, for live and closed runs.

Reads the ledger and calls pure functions; nothing is computed here but sums of columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steelyard.decide.leaderboard import Leaderboard, leaderboard
from steelyard.decide.tally import Evidence
from steelyard.ledger.base import InFlight, Ledger, RunInfo
from steelyard.ledger.planned import is_import, planned_trials
from steelyard.runner.adaptive import Adaptive, clusters_by_suite
from steelyard.runner.base import Prepared, prepared
from steelyard.runner.exposure import exposures
from steelyard.schema.plan import Plan
from steelyard.schema.price import PUSD
from steelyard.stats.base import Estimate, Figure, IntArray
from steelyard.unknown import Unknown, is_known


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why one contestant got no more trials in one suite of an adaptive run."""

    suite: str
    contestant: str
    done: bool
    reason: str
    sentence: str
    half_width: float
    trials: int


@dataclass(frozen=True, slots=True)
class PossiblyPaid:
    """Calls whose answer was lost with the session that sent them, and the most that they cost: in no other figure."""

    calls: int
    at_most_dollars: Figure


@dataclass(frozen=True, slots=True)
class Results:
    """A run's leaderboard and what stands beside it."""

    info: RunInfo
    plan: Plan
    board: Leaderboard
    n_ungraded: int
    stopped: tuple[Stopped, ...]
    scorer: str
    exposed: tuple[str, ...] = ()
    """Names of the suites whose held-out split somebody has looked at."""
    in_flight: tuple[InFlight, ...] = ()
    """Attempts without a result: under way while the run has a writer."""
    n_unscored: int = 0
    """Trials that are kept and have no score: `steelyard rescore` judges them."""

    @property
    def possibly_paid(self) -> PossiblyPaid:
        """What was in flight when a session ended."""
        lost = () if self.info.status == "running" else self.in_flight
        held = [f.reserved for f in lost if f.reserved is not None]
        known = len(held) == len(lost)
        return PossiblyPaid(
            len(lost), sum(held) / PUSD if known else Unknown("they have no known worst case")
        )


def results(ledger: Ledger, run: str, scorer: str = "") -> Results:
    """The results of a run by id, prefix, name or `last`. Raises DataError when there is no such run."""
    info = ledger.find(run)
    ready = prepared(ledger.plan(info.run), ledger.suites(info.run))
    evidence = evidence_of(ledger, info.run, ready, scorer)
    stopped: tuple[Stopped, ...] = ()
    sequential: dict[tuple[int, int], Estimate] = {}
    if ready.plan.trials.until is not None:
        stopped, sequential = _sequential(ledger, info.run, ready, scorer)
    board = leaderboard(
        evidence,
        level=ready.plan.trials.level,
        sequential=sequential or None,
        coverage_floor=ready.plan.coverage_floor,
    )
    n_ungraded = sum(line.n_ungraded for line in board.overall)
    exposed = tuple(u.name for u in ready.plan.suites if u.version and exposures(ledger, u.version))
    cells = ledger.cells(info.run, scorer)
    unscored = int(cells.columns["unscored"].sum())
    return Results(info, ready.plan, board, n_ungraded, stopped, scorer, exposed, cells.in_flight, unscored)


def evidence_of(ledger: Ledger, run: str, ready: Prepared, scorer: str = "") -> Evidence:
    """Columns of the run with what the plan asked for."""
    plan = ready.plan
    cells = ledger.cells(run, scorer)
    n = ready.n_tasks
    sizes = [len(s) for s in ready.suites]
    suite_of = (
        np.broadcast_to(np.int64(0), (n,)) if len(sizes) == 1 else np.repeat(np.arange(len(sizes)), sizes)
    )
    clusters = cluster_codes(ready)
    return Evidence(
        contestants=tuple(s.name for s in plan.contestants),
        suites=tuple(u.name for u in plan.suites),
        suite_of=suite_of,
        clusters=clusters,
        planned=planned_trials(plan, ledger.find(run).source, cells.columns),
        columns=cells.columns,
        agents=frozenset(c for c, x in enumerate(plan.contestants) if x.kind == "agent"),
    )


def cluster_codes(ready: Prepared) -> IntArray:
    """The number of every task's independent unit over the whole run."""
    parts = clusters_by_suite(ready)
    for units, offset in zip(parts, ready.offsets, strict=True):
        np.add(units, offset, out=units)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _sequential(
    ledger: Ledger, run: str, ready: Prepared, scorer: str
) -> tuple[tuple[Stopped, ...], dict[tuple[int, int], Estimate]]:
    """Replay the stopping rule over the recorded scores: its estimate and interval are the valid ones."""
    everyone = {"": list(range(len(ready.plan.contestants)))}
    adaptive = Adaptive(ready, everyone, clusters_by_suite(ready))
    adaptive.replay(ledger.scores(run, scorer))
    stopped, estimates = [], {}
    for s, p in adaptive.progress():
        name, suite = ready.plan.contestants[p.contestant].name, ready.plan.suites[s].name
        stopped.append(Stopped(suite, name, p.done, p.reason.value, p.sentence, p.half_width, p.trials))
        se: Figure = Unknown("a confidence sequence has no standard error")
        if is_known(p.estimate):
            n = len(ready.suites[s])
            estimates[(s, p.contestant)] = Estimate(
                p.estimate, se, p.interval, p.interval.method, p.trials - p.ungraded, n, n
            )
    return tuple(stopped), estimates


def _stopping(found: Results) -> list[str]:
    """How an adaptive run ended: how many scores are as narrow as wanted, and why the others are not."""
    if not found.stopped or found.plan.trials.until is None:
        return []
    wanted = 100 * found.plan.trials.until
    reached = [s for s in found.stopped if s.reason == "reached"]
    known = f"{len(reached)} of {len(found.stopped)} scores are known to ±{wanted:g} points."
    said = [f"{known} Their intervals hold at every look; differences are built from them."]
    for s in [s for s in found.stopped if s.reason != "reached"][:6]:
        said.append(f"{s.contestant} on {s.suite}: ±{100 * s.half_width:.1f} points. {s.sentence}.")
    return said


def notes(found: Results) -> list[str]:
    """The sentences that belong to a leaderboard wherever it is shown."""
    said = []
    methods = sorted({line.estimate.method for line in found.board.overall})
    n = len(found.board.versus)
    how = "paired by task, " if found.plan.trials.until is None else ""
    paired = f" Differences are {how}corrected for {n} comparison{'s' if n > 1 else ''}." if n else ""
    said.append(f"Score: {'; '.join(methods)}.{paired} Time is what trials saw (closed loop).")
    if any(x.kind == "agent" for x in found.plan.contestants):
        said.append(
            "Time of an agent is that of the whole trial, its tools included; so it has no tokens a second."
        )
    if found.n_ungraded:
        many = "1 trial has" if found.n_ungraded == 1 else f"{found.n_ungraded} trials have"
        said.append(f"{many} no verdict, which is in no mean; the bounds say what it could change.")
    if found.n_unscored and found.info.status != "running":
        many = "1 trial is" if found.n_unscored == 1 else f"{found.n_unscored} trials are"
        said.append(f"{many} kept without a score: `steelyard rescore {found.info.run}` judges what is kept.")
    if is_import(found.info.source) and found.info.status == "open":
        said.append("The import was cut off: this is a part of what was to come. Import the files again.")
    waiting = sum(line.n_waiting for line in found.board.overall) - found.n_unscored
    if waiting > 0:
        many = "1 planned trial is" if waiting == 1 else f"{waiting} planned trials are"
        lacking = "1 trial is missing" if waiting == 1 else f"{waiting} trials are missing"
        imported = is_import(found.info.source)
        said.append(
            f"{lacking}: not every contestant did every task." if imported else f"{many} not done yet."
        )
    if lost := found.possibly_paid.calls:
        most = found.possibly_paid.at_most_dollars
        many = "1 call was" if lost == 1 else f"{lost} calls were"
        worst = f" (at most ${most:.2g})" if is_known(most) and most > 0 else ""
        said.append(
            f"{many} in flight when a session ended: possibly paid{worst}, in no cost, held under the caps."
        )
    for name in found.exposed:
        said.append(f"The held-out split of {name} is exposed: somebody has looked at it.")
    said += _stopping(found)
    for line in found.board.overall:
        said += [f"{line.contestant}: {note}" for note in line.estimate.notes]
    return said
