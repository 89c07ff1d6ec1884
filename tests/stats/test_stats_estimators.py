"""pass@k against brute force and against values worked out elsewhere."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.stats import g_pass_at_k, pass_at_k, pass_at_k_rates, pass_hat_k, powers_of_two, wilson_mean


@pytest.mark.parametrize("n", range(1, 10))
def test_it_is_the_share_of_draws_that_hold_a_correct_rollout(n: int) -> None:
    for c in range(n + 1):
        correct = [position < c for position in range(n)]
        for k in range(1, n + 1):
            draws = list(combinations(correct, k))
            assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, draws)) / len(draws), abs=1e-12), (n, c, k)


@pytest.mark.parametrize("n", range(1, 10))
def test_all_or_enough_of_the_draw(n: int) -> None:
    for c in range(n + 1):
        correct = [position < c for position in range(n)]
        for k in range(1, n + 1):
            draws = [sum(draw) for draw in combinations(correct, k)]
            assert pass_hat_k(n, c, k) == pytest.approx(draws.count(k) / len(draws), abs=1e-12), (n, c, k)
            for threshold in (0.01, 0.2, 0.5, 0.6, 0.75, 1.0):
                enough = sum(hits >= max(1, threshold * k - 1e-9) for hits in draws) / len(draws)
                assert g_pass_at_k(n, c, k, threshold) == pytest.approx(enough, abs=1e-12), (n, c, k, threshold)


def test_between_any_and_all() -> None:
    n, c = np.array([16, 16, 200]), np.array([0, 5, 120])
    assert g_pass_at_k(n, c, 8, 1 / 8) == pytest.approx(pass_at_k(n, c, 8), abs=1e-12)
    assert g_pass_at_k(n, c, 8, 1.0) == pytest.approx(pass_hat_k(n, c, 8), abs=1e-12)
    assert (pass_hat_k(n, c, 8) <= g_pass_at_k(n, c, 8, 0.5) + 1e-12).all()
    assert isinstance(pass_hat_k(5, 2, 1), float) and isinstance(g_pass_at_k(5, 2, 1, 0.5), float)
    assert g_pass_at_k(20, 11, 20, 0.55) == pytest.approx(1), "11 of 20, which rounding must not make 12"
    assert pass_hat_k(1000, 999, 2) == pytest.approx(0.998)
    for threshold in (0.0, 1.5):
        with pytest.raises(ValueError, match="threshold"):
            g_pass_at_k(5, 2, 1, threshold)
    with pytest.raises(ValueError, match=r"pass\^k needs"):
        pass_hat_k(5, 2, 0)


@pytest.mark.parametrize(
    ("n", "c", "k", "value"),
    [
        (5, 2, 1, 0.4),
        (5, 2, 3, 0.9),
        (10, 3, 5, 0.9166666666666666),
        (6, 3, 1, 0.5),
        (100, 1, 50, 0.5),
        (5, 0, 5, 0.0),
        (5, 5, 1, 1.0),
    ],
)
def test_reference_values(n: int, c: int, k: int, value: float) -> None:
    assert pass_at_k(n, c, k) == pytest.approx(value, abs=1e-12)
    assert isinstance(pass_at_k(n, c, k), float)


@settings(max_examples=60)
@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_it_grows_with_k_and_with_the_correct_ones_and_stays_in_the_unit_interval(case: tuple[int, int]) -> None:
    n, c = case
    values = [pass_at_k(n, c, k) for k in range(1, n + 1)]
    assert all(0 <= value <= 1 for value in values)
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise(values))
    assert values[0] == pytest.approx(c / n)
    assert values[-1] == (1 if c else 0)
    if c < n:
        assert pass_at_k(n, c + 1, max(1, n // 3)) >= pass_at_k(n, c, max(1, n // 3)) - 1e-12


def test_many_rollouts_neither_overflow_nor_lose_the_first_success() -> None:
    assert pass_at_k(100_000, 1, 1) == pytest.approx(1e-5, rel=1e-9)
    assert pass_at_k(100_000, 50_000, 512) == 1.0


def test_arrays_give_one_value_a_prompt() -> None:
    n, c = np.array([10, 4, 10]), np.array([3, 4, 0])
    values = pass_at_k(n, c, 2)
    assert values.shape == (3,)
    assert values.tolist() == [pass_at_k(10, 3, 2), 1.0, 0.0]
    assert pass_at_k(10, c, 2)[0] == values[0], "one number of rollouts stands for all prompts"
    assert pass_at_k([], [], 1).shape == (0,)


@pytest.mark.parametrize(
    ("n", "c", "k", "why"),
    [
        (5, 2, 0, "at least 1"),
        (5, 2, 6, "only 5 rollouts"),
        ([9, 3], [1, 1], 4, "only 3 rollouts"),
        (5, 6, 1, "outside"),
        (5, -1, 1, "outside"),
    ],
)
def test_what_cannot_be_drawn_is_refused(n: int, c: int, k: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        pass_at_k(n, c, k)


def test_rates_are_means_over_prompts_with_their_interval() -> None:
    n, c = [8] * 5, [0, 1, 2, 4, 8]
    rates = pass_at_k_rates(n, c, [1, 4])
    each = [pass_at_k(8, correct, 4) for correct in c]
    assert rates[4].value == pytest.approx(sum(each) / 5)
    assert (rates[4].low, rates[4].high) == wilson_mean(each)
    assert rates[1].value == pytest.approx(15 / 40)
    assert list(rates) == [1, 4]


@pytest.mark.parametrize(
    ("most", "powers"), [(0, []), (1, [1]), (2, [1, 2]), (32, [1, 2, 4, 8, 16, 32]), (100, [1, 2, 4, 8, 16, 32, 64])]
)
def test_powers_of_two(most: int, powers: list[int]) -> None:
    assert powers_of_two(most) == powers
