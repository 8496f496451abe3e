"""A command-line agent as a contestant: one sandbox, one capturing endpoint and one process an attempt.

`spec.harness` names the adapter (or the path of one), `spec.config` holds the endpoint as for kind `endpoint`, and
`spec.config["agent"]` of these what is needed: `executable` (path of the program), `args` (appended to the command),
`env` (more variables, never a credential), `mounts` (host paths shown read-only), `hosted_tools` (true: tools that the
provider runs are let through), `boxes` (sandboxes at once), `max_output_tokens` (of a call that names none).

Who ended an attempt: a fault of the sandbox is the sandbox's; a provider whose last answer was a fault, and after which
the agent got no further, is the provider's; a limit of the trial is the budget; whatever else an agent does, its exit
status and its crash included, is its own. An agent that ends with an error, without a single call and without a
change, did not start: that is the operator's to mend, and no measurement.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar, TypeVarTuple

from steelyard.contestants.agents.adapter import Adapter, adapter
from steelyard.contestants.agents.desk import Desk
from steelyard.contestants.agents.install import Installed, find, version_of
from steelyard.contestants.agents.judge import Agent, Work, judged
from steelyard.contestants.agents.session import PORT, Order, Session, Setting, roomier, setting
from steelyard.contestants.base import Answer, Ask, Place, Purse
from steelyard.contestants.capture import Capture, Terms
from steelyard.contestants.capture.edit import Rules
from steelyard.contestants.endpoint import endpoint_of
from steelyard.contestants.workplace import open_place
from steelyard.errors import EndedBy, Fault, PlanError
from steelyard.sandbox.base import Result
from steelyard.sandbox.box import NamespaceBox
from steelyard.sandbox.egress import Gate
from steelyard.sandbox.profile import Mount
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.message import media_of, media_words, text_of
from steelyard.unknown import Unknown, is_known
from steelyard.wire.client import Client

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
GRACE_S = 10.0
"""How long an agent may tidy up after its last call was refused."""
LINGER_S = 10.0
"""How long a call that is in flight when the agent ends may go on, so that its cost is known."""


class AgentContestant:
    """One agent and the endpoint behind it."""

    def __init__(self, spec: ContestantSpec, environ: Mapping[str, str]) -> None:
        self.spec = spec
        settings = spec.config.get("agent")
        self._settings: Mapping[str, object] = settings if isinstance(settings, dict) else {}
        self.adapter: Adapter = adapter(str(self._settings.get("adapter") or spec.harness))
        base_url = str(spec.config.get("base_url", ""))
        if not base_url:
            raise PlanError(
                f"contestant `{spec.name}`: an agent needs a model endpoint", wanted="base_url", got="nothing"
            )
        if not spec.model:
            raise PlanError(
                f"contestant `{spec.name}`: an agent needs a model", wanted="model", got="nothing"
            )
        self._endpoint = endpoint_of(spec, environ, base_url)
        self._client: Client | None = None
        self._installed: Installed | None = None
        self._version: str | Unknown = Unknown("not asked yet")
        boxes = self._settings.get("boxes", 4)
        most = boxes if isinstance(boxes, int) and 0 < boxes <= 64 else 4
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="steelyard-agent")
        self._boxes = asyncio.Semaphore(most)

    async def open(self) -> None:
        """Find the agent and ask its version. Raises PlanError, with the command that installs it; nothing is sent."""
        self._installed = find(self.adapter, executable=str(self._settings.get("executable", "")))
        mounts = tuple(Mount(m) for m in _texts(self._settings, "mounts"))
        self._installed = replace(self._installed, mounts=(*self._installed.mounts, *mounts))
        self._version = await self._thread(version_of, self.adapter, self._installed)
        self._client = Client(self._endpoint, max_connections=1024)

    async def aclose(self) -> None:
        """Close connections and threads."""
        if self._client is not None:
            await self._client.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def answer(self, ask: Ask) -> Answer:
        """An agent makes many calls, each paid from a purse, which an ordinary question does not bring."""
        raise Fault(
            f"contestant `{self.spec.name}` is an agent: it works in tasks, with a purse",
            ended_by=EndedBy.OPERATOR,
            kind="unsupported",
            paid=False,
        )

    async def work(self, ask: Ask, purse: Purse) -> Answer:
        """One attempt. Raises Fault."""
        if self._client is None or self._installed is None:
            raise RuntimeError("open the contestant first")
        place = ask.place or Place()
        desk = Desk(place, purse, ask.seed) if Desk.wanted(place) else None
        async with self._boxes:
            try:
                return await self._attempt(ask, place, purse, desk)
            finally:
                if desk is not None:
                    await asyncio.shield(desk.aclose())

    async def _attempt(self, ask: Ask, place: Place, purse: Purse, desk: Desk | None) -> Answer:
        """One attempt, the desk of the task opened for it."""
        assert self._client is not None
        assert self._installed is not None
        if desk is not None:
            await desk.open()
        order = self._order(ask, place, "" if desk is None else desk.told)
        extra = {str(k): str(v) for k, v in _table(self._settings, "env").items()}
        ready = setting(self.adapter, self._installed, order, extra, _texts(self._settings, "args"))
        started = time.time_ns()
        listen = (PORT, Gate.port) if place.hosts else (PORT,)
        box = await self._thread(_open, place, self.adapter, listen, self._installed.mounts)
        session = Session(box, place)
        try:
            capture = Capture(self._client, self._terms(place), purse)
            if desk is not None:
                capture.offer(desk.tools)
            await capture.start(box.listeners[PORT])
            try:
                result = await self._run(session, capture, ready, place)
            finally:
                await capture.aclose(linger_s=LINGER_S)
            await self._thread(session.close)
            answer = await self._thread(
                judged, Work(self._agent(), session, capture, result, ready, place, started)
            )
            return answer if desk is None else replace(answer, state=await desk.state())
        finally:
            await asyncio.shield(self._thread(box.release))

    def _agent(self) -> Agent:
        said = self._version if is_known(self._version) else ""
        return Agent(self.spec, self.adapter, said)

    def _terms(self, place: Place) -> Terms:
        spec, config = self.spec, self.spec.config
        default = self._settings.get("max_output_tokens")
        context = config.get("context_tokens")
        rules = Rules(
            spec.model,
            spec.sampling,
            hosted_tools=self._settings.get("hosted_tools") is True,
            default_output=default if isinstance(default, int) and default > 0 else 8192,
        )
        return Terms(
            rules,
            price=spec.price,
            turns=place.turns,
            tokens=place.tokens,
            money_pusd=place.money_pusd,
            context_tokens=context if isinstance(context, int) else None,
        )

    def _order(self, ask: Ask, place: Place, more: str) -> Order:
        if found := tuple(p for m in ask.messages for p in media_of(m)):
            raise Fault(
                f"the instruction holds {media_words(found)}; a command-line agent is given text: put files into the "
                "workspace",
                ended_by=EndedBy.OPERATOR,
                kind="unsupported",
                paid=False,
            )
        system = "\n\n".join(text_of(m) for m in ask.messages if m.role == "system")
        told = "\n\n".join(text_of(m) for m in ask.messages if m.role != "system")
        told = f"{told}\n\n{more}" if more else told
        return Order(told, system, self.spec.model, place.turns, place.workdir, bool(more))

    async def _run(self, session: Session, capture: Capture, ready: Setting, place: Place) -> Result:
        """Run the agent; when no further call can be answered it has `GRACE_S` to end by itself."""
        running = asyncio.ensure_future(self._thread(session.run, ready, place.seconds))
        over = asyncio.ensure_future(capture.over.wait())
        try:
            await asyncio.wait({running, over}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await asyncio.wait({running}, timeout=GRACE_S)
            session.stop.set()
            return await running
        finally:
            over.cancel()
            session.stop.set()
            with contextlib.suppress(
                Exception
            ):  # a cancelled attempt still waits for the death of its processes
                await asyncio.shield(asyncio.wait({running}))

    async def _thread(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)


def _open(place: Place, what: Adapter, listen: tuple[int, ...], mounts: tuple[Mount, ...]) -> NamespaceBox:
    return open_place(roomier(place, what), listen=listen, mounts=mounts)


def _table(value: Mapping[str, object], key: str) -> Mapping[str, object]:
    got = value.get(key)
    return got if isinstance(got, dict) else {}


def _texts(value: Mapping[str, object], key: str) -> tuple[str, ...]:
    got = value.get(key)
    return tuple(str(v) for v in got) if isinstance(got, list | tuple) else ()


def make(spec: ContestantSpec, environ: Mapping[str, str]) -> AgentContestant:
    """For the table of kinds."""
    return AgentContestant(spec, environ)
