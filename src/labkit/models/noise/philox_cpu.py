"""Noise on the CPU: Philox4x32-10 compiled by numba.

Importing this module compiles the kernel, or loads it from numba's cache on disk. `philox_torch` gives the same bits.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from labkit.models.noise.philox import MULTIPLIERS, ROUNDS, WEYL

# In numba uint64 with a Python integer makes float64: every constant has to be typed.
U64 = np.uint64
M0, M1 = map(U64, MULTIPLIERS)
W0, W1 = map(U64, WEYL)
LOW = U64(0xFFFFFFFF)
HALF = U64(0xFFFF)
ZERO, ONE, TWO, THREE, FOUR, EIGHT, SIXTEEN, WORD = map(U64, (0, 1, 2, 3, 4, 8, 16, 32))
STRIP = U64(64)
"""Philox calls made at a time: enough to fill vector registers, and their words stay in the first-level cache."""


@numba.njit("void(uint32[::1], uint64, uint64)", nogil=True, cache=True)
def philox_strip(words: NDArray[np.uint32], key: np.uint64, counter: np.uint64) -> None:
    """Write the four words of each of `STRIP` Philox calls, counters ascending from `counter`, into `words`."""
    for lane in range(STRIP):
        c0 = (counter + lane) & LOW
        c1 = (counter + lane) >> WORD
        c2 = ZERO
        c3 = ZERO
        k0 = key & LOW
        k1 = key >> WORD
        for _ in range(ROUNDS):
            p0 = M0 * c0
            p1 = M1 * c2
            c0 = (p1 >> WORD) ^ c1 ^ k0
            c1 = p1 & LOW
            c2 = (p0 >> WORD) ^ c3 ^ k1
            c3 = p0 & LOW
            k0 = (k0 + W0) & LOW
            k1 = (k1 + W1) & LOW
        words[FOUR * lane] = c0
        words[FOUR * lane + ONE] = c1
        words[FOUR * lane + TWO] = c2
        words[FOUR * lane + THREE] = c3


@numba.njit("void(float32[::1], float32[::1], uint64, uint64)", nogil=True, cache=True)
def fill_array(out: NDArray[np.float32], table: NDArray[np.float32], key: np.uint64, start: np.uint64) -> None:
    """`fill` on arrays; holds no interpreter lock, so threads may fill parts of a tensor at the same time."""
    words = np.empty(FOUR * STRIP, np.uint32)
    stop = start + U64(out.size)
    for counter in range(start // EIGHT, (stop + EIGHT - ONE) // EIGHT, STRIP):
        philox_strip(words, key, U64(counter))
        origin = counter * EIGHT
        for i in range(max(start, origin) - origin, min(stop, origin + STRIP * EIGHT) - origin):
            word = U64(words[i >> ONE])
            out[origin + i - start] = table[(word >> ((i & ONE) * SIXTEEN)) & HALF]


def fill(out: torch.Tensor, table: torch.Tensor, key: int, start: int) -> None:
    """Fill `out` with the table's values at elements `start, start + 1, …` of the stream of `key`.

    `out` is contiguous float32 `(n,)`, `table` float32 `(65536,)`; both on the CPU.
    """
    fill_array(out.numpy(), table.numpy(), U64(key), U64(start))
