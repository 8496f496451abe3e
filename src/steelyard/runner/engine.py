"""A session of a run: workers per provider take trials from a source until there are none, a cap, or a stop.

One event loop owns everything here; the keeper's thread owns the ledger. Each provider has its own workers, so that one
that is rate limited does not hold up the others. What ends a session: nothing left (complete), a cap (capped), a stop
that was asked for (stopped), or an error of the ledger (failed).
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from steelyard.contestants.base import Ask, Place
from steelyard.errors import EndedBy, Fault, SandboxError
from steelyard.ledger.base import ResumeState, RunWriter
from steelyard.ledger.resume import CAPS, LEARNT
from steelyard.runner.attempts import AttemptContext, Ended, Limits, StoppedError, Trial, run_trial
from steelyard.runner.base import Executor, Prepared, Progress, RunOutcome, worst_case
from steelyard.runner.budget import Budget, CapChanges, CapReachedError, Learnt
from steelyard.runner.casting import Casting, most_places
from steelyard.runner.judging import Judging
from steelyard.runner.keeper import Keeper, Key, ScoringBackend
from steelyard.runner.places import WORKING
from steelyard.runner.reach import Reach
from steelyard.runner.schedule import derive, trial_seed
from steelyard.runner.source import Cell, Source
from steelyard.runner.working import work_attempt
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.price import is_free
from steelyard.schema.record import Noted, Opened, Scored
from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome, Score, ungraded
from steelyard.schema.task import Task
from steelyard.scorers.base import Item
from steelyard.tasks.base import Rendered
from steelyard.tasks.choices import LETTERS
from steelyard.tasks.render import answer_of
from steelyard.unknown import is_known

GRACE_S = 10.0
"""How long in-flight attempts may take after the time cap before they are given up."""


@dataclass(frozen=True, slots=True)
class SuiteScoring:
    """How a suite's trials are judged: a scorer by name (inline or bounded), or a judge."""

    name: str
    judged: bool


@dataclass(slots=True)
class Session:
    """All that an engine is given. `sources` by provider; `render(s, i, c, seed)` makes what is shown."""

    prepared: Prepared
    writer: RunWriter
    executor: Executor
    limits: Limits
    scoring: ScoringBackend
    suite_scoring: Sequence[SuiteScoring]
    sources: Mapping[str, Source]
    render: Callable[[int, int, int, int], Rendered]
    resume: ResumeState
    judging: Judging | None = None
    on_scores: Callable[[list[tuple[Key, Score]]], None] | None = None
    progress: Progress = field(default_factory=Progress)
    version: str = ""
    plan_hash: str = ""
    caps: CapChanges = field(default_factory=dict)
    """What replaces caps of the plan from here on."""
    place_of: Callable[[Task, ContestantSpec], Place | None] | None = None
    """Where contestants work on a task; blocks (trees are laid out): called in a thread."""


