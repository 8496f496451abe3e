"""Closed-form anytime-valid bounds: empirical Bernstein and Hoeffding mixtures, beta-binomial, normal, stitched.

Not covered: unbounded scores, except that the two `*_bound` functions serve any sub-Gaussian sum whose variance
process is known.

Papers: Waudby-Smith & Ramdas 2023 (predictable-mixture empirical Bernstein, Theorem 2; Hoeffding, Proposition 1);
Howard, Ramdas, McAuliffe & Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences" (mixture
and stitched boundaries; beta-binomial: Howard et al. 2020, "Time-uniform Chernoff bounds"). Deviations: scores of
any known bounds are mapped to [0, 1]; the running intersection is an option.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from steelyard.errors import DataError, RowsError
from steelyard.stats.base import FloatArray, Interval, fraction, numbers
from steelyard.stats.sequential import ConfidenceSequence, Moments, score_bounds, stay_put, to_unit

EMPIRICAL_BERNSTEIN = "predictable-mixture empirical Bernstein confidence sequence"
HOEFFDING = "predictable-mixture Hoeffding confidence sequence"
BETA_BINOMIAL = "beta-binomial mixture confidence sequence"


class EmpiricalBernstein:
    """Streaming predictable-mixture empirical Bernstein; nine numbers of memory.

    With b_t = min(1/2, the bet of `sequential`), v_t = (x_t - mean_{t-1})^2 and psi(b) = -log(1 - b) - b:

        low_t = (sum b x - log(2/alpha) - sum v psi(b)) / sum b

    and the mirror image for the upper end. Wider than hedged betting, but an explicit formula of O(1) state.
    """

    def __init__(
        self, *, level: float = 0.95, bounds: tuple[float, float] = (0.0, 1.0), running: bool = True
    ) -> None:
        self.level, self.bounds, self.running = fraction(level, "level"), score_bounds(bounds), running
        self._moments = Moments()
        self._sums = np.zeros(4)  # bets, bets * x, penalty of the lower end, penalty of the upper end
        self._last = (0.0, 0.0)  # running means of x and 1 - x, 0 before the first
        self._ends = (0.0, 1.0)

    def update(self, values: ArrayLike) -> ConfidenceSequence:
        """Take a number or an array of observations; returns the intervals after each of them."""
        x = to_unit(values, self.bounds)
        alpha, n = 1.0 - self.level, self._moments.n
        bets = np.minimum(self._moments.bets(x, alpha), 0.5)
        psi = -np.log1p(-bets) - bets
        t = np.arange(n, n + x.size)
        columns = [bets, bets * x]
        means = []
        for y, last in ((x, self._last[0]), (1.0 - x, self._last[1])):
            sums = last * n + np.cumsum(y)
            before = np.where(t > 0, (sums - y) / np.maximum(t, 1), 0.0)
            columns.append((y - before) ** 2 * psi)
            means.append(float(sums[-1] / (n + x.size)))
        self._last = (means[0], means[1])
        run = self._sums[:, None] + np.cumsum(np.stack(columns), axis=1)
        self._sums = run[:, -1].copy()
        log_term = float(np.log(2.0 / alpha))
        low = np.clip((run[1] - log_term - run[2]) / run[0], 0.0, 1.0)
        high = np.clip((run[1] + log_term + run[3]) / run[0], 0.0, 1.0)
        if self.running:
            low = np.maximum.accumulate(np.maximum(low, self._ends[0]))
            high = np.minimum.accumulate(np.minimum(high, self._ends[1]))
            low, high = stay_put(low, high, self._ends)
        self._ends = (float(low[-1]), float(high[-1]))
        a, b = self.bounds
        return ConfidenceSequence(a + (b - a) * low, a + (b - a) * high, self.level, EMPIRICAL_BERNSTEIN)

    @property
    def interval(self) -> Interval:
        """The interval now; the whole range before the first observation."""
        a, b = self.bounds
        ends = (a + (b - a) * self._ends[0], a + (b - a) * self._ends[1])
        return Interval(ends[0], ends[1], self.level, EMPIRICAL_BERNSTEIN)


def empirical_bernstein(
    values: ArrayLike, *, level: float = 0.95, bounds: tuple[float, float] = (0.0, 1.0), running: bool = True
) -> ConfidenceSequence:
    """Batch form of `EmpiricalBernstein`: the intervals after each of `values` (n,), in the order given."""
    return EmpiricalBernstein(level=level, bounds=bounds, running=running).update(values)


def hoeffding(
    values: ArrayLike, *, level: float = 0.95, bounds: tuple[float, float] = (0.0, 1.0), running: bool = True
) -> ConfidenceSequence:
    """Predictable-mixture Hoeffding: bets min(1, sqrt(8 log(2/alpha) / (t log(1+t)))), penalty b^2/8 each.

    Needs no variance and learns none: the widest of the family, and the simplest to check by hand.
    """
    x = to_unit(values, score_bounds(bounds))
    t = np.arange(1, x.size + 1)
    log_term = float(np.log(2.0 / (1.0 - fraction(level, "level"))))
    bets = np.minimum(np.sqrt(8.0 * log_term / (t * np.log1p(t))), 1.0)
    stake = np.cumsum(bets)
    centre = np.cumsum(bets * x) / stake
    margin = (log_term + np.cumsum(bets**2) / 8.0) / stake
    low, high = np.maximum(centre - margin, 0.0), np.minimum(centre + margin, 1.0)
    if running:
        low, high = stay_put(np.maximum.accumulate(low), np.minimum.accumulate(high))
    a, b = bounds
    return ConfidenceSequence(a + (b - a) * low, a + (b - a) * high, level, HOEFFDING)


def beta_binomial(
    passed: ArrayLike, trials: ArrayLike, *, level: float = 0.95, best_at: float = 500.0
) -> ConfidenceSequence:
    """Anytime-valid interval of a rate from counts alone: arrays of `passed` and `trials`, shape (k,).

    The state is two counts. M(p) = p^-S (1-p)^-(n-S) B(r/p + n - S, r/(1-p) + S) / B(r/p, r/(1-p)) is a martingale
    under rate p; keep p with M(p) <= 1/alpha. r is tuned to be tightest near `best_at` trials; the guarantee holds at
    all n at once. Each entry is an interval of its own (no running intersection).
    """
    s, n = (
        np.atleast_1d(numbers(passed, "passed")),
        np.atleast_1d(numbers(trials, "trials")),
    )
    if s.shape != n.shape or s.ndim != 1:
        raise DataError("counts", wanted="as many passed as trials", got=f"shapes {s.shape}, {n.shape}")
    bad = (
        (s < 0)
        | (s > n)
        | (n < 1)
        | ~np.isfinite(s)
        | ~np.isfinite(n)
        | (s != np.floor(s))
        | (n != np.floor(n))
    )
    if bad.any():
        at = np.flatnonzero(bad)
        got = f"{s[at[0]]:g} of {n[at[0]]:g}"
        raise RowsError(
            "counts",
            rows=tuple(at.tolist()),
            wanted="whole numbers 0 <= passed <= trials, trials >= 1",
            got=got,
        )
    threshold = -float(np.log(1.0 - fraction(level, "level")))
    rate = s / n

    def excess(p: FloatArray) -> FloatArray:
        return _log_beta_binomial(p, s, n, best_at) - threshold

    low = np.where(s > 0, _bisect(excess, np.zeros_like(rate), rate), 0.0)
    high = np.where(s < n, _bisect(excess, np.ones_like(rate), rate), 1.0)
    return ConfidenceSequence(low, high, level, BETA_BINOMIAL)


def _log_beta_binomial(p: FloatArray, s: FloatArray, n: FloatArray, best_at: float) -> FloatArray:
    variance = p * (1.0 - p)
    r = np.maximum(tuning(variance * best_at, 0.05) - variance, 1e-3 * variance)
    a, b = r / p, r / (1.0 - p)
    ratio = special.betaln(a + n - s, b + s) - special.betaln(a, b)
    return np.asarray(ratio - special.xlogy(s, p) - special.xlog1py(n - s, -p), dtype=np.float64)


def _bisect(
    excess: Callable[[FloatArray], FloatArray], outside: FloatArray, inside: FloatArray
) -> FloatArray:
    """Where `excess` crosses zero between `outside` (positive; 0 or 1, never evaluated) and `inside`."""
    outer, inner = outside.copy(), inside.copy()
    for _ in range(60):
        middle = 0.5 * (outer + inner)
        safe = np.clip(middle, 1e-300, 1.0 - 1e-16)
        above = excess(safe) > 0
        outer, inner = np.where(above, middle, outer), np.where(above, inner, middle)
    # the outer end: the interval is never too narrow by the bisection
    return outer


def tuning(v_best: FloatArray | float, alpha: float) -> FloatArray:
    """The mixture's prior variance that is tightest when the variance process is `v_best` (Howard et al., eq. 3.7)."""
    log_term = 2.0 * np.log(1.0 / alpha)
    rho: FloatArray = np.asarray(v_best, dtype=np.float64) / (log_term + np.log1p(log_term))
    return rho


