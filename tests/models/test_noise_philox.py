"""The stream itself: Philox against published answers, and both implementations against a plain reference."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import ndtri

from labkit.errors import MachineError
from labkit.models.noise import Fill, gaussian, philox_cpu, philox_torch
from labkit.models.noise import table as noise_table

IMPLEMENTATIONS = pytest.mark.parametrize("fill", [philox_cpu.fill, philox_torch.fill], ids=["cpu", "torch"])
LEVELS = torch.arange(65536, dtype=torch.float32)
"""A table that gives back the 16-bit indices themselves."""


def reference_philox(counter: NDArray[np.uint64], key: tuple[int, int]) -> NDArray[np.uint64]:
    """Philox4x32-10 as published: `(n, 4)` words of the counter, two of the key, to `(n, 4)` words."""
    low = np.uint64(0xFFFFFFFF)
    c0, c1, c2, c3 = counter.T
    k0, k1 = map(np.uint64, key)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (p1 >> np.uint64(32)) ^ c1 ^ k0, p1 & low, (p0 >> np.uint64(32)) ^ c3 ^ k1, p0 & low
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & low, (k1 + np.uint64(0xBB67AE85)) & low
    return np.stack((c0, c1, c2, c3), axis=1)


def reference_levels(key: int, start: int, count: int) -> NDArray[np.int64]:
    """The 16-bit table indices of elements `start` to `start + count` of a stream."""
    blocks = range(start // 8, (start + count + 7) // 8)
    counter = np.array([[block & 0xFFFFFFFF, block >> 32, 0, 0] for block in blocks], dtype=np.uint64).reshape(-1, 4)
    words = reference_philox(counter, (key & 0xFFFFFFFF, key >> 32)).astype(np.int64)
    halves = np.stack((words & 0xFFFF, words >> 16), axis=-1).reshape(-1)
    return halves[start % 8 :][:count]


def reference_gaussian(seed: int, name: str, start: int, count: int) -> NDArray[np.float32]:
    """The whole scheme again, from its description, with scipy's quantiles."""
    digest = hashlib.blake2b(seed.to_bytes(8, "little") + name.encode(), digest_size=8, person=b"labkit-noise-1")
    quantiles = ndtri((np.arange(65536) + 0.5) / 65536)
    quantiles /= np.sqrt(np.mean(quantiles**2))
    levels = reference_levels(int.from_bytes(digest.digest(), "little"), start, count)
    values: NDArray[np.float32] = quantiles[levels].astype(np.float32)
    return values


def filled(fill: Fill, key: int, start: int, count: int) -> NDArray[np.int64]:
    out = torch.empty(count)
    fill(out, LEVELS, key, start)
    return out.numpy().astype(np.int64)


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_reference_gives_the_answers_published_with_random123(counter: str, key: str, words: str) -> None:
    def parse(text: str) -> list[int]:
        return [int(word, 16) for word in text.split()]

    k0, k1 = parse(key)
    assert reference_philox(np.array([parse(counter)], dtype=np.uint64), (k0, k1)).tolist() == [parse(words)]


@IMPLEMENTATIONS
def test_first_words_are_the_published_ones_low_half_first(fill: Fill) -> None:
    assert filled(fill, 0, 0, 8).tolist() == [0xE8D5, 0x6627, 0xC58D, 0xE169, 0xAC4C, 0xBC57, 0xDBD8, 0x9B00]


@IMPLEMENTATIONS
@settings(max_examples=60)
@given(
    key=st.integers(0, 2**64 - 1),
    start=st.one_of(st.integers(0, 5000), st.integers(2**35 - 2000, 2**35 + 2000), st.integers(0, 2**62)),
    count=st.integers(0, 1500),
)
def test_implementations_equal_the_reference_at_any_offset(fill: Fill, key: int, start: int, count: int) -> None:
    assert np.array_equal(filled(fill, key, start, count), reference_levels(key, start, count))


@IMPLEMENTATIONS
def test_extreme_keys_and_indices(fill: Fill) -> None:
    for key in (0, 2**32 - 1, 2**32, 2**64 - 1):
        for start in (0, 2**32 - 3, 2**35 - 3, 2**63 - 20):
            assert np.array_equal(filled(fill, key, start, 20), reference_levels(key, start, 20))


@pytest.mark.parametrize(
    ("seed", "name", "start"),
    [(0, "", 0), (7, "model.layers.3.mlp.up_proj.weight", 5), (2**63 - 1, "größe", 2**33 + 1)],
)
def test_gaussian_follows_the_description(seed: int, name: str, start: int) -> None:
    expected = reference_gaussian(seed, name, start, 3000)
    np.testing.assert_array_max_ulp(gaussian(seed, name, start=start, count=3000).numpy(), expected, maxulp=1)


GOLDEN: list[tuple[int, str, int, str]] = [
    (0, "model.embed_tokens.weight", 0, "-0x1.2ef97c0000000p+0"),
    (0, "model.embed_tokens.weight", 1, "0x1.c060fc0000000p-2"),
    (1, "model.embed_tokens.weight", 0, "0x1.5d313e0000000p+0"),
    (42, "model.layers.0.self_attn.q_proj.weight", 12345, "-0x1.5e9cd80000000p+0"),
    (42, "model.layers.1.self_attn.q_proj.weight", 12345, "0x1.377ad40000000p-1"),
    (2**63 - 1, "lm_head.weight", 2**36 + 7, "-0x1.9609740000000p-4"),
]


@pytest.mark.parametrize(("seed", "name", "index", "value"), GOLDEN)
def test_values_stay_what_recorded_runs_were_made_with(seed: int, name: str, index: int, value: str) -> None:
    # A failure means that old runs can no longer be reproduced: give the scheme a new version (STREAM).
    assert float(gaussian(seed, name, start=index, count=1)).hex() == value


def test_table_is_the_gaussian_quantiles_to_float32_rounding() -> None:
    quantiles = ndtri((np.arange(65536) + 0.5) / 65536)
    quantiles /= np.sqrt(math.fsum(quantiles**2) / 65536)
    np.testing.assert_array_max_ulp(noise_table.compute_table(), quantiles.astype(np.float32), maxulp=1)


def test_table_has_mean_exactly_zero_and_unit_variance() -> None:
    table = noise_table.gaussian_table()
    assert table.shape == (65536,) and table.dtype == np.float32
    assert np.array_equal(table, -table[::-1])
    assert np.all(np.diff(table) > 0)
    assert abs(np.mean(table.astype(np.float64) ** 2) - 1) < 1e-8


def test_table_with_other_bits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    table = noise_table.compute_table()
    table[100] = np.nextafter(table[100], np.float32(0))
    monkeypatch.setattr(noise_table, "compute_table", lambda: table)
    with pytest.raises(MachineError, match="differs from the pinned one"):
        noise_table.gaussian_table.__wrapped__()
