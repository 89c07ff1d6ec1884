"""Whether values change along the order in which they came."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labkit.stats.arrays import CHUNK, FloatArray


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """The place that splits a series best into two of different level."""

    position: int
    """Index of the first value after the change."""
    before: float
    """Mean of the values before it."""
    after: float
    """Mean of those from it on."""
    p_value: float
    """Chance of a split this clear among values in random order."""


def change_point(
    values: npt.ArrayLike, *, margin: int = 5, num_samples: int = 999, seed: int = 0
) -> ChangePoint | None:
    """The clearest change of level along a series, with a permutation test that allows for the search.

    The largest standardised difference of mean ranks before and after any place (the two-sample rank statistic that
    Pettitt 1979, Applied Statistics 28, maximises, each place scaled by its own standard deviation), so single outliers do not
    matter and 0/1 values are as good as lengths. The p-value is (1 + hits) / (1 + samples) over random orders. It takes
    values for exchangeable: of several rollouts of a prompt give one mean.

    Args:
        values: (M,) in the order in which they came
        margin: values that each side has at least
        num_samples: random orders
        seed: of them

    Returns:
        None where there is nothing to split: fewer than 2 margins, or values that are all the same.

    Raises:
        ValueError: values that are not finite, a margin below 1, or no samples.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError("a change is sought among finite values in a row")
    if margin < 1 or num_samples < 1:
        raise ValueError(f"a margin of {margin} and {num_samples} samples: both are at least 1")
    n = array.size
    if n < 2 * margin or array.min() == array.max():
        return None
    ranks = _centred_ranks(array)
    place = np.arange(margin, n - margin + 1)  # values before the split
    scale = 1 / np.sqrt(place * (n - place) / n)
    observed = np.abs(np.cumsum(ranks)[place - 1]) * scale
    best = int(observed.argmax())
    generator, hits, rows = np.random.default_rng(seed), 0, max(1, CHUNK // n)
    for begin in range(0, num_samples, rows):
        shuffled = generator.permuted(np.tile(ranks, (min(rows, num_samples - begin), 1)), axis=1)
        largest = (np.abs(np.cumsum(shuffled, axis=1)[:, place - 1]) * scale).max(axis=1)
        hits += int(np.count_nonzero(largest >= observed[best] * (1 - 1e-12)))
    split = int(place[best])
    return ChangePoint(split, float(array[:split].mean()), float(array[split:].mean()), (1 + hits) / (1 + num_samples))


def _centred_ranks(values: FloatArray) -> FloatArray:
    """(M,) ranks less their mean, the mean rank for ties."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    return np.asarray(middle[which] - (values.size + 1) / 2)
