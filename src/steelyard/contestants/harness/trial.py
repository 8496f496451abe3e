"""One attempt: the box, the outfit, the conversation, and what is collected at its end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import structs

from steelyard.contestants.base import Answer, Ask, Place, Purse
from steelyard.contestants.environment import OpenEnvironment, open_environment
from steelyard.contestants.harness import prompts, skills, textmode
from steelyard.contestants.harness.approve import Approver, Gatekeeper
from steelyard.contestants.harness.clock import Clock, Unhurried
from steelyard.contestants.harness.functions import FunctionProcess
from steelyard.contestants.harness.hands import Hands
from steelyard.contestants.harness.loop import Ending, Loop
from steelyard.contestants.harness.meter import Meter
from steelyard.contestants.harness.model import Completes, Model
from steelyard.contestants.harness.network import Network
from steelyard.contestants.harness.options import HarnessOptions
from steelyard.contestants.harness.outfit import Outfit, needs_box
from steelyard.contestants.harness.planning import Planning
from steelyard.contestants.harness.record import Recorder
from steelyard.contestants.harness.skills import Skill
from steelyard.contestants.harness.snapshots import Snapshots
from steelyard.contestants.harness.subagents import Delegation
from steelyard.contestants.harness.toolbox import Toolbox
from steelyard.contestants.harness.tools import Outcome, SimpleTool, Tool
from steelyard.contestants.users import User
from steelyard.contestants.workplace import changes_of, flags_of, open_place
from steelyard.errors import EndedBy, Fault
from steelyard.sandbox.box import NamespaceBox
from steelyard.sandbox.profile import Mount
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.message import Message, ToolSpec, text_of
from steelyard.schema.price import PUSD
from steelyard.schema.reply import Reply, Timing


@dataclass(frozen=True, slots=True)
class Means:
    """What all attempts of a contestant share."""

    spec: ContestantSpec
    options: HarnessOptions
    client: Completes
    environ: Mapping[str, str]
    skills: tuple[Skill, ...]
    functions: Mapping[str, ToolSpec]
    approver: Approver | None


@dataclass(slots=True)
class Attempt:
    """One attempt of one contestant."""

    means: Means
    ask: Ask
    purse: Purse
    place: Place
    recorder: Recorder = field(default_factory=Recorder)
    hands: Hands | None = None
    environment: OpenEnvironment | None = None
    network: Network | None = None
    began: int = field(default_factory=time.monotonic_ns)
    _loop: Loop | None = None

    async def work(self) -> Answer:
        """All of it. Raises Fault, with the trace until then in its `trace`."""
        outfit: Outfit | None = None
        try:
            await self._open()
            outfit = self._outfit()
            await outfit.open()
            ending = await self._talk(outfit)
            await outfit.close()
            return await self._collected(ending)
        except Fault as fault:
            fault.trace = self._trace("")
            raise
        finally:
            await asyncio.shield(self._leave(outfit))

    async def _open(self) -> None:
        place, options = self.place, self.means.options
        if needs_box(place):
            mounts = tuple(Mount(str(s.folder), s.inside) for s in self.means.skills)
            self.network = network = Network(place.hosts)
            opening = asyncio.ensure_future(
                asyncio.to_thread(open_place, place, listen=network.listen, env=network.env, mounts=mounts)
            )
            try:
                box = await asyncio.shield(opening)
            except asyncio.CancelledError:
                opening.add_done_callback(_release)  # the thread goes on; what it opens must not stay
                raise
            network.serve(box)
            self.hands = Hands(box, command_s=options.command_seconds, view=options.output_chars)
        if place.environment is not None:
            self.environment = await asyncio.to_thread(open_environment, place.environment)

    def _outfit(self) -> Outfit:
        means = self.means
        images = "context_tokens" in means.spec.config
        outfit = Outfit(means.options, self.hands, means.skills, means.functions, means.environ, images)
        if self.environment is not None:
            outfit.environment = [_environment_tool(self.environment, s) for s in self.environment.specs()]
        return outfit

    async def _talk(self, outfit: Outfit) -> Ending:
        """The conversation, with the simulated user when the task has one."""
        place, talk = self.place, None
        opening = list(self.ask.messages)
        if place.user is not None:
            talk = User(place.user, self.purse, self.ask.seed)
            first = await talk.next("")
            if first is not None:
                opening.append(Message("user", first))
        loop, planning = self._conversation(outfit, talk)
        self._loop = loop
        snapshots = None
        if self.means.options.snapshots and self.hands is not None:
            snapshots = Snapshots(self.hands, self.recorder)
            await snapshots.start()
            loop.after_turn = snapshots.take
        try:
            return await loop.run(prompts.opening(opening, self._standard(), loop.sections))
        finally:
            if planning is not None and planning.judge is not None:
                await planning.judge.stop()

    def _standard(self) -> str:
        workdir = self.place.workdir
        return prompts.SYSTEM.format(workdir=workdir) if self.hands is not None else prompts.SYSTEM_TALK

    def _conversation(self, outfit: Outfit, talk: User | None) -> tuple[Loop, Planning | None]:
        options, spec, recorder = self.means.options, self.means.spec, self.recorder
        meter = self._meter()
        model = self._model(meter)
        if self.hands is not None:
            self.hands.clock = model.clock
        asked = self.means.approver
        approver = None if asked is None else Unhurried(asked, model.clock)
        gate = Gatekeeper(
            spec.name,
            self.ask.task_id,
            options.rules,
            options.otherwise,
            meter,
            recorder,
            self.means.approver,
        )
        tools = outfit.tools(gate, talk=talk is not None)
        if options.subagents:

            def make(name: str) -> Loop:
                return self._loop_of(
                    model.another(), Toolbox(outfit.tools(gate, name), gate=gate, recorder=recorder)
                )

            tools.append(Delegation(options.subagents, make, recorder, self.place.workdir).tool())
        planning = self._planning(approver)
        if planning is not None:
            tools.insert(0, planning.tool())
        toolbox = Toolbox(tools, gate=gate, recorder=recorder, stage=planning, images=outfit.images)
        loop = self._loop_of(model, toolbox)
        loop.respond = None if talk is None else talk.next
        return loop, planning

    def _loop_of(self, model: Model, toolbox: Toolbox) -> Loop:
        options = self.means.options
        text = options.protocol == "text"
        manual = textmode.manual(toolbox.specs()) if text else ""
        return Loop(
            model=model,
            toolbox=toolbox,
            recorder=self.recorder,
            keep=self._keep,
            window=model.meter.context_tokens or 0,
            sections=(skills.listing(self.means.skills), manual),
            text_protocol=text,
            nudges=options.nudges,
        )

    def _planning(self, approver: Approver | None) -> Planning | None:
        options, spec = self.means.options, self.means.spec
        mode = options.plan_first
        if mode is None:
            return None
        judge = None
        if ":" in mode.approve:
            judge = FunctionProcess(mode.approve, options.tool_seconds, plain=True)
        instruction = "\n".join(text_of(m) for m in self.ask.messages if m.role == "user")
        return Planning(mode, spec.name, self.ask.task_id, instruction, self.recorder, approver, judge)

    def _meter(self) -> Meter:
        own, spec, place = self.means.options.limits, self.means.spec, self.place
        context = spec.config.get("context_tokens")
        money = None if own.money is None else round(own.money * PUSD)
        return Meter(
            price=spec.price,
            turns_most=_least(place.turns, own.turns),
            tokens_most=_least(place.tokens, own.tokens),
            money_most=_least(place.money_pusd, money),
            context_tokens=context if isinstance(context, int) else None,
        )

    def _model(self, meter: Meter) -> Model:
        means = self.means
        seconds = min(self.place.seconds, means.options.limits.seconds or self.place.seconds)
        return Model(
            spec=means.spec,
            client=means.client,
            purse=self.purse,
            meter=meter,
            recorder=self.recorder,
            seed=self.ask.seed,
            clock=Clock(seconds),
            retries=means.options.retries,
        )

    async def _keep(self, path: str, text: str) -> bool:
        hands = self.hands
        if hands is None:
            return False
        try:
            await hands.do(lambda: hands.files.write(path, text.encode("utf-8", "replace")))
        except OSError:  # /tmp is full: the caller then says that the text is gone
            return False
        return True

    async def _collected(self, ending: Ending) -> Answer:
        assert self._loop is not None
        changes = state = b""
        hands, meter = self.hands, self._loop.model.meter
        if hands is not None:
            await hands.look_back()
            await self._end_box(hands)
            if self.ask.place is not None:
                changes = await asyncio.to_thread(changes_of, hands.box, self.place)
            self.recorder.add(flags_of(hands.seen, changes, self.place))
        if self.environment is not None:
            state = await asyncio.to_thread(self.environment.state)
        if ending.limit:
            said = f"the trial's limit of {ending.limit} was reached"
            self.recorder.happened("limit", said, {"limit": ending.limit})
        self.recorder.attributes |= {"ended": ending.how, "turns": meter.turns}
        return Answer(
            reply=structs.replace(_reply(ending, meter), timing=self._took(self._loop.model.clock)),
            trace=self._trace(ending.text if ending.how == "submitted" else ""),
            cost_pusd=meter.cost_pusd,
            changes=changes,
            state=state,
            ended_by=EndedBy.BUDGET if ending.limit else EndedBy.CONTESTANT,
            limit=ending.limit,
        )

    def _took(self, clock: Clock) -> Timing:
        """The whole attempt, but for what an operator took to answer."""
        took = max(1, time.monotonic_ns() - self.began - round(clock.given * 1e9))
        return Timing(took, took)

    async def _end_box(self, hands: Hands) -> None:
        if self.network is not None:
            await asyncio.to_thread(self.network.stop, self.recorder)
        await hands.end()

    def _trace(self, submission: str) -> bytes:
        loop = self._loop
        if loop is None:
            return self.recorder.trace((), Meter().total, submission)
        return self.recorder.trace(loop.toolbox.specs(), loop.model.meter.total, submission)

    async def _leave(self, outfit: Outfit | None) -> None:
        """Every process dead and the workspace dropped, whatever happened before."""
        if outfit is not None:
            await outfit.close()
        if self.environment is not None:
            await asyncio.to_thread(self.environment.close)
        if self.hands is not None:
            with contextlib.suppress(OSError):
                await self._end_box(self.hands)
            await asyncio.to_thread(self.hands.box.release)


def _reply(ending: Ending, meter: Meter) -> Reply:
    last = ending.reply
    refused = ending.how == "refused" and last is not None
    return Reply(
        text=ending.text or (last.text if last is not None else ""),
        finish=last.finish if refused and last is not None else "stop",
        usage=meter.total,
        refusal=last.refusal if refused and last is not None else "",
        model=last.model if last is not None else "",
    )


def _environment_tool(environment: OpenEnvironment, spec: ToolSpec) -> Tool:
    async def call(arguments: dict[str, object]) -> Outcome:
        return Outcome(await asyncio.to_thread(environment.call, spec.name, arguments))

    return SimpleTool(spec, call)


def _least(*values: int | None) -> int | None:
    return min((v for v in values if v is not None), default=None)


def _release(opening: asyncio.Future[NamespaceBox]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().release()
