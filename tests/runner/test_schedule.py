"""Order of trials: every trial once, no order kept in memory, repeats spread evenly."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from steelyard.runner.schedule import Bits, Permutation, derive, trial_seed
from steelyard.runner.source import BatchSource, FixedSource


@given(st.integers(1, 3000), st.integers(0, 2**60))
def test_a_permutation_visits_everything_once(n: int, seed: int) -> None:
    order = Permutation(n, seed)
    assert sorted(order[i] for i in range(n)) == list(range(n))


def test_permutations_of_different_seeds_differ_and_look_random() -> None:
    n = 1000
    a, b = ([Permutation(n, s)[i] for i in range(n)] for s in (1, 2))
    assert a != b
    # correlation of position and value of a random permutation has a standard deviation of 1/sqrt(n)
    mean = (n - 1) / 2
    var = sum((i - mean) ** 2 for i in range(n))
    r = sum((i - mean) * (x - mean) for i, x in enumerate(a)) / var
    assert abs(r) < 5 / n**0.5, r


def drain(source: FixedSource) -> list[tuple[int, int, int]]:
    async def take_all() -> list[tuple[int, int, int]]:
        out = []
        while (cell := await source.take()) is not None:
            out.append(cell)
        return out

    return asyncio.run(take_all())


def test_fixed_source_gives_every_unfinished_trial_once_and_rounds_in_order() -> None:
    finished = Bits(2 * 10 * 3)
    for cell in ((0 * 10 + 4) * 3 + 0, (1 * 10 + 9) * 3 + 2):
        finished.add(cell)
    cells = drain(FixedSource([0, 1], 10, 3, 7, finished))
    assert len(cells) == len(set(cells)) == 58
    assert (0, 4, 0) not in cells
    assert (1, 9, 2) not in cells
    assert [k for _, _, k in cells] == sorted(k for _, _, k in cells)


def test_contestants_are_interleaved_within_a_round() -> None:
    cells = drain(FixedSource([0, 1], 500, 1, 3, Bits(1000)))
    first_half = Counter(c for c, _, _ in cells[:500])
    # hypergeometric: standard deviation of the count is about 8
    assert abs(first_half[0] - 250) < 50


def test_seeds_fit_31_bits_and_differ_by_trial() -> None:
    assert len({trial_seed(1, "v", "t", k) for k in range(100)}) == 100
    assert all(0 <= trial_seed(9, "v", str(i), 0) < 2**31 for i in range(1000))
    assert derive(1, "a", "b") != derive(1, "ab", "")


def test_a_batch_source_waits_for_news_and_ends_for_all_workers() -> None:
    plan: list[list[tuple[int, int, int]] | None] = [[(0, 0, 0)], [], [(0, 1, 0)], None, None]

    async def go() -> list[tuple[int, int, int] | None]:
        source = BatchSource(lambda: plan.pop(0))
        first = await source.take()
        waiting = asyncio.create_task(source.take())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        source.news()
        return [first, await waiting, await source.take(), await source.take()]

    assert asyncio.run(go()) == [(0, 0, 0), (0, 1, 0), None, None]
