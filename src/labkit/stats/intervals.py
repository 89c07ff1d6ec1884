"""Confidence intervals that stay inside [0, 1] and keep a width when every value agrees."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt


def wilson(successes: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion (Wilson 1927).

    Args:
        successes: number of successes, 0 to n
        n: number of trials, greater than 0; both may be fractional when `n` is an effective size
        level: coverage

    Raises:
        ValueError: n is not positive, or successes lies outside [0, n].
    """
    if not n > 0:
        raise ValueError("an interval needs at least one trial")
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes in {n} trials")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # At the ends the bound is exact, and rounding must not move it past what was seen.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def wilson_mean(values: npt.ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Interval of the mean of values in [0, 1], one value a prompt.

    Wilson's interval at the effective sample size `p (1 - p) / (s^2 / n)`, as survey statistics use it for estimates
    with a design effect (Dean & Pagano 2015, doi 10.1093/jssam/smv024). Prompts are the sampling unit, so what varies
    between rollouts of one prompt is already in the spread of its value. For values that are all 0 or 1 it is Wilson's
    interval itself; where all prompts agree it is Wilson's at n prompts and does not shrink to a point.

    Args:
        values: (P,) in [0, 1], P of at least 1
        level: coverage

    Raises:
        ValueError: no values, or a value outside [0, 1].
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("an interval needs at least one value")
    if not ((array >= 0) & (array <= 1)).all():
        raise ValueError("a value lies outside [0, 1]")
    n, mean = array.size, min(max(float(array.mean()), 0.0), 1.0)
    spread = float(array.var())  # population variance: p (1 - p) exactly for zeros and ones
    most = mean * (1 - mean)
    effective = n * most / spread if spread > 1e-12 and most > 0 else float(n)
    return wilson(mean * effective, effective, level)
