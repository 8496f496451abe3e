"""Attempts on a Ray cluster: the executor whose contestants live in actors on other nodes. Needs the `ray` extra.

The ledger, the budget, the schedule and the limits stay in the driver: an actor gets an Ask and gives an Answer or a
Fault, so what a cap or a crash means does not change. Agents work in the actors and are paid from here, call by call
(`runner.remote`). A node that dies ends its attempts as `provider: worker_lost`
(possibly paid, retried by the runner's table) and gets no more. Credentials go to the actors by
name: only the variables that the plan's `key_env` name.

Not covered: autoscaling, and contestants that need files of the driver's machine (recordings, applications by path, the
trees that agents work on) unless the nodes share them; people who are asked (`--interactive`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from steelyard.contestants.base import Answer, Ask, Contestant, Purse
from steelyard.contestants.build import build
from steelyard.errors import EndedBy, Fault, PlanError
from steelyard.runner.plansecrets import VARIABLE
from steelyard.runner.remote import Event, Jobs, as_fault, as_fields, drive
from steelyard.schema.contestant import ContestantSpec

_CALLS_AN_ACTOR = 256
"""At once: attempts, and for each agent at work the call that waits for what it says."""


class _Host:
    """Lives on a node: all contestants of the plan, opened once."""

    def __init__(self, specs: list[bytes], environ: dict[str, str]) -> None:
        self._specs = [msgspec.json.decode(s, type=ContestantSpec) for s in specs]
        self._environ = environ
        self._live: list[Contestant] = []
        self._jobs = Jobs()

    async def ready(self) -> str:
        """Open the contestants; the name of the node."""
        for spec in self._specs[len(self._live) :]:
            contestant = build(spec, self._environ)
            await contestant.open()
            self._live.append(contestant)
        return ray.get_runtime_context().get_node_id()

    async def answer(self, c: int, ask: Ask) -> Answer | dict[str, Any]:
        """One attempt; a Fault comes back as its fields (an exception would be wrapped and retried by Ray)."""
        await self.ready()
        try:
            return await self._live[c].answer(ask)
        except Fault as f:
            return as_fields(f)

    async def begin(self, job: int, c: int, ask: Ask) -> None:
        """Start an agent's attempt."""
        await self.ready()
        await self._jobs.begin(job, self._live[c], ask)

    async def events(self, job: int) -> list[Event]:
        """What it has said since."""
        return await self._jobs.events(job)

    async def reply(self, job: int, ask: int, value: object) -> None:
        """Answer what it asked."""
        await self._jobs.reply(job, ask, value)

    async def give_up(self, job: int) -> None:
        """End it."""
        await self._jobs.give_up(job)


class _RayLine:
    """The way to one job in an actor."""

    def __init__(self, actor: Any, job: int) -> None:
        self._actor, self._job = actor, job

    async def begin(self, c: int, ask: Ask) -> None:
        await self._actor.begin.remote(self._job, c, ask)

    async def events(self) -> list[Event]:
        found: list[Event] = await self._actor.events.remote(self._job)
        return found

    async def reply(self, ask: int, value: object) -> None:
        await self._actor.reply.remote(self._job, ask, value)

    async def give_up(self) -> None:
        self._actor.give_up.remote(self._job)  # nobody waits: the node may be gone


class RayExecutor:
    """`address` is `local` (a cluster of this machine alone), `auto`, or `ray://host:port`. One actor a node.

    `nodes` are the ids of the nodes that hold actors, once started.
    """

    def __init__(self, address: str, environ: Mapping[str, str], actors: int | None = None) -> None:
        self._address, self._environ, self._n = address, environ, actors
        self._actors: list[Any] = []
        self._turn = self._job = 0
        self._ours = False
        self.nodes: set[str] = set()

    async def start(self, specs: Sequence[ContestantSpec]) -> None:
        """Connect, start actors spread over the nodes, open the contestants there. Raises PlanError."""
        # Ray's own usage report is a call that nobody named
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        if not ray.is_initialized():
            address = None if self._address == "local" else self._address
            await asyncio.to_thread(ray.init, address, log_to_driver=False, include_dashboard=False)
            self._ours = True
        encoded = [msgspec.json.encode(s) for s in specs]
        named = {str(s.config.get("key_env", "")) for s in specs}
        for spec in encoded:
            named.update(VARIABLE.findall(spec.decode()))
        environ = {k: v for k, v in self._environ.items() if k in named}
        nodes = ray.nodes()  # type: ignore[no-untyped-call]  # Ray's function has no types
        alive = [str(node["NodeID"]) for node in nodes if node["Alive"]]
        actor = ray.remote(_Host)
        for i in range(self._n or max(1, len(alive))):
            # an actor that asks for no CPU may be put anywhere, all of them on one node: say which
            strategy = NodeAffinitySchedulingStrategy(alive[i % len(alive)], soft=False)
            made = actor.options(
                num_cpus=0,
                max_task_retries=0,
                max_concurrency=_CALLS_AN_ACTOR,
                scheduling_strategy=strategy,
            )
            self._actors.append(made.remote(encoded, environ))
        try:
            self.nodes = set(await asyncio.gather(*(a.ready.remote() for a in self._actors)))
        except ray.exceptions.RayTaskError as e:
            raise PlanError("a contestant cannot be opened on a node", got=str(e.cause)[:300]) from e

    async def answer(self, c: int, ask: Ask) -> Answer:
        """One attempt on the next actor in turn. Raises Fault."""
        actor = self._next()
        try:
            found = await actor.answer.remote(c, ask)
        except (ray.exceptions.RayActorError, ray.exceptions.RayTaskError) as e:
            raise self._lost(actor, e) from e
        if isinstance(found, Answer):
            return found
        raise as_fault(found)

    async def work(self, c: int, ask: Ask, purse: Purse) -> Answer:
        """One attempt of the agent `c` on the next actor in turn, paid from `purse`. Raises Fault."""
        actor = self._next()
        self._job += 1
        try:
            return await drive(_RayLine(actor, self._job), c, ask, purse)
        except (ray.exceptions.RayActorError, ray.exceptions.RayTaskError) as e:
            raise self._lost(actor, e) from e

    def _next(self) -> Any:
        if not self._actors:
            raise Fault("every node is gone", ended_by=EndedBy.PROVIDER, kind="no_workers", paid=False)
        self._turn = (self._turn + 1) % len(self._actors)
        return self._actors[self._turn]

    def _lost(self, actor: Any, error: Exception) -> Fault:
        if isinstance(error, ray.exceptions.RayActorError) and actor in self._actors:
            self._actors.remove(actor)
        return Fault(
            f"the node that ran this attempt is gone: {type(error).__name__}",
            ended_by=EndedBy.PROVIDER,
            kind="worker_lost",
            retryable=True,
        )

    async def stop(self) -> None:
        """End the actors; leave a cluster that was there before alone."""
        actors, self._actors = self._actors, []
        for a in actors:
            ray.kill(a)
        if self._ours and ray.is_initialized():
            await asyncio.to_thread(ray.shutdown)
