"""A purse with a limit, in memory: the scripted twin of the runner's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from steelyard.contestants.base import Ticket
from steelyard.errors import EndedBy, Fault
from steelyard.schema.message import Message
from steelyard.schema.reply import Reply


@dataclass
class ScriptedPurse:
    """Pays until `limit` picodollars or `tokens` are reached; `replies` are what a consulted model says, in order.

    `spent`, `used` and `held` are as the runner counts them; `reserved` lists every reservation; `most` is the largest
    sum that ever stood against the limit. `run_cap` stops as a cap of the run does.
    """

    limit: int | None = None
    tokens: int | None = None
    replies: Sequence[Reply] = ()
    run_cap: bool = False
    spent: int = 0
    used: int = 0
    held: int = 0
    most: int = 0
    reserved: list[tuple[int | None, int | None]] = field(default_factory=list)
    consulted: list[tuple[str, tuple[Message, ...]]] = field(default_factory=list)
    faults: list[tuple[str, float | None]] = field(default_factory=list)
    _open: dict[int, Ticket] = field(default_factory=dict)

    async def reserve(self, pusd: int | None, tokens: int | None) -> Ticket:
        """As `Purse.reserve`."""
        standing = self.spent + self.held + sum(t.pusd or 0 for t in self._open.values()) + (pusd or 0)
        using = self.used + sum(t.tokens or 0 for t in self._open.values()) + (tokens or 0)
        over = (self.limit is not None and (pusd is None or standing > self.limit)) or (
            self.tokens is not None and (tokens is None or using > self.tokens)
        )
        if over and self.run_cap:
            raise Fault("a cap of the run is reached", ended_by=EndedBy.OPERATOR, kind="run_cap", paid=False)
        if over:
            raise Fault("the trial's limit is reached", ended_by=EndedBy.BUDGET, kind="budget", paid=False)
        self.reserved.append((pusd, tokens))
        self.most = max(self.most, standing)
        ticket = Ticket(len(self.reserved), pusd, tokens)
        self._open[ticket.number] = ticket
        return ticket

    def settle(
        self,
        ticket: Ticket,
        cost: int | None,
        tokens: int | None,
        *,
        paid: bool | None,
        fault: Fault | None = None,
    ) -> None:
        """As `Purse.settle`; `faults` lists what calls ended with."""
        self._open.pop(ticket.number)
        if fault is not None:
            self.faults.append((fault.kind, fault.retry_after))
        if cost is not None:
            self.spent += cost
        elif paid is not False:
            self.held += ticket.pusd or 0
        self.used += tokens if tokens is not None else 0 if paid is False else ticket.tokens or 0

    async def consult(self, role: str, messages: tuple[Message, ...], seed: int) -> Reply:
        """The next scripted reply."""
        self.consulted.append((role, messages))
        if len(self.consulted) > len(self.replies):
            raise Fault(f"nobody is cast as {role!r}", ended_by=EndedBy.OPERATOR, kind="no_role", paid=False)
        return self.replies[len(self.consulted) - 1]
