"""`steelyard sandbox`: run a command in isolation on a copy of a directory; see and take what it changed.

Exit codes of `run`: the command's own status; 128+N when signal N ended it; and of our own
121 output limit, 122 out of memory, 123 CPU time, 124 wall time, 125 the sandbox could not be had or broke,
126 and 127 the command cannot be run or is not there. `--json` tells them from a command's own.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from steelyard.errors import SandboxError, SteelyardError, UsageError, UserError
from steelyard.sandbox.base import Command, Ended, Result, Rung
from steelyard.sandbox.collecting import Collected, collect, shown
from steelyard.sandbox.egress import Gate, Rule
from steelyard.sandbox.held import Held
from steelyard.sandbox.kept import store_for
from steelyard.sandbox.patches import diff
from steelyard.sandbox.profile import MIB, Limits, Mount, Profile
from steelyard.sandbox.rungs import choose
from steelyard.sandbox.snapshot import Snapshot
from steelyard.sandbox.tree import Caps, Tree, is_rest

_CODES = {
    Ended.OUTPUT: 121,
    Ended.MEMORY: 122,
    Ended.CPU: 123,
    Ended.WALL: 124,
    Ended.FAULT: 125,
    Ended.KILLED: 125,
}
_DIFF = Caps(entries=1_000_000, total=1 << 40, file=1 << 32)
_UNITS = {"": 1, "k": 1 << 10, "m": MIB, "g": 1 << 30}


class Size(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.2 only
    """Bytes, or a number with K, M or G (powers of 1024)."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of bytes."""
        if isinstance(value, int):
            return value
        text = str(value).strip().lower().removesuffix("ib").removesuffix("b")
        unit = text[-1:] if text[-1:] in ("k", "m", "g") else ""
        try:
            size = int(float(text.removesuffix(unit)) * _UNITS[unit])
        except (ValueError, OverflowError):
            size = 0
        if size <= 0:
            self.fail(f"{value!r} is not a size: give bytes, or for example 512M", param, ctx)
        return size


SIZE = Size()


@dataclass(frozen=True)
class Asked:
    """The options of `run`, as click gave them."""

    workspace: Path | None
    memory: int
    memory_guarantee: int | None
    processes: int
    cpus: float
    wall: float
    cpu_time: float | None
    workspace_size: int
    workspace_files: int
    tmp_size: int
    output: int
    mount: tuple[str, ...]
    env: tuple[str, ...]
    allow: tuple[str, ...]
    rung: str | None
    image: str
    stdin: bool
    write_back: bool
    write_git: bool
    keep_base: bool
    as_json: bool
    command: tuple[str, ...]

    def limits(self) -> Limits:
        """As the sandbox wants them."""
        return Limits(
            processes=self.processes,
            memory=self.memory,
            memory_guarantee=self.memory_guarantee or min(_D.memory_guarantee, self.memory),
            cpus=self.cpus,
            wall_s=self.wall,
            cpu_s=self.cpu_time,
            workspace=self.workspace_size,
            workspace_inodes=self.workspace_files,
            tmp=self.tmp_size,
            output=self.output,
        )


@click.group()
def command() -> None:
    """Run commands in isolation; see and take what they changed."""


_D = Limits()


def _sized(size: int) -> str:
    """A size as it is given on the command line."""
    return f"{size // MIB}M"


