"""A purse without limits, for attempts that nobody pays: checks of a suite, contestants tried by hand."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.contestants.base import Ticket
from steelyard.errors import EndedBy, Fault
from steelyard.schema.message import Message
from steelyard.schema.reply import Reply


@dataclass
class FreePurse:
    """Sums what is spent; nothing is refused, and no other role is cast."""

    spent: int = 0
    calls: int = 0

    async def reserve(self, pusd: int | None, tokens: int | None) -> Ticket:
        """Always granted."""
        self.calls += 1
        return Ticket(self.calls, pusd, tokens)

    def settle(
        self,
        ticket: Ticket,
        cost: int | None,
        tokens: int | None,
        *,
        paid: bool | None,
        fault: Fault | None = None,
    ) -> None:
        """Count what is known."""
        self.spent += cost or 0

    async def consult(self, role: str, messages: tuple[Message, ...], seed: int) -> Reply:
        """Raises Fault: there is no plan that could cast the role."""
        raise Fault(f"nobody is cast as {role!r}", ended_by=EndedBy.OPERATOR, kind="no_role", paid=False)
