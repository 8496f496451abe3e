"""Several runs as one table, joined by task: for a comparison or a ranking across runs.

Does not check that the tasks are the same but by name; whoever knows the suites' versions says so beside the figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from steelyard.decide.results import Results
from steelyard.stats.base import Coded, FloatArray


def beside(left: Results, right: Results, names: tuple[str, str]) -> Results:
    """The trials of `left`, then those of `right`, each of one contestant, which are called `names`.

    Clusters are kept when both have them (a task's cluster is `left`'s); conditions are not.
    """
    both = (left, right)
    task = _joined(left.task, right.task)
    who = Coded(np.repeat(np.array([0, 1]), [left.rows, right.rows]), names)
    cluster = None
    if left.cluster is not None and right.cluster is not None:
        cluster = _first_of_task(_joined(left.cluster, right.cluster), task)
    return Results(
        task=task,
        contestant=who,
        trial=np.concatenate([left.trial, right.trial]),
        score=np.concatenate([left.score, right.score]),
        graded=np.concatenate([left.graded, right.graded]),
        abstained=np.concatenate([left.abstained, right.abstained]),
        cluster=cluster,
        cost=_amounts(both, [r.cost for r in both]),
        seconds=_amounts(both, [r.seconds for r in both]),
        bounds=left.bounds if left.bounds == right.bounds else None,
        source=f"{left.source} and {right.source}",
        notes=tuple(dict.fromkeys((*left.notes, *right.notes))),
    )


def together(parts: Sequence[Results], runs: Sequence[str]) -> Results:
    """The trials of all `parts`, each from the run that `runs` names, in this order.

    A contestant that several runs have is two contestants, NAME (RUN): what a name stood for may have changed between
    them. A task's cluster and suite are those of the first run that has it; a column that a run lacks (cost, say) is
    unknown there.
    """
    many = Counter(name for part in parts for name in part.names)
    twice = [name for name, n in many.items() if n > 1]
    renamed = [
        Coded(c.index, tuple(f"{name} ({run})" if name in twice else name for name in part.names))
        for part, run in zip(parts, runs, strict=True)
        for c in (part.contestant,)
    ]
    task = _all_joined([p.task for p in parts])
    first = replace(parts[0], task=task)

    def by_task(of: Callable[[Results], Coded | None]) -> Coded | None:
        columns = [of(p) for p in parts]
        if all(c is None for c in columns):
            return None
        # without the column every task stands alone, under a label that no cluster has
        filled = [
            Coded(p.task.index, tuple(("task", t) for t in p.task.labels)) if c is None else c
            for p, c in zip(parts, columns, strict=True)
        ]
        return _first_of_task(_all_joined(filled), task)

    # a condition that a run does not declare cannot say where its trials belong
    shared = [n for n in (parts[0].conditions or {}) if all(n in (p.conditions or {}) for p in parts)]
    notes = [note for p in parts for note in p.notes]
    if twice:
        named = ", ".join(twice[:4]) + (f" and {len(twice) - 4} more" if len(twice) > 4 else "")
        notes.append(f"several runs have {named}: the run stands behind the name")
    return replace(
        first,
        contestant=_all_joined(renamed),
        trial=np.concatenate([p.trial for p in parts]),
        score=np.concatenate([p.score for p in parts]),
        graded=np.concatenate([p.graded for p in parts]),
        abstained=np.concatenate([p.abstained for p in parts]),
        cluster=by_task(lambda p: p.cluster),
        suite=by_task(lambda p: p.suite),
        conditions={n: _all_joined([(p.conditions or {})[n] for p in parts]) for n in shared},
        cost=_amounts(parts, [p.cost for p in parts]),
        seconds=_amounts(parts, [p.seconds for p in parts]),
        minutes=_amounts(parts, [p.minutes for p in parts]),
        bounds=parts[0].bounds if all(p.bounds == parts[0].bounds for p in parts) else None,
        source=" and ".join(p.source for p in parts),
        notes=tuple(dict.fromkeys(notes)),
    )


def _amounts(parts: Sequence[Results], columns: Sequence[FloatArray | None]) -> FloatArray | None:
    """Unknown where a part has no such column, None when none has it."""
    if all(c is None for c in columns):
        return None
    filled = [np.full(p.rows, np.nan) if c is None else c for p, c in zip(parts, columns, strict=True)]
    return np.concatenate(filled)


def _all_joined(columns: Sequence[Coded]) -> Coded:
    found = columns[0]
    for column in columns[1:]:
        found = _joined(found, column)
    return found


def _first_of_task(column: Coded, task: Coded) -> Coded:
    """The label that each row's task has in its first row."""
    of_task = np.zeros(task.size, dtype=np.int64)
    of_task[task.index[::-1]] = column.index[::-1]
    present, recoded = np.unique(of_task[task.index], return_inverse=True)
    return Coded(recoded, tuple(column.labels[i] for i in present.tolist()))


def _joined(a: Coded, b: Coded) -> Coded:
    table = {label: i for i, label in enumerate(a.labels)}
    place = np.array([table.setdefault(label, len(table)) for label in b.labels], dtype=np.int64)
    return Coded(np.concatenate([a.index, place[b.index]]), tuple(table))
