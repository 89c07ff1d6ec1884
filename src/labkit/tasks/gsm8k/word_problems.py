"""Word problems of two steps in GSM8K's form, generated: what a model of under a million parameters can learn in minutes.

Numbers and results are integers from 0 to 200, and questions use few words, so that a tokenizer may have one token for each.
The streams are pure functions of their arguments: only `random.Random.random` is used, whose sequence Python promises to
keep, seeded by a stable hash.
"""

from __future__ import annotations

import hashlib
import operator
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from labkit.errors import InputError
from labkit.tasks.gsm8k.wordings import NAMES, THINGS, WORDINGS, Wording
from labkit.tasks.splits import SPLITS, split_of

GENERATOR_VERSION = 1
"""Raised whenever the same arguments would give other problems; part of every seed."""

LARGEST = 200
"""No number and no result is larger, and none is negative."""

MAX_TRIES = 100_000
"""Draws in a row without a new problem before the supply is called exhausted; well under a second."""

_TERM = (2, 120)
_FACTOR = (2, 12)
_OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.floordiv}


@dataclass(frozen=True, slots=True)
class WordProblem:
    """A question with its worked solution."""

    question: str
    solution: str
    """The steps, a line each, and a last line `#### 42`."""

    def as_json(self) -> dict[str, str]:
        """The line of a file in the published form."""
        return {"question": self.question, "answer": self.solution}


def generate(seed: int, split: str, num_problems: int) -> Iterator[WordProblem]:
    """The first problems of a stream, no question twice; asking for more never changes the ones before.

    What is calculated decides on the split, so test and validation hold no calculation of a wording that train has,
    whatever the seeds.

    Raises:
        InputError: the split is unknown, or there are no more problems (while iterating).
    """
    if split not in SPLITS:
        raise InputError(f"word problems have no split {split!r}", f"known: {', '.join(SPLITS)}")
    return islice(_distinct(seed, split), num_problems)


def vocabulary() -> list[str]:
    """The words and symbols that questions and solutions consist of, beside integers, sorted."""
    solution = "First Then = . #### " + " ".join(_OPERATORS)
    texts = [solution, *NAMES, *THINGS, *(re.sub(r"\{\w\}", "", wording.question) for wording in WORDINGS)]
    return sorted({word for text in texts for word in re.findall(r"\w+|#+|[^\w\s]", text)})


def _distinct(seed: int, split: str) -> Iterator[WordProblem]:
    seen: set[str] = set()
    draws = _draws(seed, split)
    while True:
        fresh = (problem for problem in islice(draws, MAX_TRIES) if problem and problem.question not in seen)
        problem = next(fresh, None)
        if problem is None:
            raise InputError(f"there are no more than {len(seen)} word problems for {split}", "ask for fewer")
        seen.add(problem.question)
        yield problem


def _draws(seed: int, split: str) -> Iterator[WordProblem | None]:
    """One random problem after the other; None where the numbers do not fit the wording or belong to another split."""
    key = f"word problems {GENERATOR_VERSION} {seed} {split}"
    uniform = random.Random(int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest(), "big")).random
    while True:
        number = int(uniform() * len(WORDINGS))
        wording = WORDINGS[number]
        values = {
            name: low + int(uniform() * (high - low + 1))
            for name, (low, high) in zip("abc", _ranges(wording), strict=True)
        }
        steps = _steps(wording, values)
        drawn = uniform(), uniform(), uniform()
        if steps is None or split_of(f"{number} {values}") != split:
            yield None
            continue
        name = int(drawn[0] * len(NAMES))
        other = (name + 1 + int(drawn[1] * (len(NAMES) - 1))) % len(NAMES)
        words = {"N": NAMES[name], "M": NAMES[other], "T": THINGS[int(drawn[2] * len(THINGS))]}
        (first, _), (second, answer) = steps
        yield WordProblem(wording.question.format(**words, **values), f"First {first}.\nThen {second}.\n#### {answer}")


def _ranges(wording: Wording) -> list[tuple[int, int]]:
    """From where a, b and c are drawn: what is multiplied or divided by is small."""
    small = {name for step in wording.steps for name in _small(*step.split())}
    return [_FACTOR if name in small else _TERM for name in "abc"]


def _small(left: str, symbol: str, right: str) -> set[str]:
    return {left, right} if symbol == "*" else {right} if symbol == "/" else set()


def _steps(wording: Wording, values: dict[str, int]) -> list[tuple[str, int]] | None:
    """Each calculation as it is written, with its result; None where a result is no integer in the range."""
    known, found = dict(values), []
    for step in wording.steps:
        left, symbol, right = step.split()
        x, y = known[left], known[right]
        result = _OPERATORS[symbol](x, y)
        if not 0 <= result <= LARGEST or (symbol == "/" and result * y != x):
            return None
        known["r"] = result
        found.append((f"{x} {symbol} {y} = {result}", result))
    return found
