"""Random numbers that are pure functions of a seed, a million at a time, on every machine and version of numpy.

Only the raw bits of a bit generator are used, which numpy promises to keep; what its distributions make of them may change.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from labkit.record.identity import draw_seed

Integers = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Flags = NDArray[np.bool_]

_NUM_ROUNDS = 8
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


class Stream:
    """A sequence of random numbers."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def below(self, bound: int | Integers, size: int) -> Integers:
        """`size` integers, each uniform in [0, bound); `bound` is one number, or one for each of them."""
        # 53 bits: the product never rounds up to the bound itself.
        return (self.uniform(size) * bound).astype(np.int64)

    def uniform(self, size: int) -> NDArray[np.float64]:
        """`size` numbers, uniform in [0, 1)."""
        raw = np.asarray(self._bits.random_raw(size), np.uint64)
        return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normal(self, size: int) -> NDArray[np.float64]:
        """`size` numbers from the standard normal distribution, by the inverse of its distribution function."""
        return np.asarray(ndtri(self.uniform(size) + 2.0**-54), np.float64)

    def order(self, size: int) -> Integers:
        """The numbers below `size`, shuffled."""
        return np.argsort(np.asarray(self._bits.random_raw(size), np.uint64), kind="stable")


def permuted(numbers: Integers, size: int, seed: int) -> Integers:
    """Where a random permutation of [0, size) takes `numbers`, without the table of the whole permutation.

    An alternating Feistel network over a rectangle that is barely larger, walked on until it lands inside (Black and
    Rogaway, "Ciphers with Arbitrary Finite Domains", 2002): memory does not grow with `size`.
    """
    height = math.isqrt(max(size - 1, 0)) + 1
    width = -(-size // height)
    keys = [np.uint64(draw_seed(seed, "round", number)) for number in range(_NUM_ROUNDS)]
    places = _network(numbers, height, width, keys)
    outside = np.flatnonzero(places >= size)
    while outside.size:
        places[outside] = _network(places[outside], height, width, keys)
        outside = outside[places[outside] >= size]
    return places


def mixed(hashes: Hashes) -> Hashes:
    """A bijection of 64-bit numbers that scatters them: the finaliser of SplitMix64 (Steele, Lea and Flood, 2014)."""
    first, second, third = _SHIFTS
    hashes = (hashes ^ (hashes >> first)) * _FACTORS[0]
    hashes = (hashes ^ (hashes >> second)) * _FACTORS[1]
    return hashes ^ (hashes >> third)


def row_hashes(table: Integers) -> Hashes:
    """A hash of each row of an (R, C) table; equal rows have equal ones, others all but certainly not."""
    hashes = np.zeros(len(table), np.uint64)
    for column in table.T:
        hashes = mixed(hashes * GOLDEN + column.astype(np.uint64) + GOLDEN)
    return hashes


def _network(numbers: Integers, height: int, width: int, keys: list[np.uint64]) -> Integers:
    left, right = np.divmod(numbers, width)
    for number, key in enumerate(keys):
        if number % 2 == 0:
            left = (left + _scattered(right, key, height)) % height
        else:
            right = (right + _scattered(left, key, width)) % width
    return left * width + right


def _scattered(numbers: Integers, key: np.uint64, bound: int) -> Integers:
    return (mixed(numbers.astype(np.uint64) * GOLDEN + key) % np.uint64(bound)).astype(np.int64)
