"""One run of hidden tests in a sandbox, and what came over the signed channel."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.errors import SandboxError
from steelyard.sandbox.base import Command, Ended
from steelyard.sandbox.box import NamespaceBox
from steelyard.sandbox.profile import Limits, Mount, Profile
from steelyard.sandbox.snapshot import Change, apply
from steelyard.scorers.code.python import Python

if TYPE_CHECKING:
    from steelyard.sandbox.snapshot import Item
    from steelyard.scorers.code.rebuild import Rebuilt

INSIDE = Path(__file__).with_name("inside")
_CAP = 32 << 20


@dataclass(frozen=True, slots=True)
class Case:
    """One test as it came over the channel."""

    outcome: str
    sites: tuple[int, ...] = ()
    when: str = ""
    why: str = ""


@dataclass
class Heard:
    """What one run told. `finished` only when the driver said so itself, in order and signed."""

    cases: dict[str, Case] = field(default_factory=dict)
    collected: list[str] = field(default_factory=list)
    uncollected: dict[str, str] = field(default_factory=dict)
    finished: bool = False
    foreign: str = ""
    forged: int = 0
    ended: Ended = Ended.EXITED
    tail: str = ""
    wall_s: float = 0.0
    unreachable: int = 0
    names: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Every collected test was heard of, and the driver reached its end."""
        return self.finished and not self.uncollected and set(self.collected) == set(self.cases)

    def broken(self) -> str:
        """Why no verdict could come, or an empty string: a death, a hang, a file that cannot be collected."""
        if self.ended is not Ended.EXITED:
            return self.ended.value
        for why in self.uncollected.values():
            if "ModuleNotFoundError" not in why and "ImportError" not in why:
                return "a test file cannot be collected"
        if any("fixture '" in c.why and "not found" in c.why for c in self.cases.values()):
            return "a fixture is missing"
        if any("async def functions are not natively supported" in c.why for c in self.cases.values()):
            return "a test is asynchronous and no plugin that runs it is installed"
        return "" if self.finished else "the driver ended early"


@dataclass(frozen=True, slots=True)
class Orders:
    """What the driver is told, besides the key."""

    tests: tuple[str, ...]
    helper: str
    names: dict[str, str]
    paths: tuple[str, ...]
    plugins: tuple[str, ...] = ()
    remote: tuple[str, ...] = ()
    turned: frozenset[int] = frozenset()
    literals: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bench:
    """Where runs are made: limits, and the interpreter that has pytest."""

    limits: Limits
    interpreter: Python
    workdir: str = "/workspace"

    def profile(self) -> Profile:
        """A sandbox for one run."""
        env: tuple[tuple[str, str], ...] = (
            ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1"),
            ("PYTHONHASHSEED", "0"),
            ("PYTHONNOUSERSITE", "1"),
        )
        if self.interpreter.packages:
            env = (*env, ("PYTHONPATH", ":".join(self.interpreter.packages)))
        mounts = (Mount(str(INSIDE), "/grader"), *self.interpreter.mounts)
        return Profile(limits=self.limits, mounts=mounts, env=env, workdir=self.workdir)


def run(bench: Bench, tree: Rebuilt, texts: dict[str, str], orders: Orders) -> Heard:
    """Run the tests once. `texts` are the rewritten test files, which replace those of the tree."""
    key = secrets.token_bytes(32)
    seed = secrets.randbelow(1 << 20)
    root = bench.profile().workdir
    told = {
        "key": key.hex(),
        "seed": seed,
        "root": root,
        "tests": [f"{root}/{path}" for path in orders.tests],
        "helper": orders.helper,
        "names": orders.names,
        "paths": [f"{root}/{path}" if path else root for path in orders.paths],
        "plugins": list(orders.plugins),
        "remote": list(orders.remote),
        "turned": sorted(orders.turned),
        "literals": {str(site): text for site, text in orders.literals.items()},
    }
    with NamespaceBox(bench.profile()) as box:
        lay_out(box, tree, texts)
        if not orders.remote:
            return _drive(bench, box, told, key, None)
        with NamespaceBox(bench.profile()) as other, _serving(bench, other, tree, orders) as line:
            return _drive(bench, box, told, key, line)


def lay_out(box: NamespaceBox, tree: Rebuilt, texts: dict[str, str]) -> None:
    """Write the tree into the workspace; raises `SandboxError` when it does not fit."""
    changes = [Change(path, None, item) for path, item in sorted(tree.items.items())]
    failed = apply(box.workspace, changes, lambda p: texts[p].encode() if p in texts else tree.read(p))
    if failed:
        raise SandboxError(f"the tree could not be laid out: {failed[0][0]}: {failed[0][1]}")


