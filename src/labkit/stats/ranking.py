"""Whether a score chooses better than chance: were it blind, any arrangement of a prompt's verdicts would be as likely."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from labkit.stats.arrays import FloatArray
from labkit.stats.permutation import LOG2_LEAST_P, Permutation

MOST_VALUES = 1 << 20
"""Values of the sum up to which its law is worked out; beyond, it is drawn from."""

IntArray = npt.NDArray[np.int64]


def ranking_permutation(
    num_candidates: npt.ArrayLike,
    num_correct: npt.ArrayLike,
    num_best: npt.ArrayLike,
    num_best_correct: npt.ArrayLike,
    *,
    num_samples: int = 100_000,
    seed: int = 0,
) -> Permutation:
    """Test of the accuracy of the candidate with the best score against a random choice, verdicts permuted within prompts.

    Each prompt has n candidates of which c are right, and its best score is shared by a of them, h of which are right:
    the choice is right with chance h / a. Under the null hypothesis scores say nothing of verdicts, so that h is
    hypergeometric (a drawn out of n with c right), independently from prompt to prompt, and its mean a c / n. The p-value
    is the chance of a mean of h / a at least as far from that of c / n as the observed one, either way. It is exact,
    by Fourier transforms to 1e-12 and never below 2^-40, while the sum over prompts has at most 2^20 values; else it is
    (1 + hits) / (1 + samples) over sums drawn from the exact laws of prompts with equally many best candidates.

    Unlike sign flips it does not take the difference of a prompt for symmetric, which h / a - c / n is only at c = n / 2.

    Args:
        num_candidates, num_correct, num_best, num_best_correct: (P,) n, c, a and h of each prompt
        num_samples: sums drawn where they have too many values
        seed: of those draws

    Raises:
        ValueError: no prompts, shapes that differ, counts that cannot be, or no samples.
    """
    counts = [np.asarray(each) for each in (num_candidates, num_correct, num_best, num_best_correct)]
    n, c, a, h = (each.astype(np.int64) for each in counts)
    _check(n, c, a, h, num_samples)
    expected, observed = float((c / n).sum()), float((h / a).sum())
    least = abs(observed - expected) - 1e-9
    sizes = np.unique(a).tolist()
    laws = {size: _law_of_sum(n[a == size], c[a == size], size) for size in sizes}
    unit, value = math.lcm(*sizes), (observed - expected) / n.size
    if unit * n.size < MOST_VALUES:
        law = _joined(laws, unit, unit * n.size)
        far = np.abs(np.arange(law.size) / unit - expected) >= least
        p_value = min(1.0, max(float(law[far].sum()), 2.0**LOG2_LEAST_P))
        return Permutation(value, p_value, _num_patterns(n, a), True)
    generator, sums = np.random.default_rng(seed), np.zeros(num_samples)
    for size, law in laws.items():
        sums += np.searchsorted(np.cumsum(law)[:-1], generator.random(num_samples), side="right") / size
    hits = int(np.count_nonzero(np.abs(sums - expected) >= least))
    return Permutation(value, (1 + hits) / (1 + num_samples), num_samples, False)


def _check(n: IntArray, c: IntArray, a: IntArray, h: IntArray, num_samples: int) -> None:
    if n.ndim != 1 or not n.size or len({each.shape for each in (n, c, a, h)}) != 1:
        raise ValueError("a test of a ranking needs at least one prompt, and the same ones in every count")
    possible = (a >= 1) & (a <= n) & (c >= 0) & (c <= n) & (h <= np.minimum(a, c)) & (h >= np.maximum(0, a - n + c))
    if not possible.all():
        raise ValueError(f"prompt {int(np.flatnonzero(~possible)[0])} has counts that cannot be")
    if num_samples < 1:
        raise ValueError("a sampled test needs at least one sample")


def _law_of_sum(n: IntArray, c: IntArray, size: int) -> FloatArray:
    """Chance of every number of right ones among the best of some prompts together, `size` of each prompt."""
    most = size * n.size
    length = 1 << most.bit_length()
    transform = np.ones(length // 2 + 1, dtype=np.complex128)
    pairs, times = np.unique(np.stack([n, c], axis=1), axis=0, return_counts=True)
    for (candidates, correct), count in zip(pairs.tolist(), times.tolist(), strict=True):
        transform *= np.fft.rfft(_hypergeometric(candidates, correct, size), length) ** count
    return np.maximum(np.fft.irfft(transform, length)[: most + 1], 0.0)


def _hypergeometric(candidates: int, correct: int, drawn: int) -> FloatArray:
    """(drawn + 1,) chance of every number of correct ones among `drawn` of the candidates."""
    ways = [math.comb(correct, hits) * math.comb(candidates - correct, drawn - hits) for hits in range(drawn + 1)]
    return np.array([way / math.comb(candidates, drawn) for way in ways])


def _joined(laws: dict[int, FloatArray], unit: int, most: int) -> FloatArray:
    """(most + 1,) law of the sum of independent numbers, each divided by its size, in steps of 1 / unit."""
    if len(laws) == 1:
        return next(iter(laws.values()))
    length = 1 << most.bit_length()
    transform = np.ones(length // 2 + 1, dtype=np.complex128)
    for size, law in laws.items():
        spread = np.zeros(length)
        spread[: (law.size - 1) * (unit // size) + 1 : unit // size] = law
        transform *= np.fft.rfft(spread)
    return np.maximum(np.fft.irfft(transform, length)[: most + 1], 0.0)


def _num_patterns(n: IntArray, a: IntArray) -> int:
    """Ways to choose the best of every prompt, as far as a float can say."""
    ways = math.prod(math.comb(candidates, best) for candidates, best in zip(n.tolist(), a.tolist(), strict=True))
    return min(ways, 1 << 1023)
