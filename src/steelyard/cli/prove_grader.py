"""`steelyard prove-grader SUITE`: which of the shipped cheats does a grader accept?

Exit codes: 0 no cheat is accepted, 10 some are, 11 the grader errs on the gold solution or on nothing,
7 no sandbox.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import click

from steelyard.errors import ExitCode
from steelyard.sandbox.collecting import shown
from steelyard.sandbox.profile import MIB, Limits
from steelyard.sandbox.rungs import choose
from steelyard.scorers.code.channel import Bench
from steelyard.scorers.code.cheats import cheats
from steelyard.scorers.code.prove import Material, prove
from steelyard.scorers.code.python import find
from steelyard.tasks.load import builtin_path


@click.command()
@click.argument("suite")
@click.option(
    "--command", "words", default="", help="Your own grader, e.g. '{python} -m pytest -q'; 0 accepts."
)
@click.option("--python", "wanted", default="", help="An interpreter that has pytest.")
@click.option("--wall", type=click.FloatRange(0.1), default=60.0, help="Seconds for one run.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(suite: str, words: str, wanted: str, wall: float, *, as_json: bool) -> None:
    """Try every shipped cheat on each task of SUITE against its grader.

    SUITE is a folder of tasks (workspace/, grader/, solution/), one task, or builtin:NAME. Tasks whose solution changes
    no Python file are left out.
    """
    choose()
    python = find(wanted)
    bench = Bench(Limits(memory=768 * MIB, wall_s=wall), python)
    what = {cheat.name: cheat.what for cheat in cheats()}
    builtin = suite.startswith("builtin:")
    found = Material.find(builtin_path(suite.removeprefix("builtin:")) if builtin else Path(suite))
    chosen = [m for m in found if m.fits] or found[:1]
    for material in found:
        if material not in chosen:
            click.echo(
                f"left out {material.name}: its solution is no Python file that a cheat could replace",
                err=True,
            )
    proofs = [prove(m, bench, command=tuple(shlex.split(words))) for m in chosen]
    if as_json:
        rows = [
            {
                "task": p.task,
                "gold": p.gold,
                "null": p.null,
                "tried": p.tried,
                "flaws": list(p.flaws),
                "accepted": {name: what[name] for name in p.accepted},
            }
            for p in proofs
        ]
        click.echo(json.dumps({"format": "steelyard.prove-grader/1", "tasks": rows}, indent=1))
    else:
        for proof in proofs:
            click.echo(f"{proof.task}: {len(proof.accepted)} of {proof.tried} cheats accepted")
            for flaw in proof.flaws:
                click.echo(f"  {shown(flaw)}")
            for name in proof.accepted:
                click.echo(f"  accepts {name}: {what[name]}")
    if any(p.flaws for p in proofs):
        sys.exit(ExitCode.UNDECIDED)
    sys.exit(ExitCode.REGRESSION if any(p.accepted for p in proofs) else ExitCode.OK)
