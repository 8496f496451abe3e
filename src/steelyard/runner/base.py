"""What the runner is made of, and the Protocols of its replaceable parts.

Data flow of one trial::

    source -> render -> limiter -> reserve -> Intent durable -> executor.answer -> settle -> Result durable -> score

The executor is the only part that may be elsewhere: it turns (contestant index, Ask) into an Answer or a Fault. The
ledger's writer, the budget and the schedule stay in one process, so the laws about money and loss hold for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from steelyard.contestants.base import Answer, Ask
from steelyard.ledger.base import SuiteData
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.plan import Plan, SuiteUse
from steelyard.schema.price import is_free, worst_case_pusd
from steelyard.schema.task import SuiteHeader, Task
from steelyard.unknown import Unknown, is_known


class Executor(Protocol):
    """Runs attempts. Implementations pass `steelyard.testing.executor_conformance`."""

    async def start(self, specs: Sequence[ContestantSpec]) -> None:
        """Make the contestants live. Raises PlanError for what cannot be built."""
        ...

    async def answer(self, c: int, ask: Ask) -> Answer:
        """One attempt of contestant `c`. Raises Fault."""
        ...

    async def stop(self) -> None:
        """Let go of everything; safe after a failed start."""
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with everything that it names: suites in plan order, and where each begins in the run's task numbers."""

    plan: Plan
    suites: tuple[SuiteData, ...]
    offsets: tuple[int, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    """Where the plan's file names what, for errors: `contestant:NAME`."""
    left_out: tuple[tuple[str, str, str], ...] = ()
    """(suite, task, why) of tasks of other tools that cannot be done here."""

    @property
    def n_tasks(self) -> int:
        """Tasks over all suites."""
        return sum(len(s) for s in self.suites)

    def locate(self, t: int) -> tuple[int, int]:
        """(suite index, index within it) of run task `t`."""
        for s in range(len(self.offsets) - 1, -1, -1):
            if t >= self.offsets[s]:
                return s, t - self.offsets[s]
        raise IndexError(t)

    def use(self, s: int) -> SuiteUse:
        """How the plan uses suite `s`."""
        return self.plan.suites[s]


class Recent:
    """A suite that remembers the task it gave last: rendering and judging ask for the same one right after another."""

    def __init__(self, suite: SuiteData) -> None:
        self._suite = suite
        self.header: SuiteHeader = suite.header
        self._at = -1
        self._task: Task | None = None

    def __len__(self) -> int:
        """Number of tasks."""
        return len(self._suite)

    def __getattr__(self, name: str) -> object:
        """Whatever else the suite has (its folder, its examples)."""
        return getattr(self._suite, name)

    def task(self, i: int) -> Task:
        """The task at index `i`."""
        if i != self._at or self._task is None:
            self._task, self._at = self._suite.task(i), i
        return self._task


def prepared(plan: Plan, suites: Sequence[SuiteData]) -> Prepared:
    """Number the tasks of the suites in order."""
    offsets, n = [], 0
    for suite in suites:
        offsets.append(n)
        n += len(suite)
    return Prepared(plan, tuple(Recent(s) for s in suites), tuple(offsets))


@dataclass(slots=True)
class Progress:
    """Live figures of a run; whoever shows them reads, only the engine writes. Times are `time.monotonic()`."""

    total: int = 0
    done: int = 0
    resumed: int = 0
    parked: int = 0
    attempts: int = 0
    retries: int = 0
    in_flight: int = 0
    spent_pusd: int = 0
    held_pusd: int = 0
    tokens: int = 0
    unknown_costs: int = 0
    possibly_paid: int = 0
    """Calls that were in flight when an earlier session was killed: in no cost, their worst case is held."""
    started: float = 0.0
    paused: bool = False
    stopping: str = ""
    faults: dict[str, int] = field(default_factory=dict)
    last_fault: str = ""
    unreachable: dict[str, str] = field(default_factory=dict)
    """Providers that were given up because nothing comes back from them, and why."""
    passed: dict[int, int] = field(default_factory=dict)
    graded: dict[int, int] = field(default_factory=dict)
    ungraded: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a session of a run ended. `status` is complete, capped, stopped or failed; `reason` a clause for people."""

    run: str
    status: str
    reason: str
    head: str
    progress: Progress
    rates: tuple[float, float] | None = None


def input_bound(ask: Ask, context_tokens: int | None) -> int | Unknown:
    """Upper bound of the input tokens of a call: bytes of all text (a token is at least a byte) and a margin.

    The margin (16 a message, 64 a call) covers role markers and templates. Images and sounds
    have no such bound: with them the contestant's `context_tokens` is used, and Unknown without.
    """
    total = 64
    media = False
    for m in ask.messages:
        total += 16
        if isinstance(m.content, str):
            total += len(m.content.encode())
        else:
            for part in m.content:
                if hasattr(part, "text"):
                    total += len(part.text.encode())
                else:
                    media = True
        total += len(m.reasoning.encode()) + len(m.reasoning_opaque)
        for call in m.tool_calls:
            total += len(call.arguments.encode()) + len(call.name) + 32
    for tool in ask.tools:
        total += 64 + len(repr(tool.parameters).encode()) + len(tool.description.encode()) + len(tool.name)
    if media:
        return (
            Unknown("images and sounds have no token bound; set context_tokens")
            if context_tokens is None
            else context_tokens
        )
    return total if context_tokens is None else min(total, context_tokens)


def worst_case(spec: ContestantSpec, ask: Ask) -> tuple[int | Unknown, int | Unknown]:
    """(picodollars, tokens) that one attempt may use at the most."""
    context = spec.config.get("context_tokens")
    free = spec.price is not None and is_free(spec.price)
    bound = input_bound(ask, context if isinstance(context, int) else None)
    if not is_known(bound):
        return (0 if free else bound), bound
    out = spec.sampling.max_tokens
    tokens: int | Unknown = Unknown("no bound on output tokens") if out is None else bound + out
    return worst_case_pusd(spec.price, bound, out), tokens
