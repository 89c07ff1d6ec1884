"""Gaussian noise for weight perturbation: a pure function of seed, parameter name and element index.

Element `i` of the noise of a tensor depends on `(seed, name, i)` and on nothing else: not on the device, the dtype or
the shard it is written to, nor on what was drawn before. `name` is the Hugging Face parameter name and `i` counts the
elements of that tensor row by row, so engines that fuse, split or shard tensors still agree bit for bit.

    key      64 bits of blake2b over (seed, name)               independent tensors, independent seeds
    counter  i // 8, into Philox4x32-10 (Salmon et al. 2011)    128 bits for 8 elements, any block by itself
    value    16 of those bits index a Gaussian quantile table   no log or cos that devices round differently

Knows tensors and streams. Does *not* know models: which tensors are perturbed, tied weights, antithetic pairs.
"""

from __future__ import annotations

import hashlib
import math
import operator
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch

from labkit.errors import ConfigError, InputError
from labkit.models.noise.table import gaussian_table

Fill = Callable[[torch.Tensor, torch.Tensor, int, int], None]
"""`fill(out, table, key, start)`, as in `philox_cpu` and `philox_torch`."""

SEED_LIMIT = INDEX_LIMIT = 1 << 63
STREAM = b"labkit-noise-1"
"""The version of the scheme, part of every key. A change that moves any value must change it."""

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)

CPU_BLOCK = 1 << 15
"""Elements a CPU step: its noise and the table fit in a core's cache, and torch adds it on the calling thread."""
DEVICE_BLOCK = 1 << 22
"""Elements a step elsewhere: bounds the temporaries to about 100 MB and keeps launches few."""
PARALLEL_FROM = 1 << 19
"""Elements from which on a CPU tensor is worth starting threads for."""


def gaussian(seed: int, name: str, *, start: int = 0, count: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """Elements `start` to `start + count` of the noise of one tensor: `(count,)` float32, mean 0, variance 1.

    Args:
        seed: the perturbation, `0 <= seed < 2**63`.
        name: the Hugging Face name of the parameter, such as `model.layers.0.mlp.up_proj.weight`.
        start: index of the first element in the flattened, unfused tensor.
        count: how many elements.
        device: where the result lies. Its bits do not depend on it.

    Raises:
        ConfigError: `seed` is out of range.
        ValueError: `start` or `count` is negative, or their sum exceeds 2**63.
    """
    key = _key(seed, name)
    _check_range(start, count)
    out = torch.empty(count, dtype=torch.float32, device=device)
    fill, block = _source(out.device)
    table = _scaled_table(1.0, out.device)

    def fill_part(low: int, high: int) -> None:
        for at in range(low, high, block):
            fill(out[at : min(at + block, high)], table, key, start + at)

    _in_parts(fill_part, count, out.device)
    return out


def write_perturbed(
    weight: torch.Tensor, base: torch.Tensor, *, seed: int, name: str, sigma: float, start: int = 0
) -> None:
    """Write `base + float32(sigma) * noise` into the storage of `weight`, whatever stood there.

    The product is rounded to float32, the sum to float32 (to float64 where `base` is float64), the result to
    `weight.dtype`: three separate roundings to nearest even, the same for finite values on every device. With `sigma`
    0 (once rounded to float32) the bits of `base` are written. A negative `sigma` gives the antithetic member.
    Autograd does not record the write.

    Args:
        weight: any shape, contiguous; float64, float32, bfloat16 or float16.
        base: the unperturbed values, of the same shape, contiguous, in other memory than `weight`. It may have
            another of these dtypes (a float32 master of bfloat16 weights) or lie on another device (host memory).
        seed: the perturbation, `0 <= seed < 2**63`.
        name: the Hugging Face name of the parameter that `weight` is, or is a block of.
        sigma: standard deviation of the change, in units of the weight.
        start: index of the first element of `weight` in the flattened, unfused tensor.

    Raises:
        ConfigError: `seed` is out of range, or `sigma` is not finite.
        InputError: `weight` or `base` has a dtype that noise cannot be added to.
        ValueError: the tensors differ in shape, are one and the same or not contiguous, or `start` is negative.
    """
    key = _key(seed, name)
    scale = _float32(sigma)
    _check_tensors(weight, base, name)
    _check_range(start, weight.numel())
    if scale == 0.0:  # adding zeros would turn -0.0 into 0.0
        with torch.inference_mode():
            weight.copy_(base)
        return
    device = weight.device
    weight, base = weight.detach().view(-1), base.detach().view(-1)
    fill, block = _source(device)
    table = _scaled_table(scale, device)

    # vLLM's weights are inference tensors, which may be written only in this mode; a thread does not inherit it.
    @torch.inference_mode()
    def write_part(low: int, high: int) -> None:
        scratch = torch.empty(min(block, high - low), dtype=torch.float32, device=device)
        for at in range(low, high, block):
            end = min(at + block, high)
            noise = scratch[: end - at]
            fill(noise, table, key, start + at)
            torch.add(base[at:end].to(device), noise, out=weight[at:end])

    _in_parts(write_part, len(weight), device)


def _key(seed: int, name: str) -> int:
    """The 64-bit Philox key of a stream. The seed has a fixed width, so no two pairs are encoded alike."""
    seed = operator.index(seed)
    if not 0 <= seed < SEED_LIMIT:
        raise ConfigError(f"seed {seed} is out of range", "choose a seed from 0 to 2**63 - 1")
    encoded = seed.to_bytes(8, "little") + name.encode()
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=8, person=STREAM).digest(), "little")


