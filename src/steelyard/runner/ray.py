"""Attempts on a Ray cluster: the executor whose contestants live in actors on other nodes. Needs the `ray` extra.

The ledger, the budget, the schedule and the limits stay in the driver: an actor gets an Ask and gives an Answer or a
Fault, so what a cap or a crash means does not change. A node that dies ends its attempts as `provider: worker_lost`
(possibly paid, retried by the runner's table) and gets no more. Credentials go to the actors by
name: only the variables that the plan's `key_env` name.

Not covered: autoscaling, and contestants that need files of the driver's machine (recordings, applications by path)
unless the nodes share them.
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

from steelyard.contestants.base import Answer, Ask, Contestant
from steelyard.contestants.build import build
from steelyard.errors import EndedBy, Fault, PlanError
from steelyard.schema.contestant import ContestantSpec

_ATTEMPTS_AN_ACTOR = 64


class _Host:
    """Lives on a node: all contestants of the plan, opened once."""

    def __init__(self, specs: list[bytes], environ: dict[str, str]) -> None:
        self._specs = [msgspec.json.decode(s, type=ContestantSpec) for s in specs]
        self._environ = environ
        self._live: list[Contestant] = []

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
            return {
                "message": str(f),
                "ended_by": f.ended_by.value,
                "kind": f.kind,
                "retryable": f.retryable,
                "retry_after": f.retry_after,
                "paid": f.paid,
            }


class RayExecutor:
    """`address` is `local` (a cluster of this machine alone), `auto`, or `ray://host:port`. One actor a node.

    `nodes` are the ids of the nodes that hold actors, once started.
    """

    def __init__(self, address: str, environ: Mapping[str, str], actors: int | None = None) -> None:
        self._address, self._environ, self._n = address, environ, actors
        self._actors: list[Any] = []
        self._turn = 0
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
        named = {str(s.config.get("key_env", "")) for s in specs}
        environ = {k: v for k, v in self._environ.items() if k in named}
        encoded = [msgspec.json.encode(s) for s in specs]
        nodes = ray.nodes()  # type: ignore[no-untyped-call]  # Ray's function has no types
        alive = [str(node["NodeID"]) for node in nodes if node["Alive"]]
        actor = ray.remote(_Host)
        for i in range(self._n or max(1, len(alive))):
            # an actor that asks for no CPU may be put anywhere, all of them on one node: say which
            strategy = NodeAffinitySchedulingStrategy(alive[i % len(alive)], soft=False)
            made = actor.options(
                num_cpus=0,
                max_task_retries=0,
                max_concurrency=_ATTEMPTS_AN_ACTOR,
                scheduling_strategy=strategy,
            )
            self._actors.append(made.remote(encoded, environ))
        try:
            self.nodes = set(await asyncio.gather(*(a.ready.remote() for a in self._actors)))
        except ray.exceptions.RayTaskError as e:
            raise PlanError("a contestant cannot be opened on a node", got=str(e.cause)[:300]) from e

    async def answer(self, c: int, ask: Ask) -> Answer:
        """One attempt on the next actor in turn. Raises Fault."""
        if not self._actors:
            raise Fault("every node is gone", ended_by=EndedBy.PROVIDER, kind="no_workers", paid=False)
        self._turn = (self._turn + 1) % len(self._actors)
        actor = self._actors[self._turn]
        try:
            found = await actor.answer.remote(c, ask)
        except (ray.exceptions.RayActorError, ray.exceptions.RayTaskError) as e:
            if isinstance(e, ray.exceptions.RayActorError) and actor in self._actors:
                self._actors.remove(actor)
            raise Fault(
                f"the node that ran this attempt is gone: {type(e).__name__}",
                ended_by=EndedBy.PROVIDER,
                kind="worker_lost",
                retryable=True,
            ) from e
        if isinstance(found, Answer):
            return found
        raise Fault(
            found["message"],
            ended_by=EndedBy(found["ended_by"]),
            kind=found["kind"],
            retryable=found["retryable"],
            retry_after=found["retry_after"],
            paid=found["paid"],
        )

    async def stop(self) -> None:
        """End the actors; leave a cluster that was there before alone."""
        actors, self._actors = self._actors, []
        for a in actors:
            ray.kill(a)
        if self._ours and ray.is_initialized():
            await asyncio.to_thread(ray.shutdown)
