"""Begin or take up a run: from a plan or a ledger to an engine that goes, and to the outcome of its session.

The ledger holds the plan and the tasks, so a run is resumed from it alone; only credentials come from outside again.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from steelyard.contestants.harness.approve import Approver
from steelyard.errors import PlanError
from steelyard.ledger.base import Ledger, ResumeState, RunWriter
from steelyard.runner.base import Executor, Prepared, RunOutcome, prepared
from steelyard.runner.budget import CapChanges
from steelyard.runner.control import ControlServer, socket_path
from steelyard.runner.engine import Engine, Session
from steelyard.runner.judging import Judging
from steelyard.runner.leftovers import is_measurement, judge_leftovers
from steelyard.runner.limits import ProviderLimits
from steelyard.runner.local import LocalExecutor
from steelyard.runner.materials import Materials, agentic_of
from steelyard.runner.places import WORKING, place_of
from steelyard.runner.prepare import Renderer
from steelyard.runner.schedule import Bits
from steelyard.runner.scoring import Scoring
from steelyard.runner.source import Cell, FixedSource, Source
from steelyard.runner.working import Works
from steelyard.sandbox.pack import MEDIA_TYPE
from steelyard.schema.canon import content_hash
from steelyard.schema.plan import Plan
from steelyard.schema.score import Outcome

if TYPE_CHECKING:
    from steelyard.runner.adaptive import Adaptive


@dataclass(frozen=True, slots=True)
class Options:
    """How a session is run; nothing here changes what is measured.

    `environ` is where credentials are looked up; `watch` is called with the live engine as soon as it goes (a live
    view); `executor` replaces the local one; `approver` is asked where agents' rules say so; `signals` installs
    Ctrl-C handling; `caps` replaces caps of the plan.
    """

    environ: Mapping[str, str]
    version: str = ""
    watch: Callable[[Engine], Callable[[], None]] | None = None
    executor: Executor | None = None
    signals: bool = True
    control: bool = True
    retry_ungraded: bool = False
    caps: CapChanges = field(default_factory=dict)
    approver: Approver | None = None


async def begin(ready: Prepared, ledger: Ledger, options: Options) -> RunOutcome:
    """Start a new run of a prepared plan. Raises PlanError, LedgerError."""
    executor = await _started(ready.plan, options, ready.where)
    try:
        writer = ledger.create_run(ready.plan, ready.suites, name=ready.plan.name)
        keep_trees(ready, writer)
    except BaseException:
        await executor.stop()
        raise
    return await _run(_Run(ready, ledger, writer, executor, ResumeState()), options)


async def take_up(ledger: Ledger, run: str, options: Options) -> RunOutcome:
    """Resume a run: what is finished is not sent again. Raises LedgerBusy while another process writes it."""
    info = ledger.find(run)
    if info.source != "run":
        raise PlanError(
            "a run that was made elsewhere cannot be resumed: nobody here can send its trials",
            where=info.run,
            wanted="a run that Steelyard began",
            got=f"one that was imported ({info.source})",
            fix="`steelyard show` shows it, `steelyard rescore` judges its answers again"
            + (", and `steelyard import` the files again: it was cut off" if info.status == "open" else ""),
        )
    ready = prepared(ledger.plan(info.run), ledger.suites(info.run))
    if options.retry_ungraded and ready.plan.trials.until is not None:
        raise PlanError(
            "parked trials of a run that repeats `until` cannot be tried again: its rounds have counted them as lost",
            wanted="a run with a fixed number of trials",
            got=f"until: {ready.plan.trials.until:g}",
            fix="resume it without --retry-ungraded, or run the plan again",
        )
    executor = await _started(ready.plan, options)
    try:
        writer = ledger.open_run(info.run)
    except BaseException:
        await executor.stop()
        raise
    return await _run(_Run(ready, ledger, writer, executor, ledger.resume_state(info.run)), options)


def keep_trees(ready: Prepared, writer: RunWriter) -> None:
    """Hand the trees of all agentic tasks to the ledger: durable with the first row, before anything is sent."""
    kept: set[str] = set()
    for suite, work in agentic_of(ready.suites):
        for digest in work.archives:
            if digest not in kept:
                kept.add(digest)
                archive = getattr(suite, "archive", None)
                if archive is None:
                    raise PlanError("a suite of agentic tasks without their trees", got=suite.header.name)
                writer.put(archive(digest), MEDIA_TYPE)


@dataclass(frozen=True, slots=True)
class _Run:
    ready: Prepared
    ledger: Ledger
    writer: RunWriter
    executor: Executor
    state: ResumeState


async def _started(plan: Plan, options: Options, where: Mapping[str, str] | None = None) -> Executor:
    executor = options.executor or LocalExecutor(options.environ, options.approver, where)
    if not isinstance(executor, Works) and any(spec.kind in WORKING for spec in plan.contestants):
        raise PlanError(
            "agents do not run on this executor: it has no `work`",
            wanted="the local executor, or a Ray cluster",
            got=", ".join(spec.name for spec in plan.contestants if spec.kind in WORKING),
            fix="run the agents as a plan of their own",
        )
    try:
        await executor.start((*plan.contestants, *plan.judges))
    except BaseException:
        await executor.stop()
        raise
    return executor


async def _run(run: _Run, options: Options) -> RunOutcome:
    materials = Materials(run.ledger.payload)
    scoring = Scoring(run.ready, materials.archive)
    try:
        render = Renderer(run.ready)
        judging = _judging(run, scoring)
        awaiting = (
            judge_leftovers(run.ledger, run.ready, run.writer, scoring, judging, again=options.retry_ungraded)
            if run.state.unscored or options.retry_ungraded
            else set()
        )
        adaptive, sources, done = _sources(run, options, awaiting)
        session = Session(
            prepared=run.ready,
            writer=run.writer,
            executor=run.executor,
            limits=ProviderLimits(run.ready.plan),
            scoring=scoring.backend,
            suite_scoring=scoring.suites,
            sources=sources,
            render=render,
            resume=run.state,
            judging=judging,
            on_scores=None if adaptive is None else adaptive.on_scores,
            version=options.version,
            plan_hash=content_hash(run.ready.plan),
            caps=options.caps,
            place_of=lambda task, spec: place_of(task.agentic, spec, materials) if task.agentic else None,
        )
        engine = Engine(session)
        if refused := engine.cannot_cap(options.caps):
            raise PlanError("this cap cannot hold", got=refused, fix="leave the cap out")
        plan = run.ready.plan
        per_task = plan.trials.count if plan.trials.until is None else plan.trials.at_most
        engine.progress.total = len(plan.contestants) * run.ready.n_tasks * per_task
        engine.progress.done = engine.progress.resumed = done
        return await _drive(engine, run, options)
    finally:
        scoring.close()
        materials.close()
        run.writer.release()


async def _drive(engine: Engine, run: _Run, options: Options) -> RunOutcome:
    """Run the engine with its control socket, signals and live view."""
    loop = asyncio.get_running_loop()
    control = None
    if options.control:
        path = socket_path(run.ledger.place, run.writer.run)
        control = ControlServer(engine, path, run.writer.run)
        await control.start()
    if options.signals:
        for sig in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(sig, _interrupt, engine)
    close_view = options.watch(engine) if options.watch is not None else None
    try:
        return await engine.run()
    finally:
        if options.signals:
            for sig in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(sig)
        if close_view is not None:
            close_view()
        if control is not None:
            await control.stop()


def _interrupt(engine: Engine) -> None:
    """First Ctrl-C: send nothing more. Second: give up what is in flight."""
    if engine.stopping.is_set():
        engine.cancel()
    else:
        engine.stop("interrupted")


def providers_of(plan: Plan) -> dict[str, list[int]]:
    """Contestant indices by the limiter that they share."""
    out: dict[str, list[int]] = {}
    for c, spec in enumerate(plan.contestants):
        out.setdefault(spec.provider, []).append(c)
    return out


def _sources(
    run: _Run, options: Options, awaiting: set[Cell]
) -> tuple[Adaptive | None, dict[str, Source], int]:
    """Sources by provider, and how many trials are done already."""
    plan, n = run.ready.plan, run.ready.n_tasks
    providers = providers_of(plan)
    resumed = run.state.sessions > 0
    if plan.trials.until is not None:
        # lazy: numpy and the statistics are needed for adaptive plans only
        from steelyard.runner.adaptive import Adaptive, clusters_by_suite

        adaptive = Adaptive(run.ready, providers, clusters_by_suite(run.ready))
        done = adaptive.replay(run.ledger.scores(run.writer.run), awaiting) if resumed else 0
        return adaptive, dict(adaptive.sources), done
    count = plan.trials.count
    finished = Bits(len(plan.contestants) * n * count)
    done = 0
    if resumed:
        again = _parked(run) if options.retry_ungraded else {}
        run.state.attempts.update(again)
        for c, t, k in run.ledger.finished(run.writer.run):
            if (c, t, k) not in again:
                finished.add((c * n + t) * count + k)
                done += 1
    sources: dict[str, Source] = {
        p: FixedSource(members, n, count, plan.seed, finished) for p, members in providers.items()
    }
    return None, sources, done


def _parked(run: _Run) -> dict[Cell, int]:
    """Trials without an answer that were parked, to be tried again, and the number of the next attempt of each.

    What was answered is not asked for again: it was paid, and only its verdict is missing.
    """
    lost = Counter((f.c, f.t, f.k) for f in run.state.in_flight if not f.role)
    out: dict[Cell, int] = {}
    for row in run.ledger.trials(run.writer.run, {"outcome": Outcome.UNGRADED}):
        if row.reply is None and not is_measurement(row.ended_by):
            cell = (row.c, row.t, row.k)
            out[cell] = row.attempts + lost[cell]
    return out


def _judging(run: _Run, scoring: Scoring) -> Judging | None:
    if not scoring.judges:
        return None
    plan = run.ready.plan
    casting = {spec.name: len(plan.contestants) + j for j, spec in enumerate(plan.judges)}
    paid = {(c, t, k, role): reply for c, t, k, role, reply in run.ledger.judge_replies(run.writer.run)}
    sent: dict[tuple[int, int, int, str], int] = {}
    for f in run.state.in_flight:
        if f.role:
            key = (f.c, f.t, f.k, f.role)
            sent[key] = max(sent.get(key, 0), f.a + 1)
    return Judging(scoring.judges, casting, paid, plan.concurrency, sent)
