"""How many trials of each task a run was to have, as coverage counts them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from steelyard.schema.plan import Plan


def is_import(source: str) -> bool:
    """Whether a run's `source` says that it was made elsewhere."""
    return source.startswith("import")


def planned_trials(
    plan: Plan, source: str, columns: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Trials wanted of each (contestant, task); `columns` are those of `Cells`.

    The plan's count. In a run that repeats until an interval is narrow: what has a verdict or will have none. In an
    import nobody knows what was planned: what is there, and one of each task that another contestant did.
    """
    if plan.trials.until is not None:
        return columns["graded"] + columns["ungraded"]
    if is_import(source):
        return np.maximum(columns["trials"], 1.0)
    return np.broadcast_to(np.float64(plan.trials.count), columns["graded"].shape)