def without_hidden(tree: Rebuilt, hidden: dict[str, Item]) -> Rebuilt:
    """The tree as the code under test may see it in a sandbox of its own."""
    keep = {p: i for p, i in tree.items.items() if p not in hidden or i.kind == "dir"}
    return type(tree)(keep, {p: tree.source[p] for p in keep}, tree.taken, tree.dropped, tree.flags)


class _serving:  # noqa: N801 - a context manager that reads as a verb
    """The code under test, in a sandbox of its own; gives the driver's end of the line."""

    def __init__(self, bench: Bench, box: NamespaceBox, tree: Rebuilt, orders: Orders) -> None:
        self.bench, self.box, self.orders = bench, box, orders
        hidden = {p: tree.items[p] for p in tree.items if tree.source[p] is tree.source[orders.tests[0]]}
        lay_out(box, without_hidden(tree, hidden), {})

    def __enter__(self) -> socket.socket:
        root = self.box.profile.workdir
        paths = json.dumps([f"{root}/{p}" if p else root for p in self.orders.paths])
        argv = (self.bench.interpreter.path, "-s", "-P", "-B", "/grader/server.py", paths)
        self.ours, theirs = socket.socketpair()
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            self.box.spawn(Command(argv), [null, null, null, theirs.fileno()])
        finally:
            os.close(null)
            theirs.close()
        return self.ours

    def __exit__(self, *_: object) -> None:
        self.ours.close()
        self.box.close()


def _drive(
    bench: Bench, box: NamespaceBox, told: dict[str, Any], key: bytes, line: socket.socket | None
) -> Heard:
    verdict_r, verdict_w = os.pipe2(os.O_CLOEXEC)
    orders_r, orders_w = os.pipe2(os.O_CLOEXEC)
    heard = Heard()
    raw = bytearray()
    reader = threading.Thread(target=_listen, args=(verdict_r, raw), daemon=True)
    reader.start()
    feeder = threading.Thread(target=_feed, args=(orders_w, json.dumps(told).encode()), daemon=True)
    feeder.start()
    more = [verdict_w, orders_r, *([line.fileno()] if line else [])]
    argv = (bench.interpreter.path, "-s", "-P", "-B", "/grader/run.py")
    started = time.monotonic()
    try:
        result = box.execute(Command(argv, wall_s=bench.limits.wall_s), more=more)
    finally:
        os.close(verdict_w)
        os.close(orders_r)
    box.close()  # whatever still holds the channel is dead now
    oom = (box.final or {}).get("oom_kills", 0)
    feeder.join()
    reader.join()
    heard.wall_s = time.monotonic() - started
    heard.ended = Ended.MEMORY if oom and result.status != 0 else result.ended
    heard.unreachable, heard.names = result.usage.unreachable, result.usage.names
    heard.tail = (result.stdout + result.stderr).decode(errors="replace")[-4000:]
    _read_notes(bytes(raw), key, heard)
    return heard


def _feed(fd: int, data: bytes) -> None:
    try:
        with os.fdopen(fd, "wb") as f:
            f.write(data)
    except BrokenPipeError:
        return


def _listen(fd: int, raw: bytearray) -> None:
    with os.fdopen(fd, "rb", buffering=0) as f:
        while data := f.read(1 << 16):
            if len(raw) < _CAP:
                raw += data


def _read_notes(raw: bytes, key: bytes, heard: Heard) -> None:
    """Only signed notes, in order without a gap, count."""
    serial = 0
    for line in raw.split(b"\n"):
        if not line:
            continue
        mark, _, body = line.partition(b" ")
        good = hmac.compare_digest(mark, hmac.new(key, body, hashlib.sha256).hexdigest().encode())
        note = json.loads(body) if good else {}
        if not good or note["serial"] != serial + 1:
            heard.forged += 1
            continue
        serial += 1
        kind = note["kind"]
        if kind == "collected":
            heard.collected = note["tests"]
        elif kind == "test":
            heard.cases[note["id"]] = Case(note["outcome"], tuple(note["sites"]), note["when"], note["why"])
        elif kind == "uncollected":
            heard.uncollected[note["path"]] = note["why"]
        elif kind == "foreign":
            heard.foreign = note["what"]
        elif kind == "finished":
            heard.finished = True
