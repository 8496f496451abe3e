"""One attempt of an agent in its sandbox: the command, its files, the endpoint beside it, and what it left.

The blocking half: everything here runs in a thread of the contestant's pool.
"""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace

from steelyard.contestants.agents.adapter import Adapter, Transcript
from steelyard.contestants.agents.install import Installed, environment_of
from steelyard.contestants.base import Place
from steelyard.contestants.http import fill
from steelyard.errors import DataError, EndedBy, Fault, SandboxError
from steelyard.sandbox.base import Command, Result
from steelyard.sandbox.box import NamespaceBox
from steelyard.sandbox.egress import Gate, Rule
from steelyard.sandbox.profile import MIB
from steelyard.sandbox.tree import Caps, Tree
from steelyard.wire.values import whole

PORT = 8642
HOME = "/tmp/home"  # noqa: S108 - a name inside the sandbox
TOKEN = "steelyard-stand-in-for-a-key"  # noqa: S105 - what an agent is given instead of a credential
_DIRECT = "127.0.0.1,localhost"
_MOST_ARGUMENTS = 128 << 10
_MOST_TRANSCRIPT = 4 << 20
_MOST_TRANSCRIPTS = 20


@dataclass(frozen=True, slots=True)
class Order:
    """What an agent is told: the task, a system text, the model's name, the most turns it has, where it works, and
    whether the task has tools of its own."""

    instruction: str
    system: str
    model: str
    turns: int
    workspace: str = "/workspace"
    tools: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """A command ready to run, the files that it finds, and its environment."""

    argv: tuple[str, ...]
    stdin: bytes
    env: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, bytes], ...]


def setting(
    what: Adapter, found: Installed, order: Order, extra: Mapping[str, str], args: tuple[str, ...]
) -> Setting:
    """The adapter's templates filled in. Raises Fault when the task is too long for a command line."""
    instruction = whole(order.instruction)
    if "\0" in instruction + order.system:
        raise _unfit("the task holds a zero byte, which no command line can")
    if order.system and not any("{system}" in t for t in (*what.run, *(f.text for f in what.files))):
        instruction = f"{whole(order.system)}\n\n{instruction}"
    values: dict[str, object] = {
        "instruction": instruction,
        "instruction_file": f"{HOME}/instruction.md",
        "system": whole(order.system),
        "model": order.model,
        "url": f"http://127.0.0.1:{PORT}",
        "token": TOKEN,
        "executable": found.executable,
        "root": found.root,
        "workspace": order.workspace,
        "home": HOME,
        "turns": str(order.turns),
        "tools_url": f"http://127.0.0.1:{PORT}/mcp",
    }
    mcp = what.mcp if order.tools else None
    if order.tools and mcp is None:
        raise _unfit(
            f"{what.title} takes no MCP server, which the tools and the user of this task are reached by"
        )
    written = {f.path: f.text for f in (*what.files, *(mcp.files if mcp else ()))}
    command = (*what.run, *(mcp.args if mcp else ()), *args)
    argv = tuple(str(fill(a, values)) if a != "{turns}" else str(order.turns) for a in command)
    if sum(len(a.encode("utf-8", "replace")) for a in argv) > _MOST_ARGUMENTS:
        raise _unfit(
            f"the task is too long for the command line of {what.title}; an adapter can pass it by run.stdin or "
            "{instruction_file}"
        )
    files = [(f"{HOME}/instruction.md", instruction)]
    files += [(str(fill(path, values)), str(fill(text, values))) for path, text in written.items()]
    given = {**{k: str(fill(v, values)) for k, v in what.env}, **extra}
    return Setting(
        argv,
        str(fill(what.stdin, values)).encode("utf-8", "replace") if what.stdin else b"",
        environment_of(found, given),
        tuple((p, t.encode("utf-8", "replace")) for p, t in files),
    )


def _unfit(why: str) -> Fault:
    return Fault(why, ended_by=EndedBy.OPERATOR, kind="agent_arguments", paid=False)


def roomier(place: Place, what: Adapter) -> Place:
    """The place with what the agent itself needs on top of the task's limits."""
    needs, limits = what.needs, place.limits
    more = replace(
        limits,
        memory=limits.memory + needs.memory_mib * MIB,
        processes=limits.processes + needs.processes,
        tmp=limits.tmp + needs.tmp_mib * MIB,
        tmp_inodes=limits.tmp_inodes + needs.tmp_inodes,
        open_files=max(limits.open_files, 4096),
    )
    return replace(place, limits=more)


class Session:
    """A living box with an agent in it."""

    def __init__(self, box: NamespaceBox, place: Place) -> None:
        self.box, self.workdir, hosts = box, place.workdir, place.hosts
        self.stop = threading.Event()
        self.records: list[dict[str, object]] = []
        self._gate: Gate | None = None
        if hosts:
            self._gate = Gate([Rule.parse(h) for h in hosts])
            self._gate.serve(box.listeners[Gate.port])

    def run(self, ready: Setting, seconds: float) -> Result:
        """The agent, from its start to its end. Raises Fault when the sandbox broke."""
        try:
            for path, data in ready.files:
                tree, name = self._place_of(path)
                tree.write(name, data)
            env = dict(ready.env)
            if self._gate is not None:
                env |= dict(self._gate.environment()) | {
                    "NO_PROXY": "127.0.0.1,localhost",
                    "no_proxy": "127.0.0.1,localhost",
                }
            command = Command(ready.argv, ready.stdin, tuple(env.items()), wall_s=seconds)
            return self.box.execute(command, stop=self.stop)
        except (SandboxError, OSError, DataError) as e:
            raise Fault(f"the sandbox: {e}", ended_by=EndedBy.SANDBOX, kind="sandbox", paid=None) from e

    def close(self) -> None:
        """Everything inside is dead after this; workspace and home can still be read."""
        if self._gate is not None:
            self.records = list(self._gate.stop())
        self.box.close()

    def transcripts(self, where: Transcript, most: int = _MOST_TRANSCRIPT) -> list[dict[str, object]]:
        """What the agent recorded of itself, as data: path, shape, size, text (cut at `most` bytes in all)."""
        pattern = where.path.replace("{home}", HOME).replace("{workspace}", self.workdir)
        try:
            tree, name = self._place_of(pattern)
        except DataError:
            return []
        out: list[dict[str, object]] = []
        left = most
        for entry in tree.walk(Caps()):
            if entry.kind != "file" or not fnmatch.fnmatchcase(entry.path, name):
                continue
            try:
                data = tree.read(entry.path)
            except (OSError, DataError):
                continue
            taken = data[: max(left, 0)]
            left -= len(taken)
            text = taken.decode("utf-8", "replace")
            out.append({"path": entry.path, "shape": where.shape, "bytes": len(data), "text": text})
            if len(out) >= _MOST_TRANSCRIPTS:
                break
        return out

    def _place_of(self, path: str) -> tuple[Tree, str]:
        """The tree that holds a path inside, and its name there."""
        if path.startswith(self.workdir + "/"):
            return self.box.workspace, path.removeprefix(self.workdir + "/")
        if path.startswith("/tmp/"):  # noqa: S108 - a name inside the sandbox
            return self.box.scratch, path.removeprefix("/tmp/")  # noqa: S108 - as above
        raise DataError("not a place that the agent may be given files in", got=path)
