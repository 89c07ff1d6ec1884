"""Noise through its public door: addressing, statistics, and writing it into weights."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from labkit.errors import ConfigError, InputError
from labkit.models import noise
from labkit.models.noise import gaussian, philox_torch, write_perturbed

NAME = "model.layers.0.self_attn.q_proj.weight"
BITS = {torch.float64: torch.int64, torch.float32: torch.int32, torch.bfloat16: torch.int16, torch.float16: torch.int16}
DTYPES = pytest.mark.parametrize("dtype", list(BITS), ids=lambda dtype: str(dtype).removeprefix("torch."))
ON_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.dtype == b.dtype and torch.equal(a.view(BITS[a.dtype]), b.view(BITS[b.dtype]))


def weights_like(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    return (torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.03).to(dtype)


def perturbed(
    base: torch.Tensor, *, seed: int = 1, name: str = NAME, sigma: float = 0.01, start: int = 0
) -> torch.Tensor:
    weight = torch.empty_like(base)
    write_perturbed(weight, base, seed=seed, name=name, sigma=sigma, start=start)
    return weight


def use_torch_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the implementation for other devices fill CPU tensors, in blocks of a size that cuts Philox calls in two."""
    monkeypatch.setattr(noise, "_source", lambda device: (philox_torch.fill, 4099))


# Addressing


@settings(max_examples=50)
@given(start=st.integers(0, 3000), count=st.integers(0, 1000))
def test_a_block_is_a_slice_of_the_whole(start: int, count: int) -> None:
    whole = gaussian(3, NAME, count=4000)
    assert torch.equal(gaussian(3, NAME, start=start, count=count), whole[start : start + count])


def test_bits_do_not_depend_on_blocks_or_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    base = weights_like((100_003,), torch.float32)
    noise_before, weight_before = gaussian(3, NAME, count=len(base)), perturbed(base)
    monkeypatch.setattr(noise, "CPU_BLOCK", 997)
    monkeypatch.setattr(noise, "PARALLEL_FROM", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(gaussian(3, NAME, count=len(base)), noise_before)
    assert same_bits(perturbed(base), weight_before)


def test_indices_beyond_32_bits_do_not_wrap() -> None:
    blocks = [gaussian(3, NAME, start=start, count=64) for start in (0, 2**32, 2**35, 2**62)]
    for a, b in itertools.combinations(blocks, 2):
        assert not torch.equal(a, b)


@DTYPES
def test_shards_written_apart_equal_the_whole_tensor(dtype: torch.dtype) -> None:
    base = weights_like((37, 53), dtype)
    whole = perturbed(base)
    shards = [perturbed(base[low:high], start=low * 53) for low, high in ((0, 11), (11, 12), (12, 37))]
    assert same_bits(torch.cat(shards), whole)


# Statistics


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.mean(a.double() * b.double()))


def test_moments_are_those_of_a_gaussian() -> None:
    n = 1 << 22  # bounds are 4 standard errors, here and below
    z = gaussian(11, NAME, count=n).double()
    assert abs(z.mean()) < 4 / n**0.5
    assert abs((z**2).mean() - 1) < 4 * (2 / n) ** 0.5
    assert abs((z**3).mean()) < 4 * (15 / n) ** 0.5
    assert abs((z**4).mean() - 2.99925) < 4 * (96 / n) ** 0.5  # the table's own fourth moment is 2.99925


def test_all_levels_are_equally_likely() -> None:
    n = 1 << 22
    _, counts = torch.unique(gaussian(12, NAME, count=n), return_counts=True)
    assert len(counts) == 65536
    chi2 = float(((counts - n / 65536) ** 2).sum() / (n / 65536))
    assert abs(chi2 - 65535) < 4 * (2 * 65535) ** 0.5


def test_elements_of_a_tensor_are_uncorrelated() -> None:
    n = 1 << 18
    z = gaussian(13, NAME, count=n)
    for lag in (*range(1, 17), 64, 128, 512, 4096):
        assert abs(correlation(z[:-lag], z[lag:])) < 4 / (n - lag) ** 0.5, lag


