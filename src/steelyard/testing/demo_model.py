"""Two scripted models that do the tasks of a suite: `python -m steelyard.testing.demo_model`; for the demo of agents.

`scripted-careful` looks around and then does what the task's own solution does; one task in nine it does wrongly.
`scripted-hasty` does two tasks in five by one of the suite's wrong solutions. Which ones is a hash of the task's id.
They speak the dialects of hosted models, call tools, and are paid by the token: all but the thinking is real.

Any agent can work with them: the built-in loop, and command-line agents, whose own tool for shell commands is used,
whatever it is called. One that offers no tool (aider) is answered with whole files, and can do no more than that.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from steelyard import tasks
from steelyard.sandbox.snapshot import Snapshot
from steelyard.schema.message import text_of
from steelyard.schema.reply import Reply
from steelyard.schema.task import Task
from steelyard.tasks.archives import removals, whole
from steelyard.testing.agent import Step, bash, reply_of, submit, turn_of
from steelyard.testing.agents import FINISHED, shell_call
from steelyard.testing.stub import Stub, StubOptions
from steelyard.wire.base import Request

WRONG_ONE_IN = {"scripted-careful": 9.0, "scripted-hasty": 2.5}


def commands_of(overlay: Snapshot) -> str:
    """An overlay as a shell command that lays it over the directory that it runs in."""
    if "solve.sh" in overlay.items:
        return overlay.read("solve.sh").decode()
    lines = [
        f"rm -r {shlex.quote(path)}" for path in removals(overlay)
    ]  # Codex refuses to carry out `rm -rf`
    for path, item in overlay.items.items():
        quoted = shlex.quote(path)
        if item.kind == "dir":
            lines.append(f"mkdir -p {quoted}")
        elif item.kind == "link":
            lines.append(f"ln -sfn {shlex.quote(item.target)} {quoted}")
        elif not path.startswith("."):
            told = base64.b64encode(overlay.read(path)).decode()
            lines.append(f"echo {told} | base64 -d > {quoted} && chmod {item.mode:o} {quoted}")
    return "\n".join(lines)


def errs(model: str, task_id: str) -> bool:
    """Whether a model does this task wrongly."""
    draw = int.from_bytes(hashlib.sha256(f"{model} {task_id}".encode()).digest()[:4], "big") / 2**32
    return draw < 1 / WRONG_ONE_IN.get(model, 1e9)


@dataclass(frozen=True, slots=True)
class Known:
    """A task, and what the models know of it: the solution, and a wrong one (None: there is none)."""

    task: Task
    right: Snapshot
    wrong: Snapshot | None

    def done_by(self, model: str) -> Snapshot:
        """What a model makes of it."""
        return self.wrong if self.wrong is not None and errs(model, self.task.id) else self.right


def thinking(source: str) -> Callable[[Request], Reply]:
    """What the models say, given a suite whose tasks they know."""
    suite = tasks.load(source)
    known: list[Known] = []
    for i in range(len(suite)):
        task = suite.task(i)
        if task.agentic is None or suite.work is None:
            continue
        wrong = [whole(suite.archive(d)) for d in suite.work.wrong.get(task.id, {}).values()]
        known.append(Known(task, whole(suite.archive(task.agentic.solution)), wrong[0] if wrong else None))

    def answer(request: Request) -> Reply:
        asked = "\n".join(text_of(m) for m in request.messages if m.role == "user")
        found = next((k for k in known if str(k.task.input) in asked), None)
        steps: Sequence[Step] = ["I do not know this task."]
        if found is not None:
            steps = _steps(request, found)
        elif _offers(request, "submit"):
            steps = [submit("I do not know this task.")]
        n = min(_turn(request), len(steps) - 1)
        return reply_of(request, steps[n], n, request.model)

    return answer


def _steps(request: Request, known: Known) -> Sequence[Step]:
    """Look around, do it, hand in, with the tools that this agent has."""
    done = known.done_by(request.model)
    if not request.tools:
        return [_files(done, _fence(request))]
    look = ["ls -la", "find . -type f | head -40"]
    words = [*(look if request.model == "scripted-careful" else look[:1]), commands_of(done)]
    if _offers(request, "submit"):
        return [*map(bash, words), submit("Done.")]
    last: Step = shell_call(request, f"echo {FINISHED}") if _told_to_say(request) else "Done."
    return [*(shell_call(request, w) for w in words), last, "Done."]


def _turn(request: Request) -> int:
    """The built-in loop's turns; of others the calls that were answered, since some add messages of their own."""
    if _offers(request, "submit"):
        return turn_of(request)
    return sum(1 for m in request.messages if m.role == "tool")


def _offers(request: Request, name: str) -> bool:
    return any(t.name == name for t in request.tools)


def _told_to_say(request: Request) -> bool:
    return any(FINISHED in text_of(m) for m in request.messages)


def _fence(request: Request) -> str:
    """The fence that aider asks for: more backticks where the files have three themselves."""
    told = re.findall(r"opening (`{3,})", "\n".join(text_of(m) for m in request.messages))
    return told[-1] if told else "```"


def _files(done: Snapshot, fence: str) -> str:
    """Whole files as aider reads them; what is no text, is removed, or needs a command, it cannot do."""
    out = ["Done:"]
    for path, item in done.items.items():
        if item.kind != "file" or path.startswith(".") or path == "solve.sh":
            continue
        with contextlib.suppress(UnicodeDecodeError):
            out.append(f"{path}\n{fence}\n{done.read(path).decode()}{fence}")
    return "\n\n".join(out)


async def serve(source: str) -> None:
    """Listen on a free port of loopback until killed; the first line of stdout says where."""
    async with Stub(StubOptions(answer=thinking(source))) as stub:
        print(json.dumps({"base_url": stub.base_url}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(sys.argv[1] if len(sys.argv) > 1 else "builtin:agentic"))
