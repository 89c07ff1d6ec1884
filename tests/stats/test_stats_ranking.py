"""The test of a ranking against every arrangement of verdicts written out, and by how often it cries wolf."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.stats import ranking_permutation, sign_flip_permutation

VERDICTS = st.lists(st.booleans(), min_size=1, max_size=4)
PROMPT = VERDICTS.flatmap(lambda verdicts: st.tuples(st.just(verdicts), st.integers(1, len(verdicts))))


def by_enumeration(prompts: list[tuple[list[bool], int]]) -> float:
    """The first candidates of each prompt are the best ones; all orders of verdicts are as likely."""
    means = [
        sum(sum(order[:best]) / best for order, (_, best) in zip(arranged, prompts, strict=True))
        for arranged in product(*(permutations(verdicts) for verdicts, _ in prompts))
    ]
    chance = sum(sum(verdicts) / len(verdicts) for verdicts, _ in prompts)
    observed = abs(sum(sum(verdicts[:best]) / best for verdicts, best in prompts) - chance)
    return float(np.mean(np.abs(np.array(means) - chance) >= observed - 1e-9))


def counts(prompts: list[tuple[list[bool], int]]) -> list[list[int]]:
    rows = [(len(verdicts), sum(verdicts), best, sum(verdicts[:best])) for verdicts, best in prompts]
    return [list(column) for column in zip(*rows, strict=True)]


@settings(max_examples=60)
@given(st.lists(PROMPT, min_size=1, max_size=3))
def test_every_arrangement_is_counted(prompts: list[tuple[list[bool], int]]) -> None:
    test = ranking_permutation(*counts(prompts))
    assert test.exact
    assert test.p_value == pytest.approx(by_enumeration(prompts), abs=1e-11)


def test_drawn_sums_agree_with_the_exact_law() -> None:
    random = np.random.default_rng(0)
    n = np.full(300, 12)
    c, a = random.integers(0, 13, 300), random.integers(1, 7, 300)
    h = random.hypergeometric(c, n - c, a)
    exact = ranking_permutation(n, c, a, h)
    more = np.concatenate([a, [7, 11, 8]])  # 55,440 steps to one, and nothing to learn of these three
    n3 = [*n, 12, 12, 12]
    drawn = ranking_permutation(n3, [*c, 0, 0, 0], more, [*h, 0, 0, 0])
    assert exact.exact and not drawn.exact and 0.01 < exact.p_value < 0.99
    assert drawn.p_value == pytest.approx(exact.p_value, abs=4 * np.sqrt(0.25 / 100_000))


def test_a_blind_choice_is_suspected_as_rarely_as_it_says() -> None:
    """20 prompts of 16 candidates, one in ten right, the first one chosen: sign flips are wrong twice as often as they say."""
    random = np.random.default_rng(1)
    n, ones, by_ranking, by_signs, num_trials = np.full(20, 16), np.ones(20, int), 0, 0, 1000
    for _ in range(num_trials):
        verdicts = random.random((20, 16)) < 0.1
        c, h = verdicts.sum(axis=1), verdicts[:, 0].astype(int)
        by_ranking += ranking_permutation(n, c, ones, h).p_value <= 0.05
        by_signs += sign_flip_permutation(h - c / 16).p_value <= 0.05
    assert by_ranking <= 0.05 * num_trials + 3 * np.sqrt(0.05 * 0.95 * num_trials)
    assert by_signs > 0.08 * num_trials


def test_what_all_share_or_nobody_can_choose_is_no_finding() -> None:
    assert ranking_permutation([4, 4], [1, 3], [4, 4], [1, 3]).p_value == 1.0
    assert ranking_permutation([4, 4], [0, 4], [1, 2], [0, 2]).p_value == 1.0
    perfect = ranking_permutation([16] * 1319, [1] * 1319, [1] * 1319, [1] * 1319)
    assert perfect.p_value == 2.0**-40 and perfect.value == pytest.approx(15 / 16)


IMPOSSIBLE = {
    "no prompts": ([], [], [], []),
    "more right than there are": ([4], [5], [1], [0]),
    "no best": ([4], [2], [0], [0]),
    "more right among the best than right": ([4], [1], [2], [2]),
    "too few right among the best": ([4], [3], [4], [2]),
    "other prompts": ([4, 4], [1], [1], [1]),
}


@pytest.mark.parametrize("counts", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_counts_that_cannot_be_are_refused(counts: tuple[list[int], ...]) -> None:
    with pytest.raises(ValueError, match=r"cannot be|at least one prompt"):
        ranking_permutation(*counts)
    with pytest.raises(ValueError, match="at least one sample"):
        ranking_permutation([2], [1], [1], [1], num_samples=0)
