"""The ledger's Protocols and the values that they speak. SQLite and PostgreSQL implement them alike.

A ledger is named by a *place*: a folder (SQLite inside) or a `postgresql://` address. One run has one chain and at
most one writer at a time; votes, annotations and imports are chains of their own. `append` returns when its records
are durable: what it acknowledged survives kill -9 and power loss, and nothing of a batch that it did not acknowledge
is counted as finished unless it is whole. Nothing here computes a statistic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

from steelyard.schema.plan import Plan
from steelyard.schema.record import Record
from steelyard.schema.reply import Reply
from steelyard.schema.score import Outcome, Score
from steelyard.schema.task import SuiteHeader, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run at a glance. `status` is `running` (a live writer), `open` (none, can be resumed) or how it closed.

    `spent_pusd` sums the costs that are known; `unpriced` names contestants and judges whose calls have no price, so
    that theirs are not in it.
    """

    run: str
    name: str
    status: str
    created_at: int
    plan_hash: str
    n_records: int
    head: str
    contestants: tuple[str, ...]
    suites: tuple[str, ...]
    n_tasks: int
    spent_pusd: int
    tags: tuple[str, ...] = ()
    source: str = "run"
    unpriced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InFlight:
    """An attempt whose intent is recorded and whose result is not: possibly paid, its reservation stands."""

    c: int
    t: int
    k: int
    a: int
    reserved: int | None
    role: str = ""
    tokens: int = 0


@dataclass(slots=True)
class ResumeState:
    """What a run has done so far.

    A trial is done when it has a final result or a verdict. `spent_pusd` sums known costs, `tokens` what was reported,
    judges' included; `held_pusd` is what stays counted against the cap because a cost is not known: `held` of results
    and the reservations of `in_flight`. `in_flight` holds every attempt without a result, also of earlier sessions.
    `unscored` are trials (c, t, k, a) with a final measurement and no score; `attempts` maps the trials that are not
    done to the number of the next attempt. `sessions` counts Opened rows, `seconds` adds up how long they lasted.
    `caps` holds the caps that were last set on the run, which replace the plan's: `money` (picodollars), `tokens`,
    `seconds`; None for no cap. `learnt` says by contestant how far replies went beyond their estimates (see
    `runner.budget`).
    """

    spent_pusd: int = 0
    held_pusd: int = 0
    tokens: int = 0
    sessions: int = 0
    in_flight: list[InFlight] = field(default_factory=list)
    unscored: list[tuple[int, int, int, int]] = field(default_factory=list)
    attempts: dict[tuple[int, int, int], int] = field(default_factory=dict)
    seconds: float = 0.0
    caps: dict[str, int | float | None] = field(default_factory=dict)
    learnt: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)


