"""Best against best: a case worked out by hand, and what choosing and measuring on the same prompts does in simulation."""

from __future__ import annotations

import numpy as np
import pytest

from labkit.stats import cross_fitted_best, paired_difference


def test_each_half_is_measured_under_what_the_other_half_chose() -> None:
    first_half = [True, True, False, False]
    a = [
        [1.0, 0.5, 0.0, 0.1],  # best on the first half, so it stands for the second
        [0.2, 0.2, 0.8, 0.6],  # best on the second half, so it stands for the first
    ]
    b = [[0.4, 0.1, 0.3, 0.3]]
    found = cross_fitted_best(a, b, first_half)
    assert (found.chosen_a, found.chosen_b) == ((0, 1), (0, 0))
    assert found.values_a.tolist() == [0.2, 0.2, 0.0, 0.1]
    assert found.values_b.tolist() == [0.4, 0.1, 0.3, 0.3]
    # (-0.2 + 0.1 - 0.3 - 0.2) / 4; all prompts together would have chosen the second of a and found 0.45 - 0.275.
    assert found.difference.value == pytest.approx(-0.15)
    assert found.difference.num_prompts == 4


def test_without_a_choice_it_is_the_paired_difference() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.random((2, 30))
    found = cross_fitted_best([a], [b], rng.random(30) < 0.5)
    assert found.difference == paired_difference(b, a)


def test_the_first_of_equal_settings_is_chosen() -> None:
    same = [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]
    assert cross_fitted_best(same, same, [True, False, False]).chosen_a == (0, 0)


def test_the_error_is_that_of_choosing_again_among_other_prompts() -> None:
    """Against the procedure carried out anew on prompts drawn with replacement, each in its half."""
    rng = np.random.default_rng(5)
    values = rng.random((5, 60))
    half = np.arange(60) < 25
    found = cross_fitted_best(values[:2], values[2:], half, num_draws=4_000).difference
    again = []
    for _ in range(1_000):
        drawn = rng.integers(0, 60, 60)
        again.append(
            cross_fitted_best(values[:2, drawn], values[2:, drawn], half[drawn], num_draws=100).difference.value
        )
    assert found.standard_error == pytest.approx(float(np.std(again)), rel=0.1)
    assert found.standard_error > paired_difference(values[0], values[2]).standard_error * 0.9
    assert found.high - found.value == pytest.approx(found.value - found.low)


def test_settings_that_are_all_alike_show_no_difference_where_the_maximum_would() -> None:
    """One setting against the best of eight, all equally good: the maximum finds a difference that is not there."""
    rng = np.random.default_rng(0)
    flattering, fitted, covered = [], [], 0
    num_trials, num_prompts = 300, 40
    for _ in range(num_trials):
        difficulty = rng.beta(1, 1, num_prompts)
        values = rng.binomial(8, difficulty, (9, num_prompts)) / 8
        a, b = values[:1], values[1:]
        found = cross_fitted_best(a, b, np.arange(num_prompts) % 2 == 0, num_draws=200).difference
        flattering.append(b.mean(axis=1).max() - a.mean())
        fitted.append(found.value)
        covered += found.low <= 0 <= found.high
    error = float(np.std(fitted)) / np.sqrt(num_trials)
    assert abs(float(np.mean(fitted))) < 4 * error
    assert float(np.mean(flattering)) > 0.02
    assert covered / num_trials >= 0.94


@pytest.mark.parametrize(
    ("a", "b", "half", "message"),
    [
        ([[0.1, 0.2]], [[0.1, 0.2]], [True, True], "nothing is left"),
        ([[0.1, 0.2]], [[0.1, 0.2]], [False, False], "nothing is left"),
        ([[0.1, 0.2]], [[0.1, 0.2, 0.3]], [True, False], "not the same prompts"),
        ([[0.1, 0.2]], np.empty((0, 2)), [True, False], "not the same prompts"),
        ([0.1, 0.2], [[0.1, 0.2]], [True, False], "not the same prompts"),
    ],
)
def test_what_cannot_be_fitted_is_refused(a: object, b: object, half: list[bool], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cross_fitted_best(a, b, half)  # type: ignore[arg-type]
