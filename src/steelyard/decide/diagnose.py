"""What a table of results can and cannot support, said before anybody computes anything from it.

Does not compute a verdict. Each finding has a standing: yes, weak (possible, with less than the reader may
think), no; and says what to add where it is not yes.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from steelyard.decide.coverage import coverage
from steelyard.decide.horizons import horizons
from steelyard.decide.knowing import knowing
from steelyard.decide.results import Results
from steelyard.errors import DataError
from steelyard.stats.horizon import HorizonOptions
from steelyard.stats.planning import Goal
from steelyard.stats.ratings import rate
from steelyard.stats.ratings_votes import Votes
from steelyard.unknown import Unknown, is_known

SCORE, PAIRS, REPEATS = "a score", "a paired comparison", "noise from trial to trial, pass^k, flaky tasks"
CONDITIONS, ABSTAINED, SUITE = (
    "scores by condition",
    "abstention: the index, hallucination rate",
    "a suite's life",
)
COST, LATENCY, HORIZON = (
    "cost: cheapest sufficient contestant, quality-cost front",
    "latency limits",
    "time horizon",
)
COMMANDS: Mapping[str, str] = {
    SCORE: "estimate scores",
    PAIRS: "compare",
    REPEATS: "estimate repeats",
    CONDITIONS: "estimate conditions",
    ABSTAINED: "estimate abstention",
    SUITE: "estimate suite",
    COST: "select",
    LATENCY: "select",
    HORIZON: "horizon",
    "ratings": "rank",
}
"""The command that answers a question."""


class Standing(enum.StrEnum):
    """Whether a question can be answered from the table."""

    YES = "yes"
    WEAK = "weak"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Finding:
    """One question, whether the table answers it, and why or what to add; `command` answers it ("" for no)."""

    question: str
    standing: Standing
    sentence: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was read (`facts`), what it supports (`findings`), and what was assumed (`notes`)."""

    facts: tuple[str, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def diagnose(results: Results) -> Diagnosis:
    """Look over a table of results."""
    cells = results.task.index * len(results.names) + results.contestant.index
    counts = np.bincount(cells, minlength=results.task.size * len(results.names))
    per_cell = counts[counts > 0]
    facts = (
        f"{_some(results.rows, 'row')}, {_some(results.task.size, 'task')}, {_some(len(results.names), 'contestant')}: "
        + ", ".join(results.names[:8])
        + (" ..." if len(results.names) > 8 else ""),
        f"trials of a task: {per_cell.min()} to {per_cell.max()}",
        *(c.sentence for c in coverage(results)),
    )
    findings = (
        _scores(results),
        _interval(results),
        _pairs(results),
        _detect(results),
        _repeats(results),
        _abstained(results),
        _suite(results),
        _clusters(results),
        _conditions(results),
        _grades(results),
        _amount(results.cost, COST, "cost"),
        _amount(results.seconds, LATENCY, "seconds"),
        _horizon(results),
    )
    return Diagnosis(facts, tuple(_answered(f) for f in findings if f is not None), results.notes)


def _answered(found: Finding) -> Finding:
    """With the command that answers it, unless nothing does."""
    return (
        found if found.standing is Standing.NO else replace(found, command=COMMANDS.get(found.question, ""))
    )


def diagnose_votes(votes: Votes) -> Diagnosis:
    """Look over a table of votes."""
    n, ties = len(votes), float(np.mean(votes.outcome == 1))
    facts = (f"{n} votes on {len(votes.names)} contestants, {ties:.1%} ties",)
    findings = []
    try:
        fitted = rate(votes)
    except DataError as e:
        findings.append(Finding("ratings", Standing.NO, str(e).replace("\n", "; ")))
    else:
        findings.append(Finding("ratings", Standing.YES, fitted.basis.method))
        bias = Finding(
            "position bias", Standing.YES, "both sides occur: the first side's advantage is fitted"
        )
        if isinstance(fitted.position, Unknown):
            bias = Finding("position bias", Standing.NO, fitted.position.reason)
        findings.append(bias)
    for name, column in (("prompt", votes.prompt), ("voter", votes.voter)):
        if column is None:
            why = f"add a {name} column: votes of one {name} are not independent; intervals are too narrow without"
            findings.append(Finding(f"intervals that count {name}s", Standing.NO, why))
        else:
            found = int(np.unique(column).size)
            standing = Standing.YES if found >= 20 else Standing.WEAK
            findings.append(Finding(f"intervals that count {name}s", standing, f"{found} {name}s"))
    return Diagnosis(facts, tuple(map(_answered, findings)), ())


def _scores(results: Results) -> Finding:
    graded = results.score[results.graded]
    values = np.unique(graded)
    if values.size == 0:
        return Finding(SCORE, Standing.NO, "no trial is graded")
    if values.size == 1:
        return Finding(SCORE, Standing.WEAK, f"every graded score is {values[0]:g}: bounds only, no spread")
    kind = "pass or fail" if np.isin(values, (0, 1)).all() else f"{values.size} different values"
    return Finding(SCORE, Standing.YES, kind)


def _interval(results: Results) -> Finding:
    column, unit = (results.task, "task") if results.cluster is None else (results.cluster, "cluster")
    n = int(np.unique(column.index[results.graded]).size)
    said = f"{n} independent {unit}{'' if n == 1 else 's'} with a grade"
    if n < 2:
        return Finding("an interval of a score", Standing.NO, f"{said}: nothing shows the spread")
    return Finding("an interval of a score", Standing.YES if n >= 20 else Standing.WEAK, said)


def _pairs(results: Results) -> Finding:
    question = PAIRS
    if len(results.names) < 2:
        return Finding(question, Standing.NO, "one contestant: add another one's trials of the same tasks")
    have = np.zeros((len(results.names), results.task.size), dtype=np.bool_)
    have[results.contestant.index[results.graded], results.task.index[results.graded]] = True
    common, any_two = int(have.all(axis=0).sum()), int((have.sum(axis=0) >= 2).sum())
    if any_two == 0:
        return Finding(
            question, Standing.NO, "no task has scores of two contestants: check that task names agree"
        )
    said = f"{common} tasks have scores of all contestants, {any_two} of at least two"
    if results.cluster is None:
        return Finding(question, Standing.YES if common >= 20 else Standing.WEAK, said)
    shared = np.isin(results.task.index, np.flatnonzero(have.sum(axis=0) >= 2))
    units = int(np.unique(results.cluster.index[shared]).size)
    standing = Standing.NO if units < 2 else Standing.YES if common >= 20 and units >= 20 else Standing.WEAK
    why = ": nothing shows how clusters differ" if units < 2 else ""
    return Finding(question, standing, f"{said}, in {units} cluster{'' if units == 1 else 's'}{why}")


def _detect(results: Results) -> Finding | None:
    if len(results.names) < 2 or results.task.size < 2:
        return None
    try:
        plans = knowing(results, Goal(difference=0.02))
    except DataError as e:
        return Finding("small differences", Standing.NO, e.message)
    known = [p.now for p in plans if is_known(p.now) and p.now > 0]
    if not known:
        return Finding(
            "small differences", Standing.WEAK, "no two scores differ: what could be seen is not known"
        )
    seen = max(known)
    standing = Standing.YES if seen <= 0.05 else Standing.WEAK if seen <= 0.2 else Standing.NO
    return Finding(
        "small differences",
        standing,
        f"differences of {seen:.3f} would be seen with 80 % power (steelyard plan)",
    )


def _repeats(results: Results) -> Finding:
    """Trials with a grade: the others are in no pass^k."""
    cell = results.task.index * len(results.names) + results.contestant.index
    counts = np.bincount(cell[results.graded], minlength=results.task.size * len(results.names))
    graded = counts[np.unique(cell)]
    if graded.max() < 2:
        return Finding(REPEATS, Standing.NO, "one trial of every task: run some tasks again")
    share = float(np.mean(graded >= 2))
    standing = Standing.YES if share > 0.9 else Standing.WEAK
    return Finding(
        REPEATS, standing, f"{share:.0%} of cells have two graded trials or more, k up to {graded.min()}"
    )


def _abstained(results: Results) -> Finding | None:
    n = int(results.abstained.sum())
    return Finding(ABSTAINED, Standing.YES, f"{_some(n, 'trial')} abstained") if n else None


def _suite(results: Results) -> Finding | None:
    if results.bounds is None:
        return None
    n = len(results.names)
    standing = Standing.YES if n >= 20 else Standing.WEAK
    few = "" if n >= 4 else ": tasks that tell nobody apart show from 4 on"
    return Finding(SUITE, standing, f"{_some(n, 'contestant')}{few}")


def _clusters(results: Results) -> Finding:
    question = "tasks that belong together"
    if results.cluster is not None:
        return Finding(
            question,
            Standing.YES,
            f"{_some(results.cluster.size, 'cluster')}; intervals count them, not tasks",
        )
    why = "no cluster column: if tasks share a passage, a repository or a family, intervals are too narrow without it"
    return Finding(question, Standing.NO, why)


def _conditions(results: Results) -> Finding | None:
    if not results.conditions:
        return None
    said = ", ".join(f"{name} ({_some(column.size, 'value')})" for name, column in results.conditions.items())
    return Finding(CONDITIONS, Standing.YES, said)


def _grades(results: Results) -> Finding:
    lost = int((~results.graded).sum())
    if lost == 0:
        return Finding("failures told from wrong answers", Standing.WEAK,
                       "every row has a score: were failures of the infrastructure scored as wrong?")  # fmt: skip
    return Finding(
        "failures told from wrong answers", Standing.YES, f"{lost} rows are ungraded and bound the scores"
    )


def _horizon(results: Results) -> Finding:
    """As `decide.horizons` finds it, without intervals."""
    question = HORIZON
    found = _amount(results.minutes, question, "minutes (what a skilled person takes for the task)")
    if found.standing is Standing.NO:
        return found
    try:
        fitted = horizons(results, HorizonOptions(bootstrap=0))
    except DataError as e:
        return Finding(question, Standing.NO, e.message + (f": {e.got}" if e.got else ""))
    lacking = {
        a.contestant: v for a in fitted for e in a.minutes.values() if isinstance(v := e.value, Unknown)
    }
    if not lacking:
        return found
    name, why = next(iter(lacking.items()))
    standing = Standing.NO if len(lacking) == len(fitted) else Standing.WEAK
    more = f" ({len(lacking)} of {len(fitted)} contestants)" if len(lacking) > 1 else ""
    return Finding(question, standing, f"{name}: {why.reason}{more}")


def _some(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _amount(column: np.ndarray | None, question: str, name: str) -> Finding:
    if column is None:
        return Finding(question, Standing.NO, f"no column {name}")
    known = float(np.isfinite(column).mean())
    standing = Standing.YES if known > 0.99 else Standing.WEAK if known > 0 else Standing.NO
    return Finding(question, standing, f"known for {known:.0%} of the rows")
