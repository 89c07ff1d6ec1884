"""Noise on any torch device: Philox4x32-10 in integer tensor operations. `philox_cpu` gives the same bits.

Words of 32 bits live in int64, since not every backend has unsigned integers. No product exceeds 48 bits, so nothing
here leans on what a backend does at overflow.
"""

from __future__ import annotations

import torch

from labkit.models.noise.philox import MULTIPLIERS, ROUNDS, WEYL

HALF = 0xFFFF
LOW = 0xFFFFFFFF


def fill(out: torch.Tensor, table: torch.Tensor, key: int, start: int) -> None:
    """Fill `out` with the table's values at elements `start, start + 1, …` of the stream of `key`.

    `out` is contiguous float32 `(n,)`, `table` float32 `(65536,)`; both on one device. Takes about 25 bytes of its
    memory an element besides: give it long tensors in blocks.
    """
    first, skipped = divmod(start, 8)
    num_counters = (skipped + len(out) + 7) // 8
    counters = torch.arange(first, first + num_counters, dtype=torch.int64, device=out.device)
    words = philox(counters, key)  # (num_counters, 4)
    indices = torch.stack((words & HALF, words >> 16), dim=-1).view(-1)  # (num_counters * 8,)
    torch.index_select(table, 0, indices[skipped : skipped + len(out)], out=out)


def philox(counters: torch.Tensor, key: int) -> torch.Tensor:
    """Four 32-bit words for each 64-bit counter: int64 `(n,)` to int64 `(n, 4)`, words in `[0, 2**32)`."""
    device = counters.device
    # The two multiplications of a round are rows of one tensor: half as many kernels to launch.
    high_factors = torch.tensor([[m >> 16] for m in MULTIPLIERS], device=device)  # (2, 1)
    low_factors = torch.tensor([[m & HALF] for m in MULTIPLIERS], device=device)  # (2, 1)
    zeros = torch.zeros_like(counters)
    even = torch.stack((counters & LOW, zeros))  # words 0 and 2, (2, n)
    odd = torch.stack((counters >> 32, zeros))  # words 1 and 3, (2, n)
    for round_key in _round_keys(key, device):  # (2, 1)
        low = even * low_factors
        high = even * high_factors + (low >> 16)  # the product's bits from 16 up
        even = (high >> 16).flip(0) ^ odd ^ round_key
        odd = ((high & HALF) << 16 | low & HALF).flip(0)
    return torch.stack((even[0], odd[0], even[1], odd[1]), dim=-1)


def _round_keys(key: int, device: torch.device) -> torch.Tensor:
    """The key schedule, int64 `(ROUNDS, 2, 1)`."""
    halves = (key & LOW, key >> 32)
    schedule = [[[(k + i * w) & LOW] for k, w in zip(halves, WEYL, strict=True)] for i in range(ROUNDS)]
    return torch.tensor(schedule, device=device)
