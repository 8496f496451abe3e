"""View 14: how contestants' scores went from run to run, and what gates said, with the evidence and the command."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from steelyard.ledger.base import RunInfo
from steelyard.ledger.gates import GateRow, gates
from steelyard.stats.base import Estimate
from steelyard.unknown import Unknown, is_known
from steelyard.web.ask import Ask
from steelyard.web.base import Table, View
from steelyard.web.desk import Desk

RUNS = 30
"""Runs of a trend at most, the newest."""
DECISIONS = 100


@dataclass(frozen=True, slots=True)
class Point:
    """A contestant's score in one run. `version` is the suite's: scores of different versions are not compared."""

    run: str
    name: str
    at: int
    estimate: Estimate
    coverage: float
    version: str


@dataclass(frozen=True, slots=True)
class Line:
    """One contestant on the suite, oldest run first."""

    contestant: str
    points: tuple[Point, ...]

    @property
    def single(self) -> bool:
        """One run is no trend."""
        return len(self.points) == 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """One check of a gate, as its report said it."""

    rule: str
    contestant: str
    subject: str
    outcome: str
    value: float | Unknown
    low: float | Unknown
    high: float | Unknown
    threshold: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a gate said of a run, and what says it again. `stale`: the run has gone on since."""

    at: int
    run: str
    run_name: str
    head: str
    rules: str
    rules_text: str
    rules_hash: str
    outcome: str
    exit_code: int
    checks: tuple[Evidence, ...]
    command: str
    known: bool
    stale: bool


@dataclass(frozen=True, slots=True)
class TrendPage:
    """`lines` are of the chosen suite; `decisions` the newest first."""

    suite: str
    suites: tuple[str, ...]
    lines: tuple[Line, ...]
    n_runs: int
    versions: tuple[str, ...]
    decisions: tuple[Decision, ...]
    title: str = "Trend and gates"
    command: str = ""

    @property
    def sentences(self) -> tuple[str, ...]:
        """What gates decided, above the printed table."""
        return tuple(
            f"gate {d.rules} on {d.run_name or d.run}: {d.outcome} (exit code {d.exit_code}); again: {d.command}"
            for d in self.decisions
        )

    def table(self) -> Table:
        """One row a contestant and run."""
        columns = (
            "contestant",
            "suite",
            "run",
            "name",
            "created_at_ns",
            "score",
            "low",
            "high",
            "coverage",
            "version",
        )
        rows = []
        for line in self.lines:
            for p in line.points:
                i = p.estimate.interval
                low, high = (i.low, i.high) if is_known(i) else (i, i)
                rows.append((line.contestant, self.suite, p.run, p.name, p.at, p.estimate.value, low, high, p.coverage,
                             p.version))  # fmt: skip
        return Table(columns, rows)


def build(desk: Desk, ask: Ask) -> TrendPage:
    """The suite that the query names, by default that of the newest run."""
    every = desk.ledger.runs()
    suites = tuple(dict.fromkeys(s for r in every for s in r.suites))
    suite = ask.one_of("suite", ("", *suites), "") or (suites[0] if suites else "")
    chosen = [r for r in every if suite in r.suites][:RUNS][::-1]
    wanted = ask.all("contestant")
    found: dict[str, list[Point]] = {}
    for run in chosen:
        version = next((u.version for u in desk.ledger.plan(run.run).suites if u.name == suite), "")
        for x in desk.results(run).board.by_suite:
            if x.suite == suite and x.n_graded and (not wanted or x.contestant in wanted):
                point = Point(run.run, run.name, run.created_at, x.estimate, x.coverage, version)
                found.setdefault(x.contestant, []).append(point)
    lines = [Line(name, tuple(points)) for name, points in found.items()]
    known = {r.run: r for r in every}
    return TrendPage(
        suite=suite,
        suites=suites[:40],
        lines=tuple(sorted(lines, key=lambda x: (-len(x.points), x.contestant))[:60]),
        n_runs=len(chosen),
        versions=tuple(dict.fromkeys(p.version for x in lines for p in x.points)),
        decisions=tuple(
            _decision(row, known, desk.named) for row in gates(desk.ledger)[: -DECISIONS - 1 : -1]
        ),
    )


def _decision(row: GateRow, known: dict[str, RunInfo], named: str) -> Decision:
    info = known.get(row.run)
    wheres = (x for w in row.where for x in ("--where", w))
    place = ("--ledger", named) if named else ()
    return Decision(
        row.at,
        row.run,
        row.run_name,
        row.head,
        row.rules,
        row.rules_text,
        row.rules_hash,
        row.outcome,
        row.exit_code,
        tuple(_evidence(c) for c in _list(row.report.get("checks"))),
        shlex.join(("steelyard", "gate", row.rules, row.run, *wheres, *place)),
        info is not None,
        info is not None and info.head != row.head,
    )


def _list(value: object) -> list[dict[str, object]]:
    return [x for x in value if isinstance(x, dict)] if isinstance(value, list) else []


def _evidence(check: dict[str, object]) -> Evidence:
    interval = check.get("interval")
    ends = interval if isinstance(interval, dict) else {}
    reasons = check.get("reasons")
    return Evidence(
        str(check.get("rule", "")),
        str(check.get("contestant", "")),
        str(check.get("subject", "")),
        str(check.get("outcome", "")),
        _number(check.get("value")),
        _number(ends.get("low"), ends),
        _number(ends.get("high"), ends),
        str(check.get("threshold", "")),
        tuple(str(r) for r in reasons) if isinstance(reasons, list) else (),
    )


def _number(value: object, whole: object = None) -> float | Unknown:
    if isinstance(value, int | float):
        return float(value)
    told = value if isinstance(value, dict) else whole
    return Unknown(
        str(told.get("unknown", "not in the report")) if isinstance(told, dict) else "not in the report"
    )


VIEWS = (View("trend", "/trend", build, tab="Trend", scope="ledger", order=20, key="h", style="heat.css"),)
