"""The chance that a plurality of k ballots drawn without replacement is right."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from steelyard.stats.base import FloatArray, IntArray


def majority_chance(sizes: IntArray, right: Sequence[bool], k: int) -> float:
    """Chance that the most frequent of k answers, drawn from piles of `sizes`, is one that is `right`.

    Exact: for each right pile and each number of votes j for it, the ways in which every other pile gets at most
    j votes, t of them exactly j, are counted by multiplying polynomials; the pile then wins 1 / (t + 1) of them.
    Time grows with piles^2 * k^3 in the worst case.
    """
    total = math.comb(int(sizes.sum()), k)
    won = 0.0
    for own, (size, is_right) in enumerate(zip(sizes.tolist(), right, strict=True)):
        if not is_right:
            continue
        others = [int(s) for i, s in enumerate(sizes.tolist()) if i != own]
        for votes in range(1, min(k, size) + 1):
            ways = _ways(others, k - votes, votes)
            if ways.size:
                shared = float(np.sum(ways / np.arange(1, ways.size + 1)))
                won += math.comb(size, votes) * shared / total
    return min(1.0, won)


def _ways(piles: list[int], left: int, most: int) -> FloatArray:
    """Ways to draw `left` ballots from `piles`, none giving more than `most`; by how many piles give exactly that."""
    ties = min(len(piles), left // most) if most else 0
    table = np.zeros((left + 1, ties + 1))
    table[0, 0] = 1.0
    for size in piles:
        grown = np.zeros_like(table)
        for drawn in range(min(size, most, left) + 1):
            ways = float(math.comb(size, drawn))
            if drawn < most:
                grown[drawn:] += ways * table[: left + 1 - drawn]
            elif ties:
                grown[drawn:, 1:] += ways * table[: left + 1 - drawn, :-1]
        table = grown
    row: FloatArray = table[left]
    return row
