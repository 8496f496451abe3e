"""Limits of the providers of a plan: a place is waited for before money is set aside."""

from __future__ import annotations

from collections.abc import Callable

from steelyard.schema.plan import Plan

Release = Callable[[str | None, float | None], None]


class ProviderLimits:
    """Places by provider."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    async def acquire(self, provider: str, tokens: int) -> Release:
        """A place."""
        return lambda _kind, _retry_after: None
