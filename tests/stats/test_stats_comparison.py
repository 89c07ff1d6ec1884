"""Tests of tables and of many comparisons, against tables written out, scipy and published examples."""

from __future__ import annotations

import math
from math import comb

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, false_discovery_control, ttest_rel

from labkit.stats import (
    benjamini_hochberg,
    fisher_exact,
    holm,
    mcnemar_exact,
    mde,
    paired_difference,
    two_proportion_z,
)

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test_of_the_pairs_that_differ(only_a: int, only_b: int) -> None:
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar_exact(only_a, only_b) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"), [(5, 0, 0.0625), (1, 3, 0.625), (8, 5, 0.58105), (0, 0, 1), (5, 5, 1)]
)
def test_mcnemar_values(only_a: int, only_b: int, p: float) -> None:
    assert mcnemar_exact(only_a, only_b) == pytest.approx(p, abs=5e-6)
    assert mcnemar_exact(only_b, only_a) == mcnemar_exact(only_a, only_b)


@given(st.integers(0, 12).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.integers(1, 12))
def test_fisher_is_the_share_of_tables_no_likelier(first: tuple[int, int], n_b: int) -> None:
    (a, n_a), b = first, n_b // 2
    ways = {x: comb(n_a, x) * comb(n_b, a + b - x) for x in range(a + b + 1)}
    expected = sum(each for each in ways.values() if each <= ways[a]) / comb(n_a + n_b, a + b)
    assert fisher_exact(a, n_a, b, n_b) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(
    ("a", "n_a", "b", "n_b"), [(24, 67, 24, 62), (400, 1319, 460, 1319), (30, 3000, 90, 5000), (5, 5, 0, 400)]
)
def test_fisher_is_that_of_scipy_in_large_tables_too(a: int, n_a: int, b: int, n_b: int) -> None:
    expected = scipy.stats.fisher_exact([[a, n_a - a], [b, n_b - b]]).pvalue
    assert fisher_exact(a, n_a, b, n_b) == pytest.approx(expected, rel=1e-9)


def test_the_lady_tasting_tea() -> None:
    assert fisher_exact(3, 4, 1, 4) == pytest.approx(34 / 70)
    assert fisher_exact(0, 5, 3, 5) == pytest.approx(1 / 6)
    assert fisher_exact(0, 0, 3, 5) == 1


def test_pooled_z() -> None:
    z, p = two_proportion_z(40, 100, 55, 100)
    assert z == pytest.approx(0.15 / math.sqrt(0.475 * 0.525 * 2 / 100))
    assert p == pytest.approx(math.erfc(z / math.sqrt(2)))
    assert two_proportion_z(55, 100, 40, 100) == pytest.approx((-z, p))
    assert two_proportion_z(0, 5, 0, 9) == (0, 1)


def test_holm_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([1 / 6, *[1.0] * 19]).tolist() == [1.0] * 20
    assert holm([]).shape == (0,)


@given(P_VALUES)
def test_holm_is_the_step_down_written_out(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for p, value in zip(p_values, adjusted, strict=True):
        smaller = sorted(other for other in p_values if other <= p)
        steps = [(len(p_values) - place) * other for place, other in enumerate(smaller)]
        assert value == pytest.approx(min(1.0, max(steps)))
        assert p <= value <= min(1.0, p * len(p_values)) + 1e-12


@given(P_VALUES)
def test_benjamini_hochberg_is_scipys(p_values: list[float]) -> None:
    assert benjamini_hochberg(p_values) == pytest.approx(false_discovery_control(p_values))
    assert (benjamini_hochberg(p_values) <= holm(p_values) + 1e-12).all()


def test_zeros_and_ones_are_compared_by_mcnemar() -> None:
    a, b = [1] * 22 + [0] * 29 + [1] * 14 + [0] * 35, [0] * 22 + [1] * 29 + [1] * 14 + [0] * 35
    result = paired_difference(a, b)
    assert result.test == "mcnemar"
    assert (result.num_better, result.num_worse, result.num_prompts) == (29, 22, 100)
    assert result.p_value == mcnemar_exact(22, 29)
    assert result.value == pytest.approx(0.07)
    assert result.low < 0 < result.high
    assert result.mde == pytest.approx(mde(100, math.sqrt(0.51)))
    theirs = ttest_rel(b, a).confidence_interval()
    assert (result.low, result.high) == pytest.approx((theirs.low, theirs.high))


def test_accuracies_over_rollouts_are_compared_by_signs() -> None:
    random = np.random.default_rng(3)
    a = random.binomial(16, 0.5, 200) / 16
    better = paired_difference(a, np.minimum(a + 0.25, 1))
    assert better.test == "sign-flip"
    assert better.p_value < 1e-9
    assert 0.2 < better.low < better.value < better.high < 0.3
    assert (better.num_better, better.num_worse) == (200, 0)
    noise = paired_difference(a, random.permutation(a))
    assert noise.p_value > 0.05
    drawn = paired_difference(a, random.random(200))
    assert drawn.test == "sign-flip, sampled"


def test_what_is_the_same_shows_nothing() -> None:
    same = paired_difference([0, 1, 1], [0, 1, 1])
    assert (same.value, same.p_value, same.mde) == (0, 1, None)


def test_what_is_no_table_is_refused() -> None:
    for call, why in (
        (lambda: mcnemar_exact(-1, 2), "at least 0"),
        (lambda: fisher_exact(3, 2, 1, 2), "3 successes in 2"),
        (lambda: two_proportion_z(0, 0, 1, 2), "at least one trial"),
        (lambda: holm([0.5, float("nan")]), "p-value"),
        (lambda: benjamini_hochberg([1.1]), "p-value"),
        (lambda: paired_difference([1, 0], [1]), "2 prompts against 1"),
        (lambda: paired_difference([1, 0], [1, float("nan")]), "finite"),
    ):
        with pytest.raises(ValueError, match=why):
            call()
