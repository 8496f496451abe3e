"""Ids, suites, conditions and clusters of a run's tasks, in compact form, for pages that filter and name tasks.

Read once for a run's plan, on the first page that needs all of them; a page of a few tasks reads only those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steelyard.ledger.base import RunInfo
from steelyard.ledger.taskcolumns import columns_of
from steelyard.stats.base import IntArray
from steelyard.web.desk import Desk

UP_FRONT = 20_000
"""Up to so many tasks, the list is read without being asked for: its conditions become choices on the page."""


@dataclass(frozen=True, slots=True)
class TaskList:
    """`ids` by run task; `facets` maps each condition to (values, code of each task: -1 when it has none)."""

    ids: tuple[str, ...]
    facets: dict[str, tuple[tuple[str, ...], IntArray]]


def task_list(desk: Desk, run: RunInfo) -> TaskList:
    """All tasks of a run; kept by the desk."""
    plan = ("tasks", run.plan_hash)
    return desk.cached(run, plan, lambda: _read(desk, run))


def _read(desk: Desk, run: RunInfo) -> TaskList:
    ids: list[str] = []
    places: dict[str, dict[str, int]] = {}
    codes: dict[str, IntArray] = {}
    for suite in desk.ledger.suites(run.run):
        columns = columns_of(suite)
        for name in columns.conditions:
            mine = codes.get(name)
            if mine is None:
                mine = codes[name] = np.full(run.n_tasks, -1, dtype=np.int32)
            labels, known = columns.condition(name), places.setdefault(name, {})
            place = [-1, *(known.setdefault(v, len(known)) for v in labels.values)]
            mine[len(ids) : len(ids) + columns.n] = np.array(place, dtype=np.int32)[labels.numbers()]
        ids += columns.ids()
    return TaskList(tuple(ids), {k: (tuple(places[k]), codes[k]) for k in codes})


def names_of(desk: Desk, run: RunInfo, tasks: Sequence[int]) -> list[tuple[str, str]]:
    """(suite, id) of some tasks; reads only those, or of many the list of all."""
    ready = desk.ready(run)
    if len(tasks) > UP_FRONT:
        ids, suites = task_list(desk, run).ids, [u.name for u in ready.plan.suites]
        return [(suites[ready.locate(t)[0]], ids[t]) for t in tasks]
    found = []
    for t in tasks:
        s, i = ready.locate(t)
        found.append((ready.plan.suites[s].name, ready.suites[s].task(i).id))
    return found


Conditions = tuple[tuple[str, str], ...]


def conditions_by_task(desk: Desk, run: RunInfo, tasks: Sequence[int]) -> dict[int, Conditions]:
    """The conditions of some tasks in order of their names; columns are read, no task is."""
    ready, found = desk.ready(run), dict[int, dict[str, str]]()
    wanted = np.unique(np.asarray(tasks, dtype=np.int64))
    for suite, start in zip(ready.suites, ready.offsets, strict=True):
        mine = wanted[(wanted >= start) & (wanted < start + len(suite))]
        if not mine.size:
            continue
        columns = columns_of(suite)
        for name in columns.conditions:
            labels = columns.condition(name)
            for t, code in zip(mine.tolist(), labels.numbers()[mine - start].tolist(), strict=True):
                if code:
                    found.setdefault(t, {})[name] = labels.values[code - 1]
    return {t: tuple(sorted(said.items())) for t, said in found.items()}
