"""Two contestants of different runs as one table, joined by task: for a comparison across runs.

Does not check that the tasks are the same but by name; whoever knows the suites' versions says so beside the figures.
"""

from __future__ import annotations

import numpy as np

from steelyard.decide.results import Results
from steelyard.stats.base import Coded, FloatArray


def beside(left: Results, right: Results, names: tuple[str, str]) -> Results:
    """The trials of `left`, then those of `right`, each of one contestant, which are called `names`.

    Clusters are kept when both have them (a task's cluster is `left`'s); conditions are not.
    """
    task = _joined(left.task, right.task)
    who = Coded(np.repeat(np.array([0, 1]), [left.rows, right.rows]), names)
    cluster = None
    if left.cluster is not None and right.cluster is not None:
        cluster = _left_first(_joined(left.cluster, right.cluster), task, left.rows)
    return Results(
        task=task,
        contestant=who,
        trial=np.concatenate([left.trial, right.trial]),
        score=np.concatenate([left.score, right.score]),
        graded=np.concatenate([left.graded, right.graded]),
        abstained=np.concatenate([left.abstained, right.abstained]),
        cluster=cluster,
        cost=_amounts(left, left.cost, right, right.cost),
        seconds=_amounts(left, left.seconds, right, right.seconds),
        bounds=left.bounds if left.bounds == right.bounds else None,
        source=f"{left.source} and {right.source}",
        notes=tuple(dict.fromkeys((*left.notes, *right.notes))),
    )


def _amounts(left: Results, a: FloatArray | None, right: Results, b: FloatArray | None) -> FloatArray | None:
    if a is None and b is None:
        return None
    parts = [np.full(r.rows, np.nan) if x is None else x for r, x in ((left, a), (right, b))]
    return np.concatenate(parts)


def _joined(a: Coded, b: Coded) -> Coded:
    table = {label: i for i, label in enumerate(a.labels)}
    place = np.array([table.setdefault(label, len(table)) for label in b.labels], dtype=np.int64)
    return Coded(np.concatenate([a.index, place[b.index]]), tuple(table))


def _left_first(cluster: Coded, task: Coded, left_rows: int) -> Coded:
    """The right side's rows in the cluster that their task has on the left, where it stands there."""
    of_task = np.full(task.size, -1, dtype=np.int64)
    of_task[task.index[:left_rows]] = cluster.index[:left_rows]
    known = of_task[task.index]
    index = np.where(known >= 0, known, cluster.index)
    present, recoded = np.unique(index, return_inverse=True)
    return Coded(recoded, tuple(cluster.labels[i] for i in present.tolist()))