def _float32(sigma: float) -> float:
    """`sigma` rounded to float32."""
    with np.errstate(over="ignore"):
        scale = float(np.float32(sigma))
    if not math.isfinite(scale):
        raise ConfigError(f"sigma {sigma} is not a finite number", "choose a sigma such as 0.001")
    return scale


def _check_range(start: int, count: int) -> None:
    if start < 0 or count < 0 or start + count > INDEX_LIMIT:
        raise ValueError(f"noise is addressed by 0 <= start <= start + count <= 2**63, not by {start} and {count}")


def _check_tensors(weight: torch.Tensor, base: torch.Tensor, name: str) -> None:
    for tensor in (weight, base):
        if tensor.dtype not in DTYPES:
            raise InputError(
                f"{name} is stored as {str(tensor.dtype).removeprefix('torch.')}, to which noise cannot be added",
                "perturb an unquantised model, in float32, bfloat16 or float16",
            )
        if not tensor.is_contiguous():
            raise ValueError(f"{name}: weight and base must be contiguous, one has strides {tensor.stride()}")
    if weight.shape != base.shape:
        raise ValueError(f"{name}: weight has shape {tuple(weight.shape)}, base {tuple(base.shape)}")
    if weight.numel() and weight.data_ptr() == base.data_ptr():
        raise ValueError(f"{name}: base is the weight itself; keep a copy, or perturbations would add up")


def _source(device: torch.device) -> tuple[Fill, int]:
    """What fills noise on `device`, and how many elements it is given at a time."""
    if device.type == "cpu":
        from labkit.models.noise import philox_cpu  # compiles, or loads what was compiled

        return philox_cpu.fill, CPU_BLOCK
    from labkit.models.noise import philox_torch

    return philox_torch.fill, DEVICE_BLOCK


@lru_cache(maxsize=8)
def _scaled_table(scale: float, device: torch.device) -> torch.Tensor:
    """`scale` times the Gaussian table, rounded once, always on the CPU: `(65536,)` float32 on `device`."""
    return torch.from_numpy(gaussian_table() * np.float32(scale)).to(device)


def _in_parts(work: Callable[[int, int], None], count: int, device: torch.device) -> None:
    """Call `work(low, high)` on parts of `range(count)`: one a thread for large CPU tensors, otherwise one."""
    num_threads = torch.get_num_threads()
    if device.type != "cpu" or count < PARALLEL_FROM or num_threads == 1:
        work(0, count)
        return
    edges = [count * i // num_threads for i in range(num_threads + 1)]
    # A pool of its own for each call: one kept for the process would hang in a forked child.
    with ThreadPoolExecutor(num_threads) as pool:
        list(pool.map(work, edges[:-1], edges[1:]))
