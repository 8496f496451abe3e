"""Can these votes be rated at all, and can a position term be told from the ratings?

Not covered: covariates that separate the votes; the fit itself notices those. Everything here looks only at
which ordered pairs met with which outcomes (the cells), so its cost does not grow with the votes.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from steelyard.errors import DataError
from steelyard.stats.base import BoolArray, FloatArray, IntArray
from steelyard.stats.ratings_fit import Cells
from steelyard.unknown import Unknown


def _list(names: tuple[str, ...], index: IntArray, most: int = 6) -> str:
    shown = ", ".join(names[i] for i in index[:most])
    return shown + (f" and {len(index) - most} more" if len(index) > most else "")


def _graph(start: IntArray, end: IntArray, size: int, values: FloatArray | None = None) -> sparse.csr_array:
    data = np.ones(len(start)) if values is None else values
    return sparse.csr_array((data, (start, end)), shape=(size, size))


def refuse_unrateable(cells: Cells, names: tuple[str, ...], *, ridge: float) -> None:
    """Raise `DataError` for one contestant, all ties, a disconnected graph, or (without ridge) a clean sweep.

    Finite ratings exist exactly when every contestant can be reached from every other along "beat or tied"
    (Ford 1957; Zermelo 1929).
    """
    if cells.size < 2:
        raise DataError(f"there is one contestant ({', '.join(names)})", wanted="votes between at least two")
    total = cells.counts.sum(axis=0)
    if total[0] + total[2] == 0:
        raise DataError(
            f"every one of the {int(total[1]):,} votes is a tie, so nothing tells the contestants apart",
            wanted="at least one vote with a winner",
            fix="check how ties are coded in the winner column, or collect more votes",
        )
    _refuse_islands(cells, names)  # a ridge would set groups that never met beside each other by itself
    if ridge > 0:
        return
    won, lost = cells.counts[:, 2] + cells.counts[:, 1] > 0, cells.counts[:, 0] + cells.counts[:, 1] > 0
    start = np.concatenate([cells.a[won], cells.b[lost]])
    end = np.concatenate([cells.b[won], cells.a[lost]])
    count, part = csgraph.connected_components(_graph(start, end, cells.size), connection="strong")
    if count == 1:
        return
    beaten = np.zeros(count, bool)  # parts that lost to, or tied with, somebody outside
    crossing = part[start] != part[end]
    beaten[part[end[crossing]]] = True
    # some part is unbeaten: the graph of the parts has no cycle
    top = np.flatnonzero(part == int(np.flatnonzero(~beaten)[0]))
    rest = np.flatnonzero(part != part[top[0]])
    raise DataError(
        f"no finite rating exists: {_list(names, top)} never lost to nor tied with the others "
        f"({_list(names, rest)})",
        wanted="at least one loss or tie across that line",
        fix="collect more votes there, leave one side out, or set a ridge (--ridge 0.5, RatingOptions(ridge=0.5))",
    )


def _refuse_islands(cells: Cells, names: tuple[str, ...]) -> None:
    count, part = csgraph.connected_components(_graph(cells.a, cells.b, cells.size), directed=False)
    if count == 1:
        return
    unseen = np.setdiff1d(np.arange(cells.size), np.concatenate([cells.a, cells.b]))
    if len(unseen):
        raise DataError(
            f"there is no vote for {_list(names, unseen)}", fix="leave these names out or collect votes"
        )
    groups = [np.flatnonzero(part == g) for g in range(count)]
    groups.sort(key=lambda g: (-len(g), int(g[0])))
    shown = "; ".join(f"[{_list(names, g)}]" for g in groups[:4])
    raise DataError(
        f"the contestants fall into {count} groups that never met: {shown}"
        + (f" and {count - 4} more" if count > 4 else ""),
        wanted="a chain of votes between any two contestants",
        fix="rate each group by itself, or collect votes across the groups",
    )


def position_unknown(cells: Cells) -> Unknown | None:
    """Why no position term can be fitted, or None when it can.

    It cannot when the ratings could mimic it (some scores phi have phi[a] - phi[b] = 1 for every pair that
    met, as when each pair was always shown in the same order), nor when it would be infinite.
    """
    key, mirrored = cells.a * cells.size + cells.b, cells.b * cells.size + cells.a
    both_orders = bool(np.isin(mirrored, key).any())  # the usual case: one such pair settles it
    phi = np.zeros(0) if both_orders else _potential(cells)
    if not both_orders and np.array_equal(phi[cells.a] - phi[cells.b], np.ones(len(cells.a))):
        return Unknown(
            "the order in which pairs were shown never varies, so ratings absorb the position effect"
        )
    if _position_infinite(cells):
        return Unknown("with so few votes an infinite position effect fits best")
    return None


def _potential(cells: Cells) -> FloatArray:
    """Scores that differ by one along every edge of a spanning forest, walked from its roots."""
    falls = set((cells.a * cells.size + cells.b).tolist())
    graph = _graph(cells.a, cells.b, cells.size)
    phi = np.zeros(cells.size)
    _, part = csgraph.connected_components(graph, directed=False)
    for root in np.unique(part, return_index=True)[1]:
        order, parent = csgraph.breadth_first_order(graph, int(root), directed=False)
        for node in order[1:].tolist():
            up = int(parent[node])
            phi[node] = phi[up] + (-1.0 if up * cells.size + node in falls else 1.0)
    return phi


def _position_infinite(cells: Cells) -> bool:
    """True when some direction with a position part never contradicts a vote.

    For a unit position effect the votes are difference constraints on the ratings; a direction exists exactly
    when their graph has no negative cycle.
    """
    won, lost = cells.counts[:, 2] + cells.counts[:, 1] > 0, cells.counts[:, 0] + cells.counts[:, 1] > 0
    mixed = won & lost
    key = cells.a * cells.size + cells.b
    mirrored = cells.b * cells.size + cells.a
    if np.isin(mirrored[mixed], key[mixed]).any():
        return False  # one pair with both outcomes in both orders pins the effect: the usual case, and cheap
    return any(_feasible(cells, won, lost, sign) for sign in (1.0, -1.0))


def _feasible(cells: Cells, won: BoolArray, lost: BoolArray, sign: float) -> bool:
    # a wins: d[b] - d[a] <= sign; b wins: d[a] - d[b] <= -sign. An edge i -> j of length w says d[j] - d[i] <= w.
    start = np.concatenate([cells.a[won], cells.b[lost]])
    end = np.concatenate([cells.b[won], cells.a[lost]])
    length = np.concatenate([np.full(int(won.sum()), sign), np.full(int(lost.sum()), -sign)])
    best = np.full(cells.size * cells.size, np.inf)
    np.minimum.at(best, start * cells.size + end, length)
    at = np.flatnonzero(np.isfinite(best))
    graph = _graph(at // cells.size, at % cells.size, cells.size, best[at])
    try:
        csgraph.bellman_ford(graph, indices=[0])
    except csgraph.NegativeCycleError:
        return False
    return True
