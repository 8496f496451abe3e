"""The trials of a run, and the votes of a chain, as the tables that decisions start from. Nothing is judged here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.decide.beside import together
from steelyard.decide.coverage import Counted, counted
from steelyard.decide.results import Results
from steelyard.errors import DataError
from steelyard.ledger.base import Cells, Ledger, RunInfo, SuiteData
from steelyard.ledger.planned import is_import, planned_trials
from steelyard.ledger.tables import Table
from steelyard.ledger.taskcolumns import Labels, TaskColumns, columns_of
from steelyard.ledger.votes import ballots
from steelyard.schema.score import Outcome
from steelyard.stats.base import BoolArray, Coded, FloatArray, IntArray

Wholes = NDArray[np.integer[Any]]

EMPTY = "(empty)"
"""What a condition is called on tasks that do not declare it."""


def results_of_run(
    ledger: Ledger, run: str, *, amounts: bool = False, only: Sequence[str] = (), qualified: bool = False
) -> Results:
    """The trials of a run. `amounts` also reads cost (dollars) and seconds.

    `only` these contestants are read. Tasks are named SUITE/ID where the run has several suites, or always when
    `qualified`.

    Planned trials that have no score are rows without a grade, so that coverage is that of the plan. In a
    run that repeats until an interval is narrow only trials that were sent count, and a note says how they
    were spent.
    """
    info = ledger.find(run)
    plan, kept = ledger.plan(info.run), ledger.suites(info.run)
    wanted = [c for c, x in enumerate(plan.contestants) if not only or x.name in only]
    n_t = sum(len(s) for s in kept)
    rows = _scores(ledger, info.run, wanted, amounts=amounts)
    notes = []
    if is_import(info.source):
        there = planned_trials(plan, info.source, ledger.cells(info.run).columns)
        rows = rows.filled_up(wanted, there.astype(np.int64), plan.trials.count)
    elif plan.trials.until is None:
        rows = rows.with_missing(wanted, n_t, plan.trials.count)
    else:
        notes.append(
            "trials were added until intervals were narrow; here their number is taken as fixed. "
            f"What holds at every look: steelyard show {info.run}"
        )
    if not rows.c.size:
        raise DataError("the run has no trial yet", where=info.run)
    graded = (rows.outcome != int(Outcome.UNGRADED)) & np.isfinite(rows.value)
    names = [u.name for u in plan.suites]
    parts = [columns_of(s) for s in kept]
    clusters, facets = _read_clusters(parts, names, qualified=qualified), _read_facets(parts)
    minutes = _read_minutes(parts)
    return Results(
        task=_labelled(rows.t, _read_names(parts, names, qualified=qualified)),
        contestant=_labelled(rows.c, [x.name for x in plan.contestants]),
        trial=rows.k.astype(np.int64),
        score=np.where(graded, rows.value, 0.0),
        graded=graded,
        abstained=rows.outcome == int(Outcome.ABSTAINED),
        cluster=None if clusters is None else _labelled(clusters.codes[rows.t], clusters.names),
        suite=_labelled(np.repeat(np.arange(len(kept)), [len(s) for s in kept])[rows.t], names),
        conditions={f: facets[f].of(rows.t) for f in sorted(facets)},
        cost=rows.cost,
        seconds=rows.seconds,
        minutes=None if minutes is None else minutes[rows.t],
        source=f"run {info.run}",
        notes=tuple(notes),
        baseline=plan.baseline,
    )


def results_of_runs(ledger: Ledger, runs: Sequence[str], *, amounts: bool = False) -> Results:
    """The trials of several runs as one table, tasks joined as SUITE/ID. What `decide.beside.together` does with
    contestants that several runs have. A suite that the runs have in different versions is said in a note."""
    infos = [ledger.find(run) for run in runs]
    found = [i.run for i in infos]
    if len(set(found)) < len(found):
        raise DataError(
            "the same run twice", where=ledger.place, got=", ".join(found), fix="name each run once"
        )
    parts = [results_of_run(ledger, run, amounts=amounts, qualified=True) for run in found]
    versions: dict[str, dict[str, str]] = {}
    for run in found:
        for suite in ledger.plan(run).suites:
            versions.setdefault(suite.name, {})[run] = suite.version
    odd = [name for name, of in versions.items() if len(set(of.values())) > 1]
    table = together(parts, _short_names(infos))
    notes = tuple(
        f"suite {name} has different versions in these runs: tasks are joined by id, and may differ"
        for name in odd
    )
    return replace(table, notes=(*table.notes, *notes))


def _short_names(infos: Sequence[RunInfo]) -> list[str]:
    """The runs' own names where they have different ones, or else their ids."""
    names = [i.name for i in infos]
    return names if all(names) and len(set(names)) == len(names) else [i.run for i in infos]


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Trials as columns of whole numbers as narrow as they come; `value` is NaN without one. `cost` and `seconds` are
    None when they were not asked for."""

    c: Wholes
    t: Wholes
    k: Wholes
    outcome: Wholes
    value: FloatArray
    cost: FloatArray | None = None
    seconds: FloatArray | None = None

    def with_missing(self, wanted: Sequence[int], n_tasks: int, repeats: int) -> _Rows:
        """With a row for every planned trial that has none, after the others."""
        planned = np.zeros(max([*wanted, -1]) + 1, np.bool_)
        planned[wanted] = True
        lacking = np.broadcast_to(planned[:, None, None], (planned.size, n_tasks, repeats)).copy()
        inside = self.k < repeats
        lacking[self.c[inside], self.t[inside], self.k[inside]] = False
        return self._and_ungraded(*np.nonzero(lacking))

    def filled_up(self, wanted: Sequence[int], planned: IntArray, repeats: int) -> _Rows:
        """With rows up to as many of a (contestant, task) as `planned` says, after the others."""
        lacking = np.zeros(planned.shape, np.int64)
        lacking[wanted] = planned[wanted]
        np.subtract.at(lacking, (self.c, self.t), 1)
        c, t = np.nonzero(lacking > 0)
        n = lacking[c, t]
        nth = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
        return self._and_ungraded(np.repeat(c, n), np.repeat(t, n), repeats + nth)

    def _and_ungraded(self, c: IntArray, t: IntArray, k: IntArray) -> _Rows:
        if not c.size:
            return self
        none = np.full(c.size, np.nan)
        outcome = np.full(c.size, int(Outcome.UNGRADED))
        ends = (c, t, k, outcome, none, *(None if x is None else none for x in (self.cost, self.seconds)))
        mine = (self.c, self.t, self.k, self.outcome, self.value, self.cost, self.seconds)
        joined = [
            None if a is None or b is None else np.concatenate([a, b.astype(a.dtype)])
            for a, b in zip(mine, ends, strict=True)
        ]
        return _Rows(*joined)  # type: ignore[arg-type] # None only where None stood


def _scores(ledger: Ledger, run: str, wanted: Sequence[int], *, amounts: bool) -> _Rows:
    if not wanted:
        empty = np.zeros(0, np.int64)
        return _Rows(empty, empty, empty, empty, np.zeros(0))
    found = ledger.score_columns(run, wanted, amounts=amounts)
    # as narrow as they come: a million rows of 64-bit numbers are 32 MB
    return _Rows(found.c, found.t, found.k, found.outcome, found.value, found.cost, found.seconds)


@dataclass(slots=True)
class _Facet:
    """A condition: the number of each task's value, 0 where the task has none."""

    codes: IntArray
    places: dict[str, int] = field(default_factory=lambda: {EMPTY: 0})

    def add(self, start: int, labels: Labels) -> None:
        """The values of a suite whose first task is `start`."""
        place = [0, *(self.places.setdefault(v, len(self.places)) for v in labels.values)]
        codes = labels.numbers()
        self.codes[start : start + codes.size] = np.array(place, dtype=np.int64)[codes]

    def of(self, t: Wholes) -> Coded:
        """The column of rows whose tasks are `t`."""
        return _labelled(self.codes[t], list(self.places))


