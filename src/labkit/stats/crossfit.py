"""The best of several settings against the best of several others, chosen on other prompts than it is measured on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from labkit.stats.arrays import FloatArray
from labkit.stats.bootstrap import resampled_sums
from labkit.stats.comparison import PairedDifference, paired_difference
from labkit.stats.power import mde


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
    """a - b over all prompts"""


def cross_fitted_best(
    values_a: npt.ArrayLike,
    values_b: npt.ArrayLike,
    in_first_half: npt.ArrayLike,
    *,
    level: float = 0.95,
    num_draws: int = 1_000,
    seed: int = 0,
) -> CrossFittedBest:
    """Choose the setting with the highest mean on one half of the prompts, measure it on the other, both ways.

    A maximum over settings, taken on the prompts on which they are measured, is too high by what chance gave the winner,
    and by more for the side with more settings. Here the choice and the measurement share no prompt (two-fold
    cross-fitting), so the mean of each half is unbiased for the settings chosen.

    Each half chose for the other, so the two are not independent, and the paired standard error is too small: where all
    settings are alike, its interval holds the truth in 91 of 100 samples. So prompts are resampled and settings chosen anew in
    every draw; the standard error is the larger of the two, the p-value the larger of the t test by it and the exact one.
    That errs on the safe side, 97 to 99 of 100. With one setting a side it is `paired_difference`.

    Args:
        values_a: (M_a, P) of every setting of a on every prompt; of equal means the first setting is chosen
        values_b: (M_b, P) of every setting of b, the prompts in the same order
        in_first_half: (P,) booleans; a rule that does not look at the values
        level: coverage
        num_draws: resamples of prompts
        seed: of those draws

    Raises:
        ValueError: as `paired_difference`, a side without settings, other prompts, a half without prompts, or fewer
            than 100 draws.
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
    if num_draws < 100:
        raise ValueError(f"{num_draws} draws: the spread of a choice needs at least 100")
    if not first.any() or first.all():
        raise ValueError("one half holds every prompt, so nothing is left to measure on")
    chosen_a, values_of_a = _measured_elsewhere(a, first)
    chosen_b, values_of_b = _measured_elsewhere(b, first)
    difference = paired_difference(values_of_b, values_of_a, level, seed=seed)
    if len(a) + len(b) > 2:
        spread = _spread_with_choice(a, b, first, num_draws, seed)
        difference = _widened(difference, max(spread, difference.standard_error), level)
    return CrossFittedBest(chosen_a, chosen_b, values_of_a, values_of_b, difference)


def _widened(found: PairedDifference, error: float, level: float) -> PairedDifference:
    """A difference under a larger standard error."""
    if error == 0:
        return found
    degrees = found.num_prompts - 1
    half = float(stdtrit(degrees, 0.5 + level / 2)) * error
    p_value = max(found.p_value, 2 * float(stdtr(degrees, -abs(found.value) / error)))
    return replace(
        found,
        low=found.value - half,
        high=found.value + half,
        standard_error=error,
        p_value=min(1.0, p_value),
        test="choice resampled",
        mde=max(found.mde or 0.0, mde(1, error, level=level)),
    )


def _spread_with_choice(a: FloatArray, b: FloatArray, first: npt.NDArray[np.bool_], num_draws: int, seed: int) -> float:
    """Standard deviation of the difference over resamples of prompts, each with choices of its own; 0 where most resamples
    leave one half empty."""
    halves = np.stack([first, ~first]).astype(np.float64)  # (2, P)
    settings = np.concatenate([a, b])  # (M, P)
    columns = np.concatenate([halves, *(settings * half for half in halves)])
    sums = resampled_sums(np.ascontiguousarray(columns.T), num_draws, seed)  # (R, 2 + 2 M)
    sums = sums[(sums[:, :2] > 0).all(axis=1)]
    if 2 * len(sums) < num_draws:
        return 0.0
    sizes, totals = sums[:, :2], sums[:, 2:].reshape(len(sums), 2, len(settings))

    def measured(of: FloatArray) -> FloatArray:
        chosen = (of / sizes[:, :, None]).argmax(axis=2)  # (R, 2)
        elsewhere = np.take_along_axis(of, chosen[:, ::-1, None], axis=2)
        return np.asarray(elsewhere.sum(axis=(1, 2)) / sizes.sum(axis=1))

    return float(np.std(measured(totals[:, :, len(a) :]) - measured(totals[:, :, : len(a)]), ddof=1))


def _measured_elsewhere(values: FloatArray, first: npt.NDArray[np.bool_]) -> tuple[tuple[int, int], FloatArray]:
    """The rows with the highest mean within and outside `first`, and for each column the row that was chosen without it."""
    by_first, by_second = (int(values[:, half].mean(axis=1).argmax()) for half in (first, ~first))
    return (by_first, by_second), np.where(first, values[by_second], values[by_first])
