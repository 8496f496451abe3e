"""What every sandbox must do, whatever isolates: run this suite against your own backend.

`check(sandbox)` raises `AssertionError` naming the promise that is not kept. The rung `none` keeps the promises of
running and staging, not those of isolation: pass `isolates=False`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from steelyard.sandbox.base import Command, Ended, Sandbox
from steelyard.sandbox.profile import MIB, Limits, Profile

_LIMITS = Limits(memory=256 * MIB, memory_guarantee=0, wall_s=30, workspace=4 * MIB, workspace_inodes=200)


def check(sandbox: Sandbox, *, isolates: bool = True) -> list[str]:
    """Try every promise; returns their names."""
    promises = [_status, _streams, _not_found, _environment, _staged, _wall, _output, _closes]
    promises += [_quota, _no_network, _no_host_files] if isolates else []
    for promise in promises:
        promise(sandbox)
    return [promise.__name__.lstrip("_") for promise in promises]


def _hold(promise: bool, what: str, got: object) -> None:  # noqa: FBT001 - reads as an assertion
    if not promise:
        raise AssertionError(f"{what}; got {got}")


def _in(sandbox: Sandbox, act: Callable[..., None], **more: object) -> None:
    with sandbox.open(Profile(limits=_LIMITS)) as box:
        act(box, **more)


def _status(sandbox: Sandbox) -> None:
    """A command's own status comes back, and the rung is stamped."""
    r = sandbox.once(Profile(limits=_LIMITS), Command(("sh", "-c", "exit 7")))
    _hold((r.ended, r.status, r.rung) == (Ended.EXITED, 7, sandbox.rung), "status 7 on this rung", r)


def _streams(sandbox: Sandbox) -> None:
    """Input goes in; stdout and stderr come out apart."""
    r = sandbox.once(Profile(limits=_LIMITS), Command(("sh", "-c", "cat; echo e >&2"), stdin=b"in"))
    _hold((r.stdout, r.stderr) == (b"in", b"e\n"), "stdout 'in', stderr 'e'", r)


def _not_found(sandbox: Sandbox) -> None:
    """A program that is not there is status 127, not an error of ours."""
    r = sandbox.once(Profile(limits=_LIMITS), Command(("no-such-program-here",)))
    _hold(r.status == 127, "status 127", r)


def _environment(sandbox: Sandbox) -> None:
    """Only what the profile and the command name."""
    profile = Profile(limits=_LIMITS, env=(("A", "1"),))
    r = sandbox.once(profile, Command(("sh", "-c", "echo $A$B"), env=(("B", "2"),)))
    _hold(r.stdout == b"12\n", "variables of the profile and of the command", r)


def _staged(sandbox: Sandbox) -> None:
    """The base is there, changes are seen, the base is untouched."""
    with tempfile.TemporaryDirectory() as place:
        base = Path(place)
        (base / "d").mkdir()
        (base / "d" / "f").write_text("old")
        with sandbox.open(Profile(limits=_LIMITS, base=base)) as box:
            r = box.run(["sh", "-c", "cat d/f; echo new > d/f; echo more > g"])
            _hold(r.stdout == b"old", "the base's content", r)
            _hold(box.workspace.read("d/f") == b"new\n", "a change in the workspace", r)
            _hold(box.workspace.read("g") == b"more\n", "a new file in the workspace", r)
        _hold((base / "d" / "f").read_text() == "old", "an untouched base", "a changed one")


def _wall(sandbox: Sandbox) -> None:
    """Wall time ends a command, and is named."""
    r = sandbox.once(Profile(limits=replace(_LIMITS, wall_s=1.0)), Command(("sleep", "20")))
    _hold(r.ended is Ended.WALL and r.usage.wall_s < 15, "an end by wall time", r)


def _output(sandbox: Sandbox) -> None:
    """A flood of output is cut at the cap, and is named."""
    r = sandbox.once(Profile(limits=replace(_LIMITS, output=10_000)), Command(("sh", "-c", "yes")))
    _hold(r.ended is Ended.OUTPUT and len(r.stdout) == 10_000, "10,000 bytes and an end by output", r.ended)


def _closes(sandbox: Sandbox) -> None:
    """After `close` the workspace can be read."""
    with sandbox.open(Profile(limits=_LIMITS)) as box:
        box.run(["sh", "-c", "echo x > kept"])
        box.close()
        _hold(box.workspace.read("kept") == b"x\n", "a readable workspace", "none")


def _quota(sandbox: Sandbox) -> None:
    """The workspace has a quota of bytes."""
    r = sandbox.once(Profile(limits=_LIMITS), Command(("sh", "-c", "head -c 20000000 /dev/zero > big")))
    _hold(not r.ok, "a refused write over the quota", r)


def _no_network(sandbox: Sandbox) -> None:
    """There is no interface but loopback."""
    r = sandbox.once(Profile(limits=_LIMITS), Command(("cat", "/proc/net/route")))
    _hold(len(r.stdout.splitlines()) <= 1, "no route", r)


def _no_host_files(sandbox: Sandbox) -> None:
    """A file of the host that the profile does not name is not there."""
    with tempfile.NamedTemporaryFile() as secret:
        r = sandbox.once(Profile(limits=_LIMITS), Command(("cat", secret.name)))
        _hold(not r.ok, "no such file", r)
