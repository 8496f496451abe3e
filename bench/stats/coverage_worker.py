"""evalstats' limits for one case of stats.coverage, in its own environment: kind, data file, result file."""

from __future__ import annotations

import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
from evalstats.core import resampling as es  # noqa: E402  # after the filter: importing it warns
from evalstats.core.stats_utils import rescaled_ci  # noqa: E402  # as above

ALPHA = 0.05


def limits(kind: str, x: np.ndarray) -> dict[str, tuple[float, float]]:
    if kind in ("rate", "clusters"):
        return {"evalstats": es.wilson_ci_1d(x, ALPHA)}
    if kind == "suite":
        return {
            "evalstats": es.wilson_ci_1d(x.mean(axis=1), ALPHA),
            "evalstats nested": es.wilson_nested_od_t(x, ALPHA),
        }
    if kind == "bounded":
        return {"evalstats": es.logit_t_ci_1d(x, ALPHA)}
    if kind == "mean":
        return {"evalstats": es.t_interval_ci_1d(x, ALPHA)}
    if kind == "pair" and x.shape[2] == 1:
        return {"evalstats": es.bonett_price_paired_ci(x[1, :, 0], x[0, :, 0], ALPHA)}
    if kind == "pair":
        return {"evalstats": es.bonett_price_paired_ci_multirun_shrunk(x[1], x[0], ALPHA)}
    return {"evalstats": rescaled_ci(es.logit_t_ci_1d, x[1, :, 0] - x[0, :, 0], ALPHA, -1.0, 1.0)}


def main() -> None:
    kind, given, found = sys.argv[1:]
    rows: dict[str, list[tuple[float, float]]] = {}
    for x in np.load(given)["data"]:
        for name, ends in limits(kind, x).items():
            rows.setdefault(name, []).append(ends)
    np.savez(found, **{name: np.array(ends, dtype=float) for name, ends in rows.items()})


if __name__ == "__main__":
    main()
