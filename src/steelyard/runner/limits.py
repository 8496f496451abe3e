"""Limits of the providers of a plan: a place is waited for before money is set aside."""

from __future__ import annotations

from steelyard.schema.plan import Plan
from steelyard.wire.limiter import Limiters, Rates


class ProviderLimits(Limiters):
    """An adaptive limiter a provider. `counts_tokens`: a limit needs a call's tokens before it is sent."""

    def __init__(self, plan: Plan) -> None:
        rates = {
            provider: Rates(
                min(limit.concurrency, plan.concurrency), limit.requests_per_minute, limit.tokens_per_minute
            )
            for provider, limit in plan.limits.items()
        }
        super().__init__(rates, default=Rates(plan.concurrency))
        self.counts_tokens = any(limit.tokens_per_minute is not None for limit in plan.limits.values())
