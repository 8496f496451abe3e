"""Options and steps that several commands share: where the ledger is, what the environment holds, how a run ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
from collections.abc import Callable, Coroutine, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from steelyard.cli.caps import higher
from steelyard.cli.out import clean, count, emit_json, leave, say
from steelyard.errors import DataError, ExitCode

if TYPE_CHECKING:
    from steelyard.ledger.base import Ledger
    from steelyard.runner.base import RunOutcome

F = TypeVar("F", bound=Callable[..., object])

STATUS_CODES: Mapping[str, ExitCode] = {
    "complete": ExitCode.OK,
    "capped": ExitCode.CAPPED,
    "stopped": ExitCode.INTERRUPTED,
    "failed": ExitCode.LEDGER,
}


def ledger_option(function: F) -> F:
    """`--ledger PLACE`."""
    text = "Folder or postgresql:// address of the ledger [default: STEELYARD_LEDGER, else .steelyard here]."
    return click.option("--ledger", "place", metavar="PLACE", default=None, help=text)(function)


def json_option(function: F) -> F:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")(function)


def environment() -> dict[str, str]:
    """The process's environment over what `.env` in the working folder says."""
    # lazy: only commands that may need a credential read it
    from steelyard.wire.keys import with_dotenv

    dotenv = Path(".env")
    try:
        text = dotenv.read_text(encoding="utf-8", errors="replace") if dotenv.is_file() else ""
    except OSError as e:
        raise DataError("this file cannot be read", where=str(dotenv), got=e.strerror or str(e)) from None
    return with_dotenv(os.environ, text)


def open_place(place: str | None, *, create: bool) -> Ledger:
    """The ledger that the command works on. Raises LedgerError."""
    # lazy: `--help` must not load a database
    from steelyard.ledger import default_place, open_ledger

    return open_ledger(default_place(place, os.environ, Path.cwd()), create=create)


def our_version() -> str:
    """The installed version."""
    return version("steelyard")


def run_async(main: Callable[[], Coroutine[object, object, RunOutcome]]) -> RunOutcome:
    """Run a coroutine function to its outcome."""
    return asyncio.run(main())


def _shown(place: str) -> str:
    """A ledger's place as a command line may repeat it: quoted, and without the password of a database."""
    return clean(shlex.quote(re.sub(r"(://[^:@/]*):[^@/]*@", r"\1:***@", place)))


def _give_back() -> None:
    """Let the system have what the run freed before the statistics are loaded; glibc keeps it otherwise (8 MB after
    200,000 trials). A favour: other C libraries have no such function."""
    # lazy: NumPy loads ctypes anyway, which comes next
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def finish(ledger: Ledger, outcome: RunOutcome, *, as_json: bool, place: str) -> None:
    """Print the leaderboard and how the session ended, and leave with the code that says so."""
    # lazy: numpy is loaded when the last answer is in
    _give_back()
    from steelyard.cli.board import board_json, board_text
    from steelyard.runner.results import results
    from steelyard.runner.trials import whys

    found = results(ledger, outcome.run)
    if as_json:
        emit_json({"run": outcome.run, "status": outcome.status, "head": outcome.head, **board_json(found)})
    else:
        click.echo(board_text(found))
    p = outcome.progress
    where = "" if place == "" else f" --ledger {_shown(place)}"
    if outcome.status != "complete":
        are = "is" if p.total == 1 else "are"
        say(f"{outcome.status}: {clean(outcome.reason)}. {p.done} of {count(p.total, 'trial')} {are} done.")
        again = " --retry-ungraded" if p.unreachable and found.plan.trials.until is None else ""
        say(f"go on with: steelyard resume {outcome.run}{higher(outcome.reason)}{again}{where}")
    else:
        say(f"run {outcome.run} is complete. Look again: steelyard show {outcome.run}{where}")
        say(f"or in the browser: steelyard view{where}")
    code = ExitCode.INFRASTRUCTURE if p.unreachable else STATUS_CODES[outcome.status]
    if code is ExitCode.OK and found.n_ungraded > 0:
        has = "has" if found.n_ungraded == 1 else "have"
        say(f"{count(found.n_ungraded, 'trial')} {has} no verdict; scores are bounded both ways.")
        for why in whys(ledger, outcome.run)[:3]:
            example = f": {clean(why.example.strip().splitlines()[0], 200)}" if why.example.strip() else ""
            say(f"  {clean(why.contestant, 60)}: {why.trials} x {clean(why.cause)}{example}")
        say(f"see them: steelyard show {outcome.run} --failed{where}")
        measured = any(line.n_graded for line in found.board.overall)
        code = ExitCode.INCOMPLETE if measured else ExitCode.INFRASTRUCTURE
    if code is ExitCode.OK and outcome.progress.stopping:
        code = ExitCode.INTERRUPTED
    leave(code)
