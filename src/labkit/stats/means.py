"""The interval of a mean of measurements that have no upper end."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit


def student_half_width(values: npt.NDArray[np.float64], level: float = 0.95) -> float:
    """`t s / sqrt(n)` with n - 1 degrees of freedom, for n of at least 2."""
    return float(stdtrit(values.size - 1, 0.5 + level / 2)) * float(values.std(ddof=1)) / math.sqrt(values.size)


def student_mean(values: npt.ArrayLike, level: float = 0.95, *, least: float = -math.inf) -> tuple[float, float] | None:
    """Student's t interval of a mean: `mean ± t s / sqrt(n)`, with n - 1 degrees of freedom.

    Args:
        values: (N,)
        level: coverage
        least: the smallest value that a measurement can have; the interval is cut there

    Returns:
        Low and high; None for a single value, whose spread nobody knows.

    Raises:
        ValueError: no values.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("an interval needs at least one value")
    if array.size == 1:
        return None
    mean = float(array.mean())
    half = student_half_width(array, level)
    return max(least, mean - half), mean + half
