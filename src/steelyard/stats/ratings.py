"""Bradley-Terry ratings from pairwise votes, with a position term and honest intervals.

Not covered: a strength that drifts in time, intransitive contestants (rock beats scissors), and voters who
answer dishonestly. A rating is a summary of who beats whom, not of how good anybody is.

    table = votes(model_a, model_b, winner, prompt=prompt, voter=voter)
    result = rate(table)
    result.elo()             # Elo scale, intervals
    result.win_rates()       # mean chance to beat the others
    rank_intervals(result)   # in ratings_ranks: which ranks are possible, and which contestants tie
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from steelyard.errors import DataError
from steelyard.stats.base import FloatArray, IntArray, fraction
from steelyard.stats.ratings_checks import position_unknown, refuse_unrateable
from steelyard.stats.ratings_covariance import (
    Covariance,
    clustered,
    intersection,
    sandwich,
    sandwich_of_votes,
    two_way,
)
from steelyard.stats.ratings_fit import Cells, Design, design_of_cells, design_of_votes, newton, tabulate
from steelyard.stats.ratings_result import Basis, Ratings
from steelyard.stats.ratings_votes import Votes
from steelyard.unknown import Unknown

_MOST = 5000
Cluster = Literal["auto", "none", "prompt", "voter", "both"]


@dataclass(frozen=True, slots=True)
class RatingOptions:
    """How to rate. The defaults are right unless you know otherwise.

    `position`: fit the advantage of the side shown first (side a); `sides_known=False` says that a and b were
    not shown in that order. `cluster`: "auto" uses prompt and voter columns where the table has them, "none"
    takes votes as independent. `ridge` pulls ratings towards zero with the weight of that many votes (0: no
    pull); it makes clean sweeps rateable. `standardise` divides each covariate by its root mean square.
    """

    position: bool = True
    sides_known: bool = True
    cluster: Cluster = "auto"
    level: float = 0.95
    ridge: float = 0.0
    standardise: bool = True


def rate(table: Votes, options: RatingOptions | None = None) -> Ratings:
    """Bradley-Terry ratings of every contestant in `table`, best first.

    logit P(a wins) = theta_a - theta_b + position + covariates (Bradley & Terry 1952; the position term after
    Davidson & Beaver 1977); a tie counts half for each side; variances by the sandwich (White 1982), HC2 or
    cluster jackknife. Raises `DataError` for one contestant, all ties, groups that never met, a clean sweep.
    """
    options = options or RatingOptions()
    fraction(options.level, "level")
    checked_options(options, len(table.names))
    cells = tabulate(table)
    refuse_unrateable(cells, table.names, ridge=options.ridge)
    position = position_term(cells, options)
    columns = _columns(table, options)
    design = design_of_cells(cells, position=position is None)
    fit = newton(design, ridge=options.ridge)
    cluster = _cluster(table, options)
    if columns is not None:
        wide = columns if position is not None else np.column_stack([np.ones(len(table)), columns])
        start = np.concatenate([fit.params, np.zeros(columns.shape[1])])
        design = design_of_votes(table, wide)
        fit = newton(design, ridge=options.ridge, start=start)
        covariance = sandwich_of_votes(design, fit.params, fit.bread)
    else:
        covariance = sandwich(design, cells, fit.params, fit.bread)
        if cluster:
            design = design_of_votes(table, np.ones((len(table), int(position is None))))
    if cluster:
        covariance = _clustered(design, fit.params, fit.bread, cluster)
    k = len(table.names)
    met = np.bincount(table.a, minlength=k) + np.bincount(table.b, minlength=k)
    return assembled(table.names, met, table.feature_names, options, (fit.params, covariance), position)


def checked_options(options: RatingOptions, contestants: int) -> None:
    """Raise DataError for a ridge that is none, or too many contestants."""
    if not (math.isfinite(options.ridge) and options.ridge >= 0):
        raise DataError("ridge: out of range", wanted="0 or more votes", got=f"{options.ridge}")
    if contestants > _MOST:
        raise DataError(
            "too many contestants for dense linear algebra",
            wanted=f"at most {_MOST:,}",
            got=f"{contestants:,}",
            fix="rate groups of them by themselves",
        )


def position_term(cells: Cells, options: RatingOptions) -> Unknown | None:
    """Why no position term is fitted; None when one is."""
    if not options.position:
        return Unknown("switched off (position=False)")
    if not options.sides_known:
        return Unknown("which side was shown first is not known")
    return position_unknown(cells)


def _columns(table: Votes, options: RatingOptions) -> FloatArray | None:
    """The covariates, each over its root mean square: not centred, so that swapping sides only flips signs."""
    if table.features is None:
        return None
    largest = np.abs(table.features).max(axis=0)
    relative = table.features / np.where(largest > 0, largest, 1.0)  # first, so that squares cannot overflow
    scale = largest * np.sqrt((relative**2).mean(axis=0))
    flat = [name for name, s in zip(table.feature_names, scale, strict=True) if s == 0]
    if flat:
        raise DataError(
            f"covariate {', '.join(flat)} is 0 in every row", fix="leave it out: it explains nothing"
        )
    values = relative / (scale / largest)
    if np.linalg.matrix_rank(values.T @ values) < len(scale):
        raise DataError(
            f"the covariates ({', '.join(table.feature_names)}) determine one another",
            fix="leave one of them out",
        )
    return values if options.standardise else table.features


def _cluster(table: Votes, options: RatingOptions) -> tuple[IntArray, ...]:
    known = {"prompt": table.prompt, "voter": table.voter}
    wanted = {"auto": [k for k in known if known[k] is not None], "none": [], "both": list(known)}.get(
        options.cluster, [options.cluster]
    )
    out = []
    for key in wanted:
        codes = known.get(key)
        if codes is None:
            raise no_column(options.cluster, key)
        # renumbered, so that a code that no longer occurs is not counted as a cluster
        place = np.cumsum(np.bincount(codes) > 0) - 1
        out.append(place[codes])
    return tuple(out)


def no_column(cluster: str, key: str) -> DataError:
    """What to say when a clustering needs a column that is not there."""
    return DataError(
        f"cluster={cluster!r} needs a column {key}", fix="give it to votes(), or say cluster='none'"
    )


def _clustered(
    design: Design, params: FloatArray, bread: FloatArray, cluster: tuple[IntArray, ...]
) -> Covariance:
    parts = [clustered(design, params, bread, c) for c in cluster]
    if len(parts) == 1:
        return parts[0]
    return two_way(parts[0], parts[1], clustered(design, params, bread, intersection(*cluster)))


def assembled(
    names: tuple[str, ...],
    met: IntArray,
    features: tuple[str, ...],
    options: RatingOptions,
    fitted: tuple[FloatArray, Covariance],
    no_position: Unknown | None,
) -> Ratings:
    """The result of a fit; `met` are the votes of each contestant."""
    params, covariance = fitted
    k = len(names)
    order = np.lexsort((np.arange(k), -params[:k]))
    said = "position term" if no_position is None else "no position term"
    style = f", {len(features)} covariates" if features else ""
    shrunk = f", ridge {options.ridge:g}" if options.ridge else ""
    method = f"Bradley-Terry, ties half, {said}{style}{shrunk}, {covariance.method}"
    notes = _notes(options, covariance, no_position)
    basis = Basis(options.level, int(met.sum()) // 2, k, covariance.clusters, method, notes)
    rest = zip(params[k:], np.diag(covariance.matrix)[k:], covariance.df[k:], strict=True)
    extras = [basis.student(float(x), float(v), float(d)) for x, v, d in rest]
    return Ratings(
        names=tuple(names[i] for i in order),
        theta=params[:k][order],
        covariance=covariance.matrix[np.ix_(order, order)],
        votes=met[order],
        df=covariance.df[order],
        few=tuple(bool(covariance.few[i]) for i in order),
        position=extras.pop(0) if no_position is None else no_position,
        coefficients=dict(zip(features, extras, strict=True)),
        basis=basis,
    )


def _notes(options: RatingOptions, covariance: Covariance, position: Unknown | None) -> tuple[str, ...]:
    out = []
    if position is not None:
        out.append(f"no position term: {position.reason}; ratings are biased if sides were not balanced")
    if options.ridge:
        out.append(f"ratings are pulled towards the mean by a ridge of {options.ridge:g} votes")
    if "cluster" in covariance.method and covariance.clusters < 20:
        out.append(f"only {covariance.clusters} clusters: intervals are wide and approximate")
    return tuple(out)
