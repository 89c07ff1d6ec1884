"""What a comparison can show before it is made: power, sample size, minimum detectable effect. All tests two-sided."""

from __future__ import annotations

import math
from statistics import NormalDist

from scipy.special import stdtrit


def _quantiles(level: float, power: float, degrees: float | None = None) -> tuple[float, float]:
    if not (0 < level < 1 and 0 < power < 1):
        raise ValueError(f"level {level} and power {power} lie between 0 and 1")
    ends = 0.5 + level / 2, power
    if degrees is None:
        return NormalDist().inv_cdf(ends[0]), NormalDist().inv_cdf(ends[1])
    return float(stdtrit(degrees, ends[0])), float(stdtrit(degrees, ends[1]))


def mde(
    n: float, spread: float, *, paired: bool = True, level: float = 0.95, power: float = 0.8, student: bool = False
) -> float:
    """Minimum detectable effect: the true difference that a test at this level finds with this power.

    `(z_level + z_power) spread sqrt(m / n)` with m = 1 paired and 2 unpaired; 2.8 for 0.95 and 0.8 (Miller 2024, arXiv
    2411.00640, section 5).

    Args:
        n: pairs, or observations (of clusters: effective size) in each of two arms
        spread: standard deviation. Paired, of the differences: `sqrt(discordance)` for 0/1 outcomes of which that share
            differs, `ClusterDifference.spread` for rates over clusters. Unpaired, of one outcome: `sqrt(p (1 - p))`.
        paired: whether both conditions saw the same items
        level: coverage of the interval that goes with the test
        power: chance of finding the effect
        student: t quantiles in place of normal ones, which matters below about 50

    Raises:
        ValueError: n too small (1; with `student` 2), a negative spread, or level or power outside (0, 1).
    """
    if not n >= (2 if student else 1) or not spread >= 0:
        raise ValueError(f"n of {n} with a spread of {spread}: too few observations, or a negative spread")
    arms = 1 if paired else 2
    degrees = arms * (n - 1) if student else None
    return sum(_quantiles(level, power, degrees)) * spread * math.sqrt(arms / n)


def sample_size(effect: float, spread: float, *, paired: bool = True, level: float = 0.95, power: float = 0.8) -> int:
    """Pairs, or observations in each of two arms, for which `effect` is the minimum detectable one: `mde` turned around.

    Raises:
        ValueError: an effect of 0, a negative spread, or level or power outside (0, 1).
    """
    if effect == 0 or not spread >= 0:
        raise ValueError(f"an effect of {effect} with a spread of {spread} has no sample size")
    arms = 1 if paired else 2
    return max(1, math.ceil(arms * (sum(_quantiles(level, power)) * spread / effect) ** 2 - 1e-9))


def rates_sample_size(
    rate_a: float,
    rate_b: float,
    *,
    level: float = 0.95,
    power: float = 0.8,
    continuity: bool = False,
    design_effect: float = 1.0,
) -> int:
    """Independent trials in each arm to tell two rates apart.

    Fleiss, Levin & Paik 2003 (Statistical Methods for Rates and Proportions, chapter 4): the variance pooled under the
    null hypothesis and not under the alternative.

    Args:
        rate_a, rate_b: in [0, 1], and different
        level, power: as `mde`
        continuity: for the test with continuity correction, and near enough for Fisher's
        design_effect: trials for each independent one, where they are clustered

    Raises:
        ValueError: rates that are equal or outside [0, 1], a design effect that is not positive, or level or power
            outside (0, 1).
    """
    _check_rates(rate_a, rate_b)
    if rate_a == rate_b or not design_effect > 0:
        raise ValueError("equal rates cannot be told apart, and a design effect is positive")
    z_level, z_power = _quantiles(level, power)
    mean = (rate_a + rate_b) / 2
    under_null = math.sqrt(2 * mean * (1 - mean))
    under_effect = math.sqrt(rate_a * (1 - rate_a) + rate_b * (1 - rate_b))
    gap = abs(rate_a - rate_b)
    n = ((z_level * under_null + z_power * under_effect) / gap) ** 2
    if continuity:
        n = n / 4 * (1 + math.sqrt(1 + 4 / (n * gap))) ** 2
    return math.ceil(n * design_effect - 1e-9)


def rates_power(rate_a: float, rate_b: float, n: float, *, level: float = 0.95, design_effect: float = 1.0) -> float:
    """Chance that `n` trials in each arm show two rates to differ, in the right direction; `rates_sample_size` turned around.

    Raises:
        ValueError: rates outside [0, 1], n or a design effect that is not positive, or a level outside (0, 1).
    """
    _check_rates(rate_a, rate_b)
    if not (n > 0 and design_effect > 0):
        raise ValueError(f"{n} trials with a design effect of {design_effect}: both are positive")
    z_level, _ = _quantiles(level, 0.5)
    mean = (rate_a + rate_b) / 2
    under_null = math.sqrt(2 * mean * (1 - mean))
    under_effect = math.sqrt(rate_a * (1 - rate_a) + rate_b * (1 - rate_b))
    distance = abs(rate_a - rate_b) * math.sqrt(n / design_effect) - z_level * under_null
    if under_effect == 0:
        return float(distance > 0)
    return NormalDist().cdf(distance / under_effect)


def _check_rates(rate_a: float, rate_b: float) -> None:
    if not (0 <= rate_a <= 1 and 0 <= rate_b <= 1):
        raise ValueError(f"rates of {rate_a} and {rate_b} lie outside [0, 1]")
