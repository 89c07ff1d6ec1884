"""Confidence intervals that stay inside [0, 1] and keep a width when every value agrees."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, stdtrit


def wilson(successes: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion (Wilson 1927).

    Args:
        successes: number of successes, 0 to n
        n: number of trials, greater than 0; both may be fractional when `n` is an effective size
        level: coverage

    Raises:
        ValueError: n is not positive, or successes lies outside [0, n].
    """
    _refuse_impossible(successes, n)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # At the ends the bound is exact, and rounding must not move it past what was seen.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a proportion (Clopper & Pearson 1934): never below its coverage, and so wider than Wilson's.

    Args:
        successes: number of successes, 0 to n
        n: number of trials, greater than 0
        level: coverage

    Raises:
        ValueError: n is not positive, or successes lies outside [0, n].
    """
    _refuse_impossible(successes, n)
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return low, high


def newcombe(
    successes_a: float, n_a: float, successes_b: float, n_b: float, level: float = 0.95
) -> tuple[float, float, float]:
    """Difference b - a of two independent proportions with its interval, from the Wilson intervals of the two.

    Newcombe 1998 (Statistics in Medicine 17, 873-890), method 10, without continuity correction. It takes the trials
    for independent: where both conditions share their items, a paired interval (`paired_cluster_difference`,
    `cluster_bootstrap`) is the right one.

    Returns:
        The difference, and the low and high end of its interval, within [-1, 1].

    Raises:
        ValueError: as `wilson`, for either.
    """
    low_a, high_a = wilson(successes_a, n_a, level)
    low_b, high_b = wilson(successes_b, n_b, level)
    a, b = successes_a / n_a, successes_b / n_b
    difference = b - a
    return (
        difference,
        difference - math.hypot(b - low_b, high_a - a),
        difference + math.hypot(high_b - b, a - low_a),
    )


def wilson_mean(values: npt.ArrayLike, level: float = 0.95, *, num_trials: float | None = None) -> tuple[float, float]:
    """Interval of the mean of values in [0, 1], one value a prompt.

    Prompts are the sampling unit, so what varies between rollouts of one prompt is already in the spread of its value.
    Zeros and ones have Wilson's interval itself. Other values have Wilson's at the effective sample size `p (1 - p) /
    (s^2 / n)`, scaled by the squared ratio of the normal to the t quantile with n - 1 degrees of freedom, because s is an
    estimate (Korn & Graubard 1998, Survey Methodology 24). Where all prompts agree there is no spread to learn from,
    and the interval is Wilson's at n prompts: it never shrinks to a point.

    Args:
        values: (P,) in [0, 1], P of at least 1
        level: coverage
        num_trials: independent trials behind all values together, which the effective size cannot exceed

    Raises:
        ValueError: no values, or a value outside [0, 1].
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("an interval needs at least one value")
    if not ((array >= 0) & (array <= 1)).all():
        raise ValueError("a value lies outside [0, 1]")
    n, mean = array.size, min(max(float(array.mean()), 0.0), 1.0)
    if n == 1 or np.isin(array, (0.0, 1.0)).all() or array.var() < 1e-12:
        return wilson(mean * n, n, level)
    quantile = 0.5 + level / 2
    scale = NormalDist().inv_cdf(quantile) / float(stdtrit(n - 1, quantile))
    effective = n * mean * (1 - mean) / float(array.var(ddof=1)) * scale**2
    effective = min(effective, num_trials or math.inf)
    return wilson(mean * effective, effective, level)


def _refuse_impossible(successes: float, n: float) -> None:
    if not n > 0:
        raise ValueError("an interval needs at least one trial")
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes in {n} trials")
