"""The live view of a run: one panel on a terminal, a plain line every few seconds elsewhere. Talks on stderr."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from steelyard.cli.out import clean, duration, money, say
from steelyard.ledger.manifest import unpriced

if TYPE_CHECKING:
    from rich.table import Table

    from steelyard.runner.base import Progress
    from steelyard.runner.engine import Engine

Watch = Callable[["Engine"], Callable[[], None]]


def watcher(*, plain: bool) -> Watch:
    """A live view for the session: returns the function that starts it, which returns the one that ends it."""
    if plain or not sys.stderr.isatty():
        return _plain_view
    return _rich_view


def _figures(engine: Engine) -> dict[str, str]:
    p, b = engine.progress, engine.budget
    elapsed = max(1e-9, time.monotonic() - p.started) if p.started else 0.0
    fresh = p.done - p.resumed
    rate = fresh / elapsed if elapsed > 0 else 0.0
    adaptive = engine.session.prepared.plan.trials.until is not None
    left = (p.total - p.done) / rate if rate > 0 else None
    cap = b.caps.money_pusd
    return {
        "done": f"{p.done} of {'at most ' if adaptive else ''}{p.total}",
        "rate": f"{rate:.1f}/s" if rate else "-",
        "left": "-" if left is None else ("at most " if adaptive else "") + duration(left),
        "spent": money(b.spent) + (f" of {money(cap)}" if cap is not None else "")
        + (" + unknown" if b.unknown_costs and unpriced(engine.session.prepared.plan) else "")
        + (f" (+{money(b.held)} held)" if b.held else ""),
        "in flight": str(b.in_flight),
        "retries": str(p.retries),
        "parked": str(p.parked),
        "faults": ", ".join(f"{k} {n}" for k, n in sorted(p.faults.items(), key=lambda x: -x[1])[:3]) or "-",
        "why": _why(p),
        "state": _state(engine),
    }  # fmt: skip


def _state(engine: Engine) -> str:
    """What goes on. Agents work between their calls, and are graded for longer than an answer is."""
    p = engine.progress
    if p.stopping or p.paused:
        return p.stopping or "paused"
    works = any(spec.kind in ("agent", "policy") for spec in engine.session.prepared.plan.contestants)
    if engine.budget.in_flight or (works and p.done < p.total):
        return "running"
    waiting = p.done - p.resumed - sum(p.graded.values()) - sum(p.ungraded.values())
    return f"grading {waiting}" if works and waiting > 0 else "done"


def _why(p: Progress) -> str:
    """What went wrong last, as long as nothing has been answered."""
    silent = p.done == p.parked + p.resumed and not p.stopping
    return clean(p.last_fault.splitlines()[0], 160) if silent and p.last_fault else "-"


def _line(engine: Engine) -> str:
    return "  ".join(f"{k} {v}" for k, v in _figures(engine).items() if v not in ("0", "-"))


class _Ticker(threading.Thread):
    """Calls something every `period` seconds until stopped; a view must never hold up the run."""

    def __init__(self, period: float, tick: Callable[[], None]) -> None:
        super().__init__(daemon=True, name="steelyard-view")
        self._period, self._tick, self._over = period, tick, threading.Event()

    def run(self) -> None:
        """Tick."""
        while not self._over.wait(self._period):
            self._tick()

    def end(self) -> None:
        """Stop ticking."""
        self._over.set()
        self.join(timeout=2)


def _plain_view(engine: Engine) -> Callable[[], None]:
    ticker = _Ticker(5.0, lambda: say(_line(engine)))
    ticker.start()

    def close() -> None:
        ticker.end()
        say(_line(engine))

    return close


def _panel(engine: Engine) -> Table:
    # lazy: rich costs 60 ms, and nothing is shown before the first request is on its way
    from rich.table import Table
    from rich.text import Text

    figures = _figures(engine)
    p = engine.progress
    table = Table.grid(padding=(0, 2))
    done = p.done / p.total if p.total else 0.0
    width = 40
    bar = "█" * int(done * width) + "░" * (width - int(done * width))
    table.add_row(f"[cyan]{bar}[/]", figures["done"], f"{figures['rate']}", f"left {figures['left']}")
    table.add_row(
        f"spent {figures['spent']}",
        f"in flight {figures['in flight']}",
        f"retries {figures['retries']}",
        f"parked {figures['parked']}",
    )
    for c, spec in enumerate(engine.session.prepared.plan.contestants[:12]):
        n = p.graded.get(c, 0)
        share = f"{p.passed.get(c, 0) / n:6.1%} of {n} so far" if n else "-"
        table.add_row(Text(clean(spec.name, 40)), share, f"ungraded {p.ungraded.get(c, 0)}", "")
    if figures["faults"] != "-":
        table.add_row(Text(f"faults: {figures['faults']}", style="yellow"), "", "", "")
    if figures["why"] != "-":
        table.add_row(Text(f"nothing has been answered yet: {figures['why']}", style="yellow"), "", "", "")
    if figures["state"] != "running":
        table.add_row(Text(clean(figures["state"]), style="yellow"), "", "", "")
    return table


def _rich_view(engine: Engine) -> Callable[[], None]:
    started = time.monotonic()
    view: list[Callable[[], None]] = []

    def tick() -> None:
        if not view:
            if time.monotonic() - started < 0.3:
                return
            # lazy: as above
            from rich.console import Console
            from rich.live import Live

            live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
            live.start()
            view.append(live.stop)
            shown.append(live.update)
        shown[0](_panel(engine), refresh=True)

    shown: list[Callable[..., None]] = []
    ticker = _Ticker(0.25, tick)
    ticker.start()

    def close() -> None:
        ticker.end()
        for stop in view:
            stop()
        say(_line(engine))

    return close
