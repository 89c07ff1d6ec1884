"""Estimators over the rollouts of one prompt."""

from __future__ import annotations

import math
from typing import overload

import numpy as np
import numpy.typing as npt
from scipy.special import betaln

from labkit.stats.arrays import FloatArray

IntArray = npt.NDArray[np.int64]


def chance_of_none(n: int, k: int) -> FloatArray:
    """(n + 1,) entry c is the chance that `k` of `n`, drawn without replacement, hold none of `c` marked ones.

    `C(n-c, k) / C(n, k)` as a running product, so that no factorial overflows; 0 where c leaves fewer than k unmarked.
    """
    return np.cumprod(np.concatenate([[1.0], np.maximum(1 - k / np.arange(n, 0, -1.0), 0.0)]))


def _counts(num_rollouts: npt.ArrayLike, num_correct: npt.ArrayLike, k: int, name: str) -> tuple[IntArray, IntArray]:
    rollouts, correct = np.broadcast_arrays(np.asarray(num_rollouts), np.asarray(num_correct))
    if k < 1:
        raise ValueError(f"k is {k}; {name} needs k of at least 1")
    if rollouts.size and (rollouts.min() < k):
        raise ValueError(f"k is {k}, but a prompt has only {rollouts.min()} rollouts")
    if rollouts.size and ((correct < 0) | (correct > rollouts)).any():
        raise ValueError("the number of correct rollouts lies outside [0, num_rollouts]")
    return rollouts.astype(np.int64), correct.astype(np.int64)


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
    rollouts, correct = _counts(num_rollouts, num_correct, k, "pass@k")
    values = np.empty(rollouts.shape, dtype=np.float64)
    for n in np.unique(rollouts):
        here = rollouts == n
        values[here] = 1 - chance_of_none(int(n), k)[correct[here]]
    return float(values) if values.ndim == 0 else values


@overload
def pass_hat_k(num_rollouts: int, num_correct: int, k: int) -> float: ...
@overload
def pass_hat_k(num_rollouts: npt.ArrayLike, num_correct: npt.ArrayLike, k: int) -> FloatArray: ...
def pass_hat_k(num_rollouts: npt.ArrayLike, num_correct: npt.ArrayLike, k: int) -> float | FloatArray:
    """pass^k: chance that all of `k` rollouts, drawn without replacement from those made, are correct.

    The unbiased estimator `C(c, k) / C(n, k)` of Yao et al. 2024 (tau-bench, arXiv 2406.12045). Arguments, returned
    shape and errors are those of `pass_at_k`.
    """
    rollouts, correct = _counts(num_rollouts, num_correct, k, "pass^k")
    values = np.empty(rollouts.shape, dtype=np.float64)
    for n in np.unique(rollouts):
        here = rollouts == n
        values[here] = chance_of_none(int(n), k)[n - correct[here]]
    return float(values) if values.ndim == 0 else values


@overload
def g_pass_at_k(num_rollouts: int, num_correct: int, k: int, threshold: float) -> float: ...
@overload
def g_pass_at_k(num_rollouts: npt.ArrayLike, num_correct: npt.ArrayLike, k: int, threshold: float) -> FloatArray: ...
def g_pass_at_k(
    num_rollouts: npt.ArrayLike, num_correct: npt.ArrayLike, k: int, threshold: float
) -> float | FloatArray:
    """G-Pass@k: chance that at least `ceil(threshold k)` of `k` rollouts, drawn without replacement, are correct.

    The upper tail of the hypergeometric distribution, Liu et al. 2024 (arXiv 2412.13147). A threshold of
    1 / k gives pass@k, one of 1 gives pass^k.

    Args:
        num_rollouts: n, rollouts made for each prompt; a number or an array (P,)
        num_correct: c, how many of them are correct; same shape
        k: rollouts drawn
        threshold: share of the k that has to be correct, in (0, 1]

    Raises:
        ValueError: as `pass_at_k`, or a threshold outside (0, 1].
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"the threshold is {threshold}; it is a share of the draws, above 0 and at most 1")
    rollouts, correct = _counts(num_rollouts, num_correct, k, "G-Pass@k")
    # 0.55 x 20 is 11 in decimals and a little more in binary.
    least = math.ceil(threshold * k - 1e-9)
    values = np.zeros(rollouts.shape, dtype=np.float64)
    for hits in range(max(least, 1), k + 1):
        possible = (hits <= correct) & (k - hits <= rollouts - correct)
        c, n = correct[possible], rollouts[possible]
        values[possible] += np.exp(_log_comb(c, hits) + _log_comb(n - c, k - hits) - _log_comb(n, k))
    values = np.minimum(values, 1.0)
    return float(values) if values.ndim == 0 else values


def _log_comb(n: IntArray, k: int) -> FloatArray:
    return np.asarray(-np.log1p(n) - betaln(n - k + 1, k + 1), dtype=np.float64)
