"""Paired permutation tests: were the two conditions the same, their labels could be swapped item by item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labkit.stats.arrays import FloatArray
from labkit.stats.clusters import cluster_sums

MOST_PATTERNS = 1 << 20
LARGEST_UNIT = 240
MOST_VALUES = 1 << 23
LOG2_LEAST_P = -40


@dataclass(frozen=True, slots=True)
class Permutation:
    """A permutation test of a difference."""

    value: float
    """The difference that was observed."""
    p_value: float
    """Two-sided."""
    num_patterns: int
    """Different patterns of labels there are, or drawn ones."""
    exact: bool


def swap_permutation(
    numerators_a: npt.ArrayLike,
    denominators_a: npt.ArrayLike,
    numerators_b: npt.ArrayLike,
    denominators_b: npt.ArrayLike,
    *,
    num_samples: int = 100_000,
    seed: int = 0,
) -> Permutation:
    """Test of the difference b - a of two ratios of sums, the labels swapped within whole clusters.

    Under the null hypothesis a cluster's two pairs of sums are exchangeable. The p-value is the share of patterns of
    swaps whose difference is at least as large, either way (Good 2005, Permutation, Parametric and Bootstrap
    Tests of Hypotheses). Clusters with the same sums in both conditions change nothing and are left out. All patterns
    are counted up to 2^20 of them (with their mirror images 21 clusters that differ); beyond, `num_samples` are drawn,
    and the p-value is (1 + hits) / (1 + samples). A pattern that leaves one ratio undefined counts as large.

    Args:
        numerators_a, denominators_a: (T,) sums over each cluster in one condition
        numerators_b, denominators_b: (T,) in the other, the clusters in the same order
        num_samples: patterns drawn where they are too many to count
        seed: of those draws

    Raises:
        ValueError: as `cluster_sums` for either, other clusters in b than in a, or no samples.
    """
    a, b = np.stack(cluster_sums(numerators_a, denominators_a)), np.stack(cluster_sums(numerators_b, denominators_b))
    if a.shape != b.shape:
        raise ValueError(f"{a.shape[1]} clusters against {b.shape[1]}: a paired comparison needs the same ones in both")
    if num_samples < 1:
        raise ValueError("a sampled test needs at least one sample")
    moves = (b - a)[:, (a != b).any(axis=0)]  # (2, M) what swapping a cluster adds to the sums of a
    total_a, total_b = a.sum(axis=1), b.sum(axis=1)
    value = float(total_b[0] / total_b[1] - total_a[0] / total_a[1])
    # Swapping the complement only turns the sign, so one cluster can stay.
    free = max(0, moves.shape[1] - 1)
    exact = 1 << free <= MOST_PATTERNS
    if exact:
        large = _count_large(_all_subset_sums(moves[:, :free]), total_a, total_b, value)
        return Permutation(value, large / (1 << free), 1 << moves.shape[1], True)
    large = _count_large(_random_subset_sums(moves, num_samples, seed), total_a, total_b, value)
    return Permutation(value, (1 + large) / (1 + num_samples), num_samples, False)


def _random_subset_sums(moves: FloatArray, num_samples: int, seed: int) -> FloatArray:
    """(C, num_samples) sums of the columns of `moves` (C, M) over random subsets, each column in with chance one half.

    Eight columns at a time: a random byte is a subset of them, and its sum stands in a table of 256.
    """
    num_groups = -(-moves.shape[1] // 8)
    padded = np.zeros((moves.shape[0], 8 * num_groups))
    padded[:, : moves.shape[1]] = moves
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)  # (256, 8)
    tables = padded.reshape(-1, num_groups, 8) @ bits.T  # (C, num_groups, 256)
    generator = np.random.default_rng(seed)
    sums = np.zeros((moves.shape[0], num_samples))
    for group in range(num_groups):
        sums += tables[:, group, generator.integers(0, 256, num_samples, dtype=np.uint8)]
    return sums


def _all_subset_sums(moves: FloatArray) -> FloatArray:
    """(C, 2^M) sums of the columns of `moves` (C, M) over every subset."""
    sums = np.zeros((moves.shape[0], 1))
    for move in moves.T:
        sums = np.concatenate([sums, sums + move[:, None]], axis=1)
    return sums


def _count_large(moved: FloatArray, total_a: FloatArray, total_b: FloatArray, value: float) -> int:
    """How many patterns have a difference of at least `value`, up to rounding."""
    top_a, bottom_a = total_a[:, None] + moved
    top_b, bottom_b = total_b[:, None] - moved
    defined = (bottom_a > 0) & (bottom_b > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.abs(top_b / bottom_b - top_a / bottom_a)
    rounding = 1e-12 * (abs(total_a[0] / total_a[1]) + abs(total_b[0] / total_b[1]))
    return int(np.count_nonzero(~defined | (difference >= abs(value) - rounding)))


def sign_flip_permutation(differences: npt.ArrayLike, *, num_samples: int = 10_000, seed: int = 0) -> Permutation:
    """Test of a mean of paired differences, the sign of each turned at random (Fisher 1935, section 21).

    Exact when at most 21 differences are not 0, and when all are whole multiples of some fraction of the largest, down
    to 1 / 240 of it, as differences of accuracies over N rollouts are; then the distribution of the sum comes from its
    Fourier transform, a product of cosines, to 1e-12, and no p-value is given as less than 2^-40. For differences of -1,
    0 and 1 this is McNemar's exact test. Otherwise, and where the sum can have some millions of values, `num_samples`
    patterns of signs are drawn and the p-value is (1 + hits) / (1 + samples).

    Args:
        differences: (P,) one a prompt; zeros change nothing
        num_samples: patterns drawn where the test cannot be exact
        seed: of those draws

    Raises:
        ValueError: no differences, one that is not finite, or no samples.
    """
    array = np.asarray(differences, dtype=np.float64)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise ValueError("a sign-flip test needs at least one difference, all of them finite")
    if num_samples < 1:
        raise ValueError("a sampled test needs at least one sample")
    value = float(array.mean())
    sizes, observed = np.abs(array), abs(float(array.sum()))
    largest = float(sizes.max())
    sizes = sizes[sizes > 1e-12 * largest] / (largest or 1.0)
    if not sizes.size:
        return Permutation(value, 1.0, 1, True)
    observed, num_patterns = observed / largest, 1 << min(sizes.size, 1023)
    if (whole := _as_whole_numbers(sizes)) is not None:
        steps, unit = whole
        return Permutation(value, _lattice_p(steps, round(observed * unit)), num_patterns, True)
    least = observed - 1e-12 * sizes.size
    if 1 << (sizes.size - 1) <= MOST_PATTERNS:
        positive = _all_subset_sums(sizes[None, 1:])[0]
        exact = True
    else:
        positive = _random_subset_sums(sizes[None], num_samples, seed)[0]
        exact = False
    large = int(np.count_nonzero(np.abs(2 * positive - sizes.sum()) >= least))
    p_value = large / positive.size if exact else (1 + large) / (1 + num_samples)
    return Permutation(value, p_value, num_patterns if exact else num_samples, exact)


def _as_whole_numbers(sizes: FloatArray) -> tuple[npt.NDArray[np.int64], int] | None:
    """The sizes, 1 the largest, in the largest unit 1 / u that they are whole multiples of, and u."""
    distinct = np.unique(sizes.round(12))
    if distinct.size > LARGEST_UNIT:
        return None
    scaled = distinct * np.arange(1, LARGEST_UNIT + 1)[:, None]  # (units, D)
    fits = (scaled[:, 0] > 0.5) & (np.abs(scaled - scaled.round()).max(axis=1) < 1e-9)
    unit = int(fits.argmax()) + 1
    # The test costs as much as the sum has values, once for each distinct size.
    if not fits.any() or sizes.sum() * unit * distinct.size >= MOST_VALUES:
        return None
    return np.rint(sizes * unit).astype(np.int64), unit


def _lattice_p(steps: npt.NDArray[np.int64], observed: int) -> float:
    """Chance that the sum of steps with random signs is at least `observed` away from 0."""
    distinct, counts = np.unique(steps, return_counts=True)
    total = int(steps.sum())
    # u, the sum of the steps with a positive sign, is 0 … total, and the sum of all is 2 u - total. The transform of u
    # is a product of cosines, times a phase; every angle is one of 2 length, so that a table holds all.
    length = 1 << total.bit_length()  # more than u has values, and quick to transform
    frequency = np.arange(length // 2 + 1)
    cosines = np.cos(np.pi / length * np.arange(2 * length))
    logs = np.log(np.maximum(np.abs(cosines), 1e-300))
    size, negative = np.zeros(len(frequency)), np.zeros(len(frequency), dtype=np.int64)
    for step, count in zip(distinct, counts, strict=True):
        place = frequency * step % (2 * length)
        size += count * logs[place]
        negative += count * (cosines[place] < 0)
    phase = np.exp(-1j * np.pi * (frequency * total % (2 * length)) / length)
    chances = np.maximum(np.fft.irfft(np.exp(size) * (1 - 2 * (negative % 2)) * phase, length), 0.0)
    far = np.abs(2 * np.arange(total + 1) - total) >= observed
    # No pattern is rarer than the one observed and its mirror image, and below 1e-12 the transform holds rounding only.
    return float(min(1.0, max(chances[: total + 1][far].sum(), 2.0 ** max(1 - steps.size, LOG2_LEAST_P))))
