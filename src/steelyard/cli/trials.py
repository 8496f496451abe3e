"""Trials for `steelyard show`: everything that a model wrote passes through `clean` before a terminal sees it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from steelyard.cli.out import clean, data, emit_json, money
from steelyard.cli.steps import steps_text

if TYPE_CHECKING:
    from steelyard.ledger.base import Ledger
    from steelyard.runner.trials import Filter, TrialView


@dataclass(frozen=True, slots=True)
class Telling:
    """How trials are told: held-out content too, the traces too, as JSON."""

    reveal: bool = False
    trace: bool = False
    as_json: bool = False


def show_trials(ledger: Ledger, run: str, wanted: Filter, how: Telling) -> None:
    """Print the trials; with `reveal` the ledger notes for good that the held-out split was looked at."""
    # lazy: only when trials are asked for
    from steelyard.runner.exposure import expose
    from steelyard.runner.trials import trial_views

    if how.reveal:
        versions = [u.version for u in ledger.plan(ledger.find(run).run).suites]
        expose(ledger, versions, at=time.time_ns(), by="steelyard show --reveal")
    views = list(trial_views(ledger, run, wanted, reveal=how.reveal))
    if how.as_json:
        emit_json([_with_trace(ledger, v) for v in views] if how.trace else views)
        return
    for view in views:
        data(_text(view))
        if how.trace:
            data(steps_text(ledger.payload(view.trace)) if view.trace else "   trace: none that may be shown")
    if not views:
        data("no trial matches")


def _with_trace(ledger: Ledger, view: TrialView) -> dict[str, object]:
    """A view whose `trace` is the trace itself, None when there is none or it is held out."""
    kept = json.loads(ledger.payload(view.trace)) if view.trace else None
    return {**asdict(view), "trace": kept}


def _told(text: str, limit: int) -> str:
    """A text of several lines, set in: none of its lines can pass for one of ours."""
    return clean(text, limit).replace("\n", "\n      ")


def _text(v: TrialView) -> str:
    lines = [
        f"── {clean(v.contestant)} · {clean(v.suite)} · task {clean(v.task)} · trial {v.trial} · {v.outcome}"
    ]
    if v.cause:
        lines[0] += f" ({clean(v.cause)})"
    for role, text in v.asked:
        lines.append(f"   {role or 'asked'}: {_told(text, 1500)}")
    if v.reasoning:
        lines.append(f"   reasoning: {_told(v.reasoning, 1500)}")
    lines.append(f"   answer: {_told(v.answer, 3000)}")
    lines.append(
        f"   target: {_told(v.target, 500)}"
        + (f"   read as: {_told(v.extracted, 200)}" if v.extracted else "")
    )
    if v.explanation:
        lines.append(f"   why: {_told(v.explanation, 1000)}")
    if v.changed:
        lines.append(f"   changed: {clean(', '.join(v.changed), 600)}")
    lines += [f"   flag: {clean(flag, 300)}" for flag in v.flags]
    took = "" if v.seconds is None else f", {v.seconds:.2f} s"
    cost = "cost unknown" if v.cost_pusd is None else money(v.cost_pusd)
    lines.append(
        f"   {v.attempts} attempt(s), ended by {v.ended_by}{' ' + v.fault if v.fault else ''}, {cost}{took}"
    )
    return "\n".join(lines)
