"""The engine for asyncio: steps run on one thread of their own, so that the loop stays free to talk.

All engines of a process share that thread: together they use one core.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakKeyDictionary

from steelyard.contestants.embedded.batcher import Piece, Running
from steelyard.contestants.embedded.engine import Engine, Generated, Turn
from steelyard.contestants.embedded.sampler import Sampling


class Worker:
    """One model for many coroutines. `close` when done; requests that still run are cancelled."""

    def __init__(self, name: str, thread: ThreadPoolExecutor) -> None:
        self.name, self._thread = name, thread
        self._engine: Engine | None = None
        # weak: a request that nobody reads any more goes when the batcher is done with it
        self._news: WeakKeyDictionary[Running, asyncio.Event] = WeakKeyDictionary()
        self._loop_task: asyncio.Task[None] | None = None

    async def engine(self) -> Engine:
        """The engine; the first call loads the weights."""
        if self._engine is None:
            loaded = await asyncio.get_running_loop().run_in_executor(self._thread, Engine.named, self.name)
            self._engine = self._engine or loaded
        return self._engine

    async def submit(self, turns: Sequence[Turn], how: Sampling) -> Running:
        """Queue a conversation; raises what `Engine.submit` raises. Then read `pieces` or `finished`."""
        engine = await self.engine()
        request = engine.submit(turns, how)
        self._news[request] = asyncio.Event()
        if self._loop_task is None or self._loop_task.done():
            self._loop_task = asyncio.get_running_loop().create_task(self._steps(engine))
        return request

    async def pieces(self, request: Running) -> AsyncIterator[Piece]:
        """The pieces of a submitted request, each given once; leaving the loop early cancels the request."""
        news = self._news[request]
        try:
            while True:
                while request.pieces:
                    piece = request.pieces.popleft()
                    yield piece
                    if piece.finish is not None:
                        return
                news.clear()
                self._raise_if_broken()
                await news.wait()
        finally:
            self.forget(request)

    async def finished(self, request: Running) -> Generated:
        """The whole answer of a submitted request."""
        engine = await self.engine()
        news = self._news[request]
        try:
            while request.finish is None:
                news.clear()
                self._raise_if_broken()
                await news.wait()
            return engine.collect(request)
        finally:
            self.forget(request)

    def forget(self, request: Running) -> None:
        """Cancel a request if it still runs, and let go of it."""
        request.cancelled = True
        self._news.pop(request, None)

    def close(self) -> None:
        """Cancel every request."""
        for request in list(self._news):
            request.cancelled = True
        if self._loop_task is not None:
            self._loop_task.cancel()

    def _raise_if_broken(self) -> None:
        if self._loop_task is not None and self._loop_task.done() and not self._loop_task.cancelled():
            broken = self._loop_task.exception()
            if broken is not None:
                raise broken

    async def _steps(self, engine: Engine) -> None:
        loop = asyncio.get_running_loop()
        try:
            while engine.batcher.busy:
                for request in await loop.run_in_executor(self._thread, engine.batcher.step):
                    news = self._news.get(request)
                    if news is not None:
                        news.set()
        finally:
            for news in list(self._news.values()):  # whoever waits looks again, and sees what broke
                news.set()
