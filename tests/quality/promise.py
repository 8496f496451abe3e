"""How a stochastic promise is judged: fail only above the 99.9 % quantile, and say p, n and the estimate."""

from __future__ import annotations

from scipy import special


def allowed(n: int, p: float, confidence: float = 0.999) -> int:
    """The smallest k with P(Binomial(n, p) > k) <= 1 - confidence."""
    return next(k for k in range(n + 1) if special.bdtrc(k, n, p) <= 1 - confidence)


def at_most(events: int, n: int, p: float, what: str) -> None:
    """Fail when `events` of `n` are more than a promised error rate `p` explains."""
    limit = allowed(n, p)
    assert events <= limit, f"{what}: estimate {events / n:.4f} = {events}/{n}, promised {p}, allowed {limit}"
