"""Choosing among the candidates of a prompt by a score of which the lowest is best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labkit.stats.arrays import FloatArray
from labkit.stats.clusters import linearised_ratio
from labkit.stats.estimators import chance_of_none
from labkit.stats.intervals import wilson_mean
from labkit.stats.means import student_half_width
from labkit.stats.summary import Rate
from labkit.stats.verdicts import as_verdicts

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


def best_of_n(scores: npt.ArrayLike, correct: npt.ArrayLike, k: int | Sequence[int]) -> float | FloatArray:
    """Expected accuracy of the candidate with the lowest score among `k` drawn without replacement.

    Candidates with equal scores are chosen among at random. With the N candidates sorted by score, a the size of a
    group of equal ones, b how many are worse and r the share of correct ones in it, the sum over groups of
    `r [C(a+b, k) - C(b, k)] / C(N, k)`: the chance that the best of the draw lies in the group, times its accuracy.
    It is summed by parts, so that a constant score gives exactly the share of correct candidates and one that puts
    all correct ones first exactly `pass_at_k`.

    Args:
        scores: (N,) of one prompt or (P, N) of P prompts, lower is better; infinity for what must come last
        correct: same shape
        k: candidates drawn; several give a last axis K

    Returns:
        A value in [0, 1] for one prompt and one k, otherwise an array (P,), (K,) or (P, K) of them.

    Raises:
        ValueError: k < 1 or k > N, shapes that differ, a verdict that is neither 0 nor 1, or a score of NaN, which is neither
            better nor worse.
    """
    table, verdicts = _table(scores, correct)
    num_candidates = table.shape[1]
    ks = [int(each) for each in np.atleast_1d(k)]
    for each in ks:
        if each < 1:
            raise ValueError(f"k is {each}; best-of-k needs k of at least 1")
        if each > num_candidates:
            raise ValueError(f"k is {each}, but a prompt has only {num_candidates} candidates")
    accuracy = _accuracy_of_ties(table, verdicts)  # (P, N), best first
    steps = np.diff(accuracy, axis=1)  # (P, N - 1)
    values = np.empty((len(table), len(ks)))
    for place, each in enumerate(ks):
        # Summed row by row: a matrix product may sum in another order, and then what is exact no longer is.
        values[:, place] = accuracy[:, 0] + (steps * chance_of_none(num_candidates, each)[1:num_candidates]).sum(axis=1)
    values = np.clip(values, 0.0, 1.0)
    values = values[:, 0] if np.ndim(k) == 0 else values
    return _unwrap(values[0]) if np.ndim(scores) == 1 else values


def _unwrap(value: FloatArray) -> float | FloatArray:
    return float(value) if np.ndim(value) == 0 else value


def _table(scores: npt.ArrayLike, correct: npt.ArrayLike) -> tuple[FloatArray, BoolArray]:
    table, verdicts = np.asarray(scores, dtype=np.float64), as_verdicts(correct)
    if table.shape != verdicts.shape or table.ndim not in (1, 2) or table.shape[-1] == 0:
        raise ValueError(
            f"scores of shape {table.shape} and verdicts of shape {verdicts.shape}: both are (N,) or (P, N)"
        )
    if np.isnan(table).any():
        raise ValueError("a score is NaN; infinity puts a candidate last")
    return np.atleast_2d(table), np.atleast_2d(verdicts)


def _tie_groups(ordered: FloatArray) -> tuple[IntArray, IntArray]:
    """(P, N) twice: where the group of equal scores around each position begins, and where the next one does."""
    n = ordered.shape[1]
    position = np.broadcast_to(np.arange(n), ordered.shape)
    new = np.ones(ordered.shape, dtype=bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    start = np.maximum.accumulate(np.where(new, position, 0), axis=1)
    last = np.ones(ordered.shape, dtype=bool)
    last[:, :-1] = new[:, 1:]
    stop = np.minimum.accumulate(np.where(last, position + 1, n)[:, ::-1], axis=1)[:, ::-1]
    return start, stop


def _accuracy_of_ties(table: FloatArray, verdicts: BoolArray) -> FloatArray:
    """(P, N) share of correct candidates in the group of equal scores at each position, the lowest score first."""
    order = np.argsort(table, axis=1, kind="stable")
    start, stop = _tie_groups(np.take_along_axis(table, order, axis=1))
    before = np.zeros((len(table), table.shape[1] + 1), dtype=np.int64)
    np.cumsum(np.take_along_axis(verdicts, order, axis=1), axis=1, out=before[:, 1:])
    hits = np.take_along_axis(before, stop, axis=1) - np.take_along_axis(before, start, axis=1)
    return np.asarray(hits / (stop - start))


def item_auc(scores: npt.ArrayLike, correct: npt.ArrayLike) -> FloatArray:
    """Chance that a correct candidate has a lower score than a wrong one of the same prompt, ties counted one half.

    The area under the ROC curve as the Mann-Whitney statistic over c (N - c) pairs (Hanley & McNeil 1982).

    Args:
        scores: (P, N), or (N,) for one prompt; lower is better
        correct: same shape

    Returns:
        (P,) in [0, 1]; NaN for a prompt whose candidates are all correct or all wrong, where nothing can be ranked.

    Raises:
        ValueError: shapes that differ, or a score of NaN.
    """
    table, verdicts = _table(scores, correct)
    order = np.argsort(table, axis=1, kind="stable")
    start, stop = _tie_groups(np.take_along_axis(table, order, axis=1))
    rank = (start + stop - 1) / 2  # (P, N), from 0, the mean over ties
    num_correct = verdicts.sum(axis=1)
    pairs = num_correct * (table.shape[1] - num_correct)
    sums = (rank * np.take_along_axis(verdicts, order, axis=1)).sum(axis=1)
    behind = sums - num_correct * (num_correct - 1) / 2  # pairs in which the correct one has the higher score
    return np.asarray(np.where(pairs > 0, 1 - behind / np.maximum(pairs, 1), np.nan))


@dataclass(frozen=True, slots=True)
class WithinItemAuc:
    """Mean of `item_auc` over the prompts that have both correct and wrong candidates."""

    value: float
    low: float
    high: float
    num_items: int
    """Prompts that could be ranked."""


def within_item_auc(scores: npt.ArrayLike, correct: npt.ArrayLike, level: float = 0.95) -> WithinItemAuc | None:
    """How well a score ranks the candidates of a prompt: 1 always right, one half no better than chance.

    Prompts are the sampling unit and count alike; the interval is `wilson_mean` of their values. Unlike an area over
    all candidates of all prompts it gives no credit for telling easy prompts from hard ones, which helps no selection.

    Args:
        scores: (P, N), lower is better
        correct: (P, N)
        level: coverage

    Returns:
        None when no prompt has both correct and wrong candidates.

    Raises:
        ValueError: as `item_auc`.
    """
    return mean_item_auc(item_auc(scores, correct), level)


def mean_item_auc(values: npt.ArrayLike, level: float = 0.95) -> WithinItemAuc | None:
    """`within_item_auc` from the values of `item_auc`, for prompts with different numbers of candidates.

    Args:
        values: (P,), NaN for prompts that cannot be ranked
        level: coverage

    Returns:
        None when no prompt can be ranked.
    """
    array = np.asarray(values, dtype=np.float64)
    array = array[~np.isnan(array)]
    if not array.size:
        return None
    return WithinItemAuc(float(array.mean()), *wilson_mean(array, level), array.size)


def selection_efficiency(
    selected: npt.ArrayLike, mean: npt.ArrayLike, oracle: npt.ArrayLike, level: float = 0.95
) -> Rate | None:
    """Share of the way from a random choice to a perfect one: `(selected - mean) / (oracle - mean)`.

    A ratio of sums over prompts, with Student's interval from its linearisation over prompts. Below 0 the selection
    is worse than a random choice; the interval is not cut at 0 or 1.

    Args:
        selected: (P,) expected accuracy of the selection for each prompt
        mean: (P,) of a random choice, mean@N
        oracle: (P,) of a perfect one, pass@k
        level: coverage

    Returns:
        None where a perfect choice is no better than a random one, so that there is nothing to gain, and for fewer
        than two prompts.

    Raises:
        ValueError: shapes that differ, or a value that is not finite.
    """
    arrays = [np.asarray(each, dtype=np.float64) for each in (selected, mean, oracle)]
    if len({each.shape for each in arrays}) != 1 or arrays[0].ndim != 1:
        raise ValueError("selection efficiency needs one value of each kind a prompt")
    gained, possible = arrays[0] - arrays[1], arrays[2] - arrays[1]
    if not np.isfinite(gained + possible).all():
        raise ValueError("a value is not finite")
    if len(possible) < 2 or possible.sum() <= 1e-12 * len(possible):
        return None
    value, residuals = linearised_ratio(gained, possible)
    half = student_half_width(residuals, level)
    return Rate(value, value - half, value + half)


def expected_calibration_error(probabilities: npt.ArrayLike, correct: npt.ArrayLike, num_bins: int = 10) -> float:
    """Mean distance between stated and observed accuracy over bins of equal width (Naeini et al. 2015), by count.

    Args:
        probabilities: (M,) stated chance of being correct, in [0, 1]; for an energy in [0, 1], 1 - energy
        correct: (M,)
        num_bins: at least 1

    Raises:
        ValueError: no values, shapes that differ, a probability outside [0, 1], or no bins.
    """
    stated, verdicts = np.asarray(probabilities, dtype=np.float64), as_verdicts(correct)
    if stated.shape != verdicts.shape or stated.ndim != 1 or not stated.size or num_bins < 1:
        raise ValueError("calibration needs one probability and one verdict a candidate, and at least one bin")
    if not ((stated >= 0) & (stated <= 1)).all():
        raise ValueError("a probability lies outside [0, 1]")
    bins = np.minimum((stated * num_bins).astype(int), num_bins - 1)
    gaps = np.bincount(bins, stated - verdicts, num_bins)
    return float(np.abs(gaps).sum() / stated.size)
