"""An embedded model as a contestant: no server, no socket."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import msgspec

from steelyard.contestants.base import Answer, Ask
from steelyard.contestants.embedded import convert
from steelyard.contestants.embedded.batcher import Piece, Running
from steelyard.contestants.embedded.engine import Generated, PromptTooLong
from steelyard.contestants.embedded.worker import Worker
from steelyard.errors import UserError
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.reply import Timing
from steelyard.wire.faults import fault


class EmbeddedContestant:
    """Answers with a shipped model, in this process, on one thread. `open` loads the weights."""

    def __init__(self, spec: ContestantSpec) -> None:
        self.spec = spec
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedded-model")
        self._worker = Worker(spec.model, self._thread)

    async def open(self) -> None:
        """Load the weights, so that the first answer is timed without it."""
        await self._worker.engine()

    async def answer(self, ask: Ask) -> Answer:
        """One attempt. Raises Fault `context_length` or `bad_request`."""
        given = self.spec.sampling
        how = convert.settings(given, ask.seed if given.send_seed else None)
        began = time.monotonic_ns()
        try:
            request = await self._worker.submit(convert.turns(ask.messages, ask.tools), how)
        except PromptTooLong as e:
            raise fault("context_length", str(e)) from None
        except UserError as e:
            raise fault("bad_request", str(e)) from None
        chunks: list[int] = []
        if self.spec.stream:
            made, chunks = await self._streamed(request, began)
        else:
            made = await self._worker.finished(request)
        took = time.monotonic_ns() - began
        engine = await self._worker.engine()
        first = chunks[0] if chunks else None
        timed = Timing(
            first_byte_ns=first or took, done_ns=took, first_token_ns=first, chunk_ns=tuple(chunks)
        )
        said = convert.reply(engine.card, made, "", logprobs=given.logprobs is not None)
        return Answer(msgspec.structs.replace(said, timing=timed))

    async def _streamed(self, request: Running, began: int) -> tuple[Generated, list[int]]:
        """The answer, and when each piece with text came (ns after `began`)."""
        pieces: list[Piece] = []
        chunks: list[int] = []
        async for piece in self._worker.pieces(request):
            pieces.append(piece)
            if piece.text:
                chunks.append(time.monotonic_ns() - began)
        request.pieces.extend(pieces)  # given back, for the engine to collect
        return (await self._worker.engine()).collect(request), chunks

    async def aclose(self) -> None:
        """Stop what runs and end the thread."""
        self._worker.close()
        self._thread.shutdown(wait=False, cancel_futures=True)
