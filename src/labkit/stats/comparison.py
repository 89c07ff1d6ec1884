"""Two conditions on the same prompts, and many such comparisons at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from labkit.stats.arrays import FloatArray
from labkit.stats.contingency import mcnemar_exact
from labkit.stats.permutation import sign_flip_permutation
from labkit.stats.power import mde


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """The mean difference b - a over the same prompts."""

    value: float
    low: float
    high: float
    standard_error: float
    p_value: float
    test: str
    """`mcnemar` (both 0 or 1), `sign-flip` (exact), `sign-flip, sampled`, or `choice resampled` (`cross_fitted_best`)."""
    num_better: int
    """Prompts on which b is above a; this and `num_worse` are for scripts, who state the discordant counts beside p."""
    num_worse: int
    num_prompts: int
    mde: float | None
    """Difference that this many prompts with this much disagreement would show 8 times in 10; None without any."""


def paired_difference(
    a: npt.ArrayLike, b: npt.ArrayLike, level: float = 0.95, *, num_samples: int = 10_000, seed: int = 0
) -> PairedDifference:
    """Mean of b - a over prompts: paired standard error `sd(d) / sqrt(P)`, t interval, and an exact test where there is one.

    McNemar's exact test when all values are 0 or 1, otherwise `sign_flip_permutation`. The minimum detectable effect
    is `2.8 sqrt(mean(d^2) / P)`, for 0/1 values `2.8 sqrt(discordance / P)` (Miller 2024, arXiv 2411.00640, section 5).
    The interval has no width when every prompt has the same difference, and says nothing then.

    Args:
        a, b: (P,) accuracy of each prompt in the two conditions, in the same order
        level: coverage
        num_samples, seed: of the test where it cannot be exact

    Raises:
        ValueError: shapes that differ, fewer than two prompts, or a value that is not finite.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or first.size < 2:
        raise ValueError(f"{first.size} prompts against {second.size}: a paired comparison needs the same two or more")
    difference = second - first
    if not np.isfinite(difference).all():
        raise ValueError("a value is not finite")
    n, value = difference.size, float(difference.mean())
    better, worse = int((difference > 1e-12).sum()), int((difference < -1e-12).sum())
    if np.isin(first, (0.0, 1.0)).all() and np.isin(second, (0.0, 1.0)).all():
        p_value, test = mcnemar_exact(worse, better), "mcnemar"
    else:
        flips = sign_flip_permutation(difference, num_samples=num_samples, seed=seed)
        p_value, test = flips.p_value, "sign-flip" if flips.exact else "sign-flip, sampled"
    error = float(difference.std(ddof=1)) / math.sqrt(n)
    half = float(stdtrit(n - 1, 0.5 + level / 2)) * error
    spread = math.sqrt(float((difference**2).mean()))
    detectable = mde(n, spread, level=level) if better or worse else None
    return PairedDifference(value, value - half, value + half, error, p_value, test, better, worse, n, detectable)


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """p-values adjusted for their number by Holm's step-down method (Holm 1979), which bounds the chance of any false alarm.

    Args:
        p_values: (M,)

    Returns:
        (M,) in the given order, each at most 1; a value of at most alpha is significant at alpha over the whole table.

    Raises:
        ValueError: a p-value outside [0, 1], NaN among them.
    """
    array = _check_p(p_values)
    order = np.argsort(array, kind="stable")
    adjusted = np.maximum.accumulate(array[order] * np.arange(array.size, 0, -1))
    result = np.empty_like(array)
    result[order] = np.minimum(adjusted, 1.0)
    return result


def benjamini_hochberg(p_values: npt.ArrayLike) -> FloatArray:
    """p-values adjusted by Benjamini & Hochberg 1995, which bounds the expected share of false alarms among alarms.

    Arguments, returned shape and errors are those of `holm`.
    """
    array = _check_p(p_values)
    order = np.argsort(array, kind="stable")[::-1]
    adjusted = np.minimum.accumulate(array[order] * array.size / np.arange(array.size, 0, -1))
    result = np.empty_like(array)
    result[order] = np.minimum(adjusted, 1.0)
    return result


def _check_p(p_values: npt.ArrayLike) -> FloatArray:
    array = np.asarray(p_values, dtype=np.float64)
    if array.ndim != 1 or not ((array >= 0) & (array <= 1)).all():
        raise ValueError("a p-value lies outside [0, 1]")
    return array
