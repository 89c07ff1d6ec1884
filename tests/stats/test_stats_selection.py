"""Best-of-k against enumeration of every subset, ranking against pairs, and what a perfect and a useless score give."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.stats import (
    best_of_n,
    expected_calibration_error,
    item_auc,
    pass_at_k,
    selection_efficiency,
    within_item_auc,
)


def rankings(n: int) -> Iterator[list[tuple[int, bool]]]:
    """Every order of n candidates into groups of equal scores, with every number of correct ones in each."""
    if n == 0:
        yield []
    for size in range(1, n + 1):
        for num_correct in range(size + 1):
            for worse in rankings(n - size):
                group = [(0, member < num_correct) for member in range(size)]
                yield group + [(score + 1, verdict) for score, verdict in worse]


def by_enumeration(scores: npt.NDArray[np.int64], correct: npt.NDArray[np.bool_], k: int) -> npt.NDArray[np.float64]:
    subsets = np.array(list(combinations(range(scores.shape[1]), k)))  # (S, k)
    drawn = scores[:, subsets]  # (P, S, k)
    best = drawn == drawn.min(axis=2, keepdims=True)
    return ((best & correct[:, subsets]).sum(axis=2) / best.sum(axis=2)).mean(axis=1)


@pytest.mark.parametrize(
    ("n", "num_rankings"), [(1, 2), (2, 7), (3, 24), (4, 82), (5, 280), (6, 956), (7, 3264), (8, 11144)]
)
def test_it_is_the_mean_over_all_subsets_of_every_ranking(n: int, num_rankings: int) -> None:
    table = np.array(list(rankings(n)))  # (P, N, 2)
    assert len(table) == num_rankings
    order = np.random.default_rng(n).permutation(n)
    scores, correct = table[:, order, 0], table[:, order, 1].astype(bool)
    for k in range(1, n + 1):
        expected = by_enumeration(scores, correct, k)
        assert np.abs(best_of_n(scores, correct, k) - expected).max() < 1e-12
        assert best_of_n(scores[-1], correct[-1], k) == pytest.approx(expected[-1], abs=1e-12)
    several = best_of_n(scores, correct, [1, n])
    assert np.array_equal(several, np.stack([best_of_n(scores, correct, 1), best_of_n(scores, correct, n)], axis=1))
    assert np.array_equal(best_of_n(scores[0], correct[0], [1, n]), np.asarray(several)[0])


@settings(max_examples=60)
@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_a_constant_score_gives_the_mean_and_a_perfect_one_pass_at_k_exactly(case: tuple[int, int, int]) -> None:
    n, c, k = case
    correct = np.random.default_rng(n).permutation(np.arange(n) < c)
    assert best_of_n(np.full(n, 0.3), correct, k) == correct.mean()
    assert best_of_n(np.where(correct, -1.0, 1.0), correct, k) == pass_at_k(n, c, k)
    distinct = np.random.default_rng(k).random(n) - 2.0 * correct
    assert best_of_n(distinct, correct, k) == pass_at_k(n, c, k)
    assert best_of_n(-distinct, correct, k) == pytest.approx(1 - pass_at_k(n, n - c, k), abs=1e-12), "the worst"


def test_without_ties_it_is_the_weighted_sum_over_ranks() -> None:
    random = np.random.default_rng(2)
    scores, correct = random.permutation(16).astype(float), random.random(16) < 0.4
    ranked = correct[np.argsort(scores)]
    for k in (1, 3, 16):
        chances = [len(list(combinations(range(15 - place), k - 1))) for place in range(16)]
        expected = sum(chance * hit for chance, hit in zip(chances, ranked, strict=True)) / sum(chances)
        assert best_of_n(scores, correct, k) == pytest.approx(expected, abs=1e-13)


def test_infinite_scores_come_last_and_share_among_themselves() -> None:
    scores, correct = [np.inf, 2.0, np.inf], [True, False, False]
    assert best_of_n(scores, correct, 3) == 0
    assert best_of_n(scores, correct, 1) == pytest.approx(1 / 3)
    assert best_of_n([np.inf] * 4, [True, False, False, False], 2) == 0.25


@pytest.mark.parametrize(
    ("scores", "correct", "k", "why"),
    [
        ([1.0, 2.0], [True, False], 0, "at least 1"),
        ([1.0, 2.0], [True, False], 3, "only 2 candidates"),
        ([1.0, np.nan], [True, False], 1, "NaN"),
        ([1.0, 2.0], [True], 1, "shape"),
        ([1.0, 2.0], [0.5, 1.0], 1, "verdict"),
        ([], [], 1, "shape"),
        ([[[1.0]]], [[[True]]], 1, "shape"),
    ],
)
def test_what_cannot_be_chosen_among_is_refused(scores: list[float], correct: list[bool], k: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        best_of_n(scores, correct, k)


@settings(max_examples=80)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=12))
def test_auc_is_the_share_of_pairs_in_order(candidates: list[tuple[int, bool]]) -> None:
    right = [score for score, verdict in candidates if verdict]
    wrong = [score for score, verdict in candidates if not verdict]
    (value,) = item_auc([score for score, _ in candidates], [verdict for _, verdict in candidates])
    if not right or not wrong:
        assert np.isnan(value)
        return
    pairs = [1.0 if a < b else 0.5 if a == b else 0.0 for a in right for b in wrong]
    assert value == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)


def test_the_area_over_prompts_leaves_out_what_cannot_be_ranked() -> None:
    scores = [[0.1, 0.2, 0.3], [5.0, 5.0, 5.0], [1.0, 2.0, 3.0], [1.0, 1.0, 2.0]]
    correct = [[True, False, False], [True, False, True], [True, True, True], [False, False, True]]
    area = within_item_auc(scores, correct)
    assert area is not None
    assert area.num_items == 3
    assert area.value == pytest.approx((1 + 0.5 + 0) / 3)
    assert 0 <= area.low < area.value < area.high <= 1
    assert within_item_auc([[1.0, 2.0]], [[True, True]]) is None


def test_easy_prompts_with_low_scores_do_not_raise_the_area() -> None:
    """A score that knows only how hard a prompt is ranks all candidates well and those of one prompt not at all."""
    random = np.random.default_rng(0)
    ease = random.random(400)
    correct = random.random((400, 16)) < ease[:, None]
    area = within_item_auc(np.repeat(-ease[:, None], 16, axis=1), correct)
    assert area is not None
    assert area.value == 0.5
    assert best_of_n(np.repeat(-ease[:, None], 16, axis=1), correct, 16) == pytest.approx(correct.mean(axis=1), abs=0)


def test_efficiency_is_0_for_the_mean_and_1_for_the_oracle() -> None:
    random = np.random.default_rng(1)
    correct = random.random((300, 8)) < random.random((300, 1))
    mean, oracle = correct.mean(axis=1), correct.any(axis=1)
    none, full = selection_efficiency(mean, mean, oracle), selection_efficiency(oracle, mean, oracle)
    assert none is not None and full is not None
    assert (none.value, none.low, none.high) == (0, 0, 0)
    assert (full.value, full.low, full.high) == pytest.approx((1, 1, 1))
    chosen = selection_efficiency(correct[:, 0], mean, oracle)
    assert chosen is not None
    assert chosen.value == pytest.approx((correct[:, 0].mean() - mean.mean()) / (oracle.mean() - mean.mean()))
    assert chosen.low < 0 < chosen.high, "the first candidate is a random one"
    assert selection_efficiency([1, 0], [1, 0], [1, 0]) is None, "nothing to gain"
    assert selection_efficiency([1], [0.5], [1]) is None
    with pytest.raises(ValueError, match="one value of each kind"):
        selection_efficiency([1, 1], [0.5], [1, 1])


def test_efficiency_of_a_random_choice_covers_0() -> None:
    random = np.random.default_rng(8)
    covered = 0
    for _ in range(600):
        correct = random.random((150, 5)) < random.beta(1, 1, (150, 1))
        interval = selection_efficiency(correct[:, 0], correct.mean(axis=1), correct.any(axis=1))
        assert interval is not None
        covered += interval.low <= 0 <= interval.high
    # 600 trials of 0.95 have a standard deviation of 0.009.
    assert 0.92 <= covered / 600 <= 0.98


def test_calibration_is_the_gap_between_said_and_seen() -> None:
    assert expected_calibration_error([1.0, 0.0, 1.0], [True, False, True]) == 0
    assert expected_calibration_error([0.8] * 10, [True] * 5 + [False] * 5) == pytest.approx(0.3)
    assert expected_calibration_error([0.05, 0.95], [True, True], 1) == pytest.approx(0.5)
    for stated, correct, bins in (([1.2], [True], 10), ([], [], 10), ([0.5], [True, False], 10), ([0.5], [True], 0)):
        with pytest.raises(ValueError, match="probability"):
            expected_calibration_error(stated, correct, bins)
