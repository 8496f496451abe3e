"""`steelyard demo`: the whole of it in a minute, offline: real small language models behind a real server, measured.

Starts `serve-models` on a free loopback port as a process of its own, runs the plan in `demo.yaml` against it, and
prints the leaderboard. Nothing else is contacted.
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
from steelyard.errors import SteelyardError


@click.command("demo")
@click.option(
    "--keep-plan", type=click.Path(path_type=Path), default=None, help="Also write the plan to this file."
)
@click.option("--no-live", is_flag=True, help="Plain lines instead of the live view.")
@ledger_option
@json_option
@guarded
def command(*, keep_plan: Path | None, no_live: bool, place: str | None, as_json: bool) -> None:
    """Measure the embedded models on the shipped suites: no key, no network, about a minute."""
    # lazy: the engine is loaded after the command line is known to be right
    from steelyard.cli.live import watcher
    from steelyard.runner.planfile import parse_plan
    from steelyard.runner.prepare import prepare
    from steelyard.runner.session import Options, begin
    from steelyard.tasks import yamldoc

    template = files("steelyard.cli").joinpath("demo.yaml").read_text(encoding="utf-8")
    server, base_url = _serve()
    try:
        text = template.replace("BASE_URL", base_url)
        if keep_plan is not None:
            keep_plan.write_text(text, encoding="utf-8")
            say(f"the plan is in {keep_plan}")
        ready = prepare(parse_plan(yamldoc.parse(text, "demo.yaml"), Path.cwd(), {}))
        plan = ready.plan
        say(
            f"{len(plan.contestants)} embedded models x {ready.n_tasks} tasks of {len(plan.suites)} suites, "
            f"repeated until every score is known to ±{100 * (plan.trials.until or 0):.0f} points"
        )
        ledger = open_place(place, create=True)
        options = Options({}, our_version(), watch=watcher(plain=no_live or as_json))
        outcome = run_async(lambda: begin(ready, ledger, options))
    finally:
        server.terminate()
        server.wait(10)
    finish(ledger, outcome, as_json=as_json, place=place or "")


def _serve() -> tuple[subprocess.Popen[bytes], str]:
    """The server process and its base URL. Raises SteelyardError with what it said when it does not start."""
    command_line = [sys.executable, "-m", "steelyard", "serve-models", "--port", "0", "--json"]
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
