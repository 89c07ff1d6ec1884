"""The best of several settings against the best of several others, chosen on other prompts than it is measured on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labkit.stats.arrays import FloatArray
from labkit.stats.comparison import PairedDifference, paired_difference


@dataclass(frozen=True, slots=True)
class CrossFittedBest:
    """What the best setting of each side reaches on prompts that had no part in choosing it."""

    chosen_a: tuple[int, int]
    """Settings of a: the one chosen on the first half and measured on the second, then the other way round."""
    chosen_b: tuple[int, int]
    values_a: FloatArray
    """(P,) of each prompt under the setting that was chosen without it"""
    values_b: FloatArray
    """(P,)"""
    difference: PairedDifference
    """b - a over all prompts"""


def cross_fitted_best(
    values_a: npt.ArrayLike,
    values_b: npt.ArrayLike,
    in_first_half: npt.ArrayLike,
    *,
    level: float = 0.95,
    num_samples: int = 10_000,
    seed: int = 0,
) -> CrossFittedBest:
    """Choose the setting with the highest mean on one half of the prompts, measure it on the other, both ways.

    A maximum over settings, taken on the prompts on which they are measured, is too high by what chance gave the winner,
    and by more for the side with more settings. Here the choice and the measurement share no prompt (two-fold
    cross-fitting), so the mean of each half is unbiased for the settings chosen. Interval and test are those of
    `paired_difference` over all prompts: given the choices its differences are independent, but each half chose for
    the other, which the interval does not know.

    Args:
        values_a: (M_a, P) of every setting of a on every prompt; of equal means the first setting is chosen
        values_b: (M_b, P) of every setting of b, the prompts in the same order
        in_first_half: (P,) booleans; a rule that does not look at the values
        level, num_samples, seed: as `paired_difference`

    Raises:
        ValueError: as `paired_difference`, a side without settings, other prompts, or a half without prompts.
    """
    a, b = np.asarray(values_a, dtype=np.float64), np.asarray(values_b, dtype=np.float64)
    first = np.asarray(in_first_half, dtype=bool)
    if (
        a.ndim != 2
        or b.ndim != 2
        or not len(a)
        or not len(b)
        or a.shape[1:] != b.shape[1:]
        or a.shape[1:] != first.shape
    ):
        raise ValueError(f"settings x prompts {a.shape} against {b.shape}, halves {first.shape}: not the same prompts")
    if not first.any() or first.all():
        raise ValueError("one half holds every prompt, so nothing is left to measure on")
    chosen_a, values_of_a = _measured_elsewhere(a, first)
    chosen_b, values_of_b = _measured_elsewhere(b, first)
    difference = paired_difference(values_of_a, values_of_b, level, num_samples=num_samples, seed=seed)
    return CrossFittedBest(chosen_a, chosen_b, values_of_a, values_of_b, difference)


def _measured_elsewhere(values: FloatArray, first: npt.NDArray[np.bool_]) -> tuple[tuple[int, int], FloatArray]:
    """The rows with the highest mean within and outside `first`, and for each column the row that was chosen without it."""
    by_first, by_second = (int(values[:, half].mean(axis=1).argmax()) for half in (first, ~first))
    return (by_first, by_second), np.where(first, values[by_second], values[by_first])
