"""Permutation tests against every pattern written out, and by how often they cry wolf."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.stats import mcnemar_exact, sign_flip_permutation, swap_permutation

PAIR = st.tuples(st.integers(0, 3), st.integers(3, 5), st.integers(0, 3), st.integers(3, 5))


def by_enumeration(clusters: list[tuple[int, int, int, int]]) -> float:
    differences = []
    for swaps in product((False, True), repeat=len(clusters)):
        sums = np.zeros(4)
        for swapped, (da, ea, db, eb) in zip(swaps, clusters, strict=True):
            sums += (db, eb, da, ea) if swapped else (da, ea, db, eb)
        differences.append(sums[2] / sums[3] - sums[0] / sums[1])
    return float(np.mean(np.abs(differences) >= abs(differences[0]) - 1e-9))


@settings(max_examples=60, deadline=None)
@given(st.lists(PAIR, min_size=1, max_size=8))
def test_swaps_are_all_counted(clusters: list[tuple[int, int, int, int]]) -> None:
    da, ea, db, eb = zip(*clusters, strict=True)
    test = swap_permutation(da, ea, db, eb)
    assert test.exact
    assert test.p_value == pytest.approx(by_enumeration(clusters), abs=1e-12)
    assert test.num_patterns == 2 ** sum((a, b) != (c, d) for a, b, c, d in clusters)
    assert test.value == pytest.approx(sum(db) / sum(eb) - sum(da) / sum(ea))


def test_twenty_one_clusters_that_differ_are_still_exact_and_twenty_two_are_drawn() -> None:
    random = np.random.default_rng(5)
    a, b = random.integers(0, 50, 22), 50 + random.integers(0, 9, 22)
    trials = np.full(22, 100)
    most = swap_permutation(a[:21], trials[:21], b[:21], trials[:21])
    assert most.exact
    assert most.p_value == 2 / 2**21, "every b above every a"
    drawn = swap_permutation(a, trials, b, trials, num_samples=999)
    assert not drawn.exact
    assert (drawn.p_value, drawn.num_patterns) == (1 / 1000, 999)


def test_drawn_patterns_agree_with_all_of_them() -> None:
    random = np.random.default_rng(6)
    a, b, trials = random.integers(0, 9, 40), random.integers(1, 10, 40), np.full(40, 10)
    exact = sign_flip_permutation((b - a) / 10)
    assert exact.exact
    drawn = swap_permutation(a, trials, b, trials, num_samples=40_000, seed=1)
    error = np.sqrt(exact.p_value * (1 - exact.p_value) / 40_000)
    assert not drawn.exact
    assert 0.01 < exact.p_value < 0.99
    assert drawn.p_value == pytest.approx(exact.p_value, abs=4 * error)


def test_drawn_signs_agree_with_all_of_them() -> None:
    uneven = np.random.default_rng(7).normal(0.15, 1, 40)  # no unit in common
    unit = np.abs(uneven).max() / 240
    drawn = sign_flip_permutation(uneven, num_samples=40_000)
    exact = sign_flip_permutation((uneven / unit).round() * unit)
    assert exact.exact and not drawn.exact
    assert 0.01 < exact.p_value < 0.99
    error = np.sqrt(exact.p_value * (1 - exact.p_value) / 40_000)
    assert drawn.p_value == pytest.approx(exact.p_value, abs=4 * error + 0.002)


def test_conditions_that_do_not_differ_are_no_evidence() -> None:
    assert swap_permutation([1, 2], [3, 3], [1, 2], [3, 3]).p_value == 1
    assert swap_permutation([1, 2], [3, 3], [2, 2], [3, 3]).p_value == 1, "one pair alone"
    assert sign_flip_permutation([0.0, 0.0]).p_value == 1


def test_a_pattern_without_a_denominator_counts_as_large() -> None:
    # One cluster has all trials of a, the other all of b; swapping either leaves a side empty.
    test = swap_permutation([1, 0], [2, 0], [0, 2], [0, 2])
    assert test.p_value == 1


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(-6, 6), min_size=1, max_size=11), st.sampled_from([1, 2, 5, 16, 240]), st.floats(1e-3, 1e-1)
)
def test_signs_are_all_counted(whole: list[int], unit: int, uneven: float) -> None:
    for differences in (
        [value / unit for value in whole],
        [value * uneven * 2**0.5 + uneven * place for place, value in enumerate(whole)],
    ):
        test = sign_flip_permutation(differences)
        sums = [
            abs(np.dot(signs, differences)) >= abs(sum(differences)) - 1e-9
            for signs in product((-1, 1), repeat=len(whole))
        ]
        assert test.exact
        assert test.p_value == pytest.approx(np.mean(sums), abs=1e-9)


@pytest.mark.parametrize(("better", "worse"), [(5, 5), (29, 22), (5, 0), (12, 40), (100, 160), (0, 60)])
def test_signs_of_zeros_and_ones_are_mcnemars_test(better: int, worse: int) -> None:
    test = sign_flip_permutation([1] * better + [-1] * worse + [0] * 30)
    assert test.exact
    assert test.p_value == pytest.approx(mcnemar_exact(worse, better), rel=1e-9, abs=1e-12)


def test_a_test_of_many_prompts_says_what_the_normal_one_does() -> None:
    random = np.random.default_rng(4)
    difference = random.integers(-16, 17, 1319) / 16
    difference[:300] += 3 / 16
    test = sign_flip_permutation(difference)
    z = difference.sum() / np.sqrt((difference**2).sum())
    assert test.exact
    assert test.p_value == pytest.approx(math.erfc(abs(z) / 2**0.5), abs=2e-3)


def test_sums_of_too_many_values_are_drawn() -> None:
    random = np.random.default_rng(1)
    large = sign_flip_permutation(random.integers(-(10**9), 10**9, 200).astype(float), num_samples=500)
    assert not large.exact
    assert 1 / 501 <= large.p_value <= 1


@pytest.mark.parametrize("scale", [1e-15, 1e-3, 1.0, 1 / 3, 1e12])
def test_the_unit_of_measurement_does_not_matter(scale: float) -> None:
    assert sign_flip_permutation(np.array([1, -1, 2]) * scale).p_value == pytest.approx(0.75)
    assert sign_flip_permutation(np.array([1, -1, 2**0.5, 3**0.5]) * scale).p_value == pytest.approx(3 / 8)
    whole = np.random.default_rng(0).integers(-5, 7, 60)
    assert sign_flip_permutation(whole * scale).p_value == pytest.approx(sign_flip_permutation(whole).p_value)
    a, b, trials = np.array([3, 1, 4, 1, 5]), np.array([5, 3, 5, 8, 9]), np.array([9, 9, 9, 9, 9])
    swaps = swap_permutation(a * scale, trials, b * scale, trials)
    assert swaps.p_value == swap_permutation(a, trials, b, trials).p_value == 2 / 32


def test_it_rejects_no_more_often_than_it_says() -> None:
    random = np.random.default_rng(2)
    swaps = flips = 0
    for _ in range(400):
        ease = random.beta(2, 2, 16)
        a, b = random.binomial(5, ease), random.binomial(5, ease)
        trials = np.full(16, 5)
        swaps += swap_permutation(a, trials, b, trials).p_value <= 0.1
        flips += sign_flip_permutation((b - a) / 5).p_value <= 0.1
    assert swaps == flips, "with equal denominators they are one test"
    # Sums that tie make an exact test cautious; 400 trials of 0.1 have a standard deviation of 0.015.
    assert 0.03 <= swaps / 400 <= 0.14


def test_what_cannot_be_swapped_is_refused() -> None:
    with pytest.raises(ValueError, match="2 clusters against 1"):
        swap_permutation([1, 1], [2, 2], [1], [2])
    with pytest.raises(ValueError, match="undefined"):
        swap_permutation([0, 0], [0, 0], [1, 1], [2, 2])
    with pytest.raises(ValueError, match="at least one sample"):
        swap_permutation([1, 1], [2, 2], [1, 1], [2, 2], num_samples=0)
    for differences in ([], [np.nan], [[1.0]]):
        with pytest.raises(ValueError, match="finite"):
            sign_flip_permutation(differences)


def test_a_p_value_is_no_smaller_than_rounding_lets_it_be_known() -> None:
    """The transform's rounding is larger than the true value, about 2e-60, and would be printed as if it meant something."""
    found = sign_flip_permutation([1 / 3] * 200)
    assert (found.exact, found.p_value) == (True, 2.0**-40)
    assert sign_flip_permutation([1 / 3] * 30).p_value == 2.0**-29