@dataclass(slots=True)
class Cells:
    """Per (contestant, task) sums over trials, arrays of shape [n_contestants, n_tasks]: what statistics start from.

    `graded` counts trials with a value (passed, failed, partial, abstained); `value_sum`, `value_sq` their values;
    `passed`, `failed`, `partial`, `abstained`, `ungraded`, `format_failures`, `refused`, `truncated` are counts.
    `cost_pusd`, `unpriced` (attempts whose cost is not known), `input_tokens`, `output_tokens`, `seconds` (attempts in
    whole microseconds) are sums over the contestant's own attempts, which `attempts` counts; `other_cost_pusd` and
    `other_unpriced` are those of calls in other roles (judges, simulated users). `timed` counts trials whose
    answer has a time: what `seconds` is divided by, since attempts that broke have none. `trials` counts trials that
    are done, `unscored` those of them that await judgement. Conditions and clusters are by task: ask the suite.

    A column is made from a compact form each time that it is asked for (8 bytes a cell): keep it if you need it
    twice. `scorer` names the version asked for, "" for each trial's newest. `n_records` is the length of the chain
    that the columns stand for. `in_flight` are attempts without a result: under way while a writer lives, else possibly
    paid.
    """

    contestants: tuple[str, ...]
    columns: Mapping[str, NDArray[np.float64]]
    scorer: str = ""
    n_records: int = 0
    in_flight: tuple[InFlight, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ScoreColumns:
    """The trials of some contestants as arrays of one entry a trial, in (c, t, k) order.

    `outcome` holds `Outcome` numbers, `value` is NaN where a score has none. `cost` (dollars) and `seconds` are NaN
    where they are not known, and None unless asked for. 25 bytes a trial, 41 with both.
    """

    c: NDArray[np.int32]
    t: NDArray[np.int32]
    k: NDArray[np.int32]
    outcome: NDArray[np.int8]
    value: NDArray[np.float64]
    cost: NDArray[np.float64] | None = None
    seconds: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial as pages and exports show it. `score` is None while it awaits judgement.

    `reply`, `ended_by`, `fault`, `detail`, `trace`, `at` are of its last finished attempt, `order` and `seed` of that
    attempt's intent; `cost_pusd` sums its attempts and is None when the cost of one is not known. `split` tells
    whether the content may be shown: that of `held_out` tasks never leaves by itself. `a` is the number of the last
    finished attempt: at least `attempts - 1`, more where earlier ones were lost in a crash.
    """

    c: int
    t: int
    k: int
    attempts: int
    ended_by: str
    fault: str
    reply: Reply | None
    score: Score | None
    scorer: str
    cost_pusd: int | None
    trace: str = ""
    order: tuple[int, ...] = ()
    seed: int = 0
    at: int = 0
    detail: str = ""
    split: str = "public"
    final: bool = True
    changes: str = ""
    state: str = ""
    a: int = 0


@dataclass(frozen=True, slots=True)
class ChainInfo:
    """A chain at a glance: `kind` is `run`, `votes`, `annotations` and so on, `key` its name among them."""

    kind: str
    key: str
    n: int
    head: str
    created_at: int


class RunWriter(Protocol):
    """The only writer of one run's chain. Not thread-safe: one thread owns it. A context manager: leaving releases.

    `create_run` and `open_run` write the session's Opened row and `close` its Closed row: callers append neither.
    """

    run: str

    @property
    def n_records(self) -> int:
        """Rows of the chain so far."""

    @property
    def head(self) -> str:
        """The hash of the last row, 64 hex digits."""

    def append(self, records: Sequence[Record]) -> None:
        """Add records in order, durable on return. Raises LedgerFull, LedgerBusy, LedgerError; then none was added
        and the same call may be made again."""

    def put(self, payload: bytes, media_type: str = "application/json") -> str:
        """Keep a payload, content-addressed and compressed; returns its SHA-256 hex. Durable with the next append."""

    def close(self, status: str, detail: str = "") -> str:
        """Write Closed with count and spend, give up the hold; returns the head. The run can be opened again."""

    def release(self) -> None:
        """Give up the writer's hold without closing (after an error); safe to call twice."""

    def __enter__(self) -> Self:
        """The writer itself."""

    def __exit__(self, *exc: object) -> None:
        """Release."""


class ChainWriter(Protocol):
    """Appends to a chain that several processes may write to in turn: votes, annotations, gate decisions."""

    kind: str
    key: str

    def append(self, rows: Sequence[bytes]) -> str:
        """Add rows (bytes of any form) in order, durable on return; waits for other writers. Returns the head."""

    def append_at(self, n: int, rows: Sequence[bytes]) -> str | None:
        """Add rows if the chain has exactly `n` rows now, else nothing: None says that somebody else was first."""

    def close(self) -> None:
        """Close the connection."""


class Ledger(Protocol):
    """Everything kept at one place."""

    place: str

    def create_run(
        self,
        plan: Plan,
        suites: Sequence[SuiteData],
        *,
        name: str = "",
        source: str = "run",
        unstated: Sequence[str] = (),
    ) -> RunWriter:
        """Begin a run: keeps the plan and all of its suites' tasks, so that it can be judged again without files.

        `unstated`, for a `source` other than `run`: contestants of whose trials some have no known cost.
        """

    def open_run(self, run: str) -> RunWriter:
        """Take up the writing of a run again. Raises LedgerBusy while another live process holds it."""

    def runs(self) -> list[RunInfo]:
        """All runs, newest first."""

    def find(self, run: str) -> RunInfo:
        """A run by id, by a prefix of it, by name (newest), or `last`. Raises DataError that lists what is there."""

    def plan(self, run: str) -> Plan:
        """The frozen plan."""

    def suites(self, run: str) -> list[SuiteData]:
        """The suites as kept with the run, tasks read lazily from the ledger."""

    def resume_state(self, run: str) -> ResumeState:
        """What is done, in flight, unscored, spent."""

    def finished(self, run: str) -> Iterator[tuple[int, int, int]]:
        """(c, t, k) of every trial with a final result or a verdict, judge calls left out; streams, any order."""
        ...

    def scores(self, run: str, scorer: str = "") -> Iterator[tuple[int, int, int, int, float | None]]:
        """(c, t, k, outcome, value) of every judged trial by its newest score, in (c, t, k) order; streams."""
        ...

    def score_columns(
        self, run: str, contestants: Sequence[int] = (), *, amounts: bool = False
    ) -> ScoreColumns:
        """As `scores` by the newest score, of these contestants (none named: all), as arrays. With `amounts` also what
        each cost and took, and the trials that ended without a verdict, as ungraded ones."""

    def judge_replies(self, run: str) -> Iterator[tuple[int, int, int, str, Reply]]:
        """(c, t, k, role, reply) of judge calls that no score of their trial has followed yet: paid for, not to be
        sent again. In the order in which they came."""
        ...

    def cells(self, run: str, scorer: str = "") -> Cells:
        """Columns for statistics; under 200 ms at 1M trials. `scorer` picks a version (default: the newest).

        Raises DataError when no trial was judged by `scorer`; the message lists the versions there are.
        """

    def scorers(self, run: str) -> tuple[str, ...]:
        """The scorer versions that judged this run, in the order in which they came."""

    def trials(self, run: str, where: Mapping[str, object] | None = None) -> Iterator[TrialRow]:
        """Trials in (c, t, k) order; `where` may fix c, t, k, outcome, ended_by, scorer (a version); streams.

        The score is the newest unless `scorer` is fixed. An outcome is an Outcome or its name.
        """

    def sample(
        self, run: str, contestants: Sequence[int], outcomes: Sequence[Outcome], most: int
    ) -> Iterator[TrialRow]:
        """Trials of these contestants whose newest score has one of these outcomes, in the order of their rows.

        All of them; of more than `most`, about so many out of stretches evenly over the run, every outcome with an
        equal share (a rare one has fewer). Fewer, too, where they are strewn over a very long run: few of its rows
        are read.
        """

    def payload(self, digest: str, start: int = 0, stop: int | None = None) -> bytes:
        """A payload, or the bytes [start, stop) of it; reads only the chunks that it needs."""

    def records(self, run: str, start: int = 0) -> Iterator[Record]:
        """The rows of a run's chain in order, from number `start`; streams."""

    def open_chain(self, kind: str, key: str) -> ChainWriter:
        """A writer of the chain `key` among those of `kind`, made when it is not there. `kind` is not `run`."""

    def chain(self, kind: str, key: str, start: int = 0) -> Iterator[bytes]:
        """The rows of a chain from number `start`; streams. An absent chain has none."""

    def chains(self, kind: str = "") -> list[ChainInfo]:
        """All chains, or those of one kind, oldest first."""

    def verify(self, run: str | None = None, head: str = "") -> VerifyReport:
        """Recompute every chain (or one), payload and suite; finds any altered, missing, cut or reordered row.

        `head` is a chain hash noted elsewhere (64 hex digits, or at least 16 of them): some row's hash must be it.
        """

    def close(self) -> None:
        """Close connections."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """`problems` is empty when every row is as it was written; else each names run, sequence number and defect.

    `heads` maps each run, and every other chain as `kind/key`, to its head; `n_runs` counts these chains.
    """

    n_runs: int
    n_records: int
    heads: dict[str, str]
    problems: tuple[str, ...]


class SuiteData(Protocol):
    """A suite, from a file or from the ledger: a header and tasks by index (0 .. n-1), read when asked for."""

    header: SuiteHeader

    def __len__(self) -> int:
        """Number of tasks."""
        ...

    def task(self, i: int) -> Task:
        """The task at index `i`."""
        ...
