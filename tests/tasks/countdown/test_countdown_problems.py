"""Solving by brute force, identity and splits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.errors import InputError
from labkit.tasks.countdown import Problem, generate, score, solve
from labkit.tasks.countdown.generator import Settings
from labkit.tasks.countdown.target import canonical_target
from labkit.tasks.splits import split_of

SMALL = st.lists(st.integers(0, 12), min_size=1, max_size=4)


@settings(max_examples=60)
@given(SMALL, st.integers(-20, 40))
def test_what_solve_finds_the_scorer_accepts(numbers: list[int], target: int) -> None:
    solution = solve(numbers, target)
    assert solution is None or score(f"<answer>{solution}</answer>", numbers, target).rule == "exact"


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_every_generated_problem_is_solved(size: int) -> None:
    for problem in generate(5, "train", 20, Settings(num_numbers=(size,))):
        solution = solve(problem.numbers, problem.target)
        assert solution is not None
        assert Problem(problem.numbers, problem.target, solution).solution_holds()


@pytest.mark.parametrize(
    ("numbers", "target", "solution"),
    [
        ([44, 19], 63, "44 + 19"),
        ([5], 5, "5"),
        ([5], 6, None),
        ([1, 1, 1], 10, None),
        ([8, 3, 8, 3], 24, "8 / (3 - (8 / 3))"),
        ([3, 5], "-8", "-(3 + 5)"),
        ([3, 5], "-2", "3 - 5"),
        ([2, 5], "0.4", "2 / 5"),
        ([0, 7], 1, None),
    ],
)
def test_known_cases(numbers: list[int], target: str | int, solution: str | None) -> None:
    assert solve(numbers, target) == solution


def test_too_many_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="7 numbers"):
        solve([1] * 7, 100)


@given(st.permutations([44, 19, 35, 19]))
def test_identity_does_not_depend_on_the_order_of_the_numbers(numbers: list[int]) -> None:
    assert Problem(tuple(numbers), "98").identity == Problem((19, 19, 35, 44), "98").identity


def test_identity_separates_numbers_and_targets() -> None:
    problems = [Problem((1, 2), "3"), Problem((1, 2), "4"), Problem((12,), "3"), Problem((1, 2, 2), "3")]
    assert len({problem.identity for problem in problems}) == len(problems)


def test_a_problem_never_moves_to_another_split() -> None:
    """A pin: models trained on one side of these borders are tested on the other."""
    pinned = {"19 35 44 = 46": "test", "19 35 44 = 10": "train", "19 35 44 = 19": "validation"}
    assert {identity: split_of(identity) for identity in pinned} == pinned


def test_splits_have_their_shares() -> None:
    splits = [split_of(str(number)) for number in range(20_000)]
    assert splits.count("test") == pytest.approx(2000, rel=0.1)
    assert splits.count("validation") == pytest.approx(2000, rel=0.1)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [(98, "98"), ("+98", "98"), (" 098 ", "98"), ("98.0", "98"), ("27.40", "27.4"), ("-0", "0"), ("-0.50", "-0.5"),
     ("-15.727272727272727", "-15.727272727272727")],
)  # fmt: skip
def test_canonical_targets(text: str | int, canonical: str) -> None:
    assert canonical_target(text) == canonical
