"""Shared and broken budgets, against every subset there is."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from labkit.stats import pass_at_k, pass_at_mean_k, union_pass_at_k


def solved_share(draws: list[bool], k: int) -> list[bool]:
    """For every way to draw k of them whether one is correct."""
    return [any(subset) for subset in combinations(draws, k)]


@pytest.mark.parametrize(("correct_a", "correct_b"), [(0, 0), (0, 2), (1, 0), (2, 1), (5, 4)])
@pytest.mark.parametrize(("k_a", "k_b"), [(1, 1), (2, 1), (3, 3), (5, 4)])
def test_the_union_is_the_share_of_all_pairs_of_subsets(correct_a: int, correct_b: int, k_a: int, k_b: int) -> None:
    a = [place < correct_a for place in range(5)]
    b = [place < correct_b for place in range(4)]
    pairs = [one or other for one, other in product(solved_share(a, k_a), solved_share(b, k_b))]
    (value,) = union_pass_at_k([5], [correct_a], k_a, [4], [correct_b], k_b)
    assert value == pytest.approx(sum(pairs) / len(pairs))


def test_the_union_is_unbiased_over_independent_draws() -> None:
    """The mean over all outcomes of three rollouts of each of two sources, weighted by their chances."""
    rate_a, rate_b = 0.3, 0.1
    chances, values = [], []
    for outcome in product([0, 1], repeat=6):
        a, b = outcome[:3], outcome[3:]
        chance = np.prod([rate_a if hit else 1 - rate_a for hit in a] + [rate_b if hit else 1 - rate_b for hit in b])
        chances.append(float(chance))
        values.append(float(union_pass_at_k([3], [sum(a)], 2, [3], [sum(b)], 2)[0]))
    assert np.dot(chances, values) == pytest.approx(1 - (1 - rate_a) ** 2 * (1 - rate_b) ** 2)


def test_a_mean_budget_mixes_its_neighbours() -> None:
    n, c = [8, 8, 8], [0, 2, 7]
    three, four = (np.asarray(pass_at_k(n, c, k)) for k in (3, 4))
    assert pass_at_mean_k(n, c, 3.0) == pytest.approx(three)
    assert pass_at_mean_k(n, c, 3.25) == pytest.approx(0.75 * three + 0.25 * four)
    assert pass_at_mean_k(n, c, 0.5) == pytest.approx([0, 1 / 8, 7 / 16])
    # A budget that division left a hair below a whole number is that number.
    assert pass_at_mean_k(n, c, 8 - 1e-12) == pytest.approx([0, 1, 1])


def test_budgets_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        pass_at_mean_k([4], [1], 0.0)
    with pytest.raises(ValueError, match="only 4 rollouts"):
        pass_at_mean_k([4], [1], 4.5)
    with pytest.raises(ValueError, match="1 prompts against 2"):
        union_pass_at_k([4], [1], 1, [4, 4], [1, 1], 1)
