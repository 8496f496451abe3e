"""Judges at work: models that score, called like contestants - reserved, recorded, retried, and never paid twice.

Every judge call is an attempt with a role (`judge:NAME#n`, n its number within the item), so it has an intent before it
and a result after it, counts against the caps, and is answered from the ledger when the run is resumed. Verdicts that
cannot be read are ungraded; a judge that cannot be reached parks the verdict, never the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from steelyard.contestants.base import Ask
from steelyard.errors import EndedBy, Fault
from steelyard.runner.attempts import AttemptContext, StoppedError, Trial, run_trial
from steelyard.runner.budget import CapReachedError
from steelyard.runner.keeper import Key
from steelyard.runner.schedule import derive
from steelyard.schema.message import Message
from steelyard.schema.record import Scored
from steelyard.schema.reply import Reply
from steelyard.schema.score import Score, ungraded
from steelyard.scorers.base import Item, Judge

OnScores = Callable[[list[tuple[Key, Score]]], None]
OnCap = Callable[[str], None]
"""Called with money, tokens or time when no further judge call fits under that cap."""
ReplyKey = tuple[int, int, int, str]
"""(contestant, task, repeat, role of the call)."""


class _Caller:
    """What a judge calls for one item; numbers its calls, and answers from what was paid for before."""

    def __init__(self, judging: Judging, key: Key) -> None:
        self._judging, self._key, self._n = judging, key, 0

    async def __call__(self, role: str, messages: tuple[Message, ...], seed: int) -> Reply:
        n, self._n = self._n, self._n + 1
        return await self._judging.call(self._key, f"judge:{role}#{n}", role, messages, seed)


class Judging:
    """A pool of workers that judge finished trials. `casting` maps a role to the index of its contestant
    among the specs of the session (the plan's contestants, then its judges). `sent` is the number of the next attempt
    of calls that were in flight when an earlier session was killed: theirs stay open, and keep their reservation."""

    def __init__(
        self,
        judges: Mapping[str, Judge],
        casting: Mapping[str, int],
        paid: Mapping[ReplyKey, Reply],
        workers: int,
        sent: Mapping[ReplyKey, int] | None = None,
    ) -> None:
        self._judges, self._casting, self._paid, self._n = judges, casting, paid, workers
        self._sent = sent or {}
        self._queue: asyncio.Queue[tuple[Key, str, Item] | None] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._context: AttemptContext | None = None
        self._on_scores: OnScores | None = None
        self._on_cap: OnCap | None = None

    def add(self, key: Key, judge: str, item: Item) -> None:
        """Judge this when there is room."""
        self._queue.put_nowait((key, judge, item))

    async def start(self, context: AttemptContext, on_scores: OnScores, on_cap: OnCap) -> None:
        """Begin. What a cap leaves unjudged is judged when the run is resumed."""
        self._context, self._on_scores, self._on_cap = context, on_scores, on_cap
        self._tasks = [asyncio.create_task(self._worker()) for _ in range(self._n)]

    async def finish(self) -> None:
        """Judge what is queued, then end. Raises what a worker raised."""
        for _ in self._tasks:
            self._queue.put_nowait(None)
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result

    def cancel(self) -> None:
        """Give up the calls in flight: their intents stay open, shown as possibly paid."""
        for task in self._tasks:
            task.cancel()

    async def abandon(self) -> None:
        """Give up, and take what the workers raised: the session ends by an error that says it already."""
        self.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _worker(self) -> None:
        context, on_scores, on_cap = self._context, self._on_scores, self._on_cap
        assert context is not None
        assert on_scores is not None
        assert on_cap is not None
        while True:
            entry = await self._queue.get()
            if entry is None or context.stop.is_set():
                return
            key, name, item = entry
            try:
                score = await self._judges[name].judge(item, _Caller(self, key))
            except Fault as fault:
                score = ungraded(f"judge:{fault.kind}", str(fault)[:200])
            except StoppedError:
                return
            except CapReachedError as e:
                on_cap(e.which)
                return
            context.keeper.record(Scored(*key, name, score), wait=False)
            on_scores([(key, score)])

    async def call(
        self, key: Key, role: str, judge_role: str, messages: tuple[Message, ...], seed: int
    ) -> Reply:
        """One call, or the reply that an earlier session of this run already paid for. Raises Fault."""
        c, t, k, _ = key
        earlier = self._paid.get((c, t, k, role))
        if earlier is not None:
            return earlier
        context = self._context
        assert context is not None
        cast = self._casting.get(judge_role)
        if cast is None:
            raise Fault(
                f"no judge is cast as {judge_role!r}", ended_by=EndedBy.OPERATOR, kind="no_judge", paid=False
            )
        ask = Ask(messages, f"{role}@{c},{t},{k}", k, derive(seed, role) >> 22)
        first = self._sent.get((c, t, k, role), 0)
        ended = await run_trial(context, Trial(c, t, k, ask, role=role, via=cast, first_attempt=first))
        if ended.reply is None:
            assert ended.fault is not None
            raise ended.fault
        return ended.reply
