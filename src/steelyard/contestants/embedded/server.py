"""`steelyard serve-models`: the embedded models behind the HTTP dialects of hosted ones, on loopback.

`POST /v1/chat/completions`, `/v1/responses`, `/v1/messages` (whole and streamed; `/v1` may be left out),
`GET /v1/models`, `/v1/models/NAME`, `/health`. Credentials are neither asked for nor looked at.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from steelyard.contestants.embedded import convert
from steelyard.contestants.embedded.batcher import Running
from steelyard.contestants.embedded.engine import Engine, Generated, PromptTooLong
from steelyard.contestants.embedded.tokenizer import END
from steelyard.contestants.embedded.weights import Card, card, model_names
from steelyard.contestants.embedded.worker import Worker
from steelyard.errors import Fault, UserError
from steelyard.schema.reply import Reply
from steelyard.wire.base import Delta, Request, ServerDialect
from steelyard.wire.dialects import SERVERS, server_dialect
from steelyard.wire.faults import fault
from steelyard.wire.serve import Incoming, Outgoing


class ModelServer:
    """The handler for `steelyard.wire.serve.Server`. `models` limits which are served (all, when empty)."""

    def __init__(self, models: Sequence[str] = ()) -> None:
        names = tuple(models) or model_names()
        self._cards: dict[str, Card] = {name: card(name) for name in names}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedded-models")
        self._workers: dict[str, Worker] = {name: Worker(name, self._thread) for name in names}
        self._numbers = itertools.count(1)
        self._dialects: Mapping[str, ServerDialect] = {
            prefix + d.path.removeprefix("/v1"): d
            for d in map(server_dialect, SERVERS)
            for prefix in ("", "/v1")
        }

    @property
    def names(self) -> list[str]:
        """The models served."""
        return list(self._cards)

    async def __call__(self, incoming: Incoming) -> Outgoing:
        """Answer one HTTP request."""
        dialect = self._dialects.get(incoming.path)
        if dialect is None:
            return self._look_up(incoming)
        if incoming.method != "POST":
            return _error(405, f"{incoming.path}: wanted POST, got {incoming.method}")
        try:
            return await self._answer(dialect, dialect.decode_request(incoming.body))
        except Fault as broken:
            status, body = dialect.encode_fault(broken)
            return Outgoing(status, body)

    def close(self) -> None:
        """Stop what runs."""
        for worker in self._workers.values():
            worker.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, dialect: ServerDialect, request: Request) -> Outgoing:
        worker = self._workers.get(request.model)
        if worker is None:
            raise fault("not_found", f"no model `{request.model}` here; there are {', '.join(self._workers)}")
        turns = convert.turns(request.messages, request.tools)
        how = convert.settings(request.sampling, request.seed)
        try:
            running = await worker.submit(turns, how)
        except PromptTooLong as e:
            raise fault("context_length", f"context length exceeded: {e}") from None
        except UserError as e:
            raise fault("bad_request", str(e)) from None
        response_id = f"steelyard-{next(self._numbers)}"
        if request.stream:
            chunks = self._chunks(dialect, request, worker, (running, response_id))
            return Outgoing(body=chunks, content_type="text/event-stream")
        made = await worker.finished(running)
        wants = request.sampling.logprobs is not None
        said = convert.reply(self._cards[request.model], made, response_id, logprobs=wants)
        return Outgoing(body=dialect.encode_reply(said))

    async def _chunks(
        self, dialect: ServerDialect, request: Request, worker: Worker, begun: tuple[Running, str]
    ) -> AsyncIterator[bytes]:
        running, response_id = begun
        engine: Engine = await worker.engine()
        its = self._cards[request.model]
        head = Reply(model=its.name, response_id=response_id, system_fingerprint=f"fp_{its.sha256[:12]}")
        say = dialect.stream(request, head)
        wants = request.sampling.logprobs is not None
        yield say.start()
        text = ""
        async for piece in worker.pieces(running):
            text += piece.text
            drawn = piece.drawn if wants and piece.drawn is not None and piece.drawn.token != END else None
            logprobs = (convert.logprob(engine.token_text(drawn)),) if drawn is not None else ()
            if piece.text or logprobs:
                yield say.delta(Delta(text=piece.text, logprobs=logprobs))
        made = Generated(text, running.finish or "stop", len(running.prompt), running.spoken, ())
        yield say.end(convert.reply(its, made, response_id, logprobs=False))

    def _look_up(self, incoming: Incoming) -> Outgoing:
        path = incoming.path.removeprefix("/v1")
        if path not in ("/models", "/health") and not path.startswith("/models/"):
            return _error(404, f"no such path: {incoming.path}")
        if incoming.method not in ("GET", "HEAD"):
            return _error(405, f"{incoming.path}: wanted GET, got {incoming.method}")
        if path == "/health":
            return Outgoing(body=b'{"status": "ok"}')
        if path == "/models":
            data = [_model(name) for name in self._cards]
            return Outgoing(body=msgspec.json.encode({"object": "list", "data": data}))
        name = path.removeprefix("/models/")
        if name not in self._cards:
            return _error(404, f"no model `{name}` here; there are {', '.join(self._cards)}")
        return Outgoing(body=msgspec.json.encode(_model(name)))


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "steelyard"}


def _error(status: int, message: str) -> Outgoing:
    kind = "not_found_error" if status == 404 else "invalid_request_error"
    body = {"error": {"message": message, "type": kind, "param": None, "code": None}}
    return Outgoing(status, msgspec.json.encode(body))
