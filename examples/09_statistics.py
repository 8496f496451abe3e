"""The estimators alone, on arrays: a paired comparison by cluster, and how many tasks a difference needs.

Run it: `python examples/09_statistics.py`. No model, no ledger.
"""

import numpy as np

from steelyard.stats.paired import paired
from steelyard.stats.planning import Goal, cheapest, rate_split


def main() -> None:
    """Made-up scores of two contestants on the same questions."""
    rng = np.random.default_rng(1)
    ease = np.repeat(rng.uniform(0.2, 0.9, 40), 5)  # 40 documents with five questions each
    old = (rng.random(200) < ease).astype(float)
    new = (rng.random(200) < np.minimum(ease + 0.12, 1)).astype(float)
    found = paired(
        np.concatenate([old, new]),
        np.tile(np.arange(200), 2),
        np.repeat(["old", "new"], 200),
        baseline="old",
        clusters=np.tile(np.repeat(np.arange(40), 5), 2),
    )
    print("new less old:", found.difference.value, found.difference.interval)
    print("p:", found.p_value, found.p_method)
    print(
        "tasks for a half-width of 0.03 at a rate of 0.7:", cheapest(rate_split(0.7), Goal(half_width=0.03))
    )


if __name__ == "__main__":
    main()