@dataclass(slots=True)
class _Clusters:
    """The unit of each task by number, and their names: of a cluster, or of a task that names none."""

    codes: IntArray
    names: list[str]


def _read_facets(parts: Sequence[TaskColumns]) -> dict[str, _Facet]:
    """The conditions of all tasks; every suite's columns in the order of the plan."""
    out: dict[str, _Facet] = {}
    n, start = sum(p.n for p in parts), 0
    for part in parts:
        for name in part.conditions:
            facet = out.get(name) or out.setdefault(name, _Facet(np.zeros(n, np.int64)))
            facet.add(start, part.condition(name))
        start += part.n
    return out


def _read_minutes(parts: Sequence[TaskColumns]) -> FloatArray | None:
    """Minutes by task, None when no task says them."""
    found = [(p.minutes(), p.n) for p in parts]
    if all(m is None for m, _ in found):
        return None
    minutes = np.concatenate([np.full(n, np.nan) if m is None else m for m, n in found])
    return minutes if np.isfinite(minutes).any() else None


def _read_names(parts: Sequence[TaskColumns], suites: Sequence[str], *, qualified: bool) -> list[str]:
    if qualified or len(parts) > 1:
        return [f"{name}/{i}" for part, name in zip(parts, suites, strict=True) for i in part.ids()]
    return parts[0].ids() if parts else []


