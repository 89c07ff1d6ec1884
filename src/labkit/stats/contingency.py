"""Tests on small tables of counts."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, gammaln, ndtr


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided exact p-value of McNemar's test: given that a pair differs, either way is as likely.

    The binomial test of `only_a` out of `only_a + only_b` at one half (McNemar 1947, exact form), doubled and cut at 1;
    1 when no pair differs. It takes pairs for independent: with several runs of one item it is optimistic.

    Args:
        only_a: pairs in which only the first succeeded
        only_b: pairs in which only the second did

    Raises:
        ValueError: a negative count.
    """
    if only_a < 0 or only_b < 0:
        raise ValueError(f"{only_a} and {only_b} discordant pairs: counts are at least 0")
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def fisher_exact(successes_a: int, n_a: int, successes_b: int, n_b: int) -> float:
    """Two-sided p-value of Fisher's exact test of two independent proportions (scipy's and R's: all tables no likelier).

    1 when there are no trials on one side. Written out, because `scipy.stats` takes longer to import than a report may.

    Raises:
        ValueError: successes outside [0, n], for either.
    """
    _check(successes_a, n_a)
    _check(successes_b, n_b)
    successes = successes_a + successes_b
    first = np.arange(
        max(0, successes - n_b), min(n_a, successes) + 1
    )  # successes of a, over all tables of these margins
    logs = _log_choose(n_a, first) + _log_choose(n_b, successes - first)
    chances = np.exp(logs - logs.max())
    observed = chances[successes_a - first[0]]
    return min(1.0, float(chances[chances <= observed * (1 + _TIE)].sum() / chances.sum()))


_TIE = 1e-7
"""Tables whose chances differ by less than this are equally likely; rounding must not tell them apart."""


def _log_choose(n: int, k: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), dtype=np.float64)


def two_proportion_z(successes_a: float, n_a: float, successes_b: float, n_b: float) -> tuple[float, float]:
    """z of the difference b - a of two independent proportions with pooled variance, and its two-sided p-value.

    Shown beside better tests because published comparisons use it. 0 and 1 when nothing or everything succeeded.

    Raises:
        ValueError: n is not positive or successes lies outside [0, n], for either.
    """
    _check(successes_a, n_a)
    _check(successes_b, n_b)
    if not (n_a > 0 and n_b > 0):
        raise ValueError("a comparison needs at least one trial on each side")
    pooled = (successes_a + successes_b) / (n_a + n_b)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n_a + 1 / n_b))
    if error == 0:
        return 0.0, 1.0
    z = (successes_b / n_b - successes_a / n_a) / error
    return z, 2 * float(ndtr(-abs(z)))


def _check(successes: float, n: float) -> None:
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes in {n} trials")
