"""Clustered rates against sums written out, against other libraries, and by how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import f_oneway, ttest_rel

from labkit.stats import (
    cluster_rate,
    clustered_mean,
    intraclass_correlation,
    paired_cluster_difference,
    student_mean,
    variance_components,
    wilson,
)


def test_the_standard_error_is_the_clustered_one_written_out() -> None:
    random = np.random.default_rng(4)
    clusters = random.integers(0, 30, 200)
    values = random.random(200) < 0.2 + 0.6 * (clusters % 2)
    mean, error, interval = clustered_mean(values, clusters)
    residuals = values - values.mean()
    squares = sum(residuals[clusters == cluster].sum() ** 2 for cluster in np.unique(clusters))
    num_clusters = len(np.unique(clusters))
    assert mean == pytest.approx(values.mean())
    assert error == pytest.approx(math.sqrt(num_clusters / (num_clusters - 1) * squares) / 200)
    assert interval is not None
    assert interval[0] < mean < interval[1]

    sums = np.bincount(clusters, values), np.bincount(clusters)
    rate = cluster_rate(*sums)
    assert rate.standard_error == pytest.approx(error)
    binomial = mean * (1 - mean) / 200
    assert rate.design_effect == pytest.approx(error**2 / binomial)
    assert rate.effective_size == pytest.approx(200 * binomial / error**2)
    assert (rate.num_trials, rate.num_clusters) == (200, num_clusters)


def test_texts_name_clusters_and_one_value_a_cluster_is_students_interval() -> None:
    values = [0.2, 0.9, 0.4, 0.7]
    mean, _, interval = clustered_mean(values, ["a", "b", "c", "d"])
    assert mean == pytest.approx(0.55)
    assert interval == pytest.approx(student_mean(values))
    mean, error, interval = clustered_mean(values, ["a"] * 4)
    assert (mean, interval) == (pytest.approx(0.55), None)
    assert math.isnan(error)


@settings(max_examples=80)
@given(st.lists(st.integers(0, 6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=25))
def test_the_interval_of_a_rate_holds_it_and_has_a_width(clusters: list[tuple[int, int]]) -> None:
    successes, trials = zip(*clusters, strict=True)
    if not sum(trials):
        with pytest.raises(ValueError, match="undefined"):
            cluster_rate(successes, trials)
        return
    rate = cluster_rate(successes, trials)
    assert rate.value == pytest.approx(sum(successes) / sum(trials))
    assert 0 <= rate.low <= rate.value + 1e-12
    assert rate.value - 1e-12 <= rate.high <= 1
    assert rate.low < rate.high


def test_clusters_that_agree_count_once_each() -> None:
    rate = cluster_rate([0] * 8, [5] * 8)
    assert (rate.low, rate.high) == wilson(0, 8)
    assert rate.design_effect is None and rate.effective_size is None
    alone = cluster_rate([3], [5])
    assert alone.standard_error is None
    assert (alone.low, alone.high) == wilson(0.6, 1)


def test_copies_of_a_trial_add_nothing() -> None:
    once, fivefold = cluster_rate([1, 0, 1, 1, 0, 0, 1, 1], [1] * 8), cluster_rate([5, 0, 5, 5, 0, 0, 5, 5], [5] * 8)
    assert fivefold.standard_error == pytest.approx(once.standard_error)
    assert (fivefold.low, fivefold.high) == pytest.approx((once.low, once.high))
    assert fivefold.design_effect == pytest.approx(5 * once.design_effect)  # type: ignore[operator]


@pytest.mark.parametrize(("num_clusters", "a", "b"), [(20, 0.3, 0.5), (20, 1, 1), (60, 0.5, 0.2), (150, 2, 1)])
def test_it_covers_the_true_rate_of_clustered_trials_about_19_times_in_20(
    num_clusters: int, a: float, b: float
) -> None:
    random = np.random.default_rng(77)
    covered = naive = 0
    for _ in range(1000):
        trials = random.integers(3, 6, num_clusters)
        successes = random.binomial(trials, random.beta(a, b, num_clusters))
        rate = cluster_rate(successes, trials)
        covered += rate.low <= a / (a + b) <= rate.high
        low, high = wilson(int(successes.sum()), int(trials.sum()))
        naive += low <= a / (a + b) <= high
    # 1,000 trials of 0.95 have a standard deviation of 0.007.
    assert 0.925 <= covered / 1000 <= 0.98
    assert naive < covered, "as if all trials were independent"


def test_a_paired_difference_of_means_is_the_paired_t_test() -> None:
    random = np.random.default_rng(9)
    a, b = random.binomial(5, 0.5, 25), random.binomial(5, 0.6, 25)
    difference = paired_cluster_difference(a, [5] * 25, b, [5] * 25)
    theirs = ttest_rel(b / 5, a / 5)
    low, high = theirs.confidence_interval()
    assert difference.p_value == pytest.approx(theirs.pvalue)
    assert (difference.low, difference.high) == pytest.approx((low, high))
    assert difference.spread == pytest.approx((b / 5 - a / 5).std(ddof=1))
    assert difference.value == pytest.approx((b.sum() - a.sum()) / 125)


def test_swapping_the_conditions_turns_the_difference() -> None:
    a, b = ([1, 2, 0, 3], [4, 4, 1, 5]), ([2, 2, 1, 1], [5, 3, 1, 5])
    forth, back = paired_cluster_difference(*a, *b), paired_cluster_difference(*b, *a)
    assert (forth.value, forth.low, forth.high) == pytest.approx((-back.value, -back.high, -back.low))
    assert forth.p_value == pytest.approx(back.p_value)
    same = paired_cluster_difference(*a, *a)
    assert (same.value, same.standard_error, same.p_value) == (0, 0, 1)


def test_the_correlation_is_that_of_the_analysis_of_variance() -> None:
    random = np.random.default_rng(12)
    values = (random.random((15, 6)) < random.beta(0.5, 0.5, (15, 1))).astype(float)
    ratio = f_oneway(*values).statistic
    correlation = intraclass_correlation(values.sum(axis=1), [6] * 15)
    assert correlation == pytest.approx((ratio - 1) / (ratio + 5))
    assert intraclass_correlation([0, 5, 5, 0], [5, 5, 5, 5]) == 1
    assert intraclass_correlation([1, 1, 1, 1, 0], [2, 2, 2, 2, 0]) == pytest.approx(-1), "clusters without trials"
    assert intraclass_correlation([5, 5], [5, 5]) is None, "all alike"
    assert intraclass_correlation([1, 0, 1], [1, 1, 1]) is None, "one trial each"
    assert intraclass_correlation([2], [5]) is None


def test_independent_trials_have_no_correlation_and_no_design_effect() -> None:
    random = np.random.default_rng(6)
    trials = random.integers(2, 8, 3000)
    successes = random.binomial(trials, 0.4)
    assert intraclass_correlation(successes, trials) == pytest.approx(0, abs=0.03)
    assert cluster_rate(successes, trials).design_effect == pytest.approx(1, abs=0.1)


def test_variance_is_found_where_it_is() -> None:
    random = np.random.default_rng(10)
    rates = random.beta(2, 2, 20_000)
    components = variance_components(random.binomial(4, rates), 4)
    assert components.between == pytest.approx(1 / 20, rel=0.05)
    assert components.within == pytest.approx(1 / 5, rel=0.02)
    correct = [3, 0, 4, 1, 2, 4]
    small = variance_components(correct, [4] * 6)
    assert small.standard_error(4) == pytest.approx(np.std([c / 4 for c in correct], ddof=1) / math.sqrt(6))
    assert small.standard_error(4) > small.standard_error(16) > math.sqrt(small.between / 6)
    assert variance_components([2, 2, 2], [4, 4, 4]).between == 0


@pytest.mark.parametrize(
    ("successes", "trials", "why"),
    [
        ([], [], "undefined"),
        ([1, 2], [2], "shape"),
        ([3], [2], "outside"),
        ([-1, 1], [2, 2], "outside"),
        ([0, 0], [1, -1], "negative"),
        ([float("nan"), 0], [1, 1], "finite"),
    ],
)
def test_what_is_no_rate_is_refused(successes: list[float], trials: list[float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        cluster_rate(successes, trials)
    with pytest.raises(ValueError, match=why):
        intraclass_correlation(successes, trials)


def test_unlike_clusters_are_not_compared() -> None:
    with pytest.raises(ValueError, match="2 clusters against 3"):
        paired_cluster_difference([1, 1], [2, 2], [1, 1, 1], [2, 2, 2])
    with pytest.raises(ValueError, match="at least two"):
        paired_cluster_difference([1], [2], [1], [2])
    with pytest.raises(ValueError, match="at least two prompts"):
        variance_components([1, 1], [1, 2])
    with pytest.raises(ValueError, match="at least one value"):
        clustered_mean([], [])
