"""Generated problems: valid, reproducible, split by problem, and an error where there are none."""

from __future__ import annotations

import re
from itertools import islice
from time import perf_counter

import pytest

from labkit.errors import InputError
from labkit.tasks.countdown import Problem, Settings, generate, generate_block
from labkit.tasks.countdown.generator import DEFAULT_SETTINGS
from labkit.tasks.splits import SPLITS, split_of

MIXED = Settings(num_numbers=(2, 3, 5), number_range=(0, 30), target_range=(-5, 40))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("settings", [DEFAULT_SETTINGS, MIXED])
def test_problems_are_valid_and_of_their_split(settings: Settings, split: str) -> None:
    (low, high), (lowest, highest) = settings.number_range, settings.target_range
    problems = list(generate(1, split, 300, settings))
    assert len(problems) == 300
    for problem in problems:
        assert len(problem.numbers) in settings.num_numbers
        assert all(low <= number <= high for number in problem.numbers)
        assert lowest <= int(problem.target) <= highest
        assert problem.solution_holds()
        assert split_of(problem.identity) == split


def test_numbers_stand_in_the_solution_as_in_the_problem_and_it_is_spaced() -> None:
    for problem in generate(2, "train", 300, MIXED):
        assert problem.solution is not None
        assert [int(digits) for digits in re.findall("[0-9]+", problem.solution)] == list(problem.numbers)
        tokens = re.findall(r"[0-9]+|[-+*/()]", problem.solution)
        assert problem.solution == " ".join(tokens).replace("( ", "(").replace(" )", ")")
        assert len(problem.numbers) > 2 or "(" not in problem.solution


def test_every_size_shape_and_operator_occurs() -> None:
    problems = list(generate(3, "train", 2000, Settings(num_numbers=(2, 3))))
    forms = {re.sub("[0-9]+", "n", problem.solution or "") for problem in problems}
    pairs = {f"n {a} n" for a in "+-*/"}
    triples = {form for a in "+-*/" for b in "+-*/" for form in (f"(n {a} n) {b} n", f"n {a} (n {b} n)")}
    # n / (n / n) and the like are the rarest; all of them are within reach of 2,000 problems but for a few.
    assert pairs <= forms <= pairs | triples
    assert len(forms & triples) >= 26


def test_a_stream_is_a_function_of_its_arguments_and_a_longer_one_continues_it() -> None:
    short, long = list(generate(7, "test", 20)), list(generate(7, "test", 40))
    assert long[:20] == short
    assert list(generate(8, "test", 20)) != short
    assert list(generate(7, "test", 20, MIXED)) != short


def test_the_first_problems_of_version_1_stay_what_they_are() -> None:
    """A pin, not a derivation: whoever changes the draw must raise GENERATOR_VERSION, and this line with it."""
    assert next(iter(generate(0, "train", 1))) == Problem((93, 85, 65), "73", "(93 - 85) + 65")


def test_no_problem_of_any_seed_is_in_two_splits() -> None:
    found: dict[str, set[str]] = {split: set() for split in SPLITS}
    narrow = Settings(number_range=(1, 15), target_range=(1, 30))
    for seed in range(3):
        for split in SPLITS:
            found[split] |= {problem.identity for problem in generate(seed, split, 400, narrow)}
    assert not found["train"] & found["test"]
    assert not found["train"] & found["validation"]
    assert not found["validation"] & found["test"]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_held_out_problems_are_distinct(split: str) -> None:
    identities = [problem.identity for problem in generate(0, split, 500, Settings(number_range=(1, 20)))]
    assert len(set(identities)) == len(identities)


def test_blocks_are_addressed_directly() -> None:
    block = generate_block(0, "train", 1000, 64)
    assert len(block) == 64
    assert all(split_of(problem.identity) == "train" for problem in block)
    assert generate_block(0, "train", 1000, 64) == block
    assert generate_block(0, "train", 1000, 32) == block[:32]
    assert generate_block(0, "train", 1001, 64) != block
    assert generate_block(1, "train", 1000, 64) != block


def test_a_distant_block_costs_no_more_than_the_first() -> None:
    start = perf_counter()
    generate_block(0, "train", 10**12, 64)
    assert perf_counter() - start < 1.0


def test_too_few_problems_is_an_error_that_says_how_many() -> None:
    few = Settings(num_numbers=(2,), number_range=(1, 3), target_range=(1, 9))
    start = perf_counter()
    with pytest.raises(InputError, match=r"found \d+ distinct problems for the test split where 10000 were asked for"):
        list(generate(0, "test", 10_000, few))
    assert perf_counter() - start < 10.0


def test_impossible_settings_are_an_error_even_where_problems_may_repeat() -> None:
    impossible = Settings(num_numbers=(2,), number_range=(1, 3), target_range=(90, 99))
    with pytest.raises(InputError, match="found 0 problems"):
        generate_block(0, "train", 0, 1, impossible)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("num_numbers", ()), ("num_numbers", (1,)), ("num_numbers", (3, 7)), ("number_range", (9, 1)),
     ("number_range", (-1, 5)), ("number_range", (1, 10**7)), ("target_range", (100, 10))],
)  # fmt: skip
def test_bad_settings_are_refused_by_name(keyword: str, value: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=keyword):
        Settings(**{keyword: value})  # type: ignore[arg-type]


def test_an_unknown_split_is_refused_before_anything_is_drawn() -> None:
    with pytest.raises(InputError) as caught:
        islice(generate(0, "tests", 1), 1)
    assert "did you mean 'test'" in caught.value.hint
