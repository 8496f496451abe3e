"""`steelyard export`: a run as files for other programs. Held-out content stays unless it is revealed for good."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from steelyard.cli.common import json_option, ledger_option, open_place, our_version
from steelyard.cli.out import count, emit_json, guarded, say, table_stream
from steelyard.errors import DataError, UsageError

if TYPE_CHECKING:
    from steelyard.ledger.base import Ledger


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said."""

    run: str
    form: str
    out: Path | None
    scorer: str
    content: bool
    reveal: bool
    organization: str
    place: str | None
    as_json: bool


@click.command("export")
@click.argument("run", default="last")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl", "lm-eval", "eee", "votes"]),
    default="csv",
    show_default=True,
    help="Table of trials, lm-eval's samples, Every Eval Ever 0.3.0, or an arena's votes (CSV).",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="File (tables; default: stdout) or folder (the others)."
)
@click.option(
    "--scorer", default="", metavar="VERSION", help="Of this scorer version [default: each trial's newest]."
)
@click.option("--content/--no-content", default=True, help="Texts too, or figures only (tables).")
@click.option("--reveal", is_flag=True, help="Held-out content too; marks the split as exposed for good.")
@click.option(
    "--organization", default="unknown", metavar="NAME", help="Who evaluated (Every Eval Ever asks)."
)
@ledger_option
@json_option
@guarded
def command(**options: object) -> None:
    """Write RUN's trials to a file or folder. With --format votes, RUN names an arena or imported votes.

    With --json, stdout says what was written, so a table needs --out.
    """
    o = Options(**options)  # type: ignore[arg-type] # click checked them
    if o.as_json and o.out is None:
        raise UsageError(
            "--json says what was written, so it cannot be on stdout as well",
            wanted="--out FILE",
            fix="leave --json out, or take --format jsonl: one JSON object a trial",
        )
    if o.form in ("lm-eval", "eee") and o.out is None:
        raise UsageError(f"--format {o.form} writes several files", wanted="--out FOLDER")
    ledger = open_place(o.place, create=False)
    if o.form == "votes":
        _votes(ledger, o)
        return
    run = ledger.find(o.run).run
    if o.reveal:
        # lazy: only when somebody looks
        from steelyard.runner.exposure import expose

        versions = [u.version for u in ledger.plan(run).suites]
        expose(ledger, versions, at=time.time_ns(), by="steelyard export --reveal")
    if o.form in ("csv", "jsonl"):
        _table(ledger, run, o)
    else:
        _files(ledger, run, o)


def _writable(o: Options, stack: ExitStack) -> TextIO:
    """--out, or stdout."""
    if o.out is None:
        return table_stream()
    try:
        return stack.enter_context(o.out.open("w", encoding="utf-8", newline=""))
    except OSError as e:
        raise DataError("cannot be written", where=str(o.out), got=e.strerror or str(e)) from e


def _votes(ledger: Ledger, o: Options) -> None:
    # lazy: not needed for `--help`
    from steelyard.ledger.exporters.votes import export_votes

    with ExitStack() as stack:
        n = export_votes(ledger, o.run, _writable(o, stack))
    _said(o, {"votes": n}, count(n, "vote") + (f" in {o.out}" if o.out else ""))


def _table(ledger: Ledger, run: str, o: Options) -> None:
    # lazy: not needed for `--help`
    from steelyard.ledger.exporters import condition_names, export_csv, export_jsonl, trials_out

    trials = trials_out(ledger, run, {"scorer": o.scorer} if o.scorer else None, reveal=o.reveal)
    with ExitStack() as stack:
        out = _writable(o, stack)
        if o.form == "jsonl":
            n = export_jsonl(trials, out, content=o.content)
        else:
            n = export_csv(trials, out, conditions=condition_names(ledger, run), content=o.content)
    _said(o, {"run": run, "trials": n}, count(n, "trial") + (f" in {o.out}" if o.out else ""))


def _files(ledger: Ledger, run: str, o: Options) -> None:
    # lazy: NumPy and the estimates are needed only now
    from steelyard.ledger.exporters import About, Total, export_eee, export_lm_eval, trials_out
    from steelyard.runner.results import results

    folder = o.out or Path()
    trials = trials_out(ledger, run, {"scorer": o.scorer} if o.scorer else None, reveal=o.reveal)
    now = datetime.now(UTC)
    if o.form == "lm-eval":
        n, left_out = export_lm_eval(trials, folder, stamp=f"{now:%Y-%m-%dT%H-%M-%S}")
        none = f"; {count(left_out, 'trial')} without a grade left out" if left_out else ""
        made: dict[str, object] = {"run": run, "samples": n, "left_out": left_out}
        _said(o, made, f"{count(n, 'sample')} below {folder}{none}")
        return
    board = results(ledger, run, o.scorer).board
    totals = {(x.contestant, x.suite): Total(x.estimate, x.n_ungraded) for x in board.by_suite}
    about = About(str(int(now.timestamp())), o.organization, our_version())
    paths = export_eee(ledger, run, trials, folder, about, totals)
    _said(o, {"run": run, "files": [str(p) for p in paths]}, f"{count(len(paths), 'file')} in {folder}")


def _said(o: Options, made: dict[str, object], text: str) -> None:
    """What was written, for a program or for a person."""
    if o.as_json:
        emit_json({"format": o.form, "out": str(o.out), **made})
    else:
        say(text)
