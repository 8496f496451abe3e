"""Trials that were answered and not yet judged when a run was killed: judged first, from the answers on disk."""

from __future__ import annotations

from steelyard.errors import EndedBy
from steelyard.ledger.base import Ledger, RunWriter
from steelyard.runner.base import Prepared
from steelyard.runner.judging import Judging
from steelyard.runner.keeper import Key
from steelyard.runner.prepare import Renderer
from steelyard.runner.scoring import Scoring
from steelyard.runner.source import Cell
from steelyard.schema.record import Record, Scored
from steelyard.schema.reply import Reply
from steelyard.schema.score import ungraded
from steelyard.scorers.base import Item

_GROUP = 256


def judge_leftovers(
    ledger: Ledger, ready: Prepared, writer: RunWriter, scoring: Scoring, judging: Judging | None
) -> set[Cell]:
    """Score what has a final result and no score. Returns the trials that a judge still has to read."""
    render = Renderer(ready)
    waiting: set[Cell] = set()
    batch: list[tuple[object, str, Item]] = []
    records: list[Record] = []
    for row in ledger.trials(writer.run):
        if row.score is not None or not row.final:
            continue
        key: Key = (row.c, row.t, row.k, row.attempts - 1)
        s, i = ready.locate(row.t)
        suite = scoring.suites[s]
        if row.reply is None and not EndedBy(row.ended_by).is_measurement:
            score = ungraded(f"{row.ended_by}:{row.fault}", row.detail[:200])
            records.append(Scored(*key, suite.name, score))
            continue
        shown = render(s, i, row.c, row.seed)
        task = ready.suites[s].task(i)
        item = Item(task, row.reply or Reply(), row.order, row.ended_by, shown.messages, row.seed)
        if suite.judged and judging is not None:
            waiting.add((row.c, row.t, row.k))
            judging.add(key, suite.name, item)
        else:
            batch.append((key, suite.name, item))
        if len(batch) >= _GROUP:
            records += scoring.score(batch)
            batch.clear()
    records += scoring.score(batch)
    for start in range(0, len(records), _GROUP):
        writer.append(records[start : start + _GROUP])
    return waiting
