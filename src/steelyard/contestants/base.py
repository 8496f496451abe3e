"""The Protocols of whatever is measured. Contestants never see a target, and never grade.

`answer` either returns an `Answer`, fully read, or raises a `Fault` that says who ended the attempt. Retrying is the
runner's: one call of `answer` is one attempt. An agent is a `Worker`: its one attempt makes many model calls, each of
which it pays from the `Purse` that the runner gives it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from steelyard.errors import EndedBy, Fault
from steelyard.sandbox.profile import Limits
from steelyard.schema.contestant import ContestantSpec
from steelyard.schema.message import Message, ToolSpec
from steelyard.schema.reply import Reply


@dataclass(frozen=True, slots=True)
class UserTurn:
    """What a scripted user says when `when` (a regular expression, "" is always) is found in what was said to it.

    A turn is used once unless `again`.
    """

    say: str
    when: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class UserScript:
    """A second role beside the contestant. With `role` a model plays it: `brief` is its system text, and its calls
    go through `Purse.consult`. Otherwise the first of `turns` whose condition holds is said. The talk ends when no turn
    is left, when `stop` is found in what the user said, or after `most` turns."""

    turns: tuple[UserTurn, ...] = ()
    role: str = ""
    brief: str = ""
    stop: str = "###STOP###"
    most: int = 30


@dataclass(frozen=True, slots=True)
class Environment:
    """Tools of a task and the database that they work on, run out of the contestant's reach.

    `source` is a host directory with `tools.py`, `database` the JSON text of the state at the start. Driven through
    `steelyard.contestants.environment.open_environment`.
    """

    source: str
    database: bytes = b"{}"
    seconds: float = 30.0
    memory_mib: int = 512


@dataclass(frozen=True, slots=True)
class Place:
    """Where an agent works: plain data that can be pickled, with nothing hidden in it.

    `base` is the host directory of the visible tree ("" is an empty workspace); it is copied in, git history after
    its checked-out commit left out. `hosts` are the names that may be reached. `seconds`, `turns`, `tokens` and
    `money_pusd` bound the trial: the task's, tightened by the contestant's own; what stands in the workspace then is
    graded.
    `decoys` are paths where hidden tests might be looked for. `solution` is the host directory of the gold overlay:
    set for the policy `gold` alone.
    """

    base: str = ""
    workdir: str = "/workspace"
    limits: Limits = field(default_factory=Limits)
    hosts: tuple[str, ...] = ()
    seconds: float = 600.0
    turns: int = 50
    tokens: int | None = None
    money_pusd: int | None = None
    decoys: tuple[str, ...] = ()
    user: UserScript | None = None
    environment: Environment | None = None
    solution: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """One attempt's question. `task_id` lets recordings look up; `trial` is the repeat; `seed` seeds the call.

    `place` None: an ordinary question. `gold` is the answer that the policy `gold` gives, and set for it alone.
    """

    messages: tuple[Message, ...]
    task_id: str
    trial: int
    seed: int
    tools: tuple[ToolSpec, ...] = ()
    suite: str = ""
    place: Place | None = None
    gold: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished attempt. `trace` is a larger record (JSON bytes) when more than one call was made; `cost_pusd`
    overrides the price table when the contestant knows better (a recording); None: priced from usage.

    `changes` is what the attempt did to its workspace (`sandbox.pack`), `state` the environment's database at the end
    (JSON). `ended_by` BUDGET says that a limit of the trial ended it, and `limit` which: seconds, turns, tokens, money.
    """

    reply: Reply
    trace: bytes = b""
    cost_pusd: int | None = None
    changes: bytes = b""
    state: bytes = b""
    ended_by: EndedBy = EndedBy.CONTESTANT
    limit: str = ""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Money and tokens set aside for one call; None is "not known" (allowed only without such a cap)."""

    number: int
    pusd: int | None
    tokens: int | None


class Purse(Protocol):
    """What an agent pays its model calls from; given by the runner, scripted in `steelyard.testing.purse`."""

    async def reserve(self, pusd: int | None, tokens: int | None) -> Ticket:
        """Set the worst case of a call aside, durably, before it is sent.

        Raises Fault: ended_by BUDGET (kind "budget") when a limit of the trial does not allow it, which is a
        measurement; ended_by OPERATOR (kind "run_cap") when a cap of the run does not: let that one through.
        """
        ...

    def settle(
        self,
        ticket: Ticket,
        cost: int | None,
        tokens: int | None,
        *,
        paid: bool | None,
        fault: Fault | None = None,
    ) -> None:
        """The call ended. `cost` (picodollars) None with `paid` False: nothing was charged; else the worst case
        stays counted, since nobody knows. `fault` is what came instead of a reply: the provider's limiter hears of it,
        so that all calls to a provider that says 429 hold back together."""

    async def consult(self, role: str, messages: tuple[Message, ...], seed: int) -> Reply:
        """One reply of the model that the plan casts as `role` (a simulated user). Raises Fault."""
        ...


class Contestant(Protocol):
    """Made by `steelyard.contestants.build`; `open` before the first answer, `aclose` at the end."""

    spec: ContestantSpec

    async def open(self) -> None:
        """Make it live. Raises PlanError or DataError for what the plan got wrong; sends nothing."""

    async def answer(self, ask: Ask) -> Answer:
        """One attempt. Raises Fault."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and processes."""
        ...


@runtime_checkable
class Worker(Contestant, Protocol):
    """A contestant that works in a place: many calls an attempt. `answer` serves ordinary questions."""

    async def work(self, ask: Ask, purse: Purse) -> Answer:
        """One attempt. What stands in the workspace when a limit ends it is collected and returned. Raises Fault."""
        ...