@command.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--workspace",
    type=click.Path(path_type=Path),
    help="Directory that is copied in and worked on [default: an empty one].",
)
@click.option(
    "--memory",
    type=SIZE,
    default=_D.memory,
    help=f"Hard limit for all processes and files in memory [default: {_sized(_D.memory)}].",
)
@click.option(
    "--memory-guarantee",
    type=SIZE,
    default=None,
    help=f"Recorded soft guarantee [default: {_sized(_D.memory_guarantee)}, at most --memory].",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 100_000),
    default=_D.processes,
    show_default=True,
    help="Processes and threads.",
)
@click.option(
    "--cpus",
    type=click.FloatRange(0.01, 4096),
    default=_D.cpus,
    help=f"Processor cores [default: {_D.cpus:g}].",
)
@click.option(
    "--wall",
    type=click.FloatRange(0.01),
    default=_D.wall_s,
    help=f"Seconds of wall time [default: {_D.wall_s:g}].",
)
@click.option(
    "--cpu-time",
    type=click.FloatRange(0.01),
    default=None,
    help="Seconds of CPU time, all processes [default: no limit].",
)
@click.option(
    "--workspace-size",
    type=SIZE,
    default=_D.workspace,
    help=f"Quota of the workspace [default: {_sized(_D.workspace)}].",
)
@click.option(
    "--workspace-files",
    type=click.IntRange(1),
    default=_D.workspace_inodes,
    show_default=True,
    help="Its inodes.",
)
@click.option(
    "--tmp-size", type=SIZE, default=_D.tmp, help=f"Size of /tmp and of /dev/shm [default: {_sized(_D.tmp)}]."
)
@click.option(
    "--output",
    type=SIZE,
    default=_D.output,
    help=f"Bytes of stdout and stderr together [default: {_sized(_D.output)}].",
)
@click.option("--mount", multiple=True, metavar="SRC[:DEST]", help="Show a host path read-only.")
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="Set a variable; nothing is inherited.")
@click.option(
    "--allow",
    multiple=True,
    metavar="HOST[:PORT]",
    help="Reach this host through the recording proxy [default: no network].",
)
@click.option(
    "--rung",
    type=click.Choice([rung.value for rung in Rung]),
    default=None,
    help="Insist on this isolation [default: root or user, whichever holds here].",
)
@click.option("--image", default="", help="Image of the container rung; it must be here already.")
@click.option("--stdin", is_flag=True, help="Pass our standard input on (read to its end first).")
@click.option("--write-back/--no-write-back", default=True, help="Bring safe changes back to the workspace.")
@click.option("--write-git", is_flag=True, help="Also bring back changes to git's own files.")
@click.option("--keep-base", is_flag=True, help="Keep an earlier base for `diff`, instead of this run's.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the output.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(**options: Any) -> None:
    """Run COMMAND with the workspace as its directory, no network, and limits on everything.

    Exits with the command's own status, with 128+N when signal N ended it, or with one of ours: 121 too much output,
    122 out of memory, 123 CPU time, 124 wall time, 125 the sandbox could not be had or broke, 126 the command
    cannot be run, 127 it is not there; 2 and 3 for a wrong command line or workspace. With --json the document says
    which (`ended`), since a command may end with these numbers too.
    """
    asked = Asked(**options)
    try:
        code = _run(asked)
    except SandboxError as e:
        click.echo(f"error: {e}", err=True)
        code = 125
    except SteelyardError as e:
        click.echo(f"error: {e}", err=True)
        code = int(e.exit_code)
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _run(asked: Asked) -> int:
    # Being terminated must unwind, so that the sandbox is dead before we are.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sandbox = choose(asked.rung, image=asked.image)
    limits = asked.limits()
    gate = Gate([Rule.parse(text) for text in asked.allow]) if asked.allow else None
    profile = Profile(
        limits=limits,
        mounts=tuple(_mount(text) for text in asked.mount),
        env=(*_pairs(asked.env), *(gate.environment() if gate else ())),
        listen=(gate.port,) if gate else (),
    )
    data = sys.stdin.buffer.read() if asked.stdin else b""
    with contextlib.ExitStack() as stack:
        held = None
        if asked.workspace:
            held = Held(asked.workspace, _caps(limits), keep_old=asked.keep_base)
            stack.callback(held.close)
            for path, why in held.before.skipped:
                click.echo(f"not staged: {shown(path)}: {why}", err=True)
            profile = replace(profile, base=held.place)
        box = stack.enter_context(sandbox.open(profile, oneshot=True))
        if gate:
            gate.serve(box.listeners[gate.port])
        result = _named(box.execute(Command(asked.command, stdin=data)))
        connections = gate.stop() if gate else []
        box.close()  # a container outlives its command
        brought = None
        if held and result.ended is not Ended.FAULT:
            after = Snapshot.take(box.workspace, _caps(limits))
            brought = held.bring(after, write=asked.write_back, git=asked.write_git)
    code = _code(result)
    if asked.as_json:
        _print_json(result, brought, connections, code)
    else:
        _print(result, brought)
    return code


def _caps(limits: Limits) -> Caps:
    return Caps(limits.workspace_inodes, limits.workspace, limits.workspace)


def _mount(text: str) -> Mount:
    source, _, target = text.partition(":")
    return Mount(os.path.realpath(source), target or os.path.realpath(source))


def _pairs(texts: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError("--env wants NAME=VALUE", got=text)
        pairs.append((name, value))
    return pairs


def _named(result: Result) -> Result:
    """A kill for memory anywhere in the group is how the run ended, whatever became of the command itself."""
    killed = isinstance(result.usage.oom_kills, int) and result.usage.oom_kills > 0
    return replace(result, ended=Ended.MEMORY) if killed and result.ended is Ended.EXITED else result


def _code(result: Result) -> int:
    if result.ended is Ended.EXITED:
        return result.status if result.status is not None else 128 + (result.signal or 0)
    return _CODES[result.ended]


def _print(result: Result, brought: Collected | None) -> None:
    for stream, data in ((sys.stdout, result.stdout), (sys.stderr, result.stderr)):
        if stream.isatty():  # what a contestant prints must not drive the terminal
            text = data.decode(errors="replace")
            stream.write("".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text))
        else:
            stream.buffer.write(data)
        stream.flush()
    if result.ended is not Ended.EXITED:
        click.echo(f"steelyard: ended by {result.ended.value} {result.fault}".rstrip(), err=True)
    for path, why in brought.refused if brought else ():
        click.echo(f"steelyard: not brought back: {shown(path)}: {why}", err=True)


def _print_json(
    result: Result, brought: Collected | None, connections: list[dict[str, Any]], code: int
) -> None:
    document = {
        "format": "steelyard.sandbox.run/1",
        **result.record(),
        "exit_code": code,
        "stdout": result.stdout.decode(errors="replace"),
        "stderr": result.stderr.decode(errors="replace"),
        "changes": brought.record() if brought else None,
        "connections": connections,
    }
    click.echo(json.dumps(document, indent=1))


@command.command(name="collect")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--max-files", type=click.IntRange(1), default=20_000, help="Names at most.")
@click.option("--max-size", type=SIZE, default=256 * MIB, help="Bytes at most, in all.")
@click.option("--json", "as_json", is_flag=True, help="Print what came over and what did not.")
@click.option("--git", is_flag=True, help="Also git's own files, whose configuration runs programs.")
def collect_(  # click passes every option by name
    source: Path, target: Path, max_files: int, max_size: int, *, git: bool, as_json: bool
) -> None:
    """Copy what is safe from SOURCE to TARGET: files, directories, links that stay inside.

    Exits with 0 when all came over or was refused by rule; what was refused is named.
    """
    done = collect(source, target, Caps(max_files, max_size, max_size), git=git)
    if as_json:
        click.echo(json.dumps(done.record(), indent=1))
        return
    click.echo(f"{len(done.written)} collected, {len(done.refused)} refused")
    for path, why in done.refused:
        click.echo(f"refused: {shown(path)}: {why}", err=True)


@command.command(name="diff")
@click.argument("workspace", type=click.Path(path_type=Path))
@click.option("--stat", is_flag=True, help="Name the changed paths only.")
def diff_(workspace: Path, *, stat: bool) -> None:
    """Print what the last `sandbox run` on WORKSPACE changed, as a patch that `git apply` takes.

    The patch leads from the kept base to the directory as it is now; nothing in it is executed. What cannot be
    compared (devices, pipes, more than 4 GiB, deeper than 64 directories) is named on stderr.
    """
    store = store_for(workspace)
    if not (store.place / "base.json").exists():
        raise UserError(
            "no base is kept for this directory",
            where=str(workspace),
            fix="run `steelyard sandbox run --workspace DIR -- CMD` first",
        )
    before, tree = store.load("base"), Tree.at(workspace)
    try:
        after = Snapshot.take(tree, _DIFF)
        for path, why in after.skipped:
            if is_rest(why):
                raise UserError("too large to compare", where=str(workspace), got=f"{shown(path)}: {why}")
            click.echo(f"not compared: {shown(path)}: {why}", err=True)
        if stat:
            for change in before.to(after):
                sign = "A" if change.before is None else "D" if change.after is None else "M"
                click.echo(f"{sign} {shown(change.path)}")
            return
        data = diff(before, after)
    finally:
        tree.close()
    if sys.stdout.isatty():
        text = data.decode(errors="replace")
        click.echo(
            "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text), nl=False
        )
    else:
        sys.stdout.buffer.write(data)
