"""From a spec to a contestant: one table of kinds, each module imported only when a plan needs it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import cast

from steelyard.contestants.base import Contestant
from steelyard.errors import PlanError
from steelyard.schema.contestant import ContestantSpec

FACTORIES: Mapping[str, str] = {
    "endpoint": "steelyard.contestants.endpoint:make",
    "http": "steelyard.contestants.http:make",
    "callable": "steelyard.contestants.application:make",
    "recording": "steelyard.contestants.recording:make",
    "embedded": "steelyard.contestants.embedded.contestant:make",
}
"""Kind of contestant to `module:function` that makes it from (spec, environ)."""


def build(spec: ContestantSpec, environ: Mapping[str, str]) -> Contestant:
    """The contestant that `spec` describes, not yet open. `environ` holds credentials by name.

    Raises PlanError for a kind that is not known here.
    """
    target = FACTORIES.get(spec.kind)
    if target is None:
        raise PlanError(
            f"contestant `{spec.name}`: unknown kind", wanted=" | ".join(FACTORIES), got=spec.kind
        )
    module, _, name = target.partition(":")
    # lazy: a plan that calls an endpoint must not load models, and the other way round
    make = cast(
        "Callable[[ContestantSpec, Mapping[str, str]], Contestant]",
        getattr(importlib.import_module(module), name),
    )
    return make(spec, environ)
