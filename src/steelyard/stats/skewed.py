"""Student's interval for an estimate whose sampling distribution is skewed (costs, seconds, grades near an end).

Does not see a tail that the data do not show: 10 lognormal values cover 91.5 % (Student's t: 84 %), 5 exponential ones
91 % (88 %). Light-tailed data pay for it: 10 normal values get an interval 14 % wider and hold 95.8 %, 10 uniform ones
96.9 %; at n = 20 it is 3 % wider, at n = 100 0.3 %, because their sample skewness is not zero.

With A the skewness of the estimate, Q = T + A (1 + 2 T^2) / 6 + A^2 T^3 / 27 is more nearly Student's than T is
(Johnson 1978; Hall 1992), and it can be inverted in closed form (Willink 2005). Our deviations, chosen over normal,
uniform, Student(3), exponential, gamma and lognormal values, n = 10 to 200:

- The end that this moves inwards is moved back by two thirds of the way to Student's. The correction alone covers
  92.6 % of 20 values with heavy tails and no skew (Student's t 96.0 %).
- A sample's skewness says too little where there is much, since it cannot exceed about sqrt(n), and too much where
  there is none: A is taken as A (1 + 2 A^2) A^2 / (A^2 + 3 / n^2), 6 / n^2 being its variance for normal values.
"""

from __future__ import annotations

import numpy as np

from steelyard.stats.base import FloatArray, t_quantile

_BACK = 2.0 / 3.0
_MORE = 2.0
_NOISE = 3.0


def skewed_limits(
    centre: float, se: float, skewness: float, df: float, level: float = 0.95
) -> tuple[float, float]:
    """Limits around `centre` for an estimate with this standard error and sample skewness of its own.

    The skewness of a mean of n values is theirs over sqrt(n), at n - 1 degrees of freedom. Turning every sign swaps
    and turns the limits.
    """
    critical = t_quantile(level, df)
    reach = np.array([-critical, critical]) * se
    square = skewness * skewness
    a = skewness * (1.0 + _MORE * square) * square / (square + _NOISE / (df + 1.0) ** 2) / 6.0
    if abs(a) < 1e-6 or se == 0.0:
        return centre + float(reach[0]), centre + float(reach[1])
    ends = np.array([critical, -critical])
    moved: FloatArray = -se * (np.cbrt(1.0 + 6.0 * a * (ends - a)) - 1.0) / (2.0 * a)
    back = np.maximum(0.0, np.array([moved[0] - reach[0], reach[1] - moved[1]]))
    return centre + float(moved[0] - _BACK * back[0]), centre + float(moved[1] + _BACK * back[1])


def third_cumulant(values: FloatArray) -> float:
    """Third cumulant of the mean of independent `values`, unbiased: 0 for fewer than three."""
    n = values.size
    if n < 3:
        return 0.0
    return float(np.sum((values - values.mean()) ** 3)) / ((n - 1.0) * (n - 2.0) * n)


def cluster_third_cumulant(influence: FloatArray) -> float:
    """Third cumulant of an estimate from its influence summed by cluster, (C,): 0 for fewer than three clusters."""
    n = influence.size
    if n < 3:
        return 0.0
    return float(np.sum(influence**3)) * n * n / ((n - 1.0) * (n - 2.0))