def _read_clusters(
    parts: Sequence[TaskColumns], suites: Sequence[str], *, qualified: bool
) -> _Clusters | None:
    """The units of all tasks, named so that those of one suite are never those of another; None when no task names a
    cluster."""
    if not any(p.cluster().values for p in parts):
        return None
    codes, names, at = [], list[str](), 0
    for part, suite in zip(parts, suites, strict=True):
        labels = part.cluster()
        own, alone = labels.numbers(), len(names) + len(labels.values)
        names += [f"{suite}/{v}" for v in labels.values]
        single = np.flatnonzero(own == 0)
        ids = part.ids() if qualified and single.size else []
        names += [f"{suite}#{ids[i] if qualified else at + i}" for i in single.tolist()]
        unit = own + (alone - len(labels.values) - 1)
        unit[single] = alone + np.arange(single.size)
        codes.append(unit)
        at += part.n
    return _Clusters(np.concatenate(codes), names)


def results_of_cells(
    ledger: Ledger, run: str, amounts: Sequence[str] = (), *, conditions: bool = False
) -> Results:
    """A run with one row a (contestant, task) that has a verdict: mean score, mean cost, mean seconds over its trials.

    For pages over large runs: no trial is read, tasks and clusters go by number, not by name. Means over tasks, fronts
    and votes task by task are those of `results_of_run`; what needs single trials (quantiles, variance within a task)
    is not in here, nor is coverage (`counts_of_cells`). `conditions` reads every task. Of cost and seconds those that
    `amounts` names are in it: a cost is known when that of every attempt is, seconds when a trial was timed.
    """
    info = ledger.find(run)
    plan, cells, kept = ledger.plan(info.run), ledger.cells(info.run), ledger.suites(info.run)
    graded = cells.columns["graded"]
    has = graded > 0
    if not has.any():
        raise DataError("the run has no graded trial yet", where=info.run)
    score = cells.columns["value_sum"][has]
    score /= graded[has]
    del graded
    c, t = np.nonzero(has)
    names = [u.name for u in plan.suites]
    facets = _read_facets([columns_of(s) for s in kept]) if conditions else {}
    units, sizes = _units(kept), [len(s) for s in kept]
    of_suite = np.broadcast_to(np.int64(0), len(c))
    if len(kept) > 1:
        of_suite = np.repeat(np.arange(len(kept)), sizes)[t]
    suites = Coded(of_suite, tuple(names)) if len(kept) == 1 else _labelled(of_suite, names)
    return Results(
        task=_numbered(t),
        contestant=_numbered(c, [x.name for x in plan.contestants]),
        trial=np.broadcast_to(np.int64(0), len(c)),
        score=score,
        graded=np.ones(len(c), np.bool_),
        abstained=np.broadcast_to(np.False_, len(c)),
        cluster=None if units is None else _numbered(units[t]),
        suite=suites,
        conditions={f: facets[f].of(t) for f in sorted(facets)},
        cost=_costs(cells, has) if "cost" in amounts else None,
        seconds=_seconds(cells, has) if "seconds" in amounts else None,
        source=f"run {info.run}",
    )


def _costs(cells: Cells, has: BoolArray) -> FloatArray:
    out: FloatArray = cells.columns["cost_pusd"][has] / 1e12
    out /= cells.columns["trials"][has].clip(1)
    out[cells.columns["unpriced"][has] > 0] = np.nan
    return out


