"""A hidden script as a grader: for tasks of other tools whose tests are no pytest files.

The tree is rebuilt from the base and the allowed changes in a fresh sandbox without network, the hidden files are at
`/tests`, and the script's verdict is the number in the reward file that it writes, or its exit status when it writes
none. The directory of that file is made here, empty, under a random name; texts that name `/logs/verifier` are led to
it. The file is read by handle from outside when the script ends, and again when every process is dead: one that
was written again in between was written by what the contestant's code left running, and is not believed. A script
that was killed has no verdict.

What this does not stop: the script runs the contestant's code with its own rights. Code that looks for the name while
it runs can keep the script from writing, or write once more in the moment before the script ends. The explanation of
every such score says "believed by its script".
"""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import dataclass, replace
from pathlib import Path

from steelyard.errors import DataError, SandboxError
from steelyard.sandbox.base import Command, Ended
from steelyard.sandbox.box import NamespaceBox
from steelyard.sandbox.pack import EMPTY, unpack
from steelyard.sandbox.profile import Mount
from steelyard.sandbox.scratch import drop, scratch
from steelyard.sandbox.snapshot import Change, apply
from steelyard.sandbox.tree import Tree
from steelyard.schema.score import FAILED, PASSED, Outcome, Score
from steelyard.scorers.base import Item
from steelyard.scorers.code.channel import Bench
from steelyard.scorers.code.grade import Trees
from steelyard.scorers.code.rebuild import rebuild
from steelyard.scorers.states import lay_out

SCRIPTS = ("grade.sh", "test.sh", "run-tests.sh")
_LOGS = b"/logs/verifier"
_REWARDS = ("reward.txt", "reward.json")
_MOST = 1 << 16
_SETTLE_S = 0.3  # longer than a period of the CPU quota, in which a busy writer may be held up


def by_script(item: Item, bench: Bench, trees: Trees) -> Score:
    """The verdict of the script. Raises SandboxError, DataError."""
    name = next((s for s in SCRIPTS if s in trees.hidden.items), "")
    if not name:
        raise DataError("no script to judge with", wanted=" or ".join(SCRIPTS))
    tree = rebuild(trees.base, unpack(item.changes).on(trees.base), EMPTY, trees.rules)
    logs = f"v{secrets.token_hex(8)}"  # below /tmp: there is no /logs in a sandbox
    place = scratch("script")
    try:
        lay_out(trees.hidden, place)
        _lead(place, f"/tmp/{logs}".encode())  # noqa: S108 - inside a sandbox
        profile = bench.profile()
        profile = replace(profile, mounts=(*profile.mounts, Mount(str(place), "/tests")))
        with NamespaceBox(profile) as box:
            changes = [Change(p, None, i) for p, i in sorted(tree.items.items())]
            failed = apply(box.workspace, changes, tree.read)
            if failed:
                raise SandboxError(f"the tree could not be laid out: {failed[0][0]}: {failed[0][1]}")
            box.scratch.make_dir(logs)
            env = (("REWARD_DIR", f"/tmp/{logs}"), ("TEST_DIR", "/tests"))  # noqa: S108 - inside a sandbox
            # Without our pipes, which a process left running would hold: the reward is read at the script's very end.
            argv = ("/bin/bash", "-c", 'exec /bin/bash "$0" >/dev/null 2>&1', f"/tests/{name}")
            result = box.execute(Command(argv, env=env))
            said = _reward(box.scratch, logs)
            time.sleep(_SETTLE_S)  # room for what keeps writing it to be seen
            box.close()  # whatever the contestant's code left running is dead now
            later = _reward(box.scratch, logs)
    finally:
        drop(place)
    if result.ended is Ended.FAULT:
        raise SandboxError(f"the grader's sandbox broke: {result.fault}")
    if result.ended is not Ended.EXITED:
        return Score(FAILED.outcome, 0.0, explanation=result.ended.value)
    if result.status is None:
        return Score(FAILED.outcome, 0.0, explanation=f"its script was killed by signal {result.signal}")
    if said != later:
        why = "tampered: the reward was written after its script had ended"
        return Score(FAILED.outcome, 0.0, explanation=why)
    return _score(said.text or f"exit {result.status}")


def _lead(place: Path, logs: bytes) -> None:
    """Put the directory of this run in the place of the one that other tools have."""
    for path in place.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        if _LOGS in data and b"\0" not in data:
            path.write_bytes(data.replace(_LOGS, logs))


@dataclass(frozen=True, slots=True)
class _Reward:
    """What stood in the reward file at a moment, and which writing of it: both empty when there was none."""

    text: str = ""
    stamp: tuple[int, ...] = ()


def _reward(tree: Tree, logs: str) -> _Reward:
    for name in _REWARDS:
        try:
            fd = tree.open_file(f"{logs}/{name}")
        except FileNotFoundError:
            continue
        except (OSError, DataError):
            return _Reward("no regular file")
        with os.fdopen(fd, "rb") as f:
            data = f.read(_MOST)
            info = os.fstat(f.fileno())
        stamp = (info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
        return _Reward(data.decode(errors="replace").strip() or "empty", stamp)
    return _Reward()


def _score(said: str) -> Score:
    value = _value(said)
    why = f"believed by its script: {said[:100]}"
    if value is None or value <= 0:
        return Score(FAILED.outcome, 0.0, explanation=why)
    if value >= 1:
        return Score(PASSED.outcome, 1.0, explanation=why)
    return Score(Outcome.PARTIAL, value, explanation=why)


def _value(said: str) -> float | None:
    """A number from 0 to 1: by itself, as the `reward` of a JSON object, or as its only value."""
    if said.startswith("exit "):
        return 1.0 if said == "exit 0" else 0.0
    try:
        found = json.loads(said)
        if isinstance(found, dict):
            found = found.get("reward", next(iter(found.values())) if len(found) == 1 else None)
        value = float(found) if not isinstance(found, bool) else None
    except (TypeError, ValueError):
        return None
    return value if value is not None and 0 <= value <= 1 else None
