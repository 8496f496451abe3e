"""The endpoint inside a sandbox: routes what the agent asks, pays for each call, sends it on, keeps the record.

`Capture` serves the listening socket of one trial. Who ended a trial is decided from what happened here: a limit of
the trial, a cap of the run, or a provider whose last answers were faults are not the agent's doing.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from steelyard.contestants.base import Purse, Ticket
from steelyard.contestants.capture.bound import InputBound
from steelyard.contestants.capture.edit import Asked, read, sound
from steelyard.contestants.capture.forward import Scrub, Tee, WithoutUsage, fault_of, filtered
from steelyard.contestants.capture.meter import LimitReached, Meter, Share, which_limit
from steelyard.contestants.capture.namespaces import flat, named
from steelyard.contestants.capture.paths import DOWN, Route, listing, passed_up, query_up, route
from steelyard.contestants.capture.record import Recorder
from steelyard.contestants.capture.said import messages_of, tools_of
from steelyard.contestants.capture.tasktools import TaskTools
from steelyard.contestants.capture.terms import Terms
from steelyard.contestants.capture.translate import chunked, own_words, spoken_by, streamed, translated
from steelyard.errors import EndedBy, Fault
from steelyard.schema.price import cost_pusd
from steelyard.schema.reply import Reply
from steelyard.unknown import is_known
from steelyard.wire.asked import bad
from steelyard.wire.base import HttpRequest, ReplyParser, Request
from steelyard.wire.client import Client
from steelyard.wire.dialects import dialect, server_dialect
from steelyard.wire.faults import fault
from steelyard.wire.serve import Incoming, Outgoing, Server
from steelyard.wire.values import encode

MOST_BODY = 32 << 20
MOST_BUFFERED = 96 << 20
MOST_CONNECTIONS = 64
MOST_AT_ONCE = 16
MOST_COUNTS = 500
"""Counts of tokens that are asked of the provider in one trial: they cost nothing, but are calls."""
_LINGER_S = 20.0
"""How long a call goes on whose agent went away: its usage is worth knowing, since it is paid."""
_SSE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class _Call:
    """One call that was paid for and is about to be sent."""

    asked: Asked
    http: HttpRequest
    parser: ReplyParser
    share: Share
    ticket: Ticket
    chain: bytes
    translated: bool


class Capture:
    """One trial's endpoint. `client` is the contestant's, shared by its trials."""

    def __init__(self, client: Client, terms: Terms, purse: Purse) -> None:
        self._client, self._terms, self._purse = client, terms, purse
        self.tools: TaskTools | None = None
        """The task's own tools, when it has some."""
        self.recorder = Recorder()
        self.limit = ""
        """Which limit of the trial was reached: turns, tokens or money."""
        self.cap: Fault | None = None
        """The purse's refusal, when that ended it."""
        self.last_fault: Fault | None = None
        """The fault of the last call, when no later one was answered."""
        self.patience_s = 10.0
        """How long a translated stream waits before it says that it waits."""
        self.over = asyncio.Event()
        """Set when no further call can be sent."""
        self._meter = Meter(terms.price, turns=terms.turns, tokens=terms.tokens, money_pusd=terms.money_pusd)
        self._bound = InputBound(terms.context_tokens)
        self._counts = 0
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._tasks: set[asyncio.Task[Reply]] = set()
        self._server = Server(self._handle, max_body=MOST_BODY, on_error=self._told)
        self._server.most_connections, self._server.most_buffered = MOST_CONNECTIONS, MOST_BUFFERED

    def offer(self, tools: TaskTools) -> None:
        """Serve the task's own tools too. When they break, the trial is over."""
        tools.note = lambda kind, words, data: self.recorder.happened(kind, words, time.time_ns(), data)
        tools.broke = self.over.set
        self.tools = tools

    async def start(self, sock: socket.socket) -> None:
        """Serve a listening socket, which stays the caller's to close."""
        await self._server.start(sock)

    async def aclose(self, *, linger_s: float = 0.0) -> None:
        """Stop serving. Calls in flight have `linger_s` to end, since they are paid and their usage is worth knowing;
        then they are given up, and their worst case stays counted."""
        await self._server.aclose()
        if self._tasks and linger_s:
            await asyncio.wait(list(self._tasks), timeout=linger_s)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=5.0)

    def _told(self, error: BaseException) -> None:
        if not isinstance(error, ConnectionError):
            self.recorder.happened("endpoint_error", f"{type(error).__name__}: {error}", time.time_ns())

    # requests

    async def _handle(self, incoming: Incoming) -> Outgoing:
        found = route(incoming)
        match found.what:
            case "call":
                return await self._call(found, incoming)
            case "count":
                return await self._count(found, incoming)
            case "models":
                return Outgoing(body=listing(found, self._terms.rules.model))
            case "hello":
                return Outgoing(body=b"{}")
            case "tools" if self.tools is not None:
                return await self.tools.answer(incoming)
        self._refused("path")
        self.recorder.happened("other_path", f"{incoming.method} {incoming.path}"[:300], time.time_ns())
        return self._error(found.dialect, fault("not_found", f"no such path here: {incoming.path[:200]}"))

    def _error(self, spoken: str, broken: Fault) -> Outgoing:
        status, body = spoken_by(spoken or "openai-chat").encode_fault(broken)
        again = (("x-should-retry", "true" if broken.retryable else "false"),)
        return Outgoing(status, body, headers=again)

    def _refused(self, why: str) -> None:
        self.recorder.totals.refused[why] += 1

    async def _count(self, found: Route, incoming: Incoming) -> Outgoing:
        """A count of tokens: the provider's own where it has one, else a quarter of the bytes."""
        if found.dialect == "gemini":
            return Outgoing(body=encode({"totalTokens": max(1, len(incoming.body) // 4)}))
        self._counts += 1
        enough = self.over.is_set() or self._counts > MOST_COUNTS
        if enough or self._client.endpoint.dialect != "anthropic-messages":
            return Outgoing(body=encode({"input_tokens": max(1, len(incoming.body) // 4)}))
        try:
            asked = read("anthropic-messages", incoming.body, self._terms.rules)
            value = {k: v for k, v in asked.value.items() if k not in ("max_tokens", "temperature", "top_p")}
            path = "/v1/messages/count_tokens" + query_up(incoming.query)
            async with self._slots:
                answer = await self._client.exchange(
                    HttpRequest("POST", path, passed_up(incoming.headers), encode(value))
                )
        except Fault as broken:
            return self._error("anthropic-messages", broken)
        return Outgoing(answer.status, answer.body)

    # calls

    async def _call(self, found: Route, incoming: Incoming) -> Outgoing:
        if "content-encoding" in incoming.headers:
            return self._error(found.dialect, bad("a compressed body is not read here: send it plain"))
        try:
            body = incoming.body
            if found.dialect == "gemini":  # what it says in its path
                body = encode({**sound(body), "model": found.item, "stream": found.stream})
            asked = read(found.dialect, body, self._terms.rules)
        except Fault as broken:
            self._refused("bad_request")
            return self._error(found.dialect, broken)
        await self._slots.acquire()
        try:
            call = await self._paid(asked, incoming)
        except LimitReached as reached:
            self._slots.release()
            return self._over_limit(asked, reached.which)
        except Fault as broken:
            self._slots.release()
            return self._not_sent(asked, broken)
        except BaseException:
            self._slots.release()
            raise
        return await self._sent(call)

    def _over_limit(self, asked: Asked, which: str) -> Outgoing:
        self._refused(which)
        if not self.over.is_set():
            self.limit = self.limit or which
            said = f"a call was refused: the trial's limit of {which} is reached"
            self.recorder.happened("refused", said, time.time_ns(), {"limit": which})
            self.over.set()
        return self._error(
            asked.dialect,
            bad(f"This trial's limit of {self.limit or which} is reached: no further call is answered."),
        )

    def _not_sent(self, asked: Asked, broken: Fault) -> Outgoing:
        """The purse or the translation said no."""
        if broken.kind == "budget":
            return self._over_limit(asked, which_limit(broken))
        self._refused(broken.kind)
        if broken.ended_by is EndedBy.OPERATOR and broken.kind != "unsupported":
            self.cap = self.cap or broken
            self.over.set()
            return self._error(
                asked.dialect, bad("This run's budget is used up: no further call is answered.")
            )
        if broken.ended_by is EndedBy.PROVIDER or not self.recorder.totals.replies:
            self.last_fault = broken
        self.recorder.fault(broken, time.time_ns(), {"dialect": asked.dialect, "sent": False})
        return self._error(asked.dialect, broken)

    async def _paid(self, asked: Asked, incoming: Incoming) -> _Call:
        """The call with its worst case set aside. Raises LimitReached or Fault; nothing was sent then."""
        if self.cap is not None:
            raise self.cap
        if self.limit:
            raise LimitReached(self.limit)
        draft, dropped = self._outbound(asked, incoming, asked.output)
        share = await self._meter.take(self._bound, draft[0].body, asked.output, asked.choices)
        try:
            ticket = await self._purse.reserve(share.pusd, share.tokens)
        except BaseException:
            self._meter.settle(share, replied=False, tokens=0, pusd=0)
            raise
        if share.output != asked.output:
            draft, _ = self._outbound(asked, incoming, share.output)
        at = time.time_ns()
        chain = self.recorder.asked(messages_of(asked.dialect, asked.value), tools_of(asked.value), at)
        data: dict[str, object] = {"dialect": asked.dialect, "bytes": len(draft[0].body), "stream": asked.stream,
                                   "most_output": share.output, "most_pusd": share.pusd}  # fmt: skip
        if asked.model != self._terms.rules.model:
            data["asked_model"] = asked.model[:200]
        if asked.removed or dropped:
            data["removed"] = [*asked.removed, *dropped]
        self.recorder.happened("call", f"call {self.recorder.totals.sent + 1}", at, data)
        self.recorder.totals.sent += 1
        crossed = self._client.endpoint.dialect != asked.dialect
        return _Call(asked, draft[0], draft[1], share, ticket, chain, crossed)

    def _outbound(
        self, asked: Asked, incoming: Incoming, output: int
    ) -> tuple[tuple[HttpRequest, ReplyParser], tuple[str, ...]]:
        """What is sent, and who reads the answer. Raises Fault `unsupported`."""
        target = self._client.endpoint.dialect
        speaks = dialect(target)
        if target == asked.dialect:
            path = server_dialect(target).path + query_up(incoming.query)
            headers = passed_up(incoming.headers)
            parser = speaks.parser(Request(self._terms.rules.model, (), stream=asked.stream))
            return (HttpRequest("POST", path, headers, asked.body(output)), parser), ()
        request = spoken_by(asked.dialect).decode_request(encode(flat(asked.value)))
        request, dropped = translated(request, target, output)
        return (speaks.encode(request), speaks.parser(request)), dropped

    async def _sent(self, call: _Call) -> Outgoing:
        tee = Tee(call.parser)
        task = asyncio.get_running_loop().create_task(self._exchange(call, tee))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        try:
            if call.translated:
                return await self._whole_reply(call, task)
            await tee.headed.wait()
            if not tee.status:  # no answer came at all
                await asyncio.wait([task])
                return self._error(call.asked.dialect, fault_of(task))
            return await self._as_it_came(call, tee, task)
        except asyncio.CancelledError:
            self._linger(task)
            raise

    def _ended(self, task: asyncio.Task[Reply]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at: what it says is in the record already

    async def _as_it_came(self, call: _Call, tee: Tee, task: asyncio.Task[Reply]) -> Outgoing:
        filters: list[Scrub | WithoutUsage] = [Scrub(self._client.secrets)]
        if call.asked.usage_added and 200 <= tee.status < 300:
            filters.append(WithoutUsage())
        secrets = self._client.secrets
        shown = {k: v for k, v in tee.headers.items() if not any(s in v for s in secrets)}
        kind = shown.get("content-type", "application/json")
        headers = tuple((k, v) for k, v in shown.items() if k in DOWN)
        body = self._lingering(filtered(tee.chunks(), filters), task)
        if kind.startswith(_SSE):
            return Outgoing(tee.status, body, kind, headers)
        try:
            whole = b"".join([chunk async for chunk in body])
        except ConnectionError:
            await asyncio.wait([task])
            return self._error(call.asked.dialect, fault_of(task))
        return Outgoing(tee.status, whole, kind, headers)

    async def _lingering(self, body: AsyncIterator[bytes], task: asyncio.Task[Reply]) -> AsyncIterator[bytes]:
        try:
            async for chunk in body:
                yield chunk
        finally:
            self._linger(task)

    def _linger(self, task: asyncio.Task[Reply]) -> None:
        """Let the call end by itself for a while, though nobody reads it any more."""
        if not task.done():
            asyncio.get_running_loop().call_later(_LINGER_S, task.cancel)

    async def _whole_reply(self, call: _Call, task: asyncio.Task[Reply]) -> Outgoing:
        spoken = spoken_by(call.asked.dialect)
        patient = call.asked.stream and call.asked.dialect != "gemini"  # its libraries take no comments
        await asyncio.wait([task], timeout=self.patience_s if patient else None)
        if not task.done():
            return Outgoing(body=self._lingering(self._waiting(call, task), task), content_type=_SSE)
        broken = fault_of(task) if task.cancelled() or task.exception() is not None else None
        if broken is not None:
            return self._error(call.asked.dialect, broken)
        if not call.asked.stream:
            return Outgoing(body=spoken.encode_reply(own_words(named(task.result(), call.asked.value))))
        return Outgoing(body=chunked(self._said(call, task)), content_type=_SSE)

    def _said(self, call: _Call, task: asyncio.Task[Reply]) -> list[bytes]:
        """The stream of a call that has ended."""
        spoken, request = spoken_by(call.asked.dialect), Request(self._terms.rules.model, (), stream=True)
        if task.cancelled() or task.exception() is not None:
            return [spoken.stream(request, Reply(model=request.model)).error(fault_of(task))]
        return list(streamed(spoken, request, own_words(named(task.result(), call.asked.value))))

    async def _waiting(self, call: _Call, task: asyncio.Task[Reply]) -> AsyncIterator[bytes]:
        """Comments, so that nobody on the way gives up, until there is something to say."""
        while not task.done():
            yield b": waiting\n\n"
            await asyncio.wait([task], timeout=self.patience_s)
        for part in self._said(call, task):
            yield part

    async def _exchange(self, call: _Call, tee: Tee) -> Reply:
        """Send, and settle whatever happens."""
        settled = False
        try:
            reply = self._client.without_keys(await self._client.send(call.http, tee))
            settled = True
            self._answered(call, reply)
        except Fault as broken:
            settled = True
            self._failed(call, broken)
            raise
        finally:
            tee.close()
            self._slots.release()
            if not settled:
                self._lost(call)
        return reply

    def _answered(self, call: _Call, reply: Reply) -> None:
        terms, totals = self._terms, self.recorder.totals
        usage = reply.usage
        tokens = None
        if usage.input_tokens is not None and usage.output_tokens is not None:
            tokens = usage.input_tokens + usage.output_tokens
            self._bound.learn(call.http.body, usage.input_tokens)
        cost = reply.reported_cost_pusd
        if cost is None:
            priced = cost_pusd(terms.price, usage)
            cost = priced if is_known(priced) else None
        self._purse.settle(call.ticket, cost, tokens, paid=True)
        self._meter.settle(call.share, replied=True, tokens=tokens, pusd=cost)
        totals.replies += 1
        totals.add(usage)
        totals.cost_pusd += cost or 0
        totals.unknown_cost += int(cost is None)
        self.last_fault = None
        self.recorder.answered(call.chain, reply, time.time_ns())

    def _failed(self, call: _Call, broken: Fault) -> None:
        free = 0 if broken.paid is False else None
        self._purse.settle(call.ticket, free, free, paid=broken.paid, fault=broken)
        self._meter.settle(call.share, replied=False, tokens=free, pusd=free)
        totals = self.recorder.totals
        totals.unknown_cost += int(free is None)
        totals.unknown_usage += int(free is None)
        self.last_fault = broken
        self.recorder.fault(broken, time.time_ns(), {"dialect": call.asked.dialect, "sent": True})

    def _lost(self, call: _Call) -> None:
        """Given up before it ended: nobody knows what it cost."""
        self._purse.settle(call.ticket, None, None, paid=None)
        self._meter.settle(call.share, replied=False, tokens=None, pusd=None)
        self.recorder.totals.unknown_cost += 1
        self.recorder.totals.unknown_usage += 1
        self.recorder.happened("call_lost", "the agent went away before the answer ended", time.time_ns())
