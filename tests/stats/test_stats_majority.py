"""maj@k against enumeration of every subset, and its algebra where enumeration ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.stats import maj_at_k, pass_at_k, weighted_maj_at_k


def by_enumeration(answers: list[str | None], right: set[str], k: int) -> float:
    total = 0.0
    for drawn in combinations(answers, k):
        votes = Counter(answer for answer in drawn if answer is not None)
        leaders = [answer for answer in votes if votes[answer] == max(votes.values())]
        total += sum(answer in right for answer in leaders) / max(len(leaders), 1)
    return total / comb(len(answers), k)


def partitions(n: int, largest: int) -> Iterator[list[int]]:
    if n == 0:
        yield []
    for first in range(min(n, largest), 0, -1):
        for rest in partitions(n - first, first):
            yield [first, *rest]


def ballots(n: int) -> Iterator[tuple[list[str | None], set[str]]]:
    """Every way in which n candidates can agree, be right, wrong, or without an answer."""
    for invalid in range(n + 1):
        for num_right in range(n - invalid + 1):
            for right in partitions(num_right, n):
                for wrong in partitions(n - invalid - num_right, n):
                    answers: list[str | None] = [None] * invalid
                    for number, count in enumerate(right):
                        answers += [f"right {number}"] * count
                    for number, count in enumerate(wrong):
                        answers += [f"wrong {number}"] * count
                    yield answers, {f"right {number}" for number in range(len(right))}


@pytest.mark.parametrize("n", range(1, 9))
def test_it_is_the_mean_over_all_subsets_of_every_ballot(n: int) -> None:
    checked = 0
    for answers, right in ballots(n):
        ks = list(range(1, n + 1))
        values = maj_at_k(answers, [answer in right for answer in answers], ks)
        assert values == pytest.approx([by_enumeration(answers, right, k) for k in ks], abs=1e-12), answers
        checked += 1
    assert checked >= 3 * n


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=8), st.randoms())
def test_the_order_of_candidates_does_not_matter(answers: list[str | None], random: object) -> None:
    shuffled = list(answers)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for k in range(1, len(answers) + 1):
        value = maj_at_k(shuffled, [answer == "a" for answer in shuffled], k)
        assert value == maj_at_k(answers, [answer == "a" for answer in answers], k)
        assert value == pytest.approx(by_enumeration(answers, {"a"}, k), abs=1e-12)


@pytest.mark.parametrize(("n", "num_answers"), [(40, 3), (128, 12), (512, 2), (512, 30), (512, 700), (1000, 5)])
def test_the_lead_is_shared_out_among_the_answers_without_rest(n: int, num_answers: int) -> None:
    random = np.random.default_rng(n + num_answers)
    drawn = random.integers(0, num_answers, n)
    answers = [None if answer == 1 else int(answer) for answer in drawn]
    valid = sum(answer is not None for answer in answers)
    ks = [1, 2, 7, n // 3, n - 1, n]
    kinds = sorted({answer for answer in answers if answer is not None})
    votes = Counter(answers)
    # Answers given equally often lead equally often, so one of each kind stands for all.
    by_count = {votes[kind]: kind for kind in kinds}
    total = sum(
        sum(votes[kind] == count for kind in kinds) * maj_at_k(answers, [answer == one for answer in answers], ks)
        for count, one in by_count.items()
    )
    assert total == pytest.approx([pass_at_k(n, valid, k) for k in ks], abs=1e-10)


@pytest.mark.parametrize("votes", [1, 2, 16, 256])
def test_answers_given_equally_often_lead_equally_often(votes: int) -> None:
    answers = [place // votes for place in range(512)]
    values = maj_at_k(answers, [answer == 0 for answer in answers], [1, 3, 17, 256, 511, 512])
    assert values == pytest.approx(np.full(6, votes / 512), rel=1e-12)
    half = maj_at_k(answers, [answer % 2 == 0 for answer in answers], [1, 17, 512])
    assert half == pytest.approx(np.full(3, 0.5), rel=1e-12)


def test_when_every_answer_is_right_it_is_the_chance_that_anybody_votes() -> None:
    answers = [*range(6), None, None, None]
    for k in range(1, 10):
        assert maj_at_k(answers, [answer is not None for answer in answers], k) == pytest.approx(pass_at_k(9, 6, k))


def test_one_draw_is_the_share_of_correct_ones_and_all_of_them_one_vote() -> None:
    answers = ["72"] * 5 + ["8"] * 4 + ["9"] * 4 + [None] * 3
    correct = [answer == "72" for answer in answers]
    assert maj_at_k(answers, correct, 1) == pytest.approx(5 / 16, abs=1e-15)
    assert maj_at_k(answers, correct, 16) == 1.0
    assert maj_at_k(answers, [answer == "8" for answer in answers], 16) == 0.0
    assert maj_at_k(answers[1:], correct[1:], 15) == pytest.approx(1 / 3, abs=1e-15)
    assert isinstance(maj_at_k(answers, correct, 4), float)
    assert maj_at_k(answers, correct, []).shape == (0,)


def test_it_agrees_with_drawing_where_subsets_are_too_many() -> None:
    random = np.random.default_rng(3)
    answers = random.choice(6, 200, p=[0.3, 0.28, 0.2, 0.1, 0.1, 0.02])
    correct = answers == 0
    drawn = weighted_maj_at_k(answers.tolist(), correct, np.ones(200), 21, num_samples=20_000, seed=5)
    assert not drawn.exact
    assert 0 < drawn.standard_error < 0.004
    assert maj_at_k(answers.tolist(), correct, 21) == pytest.approx(drawn.value, abs=4 * drawn.standard_error)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=7))
def test_equal_weights_are_a_plain_vote(answers: list[str | None]) -> None:
    correct = [answer == "b" for answer in answers]
    for k in range(1, len(answers) + 1):
        weighted = weighted_maj_at_k(answers, correct, [0.3] * len(answers), k)
        assert weighted.exact and weighted.standard_error == 0
        assert weighted.value == pytest.approx(maj_at_k(answers, correct, k), abs=1e-12)


def test_weights_decide() -> None:
    answers, correct = ["a", "b", "b", None], [True, False, False, False]
    assert weighted_maj_at_k(answers, correct, [3, 1, 1, 9], 4).value == 1
    assert weighted_maj_at_k(answers, correct, [2, 1, 1, 9], 4).value == 0.5
    assert weighted_maj_at_k(answers, correct, [1, 1, 1, 9], 4).value == 0
    assert weighted_maj_at_k(answers, correct, [0, 0, 0, 0], 4).value == 0.5, "votes without weight still tie"
    # Of the six pairs three hold a; it beats b alone, and nobody.
    assert weighted_maj_at_k(answers, correct, [3, 1, 1, 9], 2).value == 0.5
    assert weighted_maj_at_k([None, None], [False, False], [1, 1], 1).value == 0


@pytest.mark.parametrize(
    ("answers", "correct", "k", "why"),
    [
        (["a", "b"], [True, False], 0, "at least 1"),
        (["a", "b"], [True, False], 3, "only 2 candidates"),
        (["a", "a"], [True, False], 1, "right for one candidate and wrong"),
        ([None], [True], 1, "right without an answer"),
        ([float("nan")], [False], 1, "NaN"),
        (["a", "b"], [True], 1, "verdicts of shape"),
        (["a", "b"], ["True", "False"], 1, "verdict is neither"),
        (["a"] * 1001, [True] * 1001, 1, "at most 1000"),
    ],
)
def test_what_is_no_vote_is_refused(answers: list[object], correct: list[bool], k: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        maj_at_k(answers, correct, k)  # type: ignore[arg-type]


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weight"):
        weighted_maj_at_k(["a", "b"], [True, False], weights, 1)
