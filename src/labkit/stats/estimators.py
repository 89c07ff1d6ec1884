"""Estimators over the rollouts of one prompt."""

from __future__ import annotations

from typing import overload

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@overload
def pass_at_k(num_rollouts: int, num_correct: int, k: int) -> float: ...
@overload
def pass_at_k(num_rollouts: npt.ArrayLike, num_correct: npt.ArrayLike, k: int) -> FloatArray: ...
def pass_at_k(num_rollouts: npt.ArrayLike, num_correct: npt.ArrayLike, k: int) -> float | FloatArray:
    """Chance that at least one of `k` rollouts, drawn without replacement from those made, is correct.

    The unbiased estimator `1 - C(n-c, k) / C(n, k)` of Chen et al. 2021 (arXiv 2107.03374, equation 1), as a running
    product over the correct ones so that no factorial overflows.

    Args:
        num_rollouts: n, rollouts made for each prompt; a number or an array (P,)
        num_correct: c, how many of them are correct; same shape
        k: rollouts drawn

    Returns:
        A value in [0, 1], or an array (P,) of them.

    Raises:
        ValueError: k < 1, k > n, or c outside [0, n] for some prompt.
    """
    rollouts, correct = np.broadcast_arrays(np.asarray(num_rollouts), np.asarray(num_correct))
    if k < 1:
        raise ValueError(f"k is {k}; pass@k needs k of at least 1")
    if rollouts.size and (rollouts.min() < k):
        raise ValueError(f"k is {k}, but a prompt has only {rollouts.min()} rollouts")
    if rollouts.size and ((correct < 0) | (correct > rollouts)).any():
        raise ValueError("the number of correct rollouts lies outside [0, num_rollouts]")
    values = np.empty(rollouts.shape, dtype=np.float64)
    for n in np.unique(rollouts):
        # Entry c is the chance that k draws miss all of c correct ones; past n - k of them no draw can.
        misses = np.cumprod(np.concatenate([[1.0], np.maximum(1 - k / np.arange(n, 0, -1.0), 0.0)]))  # (n + 1,)
        here = rollouts == n
        values[here] = 1 - misses[correct[here]]
    return float(values) if values.ndim == 0 else values
