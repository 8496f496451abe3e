"""`steelyard demo`: the whole of it in a minute, offline: real small language models behind a real server, measured.

Starts `serve-models` on a free loopback port as a process of its own, runs the plan in `demo.yaml` against it, and
prints the leaderboard. Nothing else is contacted. `--agents` does the same with `demo_agents.yaml` and scripted models.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import click

from steelyard.cli.common import finish, json_option, ledger_option, open_place, our_version, run_async
from steelyard.cli.out import guarded, say
from steelyard.errors import SteelyardError, UserError


@click.command("demo")
@click.option(
    "--keep-plan", type=click.Path(path_type=Path), default=None, help="Also write the plan to this file."
)
@click.option(
    "--agents", is_flag=True, help="Agents on the shipped tasks instead: policies, and two scripted models."
)
@click.option(
    "--also",
    multiple=True,
    metavar="AGENT",
    help="With --agents: this command-line agent too (claude-code, codex, ...; may be repeated).",
)
@click.option("--no-live", is_flag=True, help="Plain lines instead of the live view.")
@ledger_option
@json_option
@guarded
def command(
    *,
    keep_plan: Path | None,
    agents: bool,
    also: tuple[str, ...],
    no_live: bool,
    place: str | None,
    as_json: bool,
) -> None:
    """Measure the embedded models on the shipped suites: no key, no network, about a minute.

    With --agents: the policies and the built-in loop, on two scripted models, do the shipped tasks for agents in
    sandboxes, and are graded by hidden tests; two to three minutes on two cores. Each --also adds a command-line agent
    that is installed here (`steelyard agents` lists them), on the careful model: two to five minutes more.
    """
    if also and not agents:
        raise UserError("--also is for agents", got=f"--also {also[0]}", fix="add --agents")
    # lazy: the engine is loaded after the command line is known to be right
    from steelyard.cli.live import watcher
    from steelyard.runner.planfile import parse_plan
    from steelyard.runner.prepare import prepare
    from steelyard.runner.session import Options, begin
    from steelyard.tasks import yamldoc

    name = "demo_agents.yaml" if agents else "demo.yaml"
    template = files("steelyard.cli").joinpath(name).read_text(encoding="utf-8")
    server, base_url = _serve(_SCRIPTED if agents else _EMBEDDED)
    try:
        text = "".join([template, *(ALSO.replace("AGENT", a) for a in dict.fromkeys(also))])
        text = text.replace("BASE_URL", base_url)
        if keep_plan is not None:
            keep_plan.write_text(text, encoding="utf-8")
            say(f"the plan is in {keep_plan}")
        ready = prepare(parse_plan(yamldoc.parse(text, name), Path.cwd(), {}))
        plan = ready.plan
        who = "contestants" if agents else "embedded models"
        points = 100 * (plan.trials.until or 0)
        until = f", repeated until every score is known to ±{points:.0f} points" if points else ""
        say(f"{len(plan.contestants)} {who} x {ready.n_tasks} tasks of {len(plan.suites)} suites{until}")
        ledger = open_place(place, create=True)
        options = Options({}, our_version(), watch=watcher(plain=no_live or as_json))
        outcome = run_async(lambda: begin(ready, ledger, options))
    finally:
        server.terminate()
        server.wait(10)
    finish(ledger, outcome, as_json=as_json, place=place or "")


ALSO = """  - name: AGENT
    agent: AGENT
    model: scripted-careful
    base_url: BASE_URL
    max_tokens: 8000
    price: {input: 3, output: 15, source: invented}
    limits: {turns: 12, seconds: 300, money: 2}
"""
_EMBEDDED = ("steelyard", "serve-models", "--port", "0", "--json")
_SCRIPTED = ("steelyard.testing.demo_model",)


def _serve(module: tuple[str, ...]) -> tuple[subprocess.Popen[bytes], str]:
    """The server process and its base URL. Raises SteelyardError with what it said when it does not start."""
    command_line = [sys.executable, "-m", *module]
    server = subprocess.Popen(
        command_line, stdout=subprocess.PIPE, env=os.environ.copy(), start_new_session=True
    )
    assert server.stdout is not None
    line = server.stdout.readline()
    try:
        return server, str(json.loads(line)["base_url"])
    except (ValueError, KeyError):
        server.kill()
        raise SteelyardError(f"the model server did not start: {line!r}") from None
