"""The door of the kind `embedded`: a spec in, a contestant out. NumPy is loaded here and not before."""

from __future__ import annotations

import os
from collections.abc import Mapping

from steelyard.contestants.base import Contestant
from steelyard.errors import PlanError
from steelyard.schema.contestant import ContestantSpec


def make(spec: ContestantSpec, environ: Mapping[str, str]) -> Contestant:
    """The contestant of a spec. Raises PlanError for a model that does not ship."""
    # more BLAS threads cost more than they bring on matrices this small, ten times so beside other work; NumPy
    # reads this once, when it loads
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # lazy: NumPy must load after the line above, and only when a plan names an embedded model
    from steelyard.contestants.embedded.inprocess import EmbeddedContestant
    from steelyard.contestants.embedded.weights import model_names

    if spec.model not in model_names():
        raise PlanError(
            f"contestant `{spec.name}`: no such embedded model",
            wanted="one of " + ", ".join(model_names()),
            got=spec.model or "no model",
            fix="set `model`",
        )
    return EmbeddedContestant(spec)
