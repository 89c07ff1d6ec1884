"""Solvable problems without end, from a seed.

A problem is what a random expression tree gives: numbers, operators and shape are drawn independently and uniformly,
and the tree is kept when its value is an integer in the target range. The streams are pure functions of their
arguments: only `random.Random.random` is used, whose sequence Python promises to keep, seeded by a stable hash.
"""

from __future__ import annotations

import hashlib
import json
import operator
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

from labkit.errors import InputError
from labkit.tasks.countdown.choice import check_choice
from labkit.tasks.countdown.problems import Problem, identify
from labkit.tasks.splits import SPLITS, split_of

GENERATOR_VERSION = 1
"""Raised whenever the same arguments would give other problems; part of every seed and fingerprint."""

MAX_TRIES = 500_000
"""Trees drawn in a row without a new problem before the settings are called exhausted; about a second."""

_SIZES = (2, 6)
_MAX_NUMBER = 10**6

_Operator = Callable[[Any, Any], Any]
_Value = Callable[[list[Any], list[_Operator]], Any]

_OPERATORS: tuple[_Operator, ...] = (operator.add, operator.sub, operator.mul, operator.truediv)
_SYMBOL = dict(zip(_OPERATORS, "+-*/", strict=True))


@dataclass(frozen=True, slots=True)
class Settings:
    """Which problems are drawn. Ranges include both ends.

    Raises:
        InputError: a size is not in 2..6, or a range is empty or out of bounds.
    """

    num_numbers: tuple[int, ...] = (3,)
    """The sizes; each problem draws one of them."""
    number_range: tuple[int, int] = (1, 99)
    """Where the numbers come from; a number may occur twice."""
    target_range: tuple[int, int] = (10, 100)
    """Which integers are taken as targets."""

    def __post_init__(self) -> None:
        fewest, most = _SIZES
        if not self.num_numbers or not all(fewest <= size <= most for size in self.num_numbers):
            raise InputError(
                f"num_numbers is {list(self.num_numbers)}", f"generated problems have {fewest} to {most} numbers"
            )
        if not 0 <= self.number_range[0] <= self.number_range[1] <= _MAX_NUMBER:
            raise InputError(f"number_range is {list(self.number_range)}", f"give low <= high within 0..{_MAX_NUMBER}")
        if self.target_range[0] > self.target_range[1]:
            raise InputError(f"target_range is {list(self.target_range)}", "give the lower end first")

    def __str__(self) -> str:
        sizes = " or ".join(map(str, self.num_numbers))
        (low, high), (lowest, highest) = self.number_range, self.target_range
        return f"{sizes} numbers of {low}..{high}, targets {lowest}..{highest}"


DEFAULT_SETTINGS = Settings()


def generate(seed: int, split: str, num_problems: int, settings: Settings = DEFAULT_SETTINGS) -> Iterator[Problem]:
    """The first `num_problems` of a stream; asking for more never changes the ones before.

    Validation and test repeat no problem; train may.

    Raises:
        InputError: the split is unknown, or fewer such problems were found (while iterating).
    """
    check_choice("generated split", split, SPLITS)
    return _stream(_rng(seed, split, "stream", settings), split, num_problems, settings, distinct=split != "train")


def generate_block(
    seed: int, split: str, block: int, num_problems: int, settings: Settings = DEFAULT_SETTINGS
) -> list[Problem]:
    """`num_problems` problems for one training step, without drawing those of the steps before.

    Blocks are independent of each other and of `generate`; problems may repeat, within a block and between blocks.

    Raises:
        InputError: the split is unknown, or the settings admit no problem.
    """
    check_choice("generated split", split, SPLITS)
    rng = _rng(seed, split, f"block {block}", settings)
    return list(_stream(rng, split, num_problems, settings, distinct=False))


def _rng(seed: int, split: str, part: str, settings: Settings) -> random.Random:
    key = json.dumps([GENERATOR_VERSION, seed, split, part, asdict(settings)])
    return random.Random(int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest(), "big"))


def _stream(
    rng: random.Random, split: str, num_problems: int, settings: Settings, *, distinct: bool
) -> Iterator[Problem]:
    """Yield problems of the split until there are enough, or `MAX_TRIES` draws brought none."""
    seen: set[str] = set()
    found = 0
    draws = _draw(rng, settings)
    while found < num_problems:
        for draw in filter(None, islice(draws, MAX_TRIES)):
            identity = identify(draw.numbers, draw.target)
            if split_of(identity) == split and identity not in seen:
                break
        else:
            kind = "distinct problems" if distinct else "problems"
            raise InputError(
                f"found {found} {kind} for the {split} split where {num_problems} were asked for ({settings})",
                "ask for fewer, or widen num_numbers, number_range or target_range",
            )
        if distinct:
            seen.add(identity)
        found += 1
        yield Problem(tuple(draw.numbers), str(draw.target), draw.shape.write(draw.numbers, draw.operators))


@dataclass(frozen=True, slots=True)
class _Shape:
    """A way to put parentheses around some operands; operator `i` stands between operands `i` and `i + 1`."""

    template: str
    """Takes operands and operators alternately."""
    value: _Value
    """Computes in the operands' own arithmetic: floats to look, fractions to be sure."""

    def write(self, numbers: list[int], operators: list[_Operator]) -> str:
        parts: list[int | str] = [numbers[0]]
        for number, symbol in zip(numbers[1:], operators, strict=True):
            parts += _SYMBOL[symbol], number
        return self.template[1:-1] % tuple(parts)


class _Draw(NamedTuple):
    numbers: list[int]
    operators: list[_Operator]
    shape: _Shape
    target: int


def _draw(rng: random.Random, settings: Settings) -> Iterator[_Draw | None]:
    """One random tree after the other: its parts where it reaches a target, else None."""
    uniform = rng.random
    sizes = settings.num_numbers
    low, span = settings.number_range[0], settings.number_range[1] - settings.number_range[0] + 1
    lowest, highest = settings.target_range
    while True:
        size = sizes[int(uniform() * len(sizes))]
        shapes = _shapes(0, size - 1)
        shape = shapes[int(uniform() * len(shapes))]
        numbers = [low + int(uniform() * span) for _ in range(size)]
        operators = [_OPERATORS[int(uniform() * 4)] for _ in range(size - 1)]
        try:
            value = shape.value(numbers, operators)
            target = round(value)
            reached = lowest <= target <= highest and _reaches(target, value, shape, numbers, operators)
        except ZeroDivisionError:
            reached = False
        yield _Draw(numbers, operators, shape, target) if reached else None


def _reaches(target: int, value: int | float, shape: _Shape, numbers: list[int], operators: list[_Operator]) -> bool:
    """Whether the tree's exact value is the target: integers are exact, floats are only a reason to look closer."""
    if isinstance(value, int):
        return value == target
    return abs(value - target) < 1e-6 and shape.value([Fraction(number) for number in numbers], operators) == target


@cache
def _shapes(first: int, last: int) -> tuple[_Shape, ...]:
    """All binary trees over the operands `first` to `last`."""
    if first == last:
        return (_Shape("%d", lambda numbers, operators: numbers[first]),)
    return tuple(
        _Shape(f"({left.template} %s {right.template})", _node(cut, left.value, right.value))
        for cut in range(first, last)
        for left in _shapes(first, cut)
        for right in _shapes(cut + 1, last)
    )


def _node(index: int, left: _Value, right: _Value) -> _Value:
    return lambda numbers, operators: operators[index](left(numbers, operators), right(numbers, operators))
