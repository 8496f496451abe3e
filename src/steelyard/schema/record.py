"""The rows of a run's chain, in the order in which they become true. Append-only; nothing is updated.

Trials are named by integers: `c` index of the contestant in the plan, `t` index of the task over the plan's
suites in order, `k` the repeat from 0. `a` counts attempts from 0. Times are Unix nanoseconds. Judge calls
are attempts too, with `role` not empty. Encoded as MessagePack arrays (fields may only be appended).
"""

from __future__ import annotations

from msgspec import Struct

from steelyard.schema.reply import Reply
from steelyard.schema.score import Score

RECORD_FORMAT = 1


class Opened(Struct, frozen=True, array_like=True, tag="o"):
    """The run began, or began again after a stop (`session` counts from 0)."""

    at: int
    session: int
    version: str
    plan_hash: str


class Intent(Struct, frozen=True, array_like=True, tag="i"):
    """An attempt is about to be sent; `reserved` picodollars stand against the cap until its result is here.

    None: the worst case is not known (allowed only without a money cap). `order` is the permutation of
    choices shown, `seed` what the call was seeded with. An agent's attempt has several, each before a call of its
    own: `reserved` and `tokens` are then what the attempt has used and may be using, and the last one counts.
    """

    c: int
    t: int
    k: int
    a: int
    at: int
    seed: int
    reserved: int | None = None
    order: tuple[int, ...] = ()
    role: str = ""
    tokens: int = 0


class Result(Struct, frozen=True, array_like=True, tag="r"):
    """An attempt ended and was fully read. `reply` is None when there is none; `cost` picodollars or None.

    `ended_by` is an `EndedBy` value; `fault` the kind from the boundary's table ("" when none); `final` is
    False when another attempt of this trial will follow. `trace` is the hash of a larger payload ("" when
    the reply says it all). `wait_ns` is time spent queued for the provider, not part of any latency. `held` is the
    reservation (picodollars) that stays counted against the cap because the cost may never be known. Of an agent's
    attempt, `changes` and `state` are the hashes of what it left (an archive of its workspace, its environment's
    database), `tokens` what it used when no reply says so; `fault` names the limit that ended it.
    """

    c: int
    t: int
    k: int
    a: int
    at: int
    ended_by: str
    final: bool
    cost: int | None = None
    reply: Reply | None = None
    fault: str = ""
    detail: str = ""
    trace: str = ""
    wait_ns: int = 0
    role: str = ""
    held: int = 0
    changes: str = ""
    state: str = ""
    tokens: int = 0


class Scored(Struct, frozen=True, array_like=True, tag="s"):
    """A trial was judged: attempt `a` by `scorer` (index in the ledger's table of scorer versions)."""

    c: int
    t: int
    k: int
    a: int
    scorer: str
    score: Score


class Noted(Struct, frozen=True, array_like=True, tag="n"):
    """Something that an operator or the runner did: pause, resume, a cap changed (`cap` in picodollars, `cap_tokens`,
    `cap_seconds`), revealed, possibly paid, `learnt` (how far charges went beyond their estimates)."""

    at: int
    kind: str
    detail: str


class Closed(Struct, frozen=True, array_like=True, tag="c"):
    """The session ended: `complete`, `capped`, `stopped` or `failed`, with totals that a reader can check."""

    at: int
    status: str
    n_records: int
    spent: int
    detail: str = ""


Record = Opened | Intent | Result | Scored | Noted | Closed