def normal_mixture_bound(v: float, alpha: float, v_best: float) -> float:
    """One-sided normal-mixture boundary: a sub-Gaussian sum with variance process v ever exceeds it with chance alpha.

    The root in s of ``sqrt(4 rho / (v + rho)) exp(s^2 / (2 (v + rho))) Phi(s / sqrt(v + rho)) = 1/alpha``.
    """
    rho = float(tuning(v_best, 2.0 * fraction(alpha, "alpha")))
    low, high = 0.0, float(np.sqrt((v + rho) * (np.log((v + rho) / rho) + 2.0 * np.log(2.0 / alpha))))
    for _ in range(200):
        s = 0.5 * (low + high)
        log_m = 0.5 * np.log(4.0 * rho / (v + rho)) + s**2 / (2.0 * (v + rho))
        log_m += float(special.log_ndtr(s / np.sqrt(v + rho)))
        low, high = (s, high) if log_m < -np.log(alpha) else (low, s)
    return high


def stitched_bound(v: float, alpha: float, v_min: float, *, scale: float = 0.0) -> float:
    """Polynomial stitched boundary (Howard et al. 2021, eq. 10) with s = 1.4, eta = 2: of the rate sqrt(v log log v).

    `scale` is c of a sub-gamma sum; 0 for sub-Gaussian.
    """
    s, eta = 1.4, 2.0
    k1 = (eta**0.25 + eta**-0.25) / np.sqrt(2.0)
    k2 = (np.sqrt(eta) + 1.0) / 2.0
    use = max(v, v_min)
    ell = s * np.log(np.log(eta * use / v_min)) + np.log(special.zeta(s, 1) / np.log(eta) ** s)
    ell += np.log(1.0 / fraction(alpha, "alpha"))
    second = k2 * scale * ell
    return float(np.sqrt(k1**2 * use * ell + second**2) + second)
