"""Percentile intervals from resampling whole clusters (Efron & Tibshirani 1993, chapter 13)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from labkit.stats.arrays import CHUNK, FloatArray
from labkit.stats.clusters import cluster_sums


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """A value with the percentile interval of its resamples."""

    value: float
    low: float
    high: float
    num_draws: int
    num_undefined: int
    """Resamples whose denominators were all 0; the interval is of the others."""


def resampled_sums(columns: FloatArray, num_draws: int, seed: int) -> FloatArray:
    """(num_draws, C) sums over T rows drawn with replacement from `columns` (T, C); one draw serves all columns."""
    num_clusters = len(columns)
    if num_draws * num_clusters <= CHUNK:  # few clusters are resampled for one table after another: drawn once
        return np.asarray(_few_counts(num_clusters, num_draws, seed) @ columns)
    generator = np.random.default_rng(seed)
    sums = np.empty((num_draws, columns.shape[1]))
    step = max(1, CHUNK // num_clusters)
    for begin in range(0, num_draws, step):
        num_rows = min(step, num_draws - begin)
        sums[begin : begin + num_rows] = _drawn_counts(generator, num_rows, num_clusters) @ columns
    return sums


@lru_cache(maxsize=2)
def _few_counts(num_clusters: int, num_draws: int, seed: int) -> FloatArray:
    counts = _drawn_counts(np.random.default_rng(seed), num_draws, num_clusters)
    counts.flags.writeable = False
    return counts


def _drawn_counts(generator: np.random.Generator, num_rows: int, num_clusters: int) -> FloatArray:
    """(num_rows, T) how often each cluster comes among T that are drawn with replacement."""
    drawn = generator.integers(0, num_clusters, (num_rows, num_clusters), dtype=np.int32)
    drawn += np.arange(num_rows, dtype=np.int32)[:, None] * num_clusters
    return np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)


def _check(num_clusters: int, num_draws: int, level: float) -> None:
    if num_clusters < 2:
        raise ValueError("resampling a single cluster gives it back; an interval needs at least two")
    if num_draws < 100:
        raise ValueError(f"{num_draws} draws: percentiles of a bootstrap need at least 100")
    if not 0 < level < 1:
        raise ValueError(f"the level is {level}; it lies between 0 and 1")


def cluster_bootstrap(
    numerators: npt.ArrayLike,
    denominators: npt.ArrayLike,
    other_numerators: npt.ArrayLike | None = None,
    other_denominators: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
    num_draws: int = 20_000,
    seed: int = 0,
) -> Bootstrap:
    """Interval of a ratio of sums over clusters, or of the paired difference, other minus first, of two.

    T clusters are drawn with replacement, the same for both ratios, and the ratios recomputed; the interval is of the
    percentiles. Numerators may be negative (differences), denominators not.

    Args:
        numerators, denominators: (T,) sums over each cluster
        other_numerators, other_denominators: (T,) of the other condition, the clusters in the same order; both or none
        level: coverage
        num_draws: resamples
        seed: of the draws; the same seed gives the same interval

    Raises:
        ValueError: as `cluster_sums`; other clusters in the other condition; fewer than two clusters or 100 draws;
            more than half of the resamples undefined.
    """
    columns = [*cluster_sums(numerators, denominators)]
    if (other_numerators is None) != (other_denominators is None):
        raise ValueError("the other condition needs both numerators and denominators")
    if other_numerators is not None and other_denominators is not None:
        columns += cluster_sums(other_numerators, other_denominators)
        if columns[2].shape != columns[0].shape:
            raise ValueError(
                f"{columns[0].size} clusters against {columns[2].size}: a paired comparison needs the same ones in both"
            )
    _check(columns[0].size, num_draws, level)
    sums = resampled_sums(np.stack(columns, axis=1), num_draws, seed)
    defined = (sums[:, 1::2] > 0).all(axis=1)
    if 2 * np.count_nonzero(defined) < num_draws:
        raise ValueError("most resamples have no denominator: too few clusters hold any trial for an interval")
    totals = np.concatenate([np.sum(columns, axis=1)[None], sums[defined]])
    ratios = totals[:, 0::2] / totals[:, 1::2]
    values = ratios[:, -1] - ratios[:, 0] if len(columns) == 4 else ratios[:, 0]
    low, high = np.quantile(values[1:], [(1 - level) / 2, (1 + level) / 2])
    return Bootstrap(float(values[0]), float(low), float(high), num_draws, int(num_draws - defined.sum()))


@dataclass(frozen=True, slots=True)
class BootstrapMeans:
    """Means of columns with percentile intervals that share their draws."""

    value: FloatArray
    """(C,)"""
    low: FloatArray
    """(C,)"""
    high: FloatArray
    """(C,)"""
    num_draws: int


def bootstrap_means(
    values: npt.ArrayLike, *, level: float = 0.95, num_draws: int = 10_000, seed: int = 0
) -> BootstrapMeans:
    """Percentile intervals of the means over prompts of each column: the points of a curve over k, or differences.

    Args:
        values: (P, C), or (P,) for one column
        level: coverage
        num_draws: resamples of prompts, the same for all columns
        seed: of the draws

    Raises:
        ValueError: a value that is not finite, fewer than two prompts, or fewer than 100 draws.
    """
    table = np.asarray(values, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or not np.isfinite(table).all():
        raise ValueError("means need finite values, one row a prompt")
    _check(len(table), num_draws, level)
    means = resampled_sums(table, num_draws, seed) / len(table)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return BootstrapMeans(table.mean(axis=0), low, high, num_draws)
