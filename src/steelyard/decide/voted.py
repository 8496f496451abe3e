"""The most frequent of k answers, and the best of k by a selector, of each contestant.

Not covered: how answers are brought to one spelling. Rows are columns by role: task, answer, correct, and contestant,
trial, selector, cluster where there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from steelyard.decide.cells import Column, numbers
from steelyard.decide.lines import Line, line_of
from steelyard.decide.roles import groups, rows_of, texts, whole
from steelyard.errors import RowsError
from steelyard.stats.base import FloatArray, codes, no_repeats
from steelyard.stats.passk import best_of_n, majority_vote

NO_ANSWER = "(no answer)"
"""What an empty answer counts as: an answer of its own."""


def majority_lines(
    columns: Mapping[str, Column], ks: Sequence[int], *, level: float = 0.95
) -> tuple[Line, ...]:
    """A line for each contestant and k, and one more where there is a selector.

    `correct` is 0 or 1 (0 to 1 for best of k alone). Raises RowsError for an ungraded row, one answer graded both ways
    within a task, or a repeated trial; a task with fewer than k trials makes the figure Unknown.
    """
    correct, picks = (_filled(columns, n) if n in columns else None for n in ("correct", "selector"))
    task = whole(columns["task"], "task")
    who = whole(columns["contestant"], "contestant") if "contestant" in columns else ["all"] * len(task)
    if "trial" in columns:
        trial = whole(columns["trial"], "trial")
        no_repeats([(n, codes(c, n)) for n, c in (("contestant", who), ("task", task), ("trial", trial))])
    answer = [t or NO_ANSWER for t in texts(columns["answer"])] if "answer" in columns else None
    cluster = whole(columns["cluster"], "cluster") if "cluster" in columns else None
    out = []
    for name, at in groups(who).items():
        tasks = [task[i] for i in at]
        group = None if cluster is None else [cluster[i] for i in at]
        with rows_of(at):
            for k in ks:
                if answer is not None and correct is not None:
                    found = majority_vote(
                        [answer[i] for i in at], correct[at], tasks, k=k, clusters=group, level=level
                    )
                    out.append(line_of(name, f"majority of {k}", found))
                if picks is not None and correct is not None:
                    found = best_of_n(correct[at], picks[at], tasks, n=k, clusters=group, level=level)
                    out.append(line_of(name, f"best of {k}", found))
    return tuple(out)


def _filled(columns: Mapping[str, Column], name: str) -> FloatArray:
    values, there = numbers(columns[name], name, "leave the row out, or mend it")
    bad = np.flatnonzero(~there)
    if bad.size:
        fix = "grade these rows; left out, their tasks would have fewer trials"
        raise RowsError(
            f"{name} is empty", rows=tuple(bad.tolist()), wanted="a value in every row",
            fix=fix if name == "correct" else "give every trial what the selector says of it",
        )  # fmt: skip
    return values
