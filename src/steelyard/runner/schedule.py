"""In which order trials are sent: rounds of a pseudo-random permutation, in constant memory.

Round k holds repeat k of every (contestant, task). Within a round the order is a keyed permutation of all cells, so
that drift of a provider or of the network hits all contestants alike, and a run that is stopped early has nearly
equal numbers everywhere. Nothing is shuffled in memory: a four-round Feistel network with cycle walking (Black and
Rogaway, "Ciphers with arbitrary finite domains", 2002) maps position to cell, also for 200,000 tasks.
"""

from __future__ import annotations

import hashlib

_MASK = (1 << 64) - 1


def derive(seed: int, *parts: object) -> int:
    """A 53-bit seed from a seed and names; the same on every machine (JSON can carry 53 bits exactly)."""
    text = "\x1f".join([str(seed), *map(str, parts)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 11


def trial_seed(plan_seed: int, suite_version: str, task_id: str, k: int) -> int:
    """The seed of a trial: a function of the task and the repeat, the same for all contestants.

    All contestants get common random numbers (and the same choice order), which makes paired comparisons tighter.
    31 bits, because several providers refuse larger ones.
    """
    return derive(plan_seed, suite_version, task_id, k) >> 22


class Permutation:
    """A keyed bijection of range(n)."""

    def __init__(self, n: int, seed: int) -> None:
        if n < 1:
            raise ValueError(f"a permutation of {n} things")
        self.n = n
        bits = max(2, (n - 1).bit_length())
        self._half = (bits + 1) // 2
        self._low = (1 << self._half) - 1
        key = hashlib.blake2b(str(seed).encode(), digest_size=32).digest()
        self._keys = [int.from_bytes(key[i : i + 8], "big") | 1 for i in range(0, 32, 8)]

    def __getitem__(self, i: int) -> int:
        """Where position `i` goes. At most a handful of walks: the domain is under four times `n`."""
        half, low = self._half, self._low
        while True:
            left, right = i >> half, i & low
            for key in self._keys:
                mixed = ((right + 1) * key) & _MASK
                mixed ^= mixed >> 29
                mixed = (mixed * 0xBF58476D1CE4E5B9) & _MASK
                left, right = right, left ^ ((mixed >> 32) & low)
            i = (left << half) | right
            if i < self.n:
                return i


class Bits:
    """A set of small integers as one bit each."""

    def __init__(self, n: int) -> None:
        self._bytes = bytearray((n + 7) // 8)

    def add(self, i: int) -> None:
        """Put `i` in."""
        self._bytes[i >> 3] |= 1 << (i & 7)

    def __contains__(self, i: int) -> bool:
        """Is `i` in."""
        return bool(self._bytes[i >> 3] & (1 << (i & 7)))
