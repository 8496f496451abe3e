"""The trial's time. What an operator takes to answer a question is given back."""

from __future__ import annotations

import asyncio
import time

from steelyard.contestants.harness.approve import Approver, Consent, Question


class Clock:
    """Seconds of one trial, on the event loop's clock."""

    def __init__(self, seconds: float) -> None:
        self._until = asyncio.get_running_loop().time() + seconds
        self.given = 0.0
        """Seconds that were given back."""

    @property
    def left(self) -> float:
        """Seconds until the limit; 0 or less once it is reached."""
        return self._until - asyncio.get_running_loop().time()

    def give_back(self, seconds: float) -> None:
        """Move the limit."""
        self._until += seconds
        self.given += seconds


class Unhurried:
    """An approver whose time to answer does not count."""

    def __init__(self, approver: Approver, clock: Clock) -> None:
        self._approver, self._clock = approver, clock

    async def ask(self, question: Question) -> Consent:
        """The answer."""
        began = time.monotonic()
        try:
            return await self._approver.ask(question)
        finally:
            self._clock.give_back(time.monotonic() - began)
