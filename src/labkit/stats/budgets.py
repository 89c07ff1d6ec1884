"""pass@k where a budget is shared between two sources, or is no whole number of rollouts."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from labkit.stats.arrays import FloatArray
from labkit.stats.estimators import pass_at_k


def union_pass_at_k(
    num_rollouts_a: npt.ArrayLike,
    num_correct_a: npt.ArrayLike,
    k_a: int,
    num_rollouts_b: npt.ArrayLike,
    num_correct_b: npt.ArrayLike,
    k_b: int,
) -> FloatArray:
    """Chance that `k_a` rollouts of one source and `k_b` of another hold a correct one: one minus both chances of none.

    Unbiased where the draws of the two sources are independent, because the mean of a product of independent estimates is the
    product of their means. Sources that share their random numbers are not independent.

    Args:
        num_rollouts_a, num_correct_a: (P,) as `pass_at_k`
        k_a: rollouts drawn from the first
        num_rollouts_b, num_correct_b, k_b: of the second, the prompts in the same order

    Returns:
        (P,) values in [0, 1]

    Raises:
        ValueError: as `pass_at_k`, for either, or other prompts.
    """
    a = np.atleast_1d(pass_at_k(np.asarray(num_rollouts_a), np.asarray(num_correct_a), k_a))
    b = np.atleast_1d(pass_at_k(np.asarray(num_rollouts_b), np.asarray(num_correct_b), k_b))
    if a.shape != b.shape:
        raise ValueError(f"{a.size} prompts against {b.size}: a union needs the same ones from both sources")
    return 1 - (1 - a) * (1 - b)


def pass_at_mean_k(num_rollouts: npt.ArrayLike, num_correct: npt.ArrayLike, k: float) -> FloatArray:
    """pass@k at a budget of `k` rollouts in the mean: pass@3 and pass@4 mixed so that 3.8 are drawn on average.

    A whole k gives `pass_at_k`; below 1 it is the chance that there is a rollout at all times pass@1.

    Args:
        num_rollouts, num_correct: (P,) as `pass_at_k`
        k: mean number of rollouts drawn, above 0 and at most every n

    Returns:
        (P,) values in [0, 1]

    Raises:
        ValueError: as `pass_at_k`, or k is not positive.
    """
    if not k > 0:
        raise ValueError(f"k is {k}; a budget is above 0")
    rollouts, correct = np.asarray(num_rollouts), np.asarray(num_correct)
    whole = math.floor(k + 1e-9)
    share = max(k - whole, 0.0)
    fewer = (
        np.atleast_1d(pass_at_k(rollouts, correct, whole)) if whole else np.zeros(np.broadcast(rollouts, correct).size)
    )
    if share < 1e-9:
        return fewer
    return (1 - share) * fewer + share * np.atleast_1d(pass_at_k(rollouts, correct, whole + 1))