def _seconds(cells: Cells, has: BoolArray) -> FloatArray:
    timed = cells.columns["timed"][has]
    out: FloatArray = cells.columns["seconds"][has] / timed.clip(1)
    out[timed == 0] = np.nan
    return out


def _units(kept: Sequence[SuiteData]) -> IntArray | None:
    """The number of every task's independent unit over all suites; None when no task names a cluster."""
    found = [columns_of(s).units() if s.header.clustered else None for s in kept]
    if all(units is None for units in found):
        return None
    sizes = [len(s) for s in kept]
    starts = np.cumsum([0, *sizes[:-1]])
    parts = [np.arange(n) if units is None else units for units, n in zip(found, sizes, strict=True)]
    return np.concatenate([part + start for part, start in zip(parts, starts, strict=True)])


def _numbered(index: IntArray, labels: Sequence[str] | None = None) -> Coded:
    """Codes 0 to n-1 of the numbers that occur, in their order; labelled by number, or by their own labels."""
    present = np.flatnonzero(np.bincount(index))
    names = range(present.size) if labels is None else tuple(labels[i] for i in present.tolist())
    if present[-1] + 1 == present.size:  # every number occurs
        return Coded(index, names)
    place = np.zeros(int(present[-1]) + 1, np.int64)
    place[present] = np.arange(present.size)
    return Coded(place[index], names)


def counts_of_cells(ledger: Ledger, run: str) -> tuple[Counted, ...]:
    """How many trials of each contestant were planned and graded, as `coverage` counts them over `results_of_run`:
    what `results_of_cells` cannot show. Contestants without a graded trial are left out, as there."""
    info = ledger.find(run)
    plan, cells = ledger.plan(info.run), ledger.cells(info.run)
    graded = cells.columns["graded"]
    trials = np.maximum(graded + cells.columns["ungraded"], planned_trials(plan, info.source, cells.columns))
    names = [x.name for x in plan.contestants]
    return tuple(
        counted(name, trials[c].astype(np.int64), graded[c].astype(np.int64))
        for c, name in enumerate(names)
        if graded[c].any()
    )


def _labelled(index: Wholes, labels: Sequence[str]) -> Coded:
    """Codes whose labels all occur and are different, in order of first appearance; in linear time but for the order
    of the labels."""
    first = np.full(len(labels), index.size, dtype=np.int64)
    first[index[::-1]] = np.arange(
        index.size - 1, -1, -1
    )  # the last that is written is the first row of the label
    present = np.flatnonzero(first < index.size)
    order = present[np.argsort(first[present], kind="stable")]
    seen = [labels[i] for i in order.tolist()]
    place = np.zeros(len(labels), dtype=np.int64)
    place[order] = np.arange(order.size)
    if len(set(seen)) < len(seen):  # two tasks of one name are one
        table = {label: i for i, label in enumerate(dict.fromkeys(seen))}
        place[order] = [table[label] for label in seen]
        seen = list(table)
    return Coded(place[index], tuple(seen))


def votes_of_chain(ledger: Ledger, key: str, *, quarantined: bool = False) -> Table:
    """The votes kept under `key` as a table: model_a (shown left), model_b, winner, prompt, voter, other columns.

    Votes in quarantine are left out, which a note says, unless `quarantined`.
    """
    cast, decided = ballots(ledger, key)
    votes = [v for k, v in cast.votes.items() if quarantined or k not in decided.held]
    left_out = len(cast.votes) - len(votes)
    if not votes:
        got = f"{left_out} in quarantine" if left_out else "none"
        raise DataError(f"no votes are kept under {key!r}", where=ledger.place, got=got)
    columns: dict[str, list[object]] = {
        "model_a": [v.left for v in votes],
        "model_b": [v.right for v in votes],
        "winner": [v.winner for v in votes],
    }
    for role in ("prompt", "voter"):
        if any(getattr(v, role) for v in votes):
            columns[role] = [getattr(v, role) for v in votes]
    for name in dict.fromkeys(n for v in votes for n in v.fields):
        columns.setdefault(name, [v.fields.get(name) for v in votes])
    notes = (f"{left_out} of {len(cast.votes)} votes are in quarantine and left out",) if left_out else ()
    return Table(columns, f"votes {key}", shape="votes", notes=notes)
