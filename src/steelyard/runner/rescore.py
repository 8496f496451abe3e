"""Judge a run again without running it again: raw answers are kept, scores carry their scorer's version.

The new scores are rows of the same chain and supersede the old ones where the newest is asked for; the old ones stay.
Only scorers without a model can be applied here: a judge costs money, so judging again with one is a run of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from steelyard import scorers
from steelyard.errors import EndedBy, PlanError
from steelyard.ledger.base import Ledger
from steelyard.runner.base import prepared
from steelyard.runner.keeper import Key
from steelyard.runner.prepare import Renderer
from steelyard.runner.scoring import Pool, make_pool
from steelyard.schema.record import Noted, Record, Scored
from steelyard.schema.reply import Reply
from steelyard.schema.score import Score
from steelyard.scorers.base import Item, Scorer

_GROUP = 256


@dataclass(frozen=True, slots=True)
class Rescored:
    """How many trials were judged again, how many verdicts changed, and the name of the new scorer by suite."""

    run: str
    judged: int
    changed: int
    scorers: Mapping[str, str]


def rescore(ledger: Ledger, run: str, spec: dict[str, object], suite: str = "") -> Rescored:
    """Judge the trials of `run` (of one suite, or of all) with the scorer of `spec`; {} takes the plan's own scorer.

    Raises PlanError for a judge or an unknown suite, LedgerBusy while the run is going on.
    """
    info = ledger.find(run)
    ready = prepared(ledger.plan(info.run), ledger.suites(info.run))
    uses = ready.plan.suites
    names = [u.name for u in uses]
    if suite and suite not in names:
        raise PlanError("no such suite in this run", wanted=" | ".join(names), got=suite)
    built = {s: scorers.build(spec or u.scorer) for s, u in enumerate(uses) if suite in ("", u.name)}
    for one in built.values():
        if not isinstance(one, Scorer):
            raise PlanError(
                "a judge cannot be applied by `rescore`: its calls cost money",
                wanted="a scorer without a model",
                got=one.name,
                fix="run a plan with `recording` contestants and the judge",
            )
    named = {s: f"{one.name}@{one.version}" for s, one in built.items()}
    table = {named[s]: one for s, one in built.items() if isinstance(one, Scorer)}
    render = Renderer(ready)
    writer = ledger.open_run(info.run)
    pool = make_pool(table)
    judged = changed = 0
    old: dict[Key, Score | None] = {}
    batch: list[tuple[object, str, Item]] = []
    try:
        writer.append([Noted(time.time_ns(), "rescored", ", ".join(sorted(set(named.values()))))])
        for row in ledger.trials(info.run):
            s, i = ready.locate(row.t)
            if s not in named or (row.reply is None and not _measured(row.ended_by)):
                continue
            key = (row.c, row.t, row.k, row.attempts - 1)
            shown = render(s, i, row.c, row.seed)
            item = Item(
                ready.suites[s].task(i),
                row.reply or Reply(),
                row.order,
                row.ended_by,
                shown.messages,
                row.seed,
            )
            old[key] = row.score
            batch.append((key, named[s], item))
            if len(batch) >= _GROUP:
                changed += _flush(writer.append, pool, batch, old)
                judged += _GROUP
        rest = len(batch)
        changed += _flush(writer.append, pool, batch, old)
        return Rescored(info.run, judged + rest, changed, {names[s]: n for s, n in named.items()})
    finally:
        pool.close()
        writer.release()


def _measured(ended_by: str) -> bool:
    return bool(ended_by) and EndedBy(ended_by).is_measurement


def _flush(
    append: Callable[[Sequence[Record]], None],
    pool: Pool,
    batch: list[tuple[object, str, Item]],
    old: dict[Key, Score | None],
) -> int:
    """Score and record a batch; how many verdicts differ from the old ones."""
    changed = 0
    names = {key: name for key, name, _ in batch}
    records: list[Record] = []
    for key, score in pool.score_batch(batch):
        c, t, k, a = cast("Key", key)
        before = old.pop((c, t, k, a))
        changed += before is None or (before.outcome, before.value) != (score.outcome, score.value)
        records.append(Scored(c, t, k, a, names[key], score))
    if records:
        append(records)
    batch.clear()
    return changed
