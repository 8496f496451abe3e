"""`steelyard grade`: judge a changed tree by hidden pytest tests that it could not prepare for.

Exit codes: 0 solved, 1 not solved, 5 ungraded (the grader breaks without the solution too), 7 an error of
ours (no sandbox, a fault in it, a bug), 2 and 3 a wrong command line or input.
"""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from steelyard.errors import ExitCode, SandboxError, SteelyardError
from steelyard.sandbox.collecting import shown
from steelyard.sandbox.profile import MIB, Limits
from steelyard.sandbox.rungs import choose
from steelyard.scorers.code.channel import Bench
from steelyard.scorers.code.grade import Grade, Job, Standing, grade
from steelyard.scorers.code.python import find
from steelyard.scorers.code.rebuild import Rules

_CODES = {Standing.SOLVED: 0, Standing.NOT_SOLVED: 1, Standing.UNGRADED: int(ExitCode.INCOMPLETE)}
_DIRECTORY = click.Path(path_type=Path)


@dataclass(frozen=True)
class Asked:
    """The options, as click gave them."""

    base: Path
    workspace: Path
    hidden: Path
    gold: Path | None
    allow: tuple[str, ...]
    deny: tuple[str, ...]
    only: tuple[str, ...]
    wanted: str
    wall: float
    memory: int
    one_process: bool
    as_json: bool


@click.command()
@click.option("--base", type=_DIRECTORY, required=True, help="The tree that the contestant was given.")
@click.option("--workspace", type=_DIRECTORY, required=True, help="The tree that it left.")
@click.option("--hidden", type=_DIRECTORY, required=True, help="Hidden tests, laid over the rebuilt tree.")
@click.option(
    "--gold", type=_DIRECTORY, help="A tree that solves the task: tells a broken grader from a hang."
)
@click.option("--allow", multiple=True, metavar="GLOB", help="Take changes of these paths after all.")
@click.option("--deny", multiple=True, metavar="GLOB", help="Take no change of these paths.")
@click.option("--only", multiple=True, metavar="GLOB", help="Take changes of these paths only.")
@click.option("--python", "wanted", default="", help="An interpreter that has pytest.")
@click.option("--wall", type=click.FloatRange(0.1), default=60.0, help="Seconds for one run of the tests.")
@click.option("--memory", type=click.IntRange(32), default=1024, help="MiB for one run of the tests.")
@click.option(
    "--one-process", is_flag=True, help="Run the code in the tests' process even where it need not be."
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
def command(**options: Any) -> None:
    """Judge WORKSPACE, which was made from BASE, by the tests in HIDDEN."""
    asked = Asked(**options)
    rules = Rules(asked.allow, asked.deny, asked.only)
    job = Job(asked.base, asked.workspace, asked.hidden, asked.gold, rules, isolate=not asked.one_process)
    limits = Limits(
        memory=asked.memory * MIB, wall_s=asked.wall, workspace=1024 * MIB, workspace_inodes=120_000
    )
    try:
        choose()
        python = find(asked.wanted)
        verdict = grade(job, Bench(limits, python))
    except SandboxError as e:
        click.echo(f"error: {e}", err=True)
        sys.exit(ExitCode.INFRASTRUCTURE)
    except SteelyardError:
        raise
    except Exception:  # noqa: BLE001 - exit code 1 means "not solved": a bug of ours must not use it
        traceback.print_exc()
        sys.exit(ExitCode.INFRASTRUCTURE)
    if asked.as_json:
        click.echo(json.dumps(verdict.record(), indent=1))
    else:
        _print(verdict)
    sys.exit(_CODES[verdict.standing])


def _print(verdict: Grade) -> None:
    click.echo(f"{verdict.standing.value.replace('_', ' ')}: {shown(verdict.reason)}")
    passed = sum(outcome == "passed" for outcome in verdict.tests.values())
    how = f"{verdict.mode or 'nothing'} ran, {verdict.tripwires} tripwires"
    click.echo(f"{passed} of {len(verdict.tests)} tests passed; {how}")
    for path, why in verdict.dropped:
        click.echo(f"not taken: {shown(path)}: {why}", err=True)
    for flag in verdict.flags:
        click.echo(f"flag: {shown(flag)}", err=True)
