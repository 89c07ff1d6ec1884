"""Intervals against published values, their algebra, and their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from labkit.stats import clopper_pearson, newcombe, wilson, wilson_mean

VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (0, 20, 0.0, 0.16113),
        (20, 20, 0.83887, 1.0),
        (36, 100, 0.27271, 0.45765),
        (692, 1319, 0.49766, 0.55148),
    ],
)
def test_wilson_reference_values(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=6e-6)


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (3, 7), (36, 100), (1, 4096)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_wilson_agrees_with_scipy(successes: int, n: int, level: float) -> None:
    theirs = binomtest(successes, n).proportion_ci(level, method="wilson")
    assert wilson(successes, n, level) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_wilson_holds_the_rate_and_mirrors_failures(case: tuple[int, int], level: float) -> None:
    successes, n = case
    low, high = wilson(successes, n, level)
    assert 0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1
    assert low < high
    mirrored_low, mirrored_high = wilson(n - successes, n, level)
    assert (1 - mirrored_high, 1 - mirrored_low) == pytest.approx((low, high), abs=1e-12)


def test_wilson_narrows_with_more_trials_and_widens_with_the_level() -> None:
    def width(successes: float, n: float, level: float = 0.95) -> float:
        low, high = wilson(successes, n, level)
        return high - low

    assert width(500, 1000) < width(50, 100) < width(50, 100, 0.99)


@pytest.mark.parametrize(
    ("successes", "n", "level"), [(0, 0, 0.95), (1, -1, 0.95), (3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)]
)
def test_wilson_refuses_what_is_no_proportion(successes: int, n: int, level: float) -> None:
    with pytest.raises(ValueError, match=r"trial|p must be"):
        wilson(successes, n, level)


@given(st.lists(st.sampled_from([0, 1]), min_size=1, max_size=300))
def test_for_zeros_and_ones_the_mean_has_wilsons_interval(values: list[int]) -> None:
    assert wilson_mean(values) == pytest.approx(wilson(sum(values), len(values)), abs=1e-9)


@given(VALUES)
def test_the_interval_of_a_mean_holds_it_and_has_a_width(values: list[float]) -> None:
    low, high = wilson_mean(values)
    mean = sum(values) / len(values)
    assert 0 <= low <= mean + 1e-12
    assert mean - 1e-12 <= high <= 1
    assert low < high


@given(st.floats(0, 1), st.integers(1, 500))
def test_prompts_that_agree_keep_wilsons_width(value: float, n: int) -> None:
    assert wilson_mean([value] * n) == pytest.approx(wilson(value * n, n), abs=1e-9)


@given(st.permutations([0.0, 0.1, 0.25, 0.9, 1.0, 0.5]))
def test_the_order_of_prompts_does_not_matter(values: list[float]) -> None:
    assert wilson_mean(values) == pytest.approx(wilson_mean(sorted(values)), abs=1e-12)


@settings(max_examples=50)
@given(st.floats(0.05, 0.24))
def test_less_spread_gives_a_narrower_interval(spread: float) -> None:
    wide, narrow = ([0.5 - each, 0.5 + each] * 20 for each in (2 * spread, spread))
    (wide_low, wide_high), (low, high) = wilson_mean(wide), wilson_mean(narrow)
    assert wide_low < low < high < wide_high


@pytest.mark.parametrize("values", [[], [0.5, 1.01], [-0.1], [float("nan"), 0.5]])
def test_values_that_are_no_rates_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="value"):
        wilson_mean(values)


@pytest.mark.parametrize(
    ("a", "b", "num_prompts"), [(1, 3, 64), (2, 2, 128), (0.3, 1.5, 128), (5, 1, 32), (2, 2, 8), (2, 2, 16), (1, 1, 4)]
)
def test_it_covers_the_true_mean_about_19_times_in_20(a: float, b: float, num_prompts: int) -> None:
    """Prompts of unequal difficulty, 8 rollouts each: the sampling that a table's intervals are for."""
    random = np.random.default_rng(20240607)
    covered = 0
    for _ in range(1500):
        solved = random.binomial(8, random.beta(a, b, num_prompts)) / 8
        low, high = wilson_mean(solved)
        covered += low <= a / (a + b) <= high
    # 1,500 trials of 0.95 have a standard deviation of 0.0056.
    assert 0.933 <= covered / 1500 <= 0.972


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (3, 7), (36, 100), (1, 4096)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_the_exact_interval_agrees_with_scipy(successes: int, n: int, level: float) -> None:
    theirs = binomtest(successes, n).proportion_ci(level, method="exact")
    low, high = clopper_pearson(successes, n, level)
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    for bad in ((successes, 0), (n + 1, n), (-1, n)):
        with pytest.raises(ValueError, match="trial"):
            clopper_pearson(*bad)


@pytest.mark.parametrize(
    ("a", "n_a", "b", "n_b", "low", "high"),
    # The examples of Newcombe 1998, method 10, as published.
    [
        (48, 80, 56, 70, 0.0524, 0.3339),
        (3, 10, 9, 10, 0.1705, 0.8090),
        (0, 29, 5, 56, -0.0381, 0.1926),
        (0, 10, 10, 10, 0.6075, 1.0000),
    ],
)
def test_newcombe_reference_values(a: int, n_a: int, b: int, n_b: int, low: float, high: float) -> None:
    assert newcombe(a, n_a, b, n_b) == pytest.approx((b / n_b - a / n_a, low, high), abs=6e-5)
    assert newcombe(b, n_b, a, n_a)[1:] == pytest.approx((-high, -low), abs=6e-5)


def test_newcombe_covers_the_true_difference_about_19_times_in_20() -> None:
    random = np.random.default_rng(3)
    covered = 0
    for a, b in zip(random.binomial(30, 0.2, 2000), random.binomial(45, 0.35, 2000), strict=True):
        _, low, high = newcombe(a, 30, b, 45)
        covered += low <= 0.15 <= high
    # 2,000 trials of 0.95 have a standard deviation of 0.005.
    assert 0.935 <= covered / 2000 <= 0.975
    with pytest.raises(ValueError, match="at least one trial"):
        newcombe(0, 0, 1, 2)
