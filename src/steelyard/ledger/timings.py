"""When answers came, for percentiles: a few columns out of a run's rows, all of them or a systematic sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Literal

import numpy as np

from steelyard.decide.latency import Timed
from steelyard.errors import EndedBy
from steelyard.ledger.base import Ledger
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.record import Record, Result

By = Literal["provider", "contestant", "model"]
ALL_ROWS = 40_000
"""Rows up to which a run is read whole (about a second); of a longer one, `WINDOWS` stretches as long together."""
WINDOWS = 80


def timed_answers(ledger: Ledger, run: str, by: By = "provider") -> Timed:
    """The timed answers of the contestants' own calls (no judges), grouped by provider, contestant or model.

    A contestant without a provider stands under its kind. An agent's time is that of a whole trial: it is there when
    contestants are asked for, and else left out. Raises DataError for a run that is not there.
    """
    info = ledger.find(run)
    names = [_name(c, by) for c in ledger.plan(info.run).contestants]
    order = {n: i for i, n in enumerate(dict.fromkeys(names))}
    group_of = [order[n] for n in names]
    agents = [c.kind == "agent" for c in ledger.plan(info.run).contestants]
    faults = np.zeros(len(order), np.int64)
    rows: list[tuple[int, int, float, float, float]] = []
    read = 0
    for record in _sampled(ledger, info.run, info.n_records):
        read += 1
        if type(record) is not Result or record.role or (agents[record.c] and by != "contestant"):
            continue
        if not EndedBy(record.ended_by).is_measurement:
            faults[group_of[record.c]] += 1
            continue
        timing = None if record.reply is None else record.reply.timing
        if record.reply is None or timing is None:
            continue
        first = math.nan if timing.first_token_ns is None else timing.first_token_ns / 1e9
        out = record.reply.usage.output_tokens
        gap = math.nan
        if timing.first_token_ns is not None and out is not None and out > 1:
            gap = (timing.done_ns - timing.first_token_ns) / 1e9 / (out - 1)
        rows.append((group_of[record.c], record.at, timing.done_ns / 1e9, first, gap))
    columns = list(zip(*rows, strict=True)) or [()] * 5
    group, at = (np.array(c, np.int64) for c in columns[:2])
    total, first_s, gaps = (np.array(c, np.float64) for c in columns[2:])
    return Timed(tuple(order), group, at, total, first_s, gaps, faults, info.n_records, read)


def _name(c: ContestantSpec, by: By) -> str:
    if by == "contestant":
        return c.name
    if by == "model":
        return c.model or c.name
    return c.provider or f"({c.kind})"


def _sampled(ledger: Ledger, run: str, n: int) -> Iterator[Record]:
    if n <= ALL_ROWS:
        yield from ledger.records(run)
        return
    size = ALL_ROWS // WINDOWS
    for w in range(WINDOWS):
        # evenly over the chain, which is in order of time
        yield from islice(ledger.records(run, (n - size) * w // (WINDOWS - 1)), size)
