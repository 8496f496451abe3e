"""The control socket of a run: `status`, `pause`, `resume`, `cap`, `stop` as one JSON line each way.

A Unix socket in a folder that only its owner may enter, named by the run. Answers hold figures and names only; what
contestants wrote is never in them, so it cannot talk to an agent that supervises the run.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import stat
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from steelyard.errors import UsageError
from steelyard.runner.engine import Engine
from steelyard.schema.price import PUSD, dollars

LONGEST_PATH = 100
"""Bytes of a socket's path: systems allow 104 to 108."""
_CAPS = {"money": (10**6, "dollars"), "tokens": (10**15, "a number of tokens"), "minutes": (10**6, "minutes")}
VERBS = ("status", "pause", "resume", "cap", "stop")


def socket_path(place: str, run: str) -> Path:
    """Where the socket of a run is. The folder is made with mode 0700; one that others own is refused."""
    name = hashlib.sha256(f"{place}\x1f{run}".encode()).hexdigest()[:20] + ".sock"
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"steelyard-{os.getuid()}"
    if len(os.fsencode(base / name)) > LONGEST_PATH:
        base = Path("/tmp") / base.name  # noqa: S108 - checked below to be a private folder of ours
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = base.lstat()
    if info.st_uid != os.getuid() or stat.S_IMODE(info.st_mode) & 0o077 or not stat.S_ISDIR(info.st_mode):
        raise UsageError(
            "the folder of control sockets is not private",
            where=str(base),
            wanted="a folder of this user with mode 700",
            got=f"owner {info.st_uid}, mode {stat.S_IMODE(info.st_mode):o}",
            fix="remove it, or set XDG_RUNTIME_DIR",
        )
    return base / name


def cap_changes(asked: Mapping[str, object]) -> dict[str, int | float | None]:
    """The caps that `money` (dollars), `tokens` and `minutes` ask for; None takes one away. Raises ValueError."""
    found: dict[str, int | float | None] = {}
    for name, (most, what) in _CAPS.items():
        if name not in asked:
            continue
        value = asked[name]
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most
        ):
            raise ValueError(f"`{name}` is {what}, from 0 to {most:,}, or null for no cap")
        if name == "money":
            found["money"] = None if value is None else int(value * PUSD)
        elif name == "tokens":
            found["tokens"] = None if value is None else int(value)
        else:
            found["seconds"] = None if value is None else 60 * value
    if not found:
        raise ValueError(f"`cap` needs one of {', '.join(_CAPS)}")
    return found


class ControlServer:
    """Serves the socket while a run lives."""

    def __init__(self, engine: Engine, path: Path, run: str) -> None:
        self._engine, self._path, self._run = engine, path, run
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. A socket that a killed run left is replaced: the ledger's hold says that nobody else writes."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, path=str(self._path), limit=65536)
        self._path.chmod(0o600)

    async def stop(self) -> None:
        """Close and remove the socket."""
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), 10)
            writer.write(json.dumps(self._answer(line)).encode() + b"\n")
            await writer.drain()
        except (OSError, TimeoutError, ValueError, asyncio.LimitOverrunError):
            return  # a client that went away or sent rubbish is not the run's problem
        finally:
            writer.close()

    def _answer(self, line: bytes) -> dict[str, object]:
        try:
            asked = json.loads(line)
            verb = str(asked["verb"])
        except (ValueError, KeyError, TypeError):
            return {"ok": False, "error": 'send one JSON line: {"verb": "status"}'}
        engine = self._engine
        if verb == "pause":
            engine.pause()
        elif verb == "resume":
            engine.go_on()
        elif verb == "stop":
            engine.stop("stopped through the control socket")
        elif verb == "cap":
            try:
                changes = cap_changes(asked)
            except ValueError as e:
                return {"ok": False, "error": str(e)}
            if refused := engine.cannot_cap(changes):
                return {"ok": False, "error": refused}
            engine.set_caps(changes)
        elif verb != "status":
            return {"ok": False, "error": f"unknown verb; one of {', '.join(VERBS)}"}
        return {"ok": True, **status(engine, self._run)}


def status(engine: Engine, run: str) -> dict[str, object]:
    """The figures of a live run: counts, money in dollars, seconds."""
    p, caps = engine.progress, engine.budget.caps
    elapsed, left = time.monotonic() - p.started, engine.budget.seconds_left
    return {
        "run": run,
        "state": "stopping" if p.stopping else "paused" if p.paused else "running",
        "total": p.total,
        "done": p.done,
        "resumed": p.resumed,
        "parked": p.parked,
        "in_flight": engine.budget.in_flight,
        "attempts": p.attempts,
        "retries": p.retries,
        "faults": dict(p.faults),
        "spent_dollars": dollars(engine.budget.spent),
        "held_dollars": dollars(engine.budget.held),
        "reserved_dollars": dollars(engine.budget.reserved),
        "cap_dollars": None if caps.money_pusd is None else dollars(caps.money_pusd),
        "tokens": engine.budget.tokens,
        "held_tokens": engine.budget.held_tokens,
        "cap_tokens": caps.tokens,
        "cap_seconds": caps.seconds,
        "seconds_left": None if left is None else round(left, 3),
        "elapsed_seconds": round(elapsed, 3),
        "rate_per_second": round((p.done - p.resumed) / elapsed, 3) if elapsed > 0 else None,
    }


def ask(path: Path, message: dict[str, object], timeout_s: float = 10.0) -> dict[str, object]:
    """Send one request to a live run. Raises UsageError when no run listens there."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(timeout_s)
            s.connect(str(path))
            s.sendall(json.dumps(message).encode() + b"\n")
            with s.makefile("rb") as f:
                answer: dict[str, object] = json.loads(f.readline(1 << 20))
    except (OSError, ValueError) as e:
        raise UsageError(
            "the run does not answer on its control socket",
            wanted="a run that is going on",
            got=str(e),
            fix="`steelyard show` tells its state; `steelyard resume` takes it up",
        ) from None
    return answer
