"""From counts a prompt to the numbers of one table row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labkit.stats.estimators import pass_at_k
from labkit.stats.intervals import wilson_mean


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate with its 95 % interval."""

    value: float
    low: float
    high: float


def powers_of_two(most: int) -> list[int]:
    """1, 2, 4, … up to `most`; `most` itself is left out unless it is one of them."""
    return [1 << exponent for exponent in range(most.bit_length())] if most >= 1 else []


def pass_at_k_rates(num_rollouts: npt.ArrayLike, num_correct: npt.ArrayLike, ks: list[int]) -> dict[int, Rate]:
    """Mean pass@k over prompts with its interval over prompts, for every k.

    Args:
        num_rollouts: (P,) rollouts made for each prompt, each at least max(ks)
        num_correct: (P,) how many of them are correct
        ks: numbers of rollouts drawn

    Raises:
        ValueError: as `pass_at_k`.
    """
    rates = {}
    for k in ks:
        values = np.atleast_1d(pass_at_k(num_rollouts, num_correct, k))  # (P,)
        # Draws of k that share no rollout are independent; there are no more of them than this.
        rates[k] = Rate(float(values.mean()), *wilson_mean(values, num_trials=float(np.sum(num_rollouts)) / k))
    return rates
