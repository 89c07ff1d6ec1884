"""Sample sizes against published ones, and power by doing the experiment many times."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t, ttest_1samp, ttest_ind

from labkit.stats import mde, rates_power, rates_sample_size, sample_size, two_proportion_z


def test_two_point_eight_standard_errors() -> None:
    assert mde(1319, math.sqrt(0.18)) == pytest.approx(0.0327, abs=5e-5)
    assert mde(100, math.sqrt(0.18)) == pytest.approx(0.1189, abs=5e-5)
    assert mde(50, 0.5, paired=False) == pytest.approx(2.8016 * 0.5 * math.sqrt(2 / 50), abs=1e-4)
    quantiles = t.ppf(0.975, 8) + t.ppf(0.8, 8)
    assert mde(5, 0.5, paired=False, student=True) == pytest.approx(quantiles * 0.5 * math.sqrt(2 / 5))
    assert mde(20, 0.2641, student=True) == pytest.approx(0.1745, abs=5e-4)


@given(st.floats(0.005, 0.9), st.floats(0.05, 2), st.booleans())
def test_the_sample_size_is_the_smallest_that_detects_the_effect(effect: float, spread: float, paired: bool) -> None:
    n = sample_size(effect, spread, paired=paired)
    assert mde(n, spread, paired=paired) <= effect * (1 + 1e-9)
    assert n == 1 or mde(n - 1, spread, paired=paired) > effect


@pytest.mark.parametrize(
    ("a", "b", "n", "corrected"),
    [(0.6, 0.5, 388, 407), (0.3582, 0.3882, 4079, 4146), (0.31, 0.46, 165, 179), (24 / 67, 24 / 62, 4397, 4467)],
)
def test_trials_to_tell_two_rates_apart(a: float, b: float, n: int, corrected: int) -> None:
    assert rates_sample_size(a, b) == rates_sample_size(b, a) == n
    assert abs(rates_sample_size(a, b, continuity=True) - corrected) <= 1
    assert rates_power(a, b, n) >= 0.8 > rates_power(a, b, n - 1)


def test_clustered_trials_need_as_many_more() -> None:
    assert rates_sample_size(0.3, 0.5, design_effect=3.8) == pytest.approx(3.8 * rates_sample_size(0.3, 0.5), abs=4)
    assert rates_power(0.3, 0.5, 380, design_effect=3.8) == rates_power(0.3, 0.5, 100)


@pytest.mark.parametrize(
    ("n", "power"),
    [(65, 0.054), (100, 0.064), (268, 0.107), (335, 0.123), (400, 0.139), (1000, 0.283), (2000, 0.501), (4000, 0.792)],
)
def test_power_for_three_points(n: int, power: float) -> None:
    assert rates_power(0.3582, 0.3882, n) == pytest.approx(power, abs=1e-3)


def test_the_effect_is_found_8_times_in_10() -> None:
    random = np.random.default_rng(11)
    trials = 1500
    effect = mde(12, 1.0, student=True)
    one = ttest_1samp(random.normal(effect, 1, (trials, 12)), 0, axis=1).pvalue < 0.05
    effect = mde(60, 1.0, paired=False)
    two = ttest_ind(random.normal(effect, 1, (trials, 60)), random.normal(0, 1, (trials, 60)), axis=1).pvalue < 0.05
    a, b = random.binomial(165, 0.31, trials), random.binomial(165, 0.46, trials)
    rates = [two_proportion_z(x, 165, y, 165)[1] < 0.05 for x, y in zip(a, b, strict=True)]
    # 1,500 trials of 0.8 have a standard deviation of 0.0103.
    for found in (one, two, np.array(rates)):
        assert found.mean() == pytest.approx(0.8, abs=0.035)


def test_what_has_no_power_is_refused() -> None:
    for call, why in (
        (lambda: mde(0, 1.0), "too few"),
        (lambda: mde(1, 1.0, student=True), "too few"),
        (lambda: mde(10, -1.0), "negative spread"),
        (lambda: mde(10, 1.0, power=1.0), "between 0 and 1"),
        (lambda: sample_size(0.0, 1.0), "no sample size"),
        (lambda: rates_sample_size(0.3, 0.3), "equal rates"),
        (lambda: rates_sample_size(0.3, 1.3), "outside"),
        (lambda: rates_power(0.3, 0.4, 0), "positive"),
    ):
        with pytest.raises(ValueError, match=why):
            call()
