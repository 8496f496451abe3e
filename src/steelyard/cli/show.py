"""`steelyard show`: the runs of a ledger, a run's leaderboard, or single trials with what was said."""

from __future__ import annotations

import time
from dataclasses import dataclass

import click

from steelyard.cli.common import json_option, ledger_option, open_place
from steelyard.cli.out import clean, data, emit_json, money, packed
from steelyard.ledger.base import Ledger, RunInfo
from steelyard.unknown import is_known


@dataclass(frozen=True, slots=True)
class ShowOptions:
    """What the command line said."""

    run: str | None
    task_id: str | None
    contestant: str | None
    failed: bool
    limit: int
    reveal: bool
    by: tuple[str, ...]
    ks: tuple[int, ...]
    trace: bool
    place: str | None
    as_json: bool


@click.command("show")
@click.argument("run", required=False)
@click.option("--task", "task_id", default=None, metavar="ID", help="Show the trials of this task.")
@click.option("--contestant", default=None, metavar="NAME", help="Only this contestant's trials.")
@click.option("--failed", is_flag=True, help="Show trials that did not pass.")
@click.option("--limit", default=20, show_default=True, help="At most so many trials.")
@click.option(
    "--reveal", is_flag=True, help="Show held-out content too; marks the split as exposed for good."
)
@click.option("--by", multiple=True, metavar="CONDITION", help="Scores by this condition (may be repeated).")
@click.option(
    "--pass-k", "ks", multiple=True, type=int, metavar="K", help="pass@K and pass^K of every contestant."
)
@click.option("--trace", is_flag=True, help="Of trials, every message, tool call and event too.")
@ledger_option
@json_option
@packed(ShowOptions)
def command(o: ShowOptions) -> None:
    """List the runs, or show RUN (an id, its beginning, a name, or `last`).

    With --task, --contestant, --failed or --trace: single trials, of the last run when RUN is not given.
    """
    ledger = open_place(o.place, create=False)
    wants_trials = o.task_id is not None or o.failed or o.contestant is not None or o.trace
    if o.run is None and not wants_trials and not o.by and not o.ks:
        runs = ledger.runs()
        if o.as_json:
            emit_json(runs)
            return
        for r in runs:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(r.created_at / 1e9))
            what = f"{len(r.contestants)} x {r.n_tasks} tasks"
            data(f"{r.run}  {when}  {r.status:9}  {clean(r.name, 30):30}  {what}  {_spent(r)}")
        if not runs:
            data("no runs yet; try: steelyard demo")
        return
    run = o.run or "last"
    if o.by:
        _show_matrix(ledger, run, o)
        return
    if o.ks:
        _show_passes(ledger, run, o)
        return
    if wants_trials:
        # lazy: only when trials are asked for
        from steelyard.cli.trials import Telling, show_trials
        from steelyard.runner.trials import Filter

        wanted = Filter(o.task_id, o.contestant, failed=o.failed, limit=o.limit)
        show_trials(ledger, run, wanted, Telling(o.reveal, o.trace, o.as_json))
        return
    # lazy: numpy and rich only when there is something to show
    from steelyard.cli.board import board_json, board_text
    from steelyard.runner.results import results

    found = results(ledger, run)
    if o.as_json:
        emit_json(
            {"run": found.info.run, "status": found.info.status, "head": found.info.head, **board_json(found)}
        )
    else:
        data(board_text(found))
        data(
            f"\nrun {found.info.run}, {found.info.status}, {found.info.n_records} records, head {found.info.head[:16]}"
        )


def _spent(r: RunInfo) -> str:
    """What a run spent; calls without a price are said, and never count as nothing."""
    if not r.unpriced:
        return money(r.spent_pusd)
    return f"{money(r.spent_pusd)} + unknown" if r.spent_pusd else "cost unknown"


def _show_passes(ledger: Ledger, run: str, o: ShowOptions) -> None:
    """pass@k and pass^k of every contestant and suite."""
    # lazy: numpy only when there is something to show
    from steelyard.runner.passes import passes

    found = passes(ledger, run, o.ks)
    if o.as_json:
        emit_json(found)
        return
    for p in found:
        for name, e in ((f"pass@{p.k}", p.at_least_one), (f"pass^{p.k}", p.all_of_them)):
            said = f"{100 * e.value:5.1f} %" if is_known(e.value) else str(e.value)
            if is_known(e.value) and is_known(e.interval):
                said += f"  {100 * e.interval.low:.1f} to {100 * e.interval.high:.1f}"
            data(f"{clean(p.contestant, 40)}  {clean(p.suite, 30)}  {name}  {said}  ({e.n_tasks} tasks)")


def _show_matrix(ledger: Ledger, run: str, o: ShowOptions) -> None:
    """The score in each cell of the conditions asked for."""
    # lazy: numpy and scipy only when there is something to show
    from steelyard.decide.matrix import matrix
    from steelyard.ledger.runs import results_of_run

    results = results_of_run(ledger, run)
    found = matrix(results.of([o.contestant]) if o.contestant else results, o.by)
    if o.as_json:
        emit_json(found)
        return
    for row in found.rows:
        for cell in row.cells:
            e = cell.estimate
            key = ", ".join(f"{n} {clean(str(v), 30)}" for n, v in zip(found.names, cell.key, strict=True))
            if not is_known(e.value):
                said = "empty"
            else:
                between = (
                    f"{e.interval.low:.3f} to {e.interval.high:.3f}"
                    if is_known(e.interval)
                    else "no interval"
                )
                said = (
                    f"{e.value:.3f}  {between}  {e.n_tasks} tasks{'  thin' if cell.state == 'thin' else ''}"
                )
            data(f"{clean(row.contestant, 30):30}  {key:34}  {said}")