def test_tensors_and_seeds_are_uncorrelated() -> None:
    n = 1 << 17
    names = [f"model.layers.{i}.self_attn.q_proj.weight" for i in range(3)]
    streams = {(seed, name): gaussian(seed, name, count=n) for seed in range(3) for name in names}
    # 36 pairs: same seed, neighbouring seeds, and (s, i + 1) against (s + 1, i), which seed + index would make equal.
    for (a, x), (b, y) in itertools.combinations(streams.items(), 2):
        assert abs(correlation(x, y)) < 4 / n**0.5, (a, b)


# Writing


def rounded_to(dtype: torch.dtype, values: NDArray[np.float32]) -> torch.Tensor:
    """float32 to `dtype`, to nearest even, without torch's own conversions."""
    if dtype is torch.bfloat16:
        bits = values.view(np.uint32)
        upper = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        return torch.from_numpy(upper.astype(np.uint16).view(np.int16)).view(dtype)
    return torch.from_numpy(values.astype({torch.float16: np.float16, torch.float32: np.float32}[dtype]))


@pytest.mark.parametrize("sigma", [0.001, -0.03, 1e-6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_product_sum_and_result_are_rounded_one_by_one(dtype: torch.dtype, sigma: float) -> None:
    base = weights_like((200, 301), dtype)
    products = np.float32(sigma) * gaussian(1, NAME, count=base.numel()).numpy()
    expected = rounded_to(dtype, base.float().numpy().reshape(-1) + products)
    assert same_bits(perturbed(base, sigma=sigma).view(-1), expected)


def test_float64_weights_are_summed_in_float64() -> None:
    base = weights_like((200, 301), torch.float64)
    products = np.float32(0.01) * gaussian(1, NAME, count=base.numel()).numpy()
    assert np.array_equal(perturbed(base).numpy().reshape(-1), base.numpy().reshape(-1) + products.astype(np.float64))


def test_a_float32_base_is_rounded_once_into_bfloat16_weights() -> None:
    base = weights_like((100, 11), torch.float32)
    weight = torch.empty(100, 11, dtype=torch.bfloat16)
    write_perturbed(weight, base, seed=1, name=NAME, sigma=0.01)
    assert same_bits(weight.view(-1), rounded_to(torch.bfloat16, perturbed(base).numpy().reshape(-1)))


@DTYPES
@pytest.mark.parametrize("start", [0, 13, 2**33 + 5])
def test_both_implementations_write_the_same_bits(
    dtype: torch.dtype, start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = weights_like((129, 131), dtype)
    on_cpu, noise_on_cpu = perturbed(base, start=start), gaussian(1, NAME, start=start, count=9000)
    use_torch_noise(monkeypatch)
    assert same_bits(perturbed(base, start=start), on_cpu)
    assert torch.equal(gaussian(1, NAME, start=start, count=9000), noise_on_cpu)


@ON_CUDA
@DTYPES
def test_cuda_writes_the_same_bits_as_the_cpu(dtype: torch.dtype) -> None:
    base = weights_like((1025, 131), dtype)
    assert same_bits(perturbed(base.cuda(), start=13).cpu(), perturbed(base, start=13))
    noise_on_cuda = gaussian(1, NAME, start=3, count=5_000_000, device="cuda")
    assert torch.equal(noise_on_cuda.cpu(), gaussian(1, NAME, start=3, count=5_000_000))


def test_opposite_sigmas_are_antithetic() -> None:
    zero = torch.zeros(1000)
    assert torch.equal(perturbed(zero, sigma=0.01), -perturbed(zero, sigma=-0.01))


@pytest.mark.parametrize("sigma", [0.0, -0.0, 1e-60])
@DTYPES
def test_sigma_zero_writes_the_bits_of_the_base(dtype: torch.dtype, sigma: float) -> None:
    width = torch.iinfo(BITS[dtype])
    exponents = torch.tensor([torch.inf, -torch.inf, 0.0, -0.0], dtype=dtype).view(BITS[dtype])
    odd = torch.tensor([width.min, width.min + 1, width.max, width.max - 5, -1, 1], dtype=BITS[dtype])
    base = torch.cat((exponents, exponents + 1, odd)).view(dtype)  # signed zeros, infinities, NaNs, subnormals
    assert same_bits(perturbed(base, sigma=sigma), base)


@DTYPES
def test_512_members_leave_no_trace(dtype: torch.dtype) -> None:
    base = weights_like((16, 33), dtype)
    kept, weight = base.clone(), base.clone()
    for seed in range(512):
        write_perturbed(weight, base, seed=seed, name=NAME, sigma=0.01)
    assert not same_bits(weight, kept)
    write_perturbed(weight, base, seed=0, name=NAME, sigma=0.0)
    assert same_bits(weight, kept)
    assert same_bits(base, kept)


@pytest.mark.parametrize("sigma", [0.01, 0.0])
def test_parameters_are_written_where_they_lie(sigma: float) -> None:
    base = weights_like((16, 33), torch.float32)
    parameter = torch.nn.Parameter(torch.zeros(16, 33))
    address, view = parameter.data_ptr(), parameter.detach()
    write_perturbed(parameter, base, seed=1, name=NAME, sigma=sigma)
    assert parameter.data_ptr() == address and parameter.is_leaf and parameter.requires_grad
    assert torch.equal(view, perturbed(base, sigma=sigma))


@pytest.mark.parametrize("sigma", [0.01, 0.0])
def test_inference_tensors_are_written(sigma: float) -> None:
    base = weights_like((16, 33), torch.float32)
    with torch.inference_mode():
        weight = torch.zeros(16, 33)
    write_perturbed(weight, base, seed=1, name=NAME, sigma=sigma)
    assert torch.equal(weight, perturbed(base, sigma=sigma))


def test_noise_may_be_used_in_autograd() -> None:
    perturbed(torch.zeros(8), sigma=1.0)  # leaves its table behind for `gaussian`
    scale = torch.ones((), requires_grad=True)
    z = gaussian(1, NAME, count=8)
    (gradient,) = torch.autograd.grad((scale * z).sum(), scale)
    assert torch.equal(gradient, z.sum())


@pytest.mark.parametrize("shape", [(), (0,), (0, 5), (1,)])
def test_scalars_and_empty_tensors(shape: tuple[int, ...]) -> None:
    assert torch.equal(perturbed(torch.zeros(shape), sigma=1.0).view(-1), gaussian(1, NAME, count=int(np.prod(shape))))


# Refusals


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64])
def test_seeds_out_of_range_are_refused(seed: int) -> None:
    with pytest.raises(ConfigError, match=f"seed {seed} is out of range"):
        gaussian(seed, NAME, count=1)
    with pytest.raises(ConfigError, match=f"seed {seed} is out of range"):
        perturbed(torch.zeros(3), seed=seed)


@pytest.mark.parametrize("sigma", [float("nan"), float("inf"), 1e300])
def test_sigmas_that_are_not_finite_are_refused(sigma: float) -> None:
    with pytest.raises(ConfigError, match="not a finite number"):
        perturbed(torch.zeros(3), sigma=sigma)


@pytest.mark.parametrize(("start", "count"), [(-1, 5), (0, -1), (2**63, 1)])
def test_blocks_outside_the_index_space_are_refused(start: int, count: int) -> None:
    with pytest.raises(ValueError, match="noise is addressed by"):
        gaussian(1, NAME, start=start, count=count)


def test_quantised_weights_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=f"{NAME} is stored as int8"):
        perturbed(torch.zeros(3, dtype=torch.int8))


@pytest.mark.parametrize(
    ("weight", "base", "message"),
    [
        (torch.zeros(3, 4), torch.zeros(4, 3), "shape"),
        (torch.zeros(3, 4).T, torch.zeros(4, 3), "contiguous"),
        (torch.zeros(4, 3), torch.zeros(3, 4).T, "contiguous"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(weight: torch.Tensor, base: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_perturbed(weight, base, seed=1, name=NAME, sigma=0.01)
    assert not weight.any()


def test_the_base_is_never_the_weight_itself() -> None:
    weight = torch.zeros(5)
    with pytest.raises(ValueError, match="keep a copy"):
        write_perturbed(weight, weight, seed=1, name=NAME, sigma=0.01)


def test_importing_the_module_does_not_load_the_compiler() -> None:
    check = "import sys, labkit.models.noise; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