class Engine:
    """Runs one session. `stop()` ends it cleanly; `pause()` and `resume()` hold back new trials."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.progress = session.progress
        self.stopping = asyncio.Event()
        self._reason = ""
        self._status = "complete"
        members: dict[str, set[int]] = {provider: set() for provider in session.sources}
        for c, spec in enumerate(session.prepared.plan.contestants):
            members.setdefault(spec.provider, set()).add(c)
        self._reach = Reach(members)
        self._go = asyncio.Event()
        self._go.set()
        self._workers: list[asyncio.Task[None]] = []
        self.budget = Budget(
            session.prepared.plan.caps,
            spent=session.resume.spent_pusd,
            tokens=session.resume.tokens,
            held=session.resume.held_pusd,
            seconds=session.resume.seconds,
        )
        self.budget.change(session.resume.caps)
        self.budget.knows(session.resume.learnt)
        self.budget.on_learnt = self._learnt
        self.keeper: Keeper | None = None
        self._waiting: set[asyncio.Task[object]] = set()
        several = len(session.sources) > 1 or session.judging is not None
        self._global = asyncio.Semaphore(session.prepared.plan.concurrency) if several else None

    # -- control ------------------------------------------------------------------------------------------

    def stop(self, reason: str, status: str = "stopped") -> None:
        """Send nothing more; what is in flight may finish."""
        if not self.stopping.is_set():
            self._reason, self._status = reason, status
            self.progress.stopping = reason
            self.stopping.set()
            for waiting in list(self._waiting):
                waiting.cancel()
            self._go.set()
            for source in self.session.sources.values():
                source.end()

    def cancel(self) -> None:
        """Give up what is in flight too: its intents stay open, shown as possibly paid."""
        self.stop("interrupted twice")
        self._give_up()

    def _give_up(self) -> None:
        for worker in self._workers:
            worker.cancel()
        if self.session.judging is not None:
            self.session.judging.cancel()

    def pause(self) -> None:
        """Take no new trials."""
        self.progress.paused = True
        self._go.clear()
        self._note("pause", "")

    def go_on(self) -> None:
        """Take trials again."""
        self.progress.paused = False
        self._go.set()
        self._note("resume", "")

    def set_caps(self, changes: CapChanges) -> None:
        """Change caps for the rest of the run; recorded."""
        self.budget.change(changes)
        for kind, which in CAPS.items():
            if which in changes:
                value = changes[which]
                self._note(kind, "none" if value is None else str(value))

    def cannot_cap(self, changes: CapChanges) -> str:
        """Why a cap cannot hold: a contestant or judge without a price or without a bound. Empty when all can."""
        plan = self.session.prepared.plan
        for spec in (*plan.contestants, *plan.judges):
            if spec.kind == "policy":
                continue
            pusd, tokens = worst_case(spec, Ask((), "", 0, 0))
            if changes.get("money") is not None:
                if spec.price is None:
                    return f"{spec.name} has no price, so a money cap cannot hold"
                if not is_free(spec.price) and not is_known(pusd):
                    return f"{spec.name} may answer without end, so a money cap cannot hold"
            if changes.get("tokens") is not None and not is_known(tokens):
                return f"{spec.name} may answer without end, so a token cap cannot hold"
        return ""

    def _learnt(self, learnt: Learnt) -> None:
        self._note(LEARNT, json.dumps(learnt))

    def _note(self, kind: str, detail: str) -> None:
        if self.keeper is not None:
            self.keeper.record(Noted(time.time_ns(), kind, detail), wait=False)

    # -- the session --------------------------------------------------------------------------------------

    async def run(self) -> RunOutcome:
        """Until complete, capped, stopped or failed. Raises LedgerError when nothing can be recorded any more."""
        s = self.session
        self.progress.started = time.monotonic()
        self.progress.possibly_paid = len(s.resume.in_flight)
        loop = asyncio.get_running_loop()
        keeper = self.keeper = Keeper(s.writer, s.scoring, self._on_scores, loop)
        try:
            opened = Opened(time.time_ns(), s.resume.sessions, s.version, s.plan_hash)
            durable = keeper.record(opened, wait=True)
            if durable is not None:
                await durable  # and with it the trees of tasks, which are read back from the ledger
            self.set_caps(s.caps)
            if open_ := s.resume.in_flight:
                # one row: their intents say which they are, and every later session counts them again
                detail = f"{len(open_)} calls without a result, {sum(f.reserved or 0 for f in open_)} picodollars held"
                keeper.record(Noted(time.time_ns(), "possibly_paid", detail), wait=False)
            context = AttemptContext(
                specs=(*s.prepared.plan.contestants, *s.prepared.plan.judges),
                executor=s.executor,
                budget=self.budget,
                keeper=keeper,
                limits=s.limits,
                retry=s.prepared.plan.retry,
                progress=self.progress,
                jitter=random.Random(derive(s.prepared.plan.seed, "jitter")),
                stop=self.stopping,
                slots=self._global,
                waiting=self._waiting,
                places=asyncio.Semaphore(most_places(s.prepared.plan)),
                work=work_attempt,
            )
            context.consult = Casting(s.prepared.plan, context)
            await self._work(context)
            await keeper.drain()
            if self._reach.lost and not self.stopping.is_set():
                lost = "; ".join(f"{p} cannot be reached: {why}" for p, why in self._reach.lost.items())
                self.stop(lost)
        finally:
            await asyncio.shield(loop.run_in_executor(None, keeper.stop))
            await s.executor.stop()
        if keeper.error is not None:
            raise keeper.error
        self._publish()
        head = s.writer.close(self._status, self._reason)
        return RunOutcome(s.writer.run, self._status, self._reason or "all trials done", head, self.progress)

    async def _work(self, context: AttemptContext) -> None:
        plan = self.session.prepared.plan
        for provider, source in self.session.sources.items():
            limit = plan.limits.get(provider)
            n = min(plan.concurrency, limit.concurrency if limit else plan.concurrency)
            self._workers += [asyncio.create_task(self._worker(context, source)) for _ in range(n)]
        if self.session.judging is not None:
            await self.session.judging.start(context, self._on_scores, self._capped)
        watch = asyncio.create_task(self._watch())
        try:
            results = await asyncio.gather(*self._workers, return_exceptions=True)
            errors = [r for r in results if isinstance(r, BaseException)]
            errors = [e for e in errors if not isinstance(e, asyncio.CancelledError)]
            if self.session.judging is not None:
                await (self.session.judging.abandon() if errors else self.session.judging.finish())
        finally:
            watch.cancel()
        if errors:
            raise errors[0]

    async def _watch(self) -> None:
        """Keep the published figures fresh, and end the session at the time cap."""
        while True:
            self._publish()
            left = self.budget.seconds_left
            if left is not None and left <= 0 and not self.stopping.is_set():
                self.stop("the time cap is reached", "capped")
            late = left is not None and left <= -GRACE_S
            if late or (self.keeper is not None and self.keeper.error is not None):
                self._give_up()
                return
            await asyncio.sleep(0.1)

    def _publish(self) -> None:
        b, p = self.budget, self.progress
        p.in_flight, p.spent_pusd, p.held_pusd = b.in_flight, b.spent, b.held
        p.tokens, p.unknown_costs = b.tokens, b.unknown_costs

    async def _worker(self, context: AttemptContext, source: Source) -> None:
        while not self.stopping.is_set():
            if not self._go.is_set():
                await self._go.wait()
                continue
            cell = await source.take()
            if cell is None or self.stopping.is_set():
                return
            try:
                await self._one(context, cell)
            except StoppedError:
                return
            except CapReachedError as e:
                self._capped(e.which)
                return

    def _capped(self, which: str) -> None:
        self.stop(f"the {which} cap is reached", "capped")

    async def _one(self, context: AttemptContext, cell: Cell) -> None:
        c, t, k = cell
        s = self.session
        suite, i = s.prepared.locate(t)
        data = s.prepared.suites[suite]
        task = data.task(i)
        seed = trial_seed(s.prepared.plan.seed, data.header.version, task.id, k)
        shown = s.render(suite, i, c, seed)
        scoring = s.suite_scoring[suite]

        def item_for(reply: Reply, ended_by: str) -> tuple[str, Item] | None:
            if scoring.judged:
                return None
            return scoring.name, Item(task, reply, shown.order, ended_by, shown.messages, seed)

        ask = Ask(shown.messages, task.id, k, seed, shown.tools, data.header.name)
        spec = s.prepared.plan.contestants[c]
        if spec.kind in WORKING:
            try:
                ask = await self._cast(ask, task, spec, shown.order)
            except (SandboxError, OSError) as e:
                self._no_place(cell, scoring.name, e)
                return
        first = s.resume.attempts.get((c, t, k), 0)
        ended = await run_trial(
            context, Trial(c, t, k, ask, shown.order, first_attempt=first, item_for=item_for)
        )
        item = Item(task, ended.reply or Reply(), shown.order, ended.ended_by, shown.messages, seed)
        self._settled(cell, ended, scoring, item)
        if self._reach.note(spec.provider, c, ended.fault, task.split):
            self._lose(spec.provider)

    def _lose(self, provider: str) -> None:
        """Send nothing more to a provider that cannot be reached; the others go on."""
        self.progress.unreachable = dict(self._reach.lost)
        if len(self._reach.lost) == len(self.session.sources):
            why = next(iter(self._reach.lost.values()))
            self.stop(f"no provider can be reached: {why}")
        else:
            self.session.sources[provider].end()

    def _no_place(self, cell: Cell, scorer: str, error: Exception) -> None:
        """A trial whose workspace cannot be made ready on this host is parked; the run goes on."""
        self.progress.done += 1
        self.progress.parked += 1
        fault = Fault(str(error)[:400], ended_by=EndedBy.SANDBOX, kind="place", paid=False)
        self.progress.faults["place"] = self.progress.faults.get("place", 0) + 1
        self.park((*cell, self.session.resume.attempts.get(cell, 0)), scorer, fault)

    async def _cast(self, ask: Ask, task: Task, spec: ContestantSpec, order: tuple[int, ...]) -> Ask:
        """The question as an agent or a policy gets it: with its place, and what the policy `gold` answers."""
        place = None
        if task.agentic is not None and self.session.place_of is not None:
            place = await asyncio.to_thread(self.session.place_of, task, spec)
        gold = ""
        if spec.config.get("policy") == "gold" and task.target:
            # what an agent says may have to hold all of several texts; an answer is one of those that are right
            several = isinstance(task.target, tuple) and task.agentic is not None
            gold = "\n".join(task.target) if several else answer_of(task, order)
        letters = tuple(LETTERS[: len(order)]) if order else ()
        return replace(ask, place=place, gold=gold, choices=letters)

    def _settled(self, cell: Cell, ended: Ended, scoring: SuiteScoring, item: Item) -> None:
        """Count a trial that ended; park what has no measurement; hand the rest of a judged suite to its judge."""
        self.progress.done += 1
        key: Key = (*cell, ended.a)
        if ended.fault is not None and not ended.fault.ended_by.is_measurement:
            self.progress.parked += 1
            self.park(key, scoring.name, ended.fault)
        elif scoring.judged and self.session.judging is not None:
            self.session.judging.add(key, scoring.name, item)

    def park(self, key: Key, scorer: str, fault: Fault) -> None:
        """Record that a trial has no verdict, and why."""
        score = ungraded(f"{fault.ended_by.value}:{fault.kind}", str(fault)[:200])
        assert self.keeper is not None
        self.keeper.record(Scored(*key, scorer, score), wait=False)
        self._on_scores([(key, score)])

    def _on_scores(self, scores: list[tuple[Key, Score]]) -> None:
        p = self.progress
        for (c, _t, _k, _a), score in scores:
            if score.outcome is Outcome.UNGRADED:
                p.ungraded[c] = p.ungraded.get(c, 0) + 1
            else:
                p.graded[c] = p.graded.get(c, 0) + 1
                p.passed[c] = p.passed.get(c, 0) + (score.outcome is Outcome.PASSED)
        if self.session.on_scores is not None:
            self.session.on_scores(scores)
