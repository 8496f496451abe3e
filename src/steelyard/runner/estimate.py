"""The most that a plan can cost and use, told before anything is sent.

Not counted: retries after faults, and the calls of simulated users. A judge reads what contestants wrote, in tokens of
its own: what a call of it costs has no bound unless its `context_tokens` says so.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from steelyard import scorers
from steelyard.contestants.base import Ask
from steelyard.runner.base import Prepared, worst_case
from steelyard.runner.places import WORKING, worst_work
from steelyard.runner.prepare import Renderer
from steelyard.runner.schedule import trial_seed
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.price import is_free, worst_case_pusd
from steelyard.unknown import Unknown, is_known

Row = tuple[str, int, int | Unknown]
"""Name, trials (or calls), picodollars at the most."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would do: trials, and the most that they can cost and use (picodollars, tokens), judges included."""

    trials: int
    worst_pusd: int | Unknown
    worst_tokens: int | Unknown
    per_contestant: tuple[Row, ...]
    per_judge: tuple[Row, ...] = ()


def estimate(ready: Prepared, render: Renderer) -> Estimate:
    """Worst case over all trials of the plan (at most `at_most` a task), every attempt but retries counted."""
    plan = ready.plan
    count = plan.trials.count if plan.trials.until is None else plan.trials.at_most
    total_p: int | Unknown = 0
    total_t: int | Unknown = 0
    rows: list[Row] = []
    for c, spec in enumerate(plan.contestants):
        money: int | Unknown = 0
        for t in range(ready.n_tasks):
            s, i = ready.locate(t)
            # examples are drawn anew for every trial, and not all are of one length
            drawn = count if render.draws(s, c) else 1
            for k in range(drawn):
                pusd, tokens = _trial(ready, render, (c, s, i, k))
                money = _plus(money, pusd, count // drawn)
                total_t = _plus(total_t, tokens, count // drawn)
        rows.append((spec.name, ready.n_tasks * count, money))
        total_p = _plus(total_p, money, 1)
    judged = _judges(ready, count * len(plan.contestants))
    for _, n, pusd, tokens in judged:
        total_p, total_t = _plus(total_p, pusd, n), _plus(total_t, tokens, n)
    trials = len(plan.contestants) * ready.n_tasks * count
    per_judge = tuple((name, n, _plus(0, pusd, n)) for name, n, pusd, _ in judged)
    return Estimate(trials, total_p, total_t, tuple(rows), per_judge)


def _trial(
    ready: Prepared, render: Renderer, at: tuple[int, int, int, int]
) -> tuple[int | Unknown, int | Unknown]:
    """(picodollars, tokens) of trial `k` of contestant `c` on task `i` of suite `s`, at the most."""
    c, s, i, k = at
    spec, data = ready.plan.contestants[c], ready.suites[s]
    task = data.task(i)
    if spec.kind in WORKING:
        return worst_work(spec, task.agentic)
    shown = render(s, i, c, trial_seed(ready.plan.seed, data.header.version, task.id, k))
    return worst_case(spec, Ask(shown.messages, task.id, k, 0, shown.tools))


def _judges(ready: Prepared, times: int) -> list[tuple[str, int, int | Unknown, int | Unknown]]:
    """(role, calls at the most, picodollars and tokens of one) of every judge; `times` trials a task."""
    calls: Counter[str] = Counter()
    for s, use in enumerate(ready.plan.suites):
        built = scorers.build(use.scorer)
        if not isinstance(built, scorers.Scorer):
            for role in built.calls:
                calls[role] += times * len(ready.suites[s])
    return [(j.name, calls[j.name], *_call(j)) for j in ready.plan.judges if calls[j.name]]


def _call(judge: ContestantSpec) -> tuple[int | Unknown, int | Unknown]:
    context, out = judge.config.get("context_tokens"), judge.sampling.max_tokens
    free = judge.price is not None and is_free(judge.price)
    if not isinstance(context, int):
        why = Unknown(f"the judge {judge.name} reads answers of any length; set its context_tokens")
        return (0 if free else why), why
    tokens = Unknown("no bound on output tokens") if out is None else context + out
    return worst_case_pusd(judge.price, context, out), tokens


def _plus(total: int | Unknown, more: int | Unknown, times: int) -> int | Unknown:
    if not is_known(total):
        return total
    return total + more * times if is_known(more) else more
