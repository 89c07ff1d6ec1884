"""Rates over observations that come in clusters: five runs of one item say less than five items.

A cluster (an item, a prompt, a group of questions about one text) enters as two sums, its successes and its trials,
and a rate is the ratio of the totals. Nothing here takes trials of one cluster for independent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from labkit.stats.arrays import FloatArray
from labkit.stats.intervals import wilson
from labkit.stats.means import student_half_width


def cluster_sums(numerators: npt.ArrayLike, denominators: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Both as float arrays (T,).

    Raises:
        ValueError: no clusters, shapes that differ, a value that is not finite, a denominator below 0, or none above.
    """
    top, bottom = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    if top.shape != bottom.shape or top.ndim != 1:
        raise ValueError(
            f"numerators of shape {top.shape} and denominators of shape {bottom.shape}: one each a cluster"
        )
    if not (np.isfinite(top).all() and np.isfinite(bottom).all()):
        raise ValueError("a numerator or denominator is not finite")
    if (bottom < 0).any():
        raise ValueError("a denominator is negative")
    if not bottom.sum() > 0:
        raise ValueError("the denominators are all 0: the rate is undefined")
    return top, bottom


def linearised_ratio(numerators: FloatArray, denominators: FloatArray) -> tuple[float, FloatArray]:
    """Ratio R of the totals, and each cluster's part of its error: `(d - R e) / mean(e)`, (T,), which sums to 0.

    The standard error of R is that of the mean of these parts (Taylor linearisation; Cochran 1977, Sampling
    Techniques, chapter 6).
    """
    ratio = float(numerators.sum() / denominators.sum())
    return ratio, (numerators - ratio * denominators) / denominators.mean()


def _standard_error(parts: FloatArray) -> float:
    return float(parts.std(ddof=1)) / math.sqrt(parts.size)


@dataclass(frozen=True, slots=True)
class ClusterRate:
    """A rate over clustered trials."""

    value: float
    low: float
    high: float
    standard_error: float | None
    """Over clusters; None for a single cluster, whose spread nobody knows."""
    design_effect: float | None
    """Variance over clusters relative to that of as many independent trials; None where either is 0 or unknown."""
    effective_size: float | None
    """Independent trials that would say as much: num_trials / design_effect."""
    num_trials: float
    num_clusters: int


def cluster_rate(successes: npt.ArrayLike, trials: npt.ArrayLike, level: float = 0.95) -> ClusterRate:
    """Share of successes with a standard error over clusters, design effect, and an interval.

    The standard error is `sqrt(T / (T-1) sum_t (d_t - R e_t)^2) / sum_t e_t`, which is the clustered one of Miller 2024
    (arXiv 2411.00640, section 2.2) with the small-sample factor and the linearised one of a ratio of sums. The
    interval is Wilson's at the effective size, scaled by the squared ratio of the normal to the t quantile with
    T - 1 degrees of freedom (Korn & Graubard 1998); it stays in [0, 1]. Where all clusters agree there is no spread to
    learn from, and each cluster counts as one trial.

    Args:
        successes: (T,) sums over each cluster, 0 to trials
        trials: (T,) how many; a cluster may have none
        level: coverage

    Raises:
        ValueError: as `cluster_sums`, or successes outside [0, trials].
    """
    top, bottom = cluster_sums(successes, trials)
    if ((top < 0) | (top > bottom)).any():
        raise ValueError("the successes of a cluster lie outside [0, trials]")
    value, parts = linearised_ratio(top, bottom)
    value = min(max(value, 0.0), 1.0)
    total, num_clusters = float(bottom.sum()), top.size
    error = _standard_error(parts) if num_clusters > 1 else None
    effect = None
    # Where every cluster has the same rate, what is left of the spread is rounding.
    if error is not None and 0 < value < 1 and error > 1e-9:
        effect = error**2 / (value * (1 - value) / total)
    if effect is None:
        size = min(total, float(np.count_nonzero(bottom)))
    else:
        quantile = 0.5 + level / 2
        scale = NormalDist().inv_cdf(quantile) / float(stdtrit(num_clusters - 1, quantile))
        size = min(total, total / effect * scale**2)
    return ClusterRate(
        value=value,
        low=wilson(value * size, size, level)[0],
        high=wilson(value * size, size, level)[1],
        standard_error=error,
        design_effect=effect,
        effective_size=None if effect is None else total / effect,
        num_trials=total,
        num_clusters=num_clusters,
    )


def clustered_mean(
    values: npt.ArrayLike, clusters: npt.ArrayLike, level: float = 0.95
) -> tuple[float, float, tuple[float, float] | None]:
    """Mean of single observations with its standard error and t interval, both over clusters.

    Miller 2024 (arXiv 2411.00640, section 2.2) with the factor T / (T - 1), for values of any kind.

    Args:
        values: (M,)
        clusters: (M,) which cluster each belongs to, numbers or texts
        level: coverage

    Returns:
        Mean, standard error, and low and high; for a single cluster NaN and None.

    Raises:
        ValueError: no values, shapes that differ, or a value that is not finite.
    """
    array, labels = np.asarray(values, dtype=np.float64), np.asarray(clusters)
    if array.shape != labels.shape or array.ndim != 1 or not array.size:
        raise ValueError("a clustered mean needs one cluster a value, and at least one value")
    _, which = np.unique(labels, return_inverse=True)
    sums, counts = cluster_sums(np.bincount(which, array), np.bincount(which))
    mean, parts = linearised_ratio(sums, counts)
    if parts.size < 2:
        return mean, math.nan, None
    half = student_half_width(parts, level)
    return mean, _standard_error(parts), (mean - half, mean + half)


