"""`--dry-run`: what would be sent, to whom, and the most that it can cost. Held-out tasks are counted, never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steelyard.cli.out import clean, count, data, emit_json, money
from steelyard.runner.estimate import estimate
from steelyard.runner.prepare import Renderer
from steelyard.runner.schedule import trial_seed
from steelyard.schema.message import text_of
from steelyard.unknown import Unknown

if TYPE_CHECKING:
    from steelyard.runner.base import Prepared


def print_dry_run(ready: Prepared, n_show: int, *, as_json: bool) -> None:
    """Print it; sends and writes nothing."""
    render = Renderer(ready)
    found = estimate(ready, render)
    plan = ready.plan
    requests = _requests(ready, render, n_show)
    suites = [
        {"name": u.name, "version": u.version, "tasks": u.n_tasks, "split": u.split} for u in plan.suites
    ]
    if as_json:
        emit_json(
            {
                "trials": found.trials,
                "worst_case_dollars": _dollars(found.worst_pusd),
                "worst_case_tokens": found.worst_tokens,
                "contestants": [
                    {"name": n, "trials": k, "worst_case_dollars": _dollars(m)}
                    for n, k, m in found.per_contestant
                ],
                "judges": [
                    {"name": n, "calls": k, "worst_case_dollars": _dollars(m)} for n, k, m in found.per_judge
                ],
                "suites": suites,
                "requests": requests,
            }
        )
        return
    at_most = "at most " if plan.trials.until is not None else ""
    data(
        f"{at_most}{count(found.trials, 'trial')}; {_worst(found.worst_pusd)}; {_tokens(found.worst_tokens)}"
    )
    data("(every attempt once; retries after faults come on top and count against the caps)")
    for use in plan.suites:
        data(
            f"suite {clean(use.name)}: {count(use.n_tasks, 'task')} ({use.split}), version {use.version[:12]}"
        )
    for name, trials, worst in found.per_contestant:
        data(f"contestant {clean(name)}: {count(trials, 'trial')}; {_worst(worst)}")
    for name, calls, worst in found.per_judge:
        data(f"judge {clean(name)}: at most {count(calls, 'call')}; {_worst(worst)}")
    for r in requests:
        data("")
        who, task, suite_name = (clean(str(r[key])) for key in ("contestant", "task", "suite"))
        data(f"to {who}, task {task} of {suite_name}, seed {r['seed']}:")
        messages = r["messages"]
        assert isinstance(messages, list)
        for m in messages:
            data(f"  [{m['role']}] {clean(str(m['content']), 2000)}")


def _dollars(pusd: object) -> object:
    return pusd / 1e12 if isinstance(pusd, int) else pusd


def _worst(pusd: int | Unknown) -> str:
    if isinstance(pusd, Unknown):
        return f"what it costs is not known: {pusd.reason}"
    return f"worst case {money(pusd)}"


def _tokens(n: int | Unknown) -> str:
    return n.reason if isinstance(n, Unknown) else f"at most {n:,} tokens"


def _requests(ready: Prepared, render: Renderer, n_show: int) -> list[dict[str, object]]:
    plan = ready.plan
    out: list[dict[str, object]] = []
    for t in range(ready.n_tasks):
        if len(out) >= n_show:
            break
        s, i = ready.locate(t)
        data_ = ready.suites[s]
        task = data_.task(i)
        if task.split == "held_out":
            continue
        c = len(out) % len(plan.contestants)
        seed = trial_seed(plan.seed, data_.header.version, task.id, 0)
        shown = render(s, i, c, seed)
        out.append(
            {
                "contestant": plan.contestants[c].name,
                "suite": plan.suites[s].name,
                "task": task.id,
                "seed": seed,
                "messages": [{"role": m.role, "content": text_of(m)} for m in shown.messages],
            }
        )
    return out
