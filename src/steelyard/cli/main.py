"""The `steelyard` command group; each subcommand is a module that is imported only when it is called."""

from __future__ import annotations

import difflib
import importlib
import keyword
import os

import click

from steelyard.errors import SteelyardError

COMMANDS: dict[str, str] = {
    "demo": "Measure the embedded models: offline, no key, about a minute.",
    "run": "Run a plan file; keep every answer; print the leaderboard.",
    "try": "Measure models on a data file, without a plan file.",
    "resume": "Take up a run that was stopped, capped or killed.",
    "show": "List runs, or show a run's leaderboard or its trials.",
    "workspace": "What an agent left in its workspace, at the end or after a turn.",
    "view": "Pages over the ledger: runs, leaderboards, traces, comparisons.",
    "page": "The figures of one page of `view`, printed.",
    "report": "A run as one HTML file, to send to a colleague.",
    "rescore": "Judge kept answers again; nothing is sent.",
    "import": "Bring in results made elsewhere, with their traces.",
    "export": "Write a run's trials for other programs to read.",
    "ctl": "Watch and steer a run that is going on.",
    "verify": "Check that no row of the ledger was altered.",
    "agents": "Command-line agents that can be contestants, and which are installed.",
    "sandbox": "Run commands in isolation; see and take what they changed.",
    "doctor": "What a results file can support; what this machine gives.",
    "compare": "Better, worse, equivalent or undecided against a baseline.",
    "gate": "Hold results against a rule file; the exit code is the verdict.",
    "select": "The cheapest sufficient contestant of every stage of a pipeline.",
    "plan": "What it will cost to know: tasks, trials, money.",
    "rank": "Rank contestants from votes or results.",
    "estimate": "One method by name: repeats, rare failures, judges, length control, a suite's life.",
    "latency": "Percentiles of a run's answer times, as its trials saw them.",
    "arena": "Blind battles by people: open, check votes, rank.",
    "annotate": "Queues of answers that people grade, blind.",
    "horizon": "How long a task each contestant does with a given chance.",
    "grade": "Judge a changed tree by hidden tests that it could not prepare for.",
    "check": "Is a suite fit: its gold passes, nothing fails, nothing hidden shows.",
    "prove-grader": "Try every shipped cheat against a grader.",
    "serve-models": "Serve the embedded models over HTTP, on loopback.",
}
"""Command name to one line of help; `steelyard.cli.<name with _ for ->.command` is the command."""


class LazyGroup(click.Group):
    """Lists every command from `COMMANDS` without importing it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and return its `command`."""
        if cmd_name not in COMMANDS:
            return None
        # lazy: starting `steelyard --help` must take under 200 ms
        name = cmd_name.replace("-", "_") + ("_" if keyword.iskeyword(cmd_name) else "")
        module = importlib.import_module(f"steelyard.cli.{name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is named; one that is not there is answered with the nearest that is."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as e:
            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            if not near:
                raise
            raise click.UsageError(f"{e.message} Did you mean {near[0]!r}?", ctx) from None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note whether JSON is asked for, so that an error is JSON, too, wherever it is found."""
        ctx.meta["steelyard.json"] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; an error that we raise on purpose ends it with its text and its exit code."""
        # read when NumPy loads: on arrays as small as ours further threads only take turns (13 times slower on two
        # busy cores); who sets it keeps it
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        try:
            return super().invoke(ctx)
        except SteelyardError as e:
            # lazy: json, which `--help` does not need
            from steelyard.cli.out import fail

            fail(e)
        except click.ClickException as e:
            if ctx.meta.get("steelyard.json"):
                # lazy: as above
                from steelyard.cli.out import emit_error

                emit_error("UsageError", e.exit_code, {"message": e.format_message()})
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the table of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="steelyard")
def main() -> None:
    """Which model, harness, provider and settings to use for your own work, with intervals and cost."""