@dataclass(frozen=True, slots=True)
class ClusterDifference:
    """A difference b - a of two rates over the same clusters."""

    value: float
    low: float
    high: float
    standard_error: float
    p_value: float
    """Student's t over clusters; `swap_permutation` is exact and the one to lead with."""
    spread: float
    """Standard deviation over clusters of the linearised difference, as `mde` and `sample_size` want it."""
    num_clusters: int


def paired_cluster_difference(
    numerators_a: npt.ArrayLike,
    denominators_a: npt.ArrayLike,
    numerators_b: npt.ArrayLike,
    denominators_b: npt.ArrayLike,
    level: float = 0.95,
) -> ClusterDifference:
    """Difference b - a of two ratios of sums over the same clusters, with a paired, linearised t interval.

    Each cluster's part is the difference of its parts in the two ratios (`linearised_ratio`), so what makes a cluster
    easy in both conditions cancels; T - 1 degrees of freedom. When every cluster has the same part the interval has
    no width, and says nothing.

    Args:
        numerators_a, denominators_a: (T,) sums over each cluster in one condition
        numerators_b, denominators_b: (T,) in the other, the clusters in the same order
        level: coverage

    Raises:
        ValueError: as `cluster_sums` for either, other clusters in b than in a, or fewer than two clusters.
    """
    a, b = cluster_sums(numerators_a, denominators_a), cluster_sums(numerators_b, denominators_b)
    if a[0].shape != b[0].shape:
        raise ValueError(f"{a[0].size} clusters against {b[0].size}: a paired comparison needs the same ones in both")
    if a[0].size < 2:
        raise ValueError("a paired interval needs at least two clusters")
    (rate_a, parts_a), (rate_b, parts_b) = linearised_ratio(*a), linearised_ratio(*b)
    value, parts = rate_b - rate_a, parts_b - parts_a
    error, half = _standard_error(parts), student_half_width(parts, level)
    if error > 1e-12:
        p_value = 2 * float(stdtr(parts.size - 1, -abs(value) / error))
    else:
        p_value = 1.0 if abs(value) < 1e-12 else 0.0
    return ClusterDifference(
        value, value - half, value + half, error, p_value, error * math.sqrt(parts.size), parts.size
    )


def intraclass_correlation(successes: npt.ArrayLike, trials: npt.ArrayLike) -> float | None:
    """How alike the trials of one cluster are: 1 when they all agree, 0 when they are independent.

    The analysis-of-variance estimator for 0/1 outcomes, `(MSB - MSW) / (MSB + (n0 - 1) MSW)`, n0 the mean cluster size
    less what their inequality takes (Ridout, Demetrio & Firth 1999, Biometrics 55, 137-148). It can be a little below 0.

    Args:
        successes: (T,) sums over each cluster
        trials: (T,) how many; clusters without any are left out

    Returns:
        None where it is undefined: fewer than two clusters, one trial in each, or all trials alike.

    Raises:
        ValueError: as `cluster_rate`.
    """
    top, bottom = cluster_sums(successes, trials)
    if ((top < 0) | (top > bottom)).any():
        raise ValueError("the successes of a cluster lie outside [0, trials]")
    top, bottom = top[bottom > 0], bottom[bottom > 0]
    total, num_clusters = bottom.sum(), bottom.size
    if num_clusters < 2 or total <= num_clusters:
        return None
    rates, mean = top / bottom, top.sum() / total
    between = float((bottom * (rates - mean) ** 2).sum() / (num_clusters - 1))
    within = float((bottom * rates * (1 - rates)).sum() / (total - num_clusters))
    size = (total - (bottom**2).sum() / total) / (num_clusters - 1)
    scale = between + (size - 1) * within
    return float((between - within) / scale) if scale > 1e-12 else None


@dataclass(frozen=True, slots=True)
class VarianceComponents:
    """Where the variance of a mean over prompts comes from."""

    between: float
    """Variance of the prompts' true rates, at least 0."""
    within: float
    """Variance of one rollout about its prompt's rate, a mean over prompts."""
    num_prompts: int

    def standard_error(self, num_rollouts: float) -> float:
        """Of the mean over these prompts if each had that many rollouts: what more rollouts would buy."""
        return math.sqrt((self.between + self.within / num_rollouts) / self.num_prompts)


def variance_components(num_correct: npt.ArrayLike, num_rollouts: npt.ArrayLike) -> VarianceComponents:
    """Variance between prompts and within, by the method of moments: `Var(mean) = (between + within / N) / P`.

    Args:
        num_correct: (P,) c
        num_rollouts: (P,) N, at least 2 each

    Raises:
        ValueError: fewer than two prompts, fewer than two rollouts of one, or c outside [0, N].
    """
    correct, rollouts = np.broadcast_arrays(
        np.asarray(num_correct, dtype=np.float64), np.asarray(num_rollouts, dtype=np.float64)
    )
    if correct.ndim != 1 or correct.size < 2 or rollouts.min() < 2:
        raise ValueError("variance components need at least two prompts with at least two rollouts each")
    if ((correct < 0) | (correct > rollouts)).any():
        raise ValueError("the number of correct rollouts lies outside [0, num_rollouts]")
    rates = correct / rollouts
    within = rates * (1 - rates) * rollouts / (rollouts - 1)  # (P,) unbiased
    between = float(rates.var(ddof=1) - (within / rollouts).mean())
    return VarianceComponents(max(0.0, between), float(within.mean()), correct.size)
