"""What a run is, as one JSON object: row 1 of its chain, repeated in the table of runs for listing."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from steelyard.errors import LedgerCorrupt
from steelyard.schema.plan import Plan

MANIFEST = "manifest"
"""The `kind` of the Noted row that holds it."""


class Manifest(Struct, frozen=True, omit_defaults=True):
    """`plan` is the payload that holds the plan, `plan_hash` its content hash, `suites` digests of kept suites.
    `unpriced` names contestants and judges whose calls have no price: what the run spent is then more than its sum."""

    run: str
    name: str
    created_at: int
    source: str
    plan: str
    plan_hash: str
    suites: tuple[str, ...]
    suite_names: tuple[str, ...]
    contestants: tuple[str, ...]
    n_tasks: int
    tags: tuple[str, ...] = ()
    unpriced: tuple[str, ...] = ()


def manifest_of(content: bytes) -> Manifest:
    """Raises LedgerCorrupt when it is not one."""
    try:
        return msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as e:
        raise LedgerCorrupt(f"a run's manifest cannot be read: {e}") from e


def unpriced(plan: Plan) -> tuple[str, ...]:
    """Contestants and judges whose calls may be paid for, by a price that the plan does not know."""
    return tuple(
        spec.name
        for spec in (*plan.contestants, *plan.judges)
        if spec.price is None and spec.kind not in ("recording", "policy")
    )
